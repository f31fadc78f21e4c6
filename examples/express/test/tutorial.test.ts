// docs/node.md walks through what differs between before/ and after/: its differences are the real ones, and both run.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startPostgres, type TestPostgres } from './postgres.ts';

const example = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(example, '../../docs/node.md'), 'utf8');

/** The hunks, headed by the line that they are behind. */
function difference(file: string): string {
  const { stdout } = spawnSync('git', ['diff', '--no-index', '--no-color', '-U1', `before/${file}`, `after/${file}`],
    { cwd: example, encoding: 'utf8' });
  const hunks = stdout.slice(stdout.indexOf('\n@@') + 1);
  return hunks.replace(/^@@ .*? @@/gm, '@@');
}

for (const file of ['index.ts', 'schema.ts']) {
  test(`the page shows the difference of ${file} as it is`, () => {
    const shown = page.split(`\`\`\`diff ${file}\n`)[1]?.split('```')[0];
    assert.equal(shown, difference(file));
  });
}

// ---- Running ----

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

async function start(which: 'before' | 'after', ...options: string[]): Promise<Running> {
  const child: ChildProcess = spawn(process.execPath,
    ['--import', 'tsx', `${which}/index.ts`, '--listen', '127.0.0.1:0', ...options],
    { cwd: example, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr?.on('data', (chunk) => { log += chunk; });
  const ended = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const ready = /travelchat ready (http:\S+)/.exec(line);
      if (ready) resolve(ready[1] as string);
    });
    void ended.then(() => reject(new Error(`${which} did not start:\n${log}`)));
  });
  return {
    url,
    async stop() {
      child.kill();
      assert.deepEqual(await ended, [0, null], log);
    },
  };
}

async function call<T>(url: string, init: RequestInit = {}): Promise<{ body: T; cookie: string; status: number }> {
  const response = await fetch(url, init);
  const body = (await response.json()) as T;
  return { body, cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '', status: response.status };
}

const post = (body: unknown, cookie?: string): RequestInit => ({
  method: 'POST', body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...(cookie !== undefined && { cookie }) },
});

interface Demo {
  advisors: { email: string; password: string; orgId: string }[];
  trips: { id: string; shareToken: string; clientId: string; clientName: string; orgId: string }[];
}

/** What both can do: sign in, and read a trip by its link. */
async function enter({ url }: Running) {
  const { body: demo } = await call<Demo>(`${url}/api/demo`);
  const account = demo.advisors[0]!;
  const { cookie, status } = await call(`${url}/api/login`, post(account));
  assert.equal(status, 200);
  const trip = demo.trips.find(({ orgId }) => orgId === account.orgId)!;
  const { body: view } = await call<{ client: { fullName: string } }>(
    `${url}/api/trip-view/${trip.id}?token=${trip.shareToken}`);
  assert.equal(view.client.fullName, trip.clientName);
  const { body: rows } = await call<{ id: string; clientId: string; lastMessage: { content: string } }[]>(
    `${url}/api/conversations`, { headers: { cookie } });
  const conversation = rows.find(({ clientId }) => clientId === trip.clientId)!;
  return { cookie, trip, conversation, rows };
}

describe('on SQLite', () => {
  for (const which of ['before', 'after'] as const) {
    test(`${which}/ signs in, shows a trip, and has the conversations`, async () => {
      const data = mkdtempSync(join(tmpdir(), 'travelchat-express-'));
      const running = await start(which, '--data', data, '--demo=4');
      try {
        const { cookie, conversation, rows } = await enter(running);
        assert.equal(rows.length, 2);
        const { status } = await call(`${running.url}/api/conversations/${conversation.id}/messages`,
          post({ content: 'Welcome!' }, cookie));
        assert.equal(status, 201);
        // Pages of other origins run it, and it alone.
        const [widget, worker] = await Promise.all(['/widget.js', '/sw.js'].map((path) => fetch(running.url + path)));
        const policies = [widget!, worker!].map(({ status, headers }) => [status, headers.get('cross-origin-resource-policy')]);
        assert.deepEqual(policies, [[200, 'cross-origin'], [200, null]]);
        await running.stop();
        await assert.rejects(start(which, '--data', data), /holds the demonstration.*start with --demo/s);
      } finally {
        await running.stop();
        rmSync(data, { recursive: true });
      }
    });
  }

  test('in after/ client and advisor chat', async () => {
    const data = mkdtempSync(join(tmpdir(), 'travelchat-express-'));
    const running = await start('after', '--data', data, '--demo=4');
    try {
      await chat(running);
    } finally {
      await running.stop();
      rmSync(data, { recursive: true });
    }
  });
});

async function chat(running: Running) {
  const { cookie, trip, conversation } = await enter(running);
  const { body: grant } = await call<{ chatToken: string; conversationId: string }>(
    `${running.url}/api/chat-token?tripId=${trip.id}&shareToken=${trip.shareToken}`);
  assert.equal(grant.conversationId, conversation.id);
  const at = `${running.url}/api/conversations/${conversation.id}/messages`;
  const said = await call<{ id: string }>(`${at}/client`, post({ content: 'Is the hotel near?', chatToken: grant.chatToken }));
  const answered = await call<{ id: string }>(at, post({ content: 'Next door.' }, cookie));
  assert.deepEqual([said.status, answered.status], [201, 201]);
  const { body: messages } = await call<{ id: string; content: string }[]>(at, { headers: { cookie } });
  assert.deepEqual(messages.slice(-2).map(({ id }) => id), [said.body.id, answered.body.id]);
  return messages;
}

describe('on PostgreSQL', () => {
  let postgres: TestPostgres;
  before(() => { postgres = startPostgres(); });
  after(() => postgres.stop());

  test('after/ goes on with what was said in before/', async () => {
    const url = postgres.createDatabase();
    const without = await start('before', '--storage', url, '--demo=4');
    const before = await enter(without);
    const { body: history } = await call<{ id: string }[]>(
      `${without.url}/api/conversations/${before.conversation.id}/messages`, { headers: { cookie: before.cookie } });
    await without.stop();

    const withChat = await start('after', '--storage', url, '--demo=4');
    try {
      const messages = await chat(withChat);
      const old = history.map(({ id }) => id);
      // The newest hundred.
      assert.deepEqual(messages.slice(0, -2).map(({ id }) => id), old.slice(-messages.length + 2));
    } finally {
      await withChat.stop();
    }
  });
});
