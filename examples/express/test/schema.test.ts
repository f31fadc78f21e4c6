// The Drizzle schema of after/ says what is in the database, so that pushing it takes nothing away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { pushSchema } from 'drizzle-kit/api';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { ChatEngine, postgres } from 'travelchat';

import * as chatAfter from '../after/schema.ts';
import * as chatBefore from '../before/schema.ts';
import { openDatabase } from '../server/database.ts';
import * as tables from '../shared/schema.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

let server: TestPostgres;
before(() => { server = startPostgres(); });
after(() => server.stop());

/** What `drizzle-kit push` would do, with travelchat's own tables left out of its sight. */
async function pushed(url: string, schema: Record<string, unknown>): Promise<string[]> {
  const pool = new pg.Pool({ connectionString: url });
  try {
    const { statementsToExecute } = await pushSchema(schema, drizzle(pool) as never, ['public'], ['!travelchat_*']);
    return statementsToExecute;
  } finally {
    await pool.end();
  }
}

test('after travelchat has adopted the tables, pushing the schema changes nothing', async () => {
  const url = server.createDatabase();
  const database = await openDatabase({ storage: url, dataDir: '' });
  const pool = new pg.Pool({ connectionString: url });
  // As the application's own `db:push` made them.
  for (const statement of await pushed(url, { ...tables, ...chatBefore })) await pool.query(statement);
  await pool.end();
  await database.close();
  await new ChatEngine(postgres({ url })).close();
  assert.deepEqual(await pushed(url, { ...tables, ...chatAfter }), []);
});
