// The server's database, as another program sees it: a SQLite file, or a postgres: URL. Node 20 has neither client of its
// own; Python's SQLite is in the standard library, and PostgreSQL comes with psql.
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

const isPostgres = (database: string) => /^postgres(ql)?:/.test(database);

function literal(value: Value): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'object') return `decode('${value.hex}', 'hex')`;
  return `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** None of the statements here has a question mark but for a parameter. */
function inWords([sql, ...parameters]: Statement): string {
  let next = 0;
  return sql.replaceAll('?', () => literal(parameters[next++]!));
}

function runPostgres(url: string, sql: string): string {
  const options = ['-XqAt', '--single-transaction', '-v', 'ON_ERROR_STOP=1', '-d', url, '-f', '-'];
  return execFileSync('psql', options, { input: sql, stdio: ['pipe', 'pipe', 'inherit'] }).toString('utf8');
}

function run(file: string, statements: readonly Statement[], readOnly: boolean): Value[][] {
  const output = execFileSync('python3', ['-c', PROGRAM], {
    input: JSON.stringify({ file, statements, readOnly }),
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return JSON.parse(output.toString('utf8')) as Value[][];
}

/** Reads beside the running server. */
export function query(database: string, sql: string, ...parameters: Value[]): Value[][] {
  if (!isPostgres(database)) return run(database, [[sql, ...parameters]], true);
  const rows = runPostgres(database, `SELECT coalesce(json_agg(q), '[]') FROM (${inWords([sql, ...parameters])}) q;`);
  return (JSON.parse(rows) as Record<string, Value>[]).map((row) => Object.values(row));
}

/** All of it or nothing. The server must not be running: it keeps its own rows in memory. */
export function execute(database: string, statements: readonly Statement[]): void {
  if (isPostgres(database)) {
    runPostgres(database, statements.map((statement) => `${inWords(statement)};\n`).join(''));
  } else {
    run(database, statements, false);
  }
}

export const uuidBytes = (id: string): Value => ({ hex: id.replaceAll('-', '') });
