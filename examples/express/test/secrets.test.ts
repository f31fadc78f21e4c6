// What opens something is never nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { eq } from 'drizzle-orm';
import express from 'express';

import { authentication } from '../server/auth.ts';
import { openDatabase } from '../server/database.ts';
import { loadDemo } from '../server/demo.ts';
import { equalSecrets, sessionSecret } from '../server/secrets.ts';
import { registerSite } from '../server/site.ts';
import { Storage } from '../server/storage.ts';

let folder: string;
before(() => { folder = mkdtempSync(join(tmpdir(), 'travelchat-express-')); });
after(() => rmSync(folder, { recursive: true }));

test('two secrets are equal when both are there and the same', () => {
  assert.equal(equalSecrets('a', 'a'), true);
  for (const [given, right] of [['', ''], ['', null], ['', undefined], ['undefined', undefined], ['null', null], ['a', ''],
    ['a', 'b'], ['a', 'aa'], ['ä', 'a']] as const) {
    assert.equal(equalSecrets(given, right), false, `${given} ${right}`);
  }
});

test('an empty token opens no trip, also one whose own is empty', async () => {
  const dataDir = join(folder, 'trips');
  const database = await openDatabase({ storage: undefined, dataDir });
  await loadDemo(database, 2);
  const { db, tables: { trips } } = database;
  const storage = new Storage(database);
  const app = express();
  registerSite(app, storage, authentication(storage, { dataDir }));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const [trip] = await db.select().from(trips).limit(1);
  const view = async (token: string) =>
    (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/trip-view/${trip!.id}${token}`)).status;
  assert.deepEqual([await view(`?token=${trip!.shareToken}`), await view('?token='), await view('')], [200, 403, 400]);
  await db.update(trips).set({ shareToken: '' }).where(eq(trips.id, trip!.id));
  assert.deepEqual([await view('?token='), await view('?token=x'), await view('?token=a&token=b')], [403, 403, 400]);
  server.closeAllConnections();
  server.close();
  await database.close();
});

test('cookies are signed with a secret that nobody else has', () => {
  const named = process.env['SESSION_SECRET'];
  try {
    delete process.env['SESSION_SECRET'];
    const [one, other] = [join(folder, 'one'), join(folder, 'other')];
    const secret = sessionSecret(one);
    assert.match(secret, /^[0-9a-f]{64}$/);
    assert.equal(sessionSecret(one), secret);
    assert.notEqual(sessionSecret(other), secret);
    assert.equal(statSync(join(one, 'session-secret')).mode & 0o777, 0o600);
    assert.equal(readFileSync(join(one, 'session-secret'), 'utf8'), secret);
    writeFileSync(join(one, 'session-secret'), '');
    assert.throws(() => sessionSecret(one), /holds no secret/);
    for (const weak of ['', 'secret']) {
      process.env['SESSION_SECRET'] = weak;
      assert.throws(() => sessionSecret(other), /SESSION_SECRET must have at least 32 characters/);
    }
    process.env['SESSION_SECRET'] = 'x'.repeat(32);
    assert.equal(sessionSecret(other), 'x'.repeat(32));
  } finally {
    if (named === undefined) delete process.env['SESSION_SECRET'];
    else process.env['SESSION_SECRET'] = named;
  }
});
