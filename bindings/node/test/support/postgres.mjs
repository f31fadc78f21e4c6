// A PostgreSQL server of the test's own, with a database for each test.
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../../tests/support/postgres', import.meta.url));
// A sanitizer that was put in front of Node is not for the server.
const { LD_PRELOAD: _, ...env } = process.env;
const postgres = (...words) => execFileSync(script, words, { encoding: 'utf8', env }).trim();

/** Starts one for the tests of the suite in which it is called. */
export function usePostgres() {
  const folder = mkdtempSync(join(tmpdir(), 'travelchat-node-'));
  let count = 0;
  const endings = [];
  before(() => postgres('start', folder));
  after(async () => {
    for (const end of endings) await end();
    postgres('stop', folder, '--immediate', '--remove');
  });
  return {
    /** An empty database; gives its URL. */
    createDatabase: () => postgres('createdb', folder, `chat${++count}`),
    /** What is to end before the server does. */
    beforeStop: (end) => void endings.push(end),
    restart: () => postgres('restart', folder, '--immediate'),
  };
}
