// A PostgreSQL server of the tests' own, with a database for each test.
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../tests/support/postgres', import.meta.url));
const run = (...words: string[]) => execFileSync(script, words, { encoding: 'utf8' }).trim();

export interface TestPostgres {
  /** An empty one; gives its URL. */
  createDatabase(): string;
  stop(): void;
}

export function startPostgres(): TestPostgres {
  const folder = mkdtempSync(join(tmpdir(), 'travelchat-express-'));
  run('start', folder);
  let count = 0;
  return {
    createDatabase: () => run('createdb', folder, `express${++count}`),
    stop: () => void run('stop', folder, '--immediate', '--remove'),
  };
}
