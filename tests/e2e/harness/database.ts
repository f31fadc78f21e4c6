// The server's SQLite file, as another program sees it. Node 20 has no SQLite of its own; Python's is in the standard library.
import { execFileSync } from 'node:child_process';

export type Value = string | number | null | { readonly hex: string };
export type Statement = readonly [sql: string, ...parameters: Value[]];

const PROGRAM = `
import json, sqlite3, sys
task = json.load(sys.stdin)
def bound(value):
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
def shown(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else value
mode = "ro" if task["readOnly"] else "rw"
database = sqlite3.connect(f"file:{task['file']}?mode={mode}", uri=True, timeout=5)
database.execute("PRAGMA foreign_keys = ON")
rows = []
with database:
    for sql, *parameters in task["statements"]:
        rows = [[shown(value) for value in row] for row in database.execute(sql, [bound(p) for p in parameters])]
database.close()
json.dump(rows, sys.stdout)
`;

function run(file: string, statements: readonly Statement[], readOnly: boolean): Value[][] {
  const output = execFileSync('python3', ['-c', PROGRAM], {
    input: JSON.stringify({ file, statements, readOnly }),
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return JSON.parse(output.toString('utf8')) as Value[][];
}

/** Reads beside the running server. */
export function query(file: string, sql: string, ...parameters: Value[]): Value[][] {
  return run(file, [[sql, ...parameters]], true);
}

/** All of it or nothing. The server must not be running: it keeps its own rows in memory. */
export function execute(file: string, statements: readonly Statement[]): void {
  run(file, statements, false);
}

export const uuidBytes = (id: string): Value => ({ hex: id.replaceAll('-', '') });
