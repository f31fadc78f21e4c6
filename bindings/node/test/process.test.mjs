// What an engine does to the process that it lives in: nothing is left behind, and no exit crashes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { packageFile, travelchat } from './support/package.mjs';

const { ChatEngine, memory } = travelchat;

const prelude = `
  const { ChatEngine, memory, sqlite, chatRoutes, setupWebSocket } = require(${JSON.stringify(packageFile)});
  const ada = { orgId: 'org-1', role: 'advisor', id: 'ada', name: 'Ada' };
  const never = () => new Promise(() => undefined);
`;

/** Runs a script in a process of its own. */
async function run(script) {
  const child = spawn(process.execPath, ['--expose-gc', '-e', `${prelude};(async () => {${script}})()`], {
    env: process.env,
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const [code, signal] = await once(child, 'close');
  return { code, signal, output };
}

describe('a process', () => {
  const exits = {
    'while an engine is idle': `new ChatEngine(memory()); process.exit(7);`,
    'while messages are being written': `
      const engine = new ChatEngine(memory());
      const { id } = await engine.openConversation('org-1', 'carl');
      for (let i = 0; i < 1000; ++i) engine.send(ada, { conversationId: id, content: 'm' + i });
      process.exit(7);`,
    'while somebody listens': `
      const engine = new ChatEngine(memory());
      const { id } = await engine.openConversation('org-1', 'carl');
      const events = engine.subscribe(id);
      await events.next();
      events.next();
      engine.send(ada, { conversationId: id, content: 'Hello' });
      process.exit(7);`,
    'while an engine closes': `
      const engine = new ChatEngine(memory());
      await engine.openConversation('org-1', 'carl');
      engine.close();
      process.exit(7);`,
    'while a storage in JavaScript is asked': `
      const storage = { transact: () => { setImmediate(() => process.exit(7)); return never(); }, removeTokens: never,
        findConversation: never, listConversations: never, listMessages: never, listChanges: never, listRevisions: never,
        countUnread: never, findToken: never };
      const engine = new ChatEngine(storage);
      engine.countUnread('org-1');
      engine.openConversation('org-1', 'carl');`,
    'while its host is asked who somebody is': `
      const http = require('node:http');
      const engine = new ChatEngine(memory());
      const host = { authenticate: () => { setImmediate(() => process.exit(7)); return never(); }, findTrip: never, findClients: never };
      const server = http.createServer((request, response) => chatRoutes(engine)(request, response, () => response.end()));
      chatRoutes(engine, host);
      setupWebSocket(server, engine);
      server.listen(0, () => fetch('http://127.0.0.1:' + server.address().port + '/api/conversations'));`,
    'from a listener of its own exit': `
      const engine = new ChatEngine(memory());
      process.on('exit', () => { try { engine.stats(); } catch (error) { process.exitCode = error.code === 'closed' ? 7 : 1; } });`,
    'by an exception that nobody catches': `
      process.on('uncaughtException', () => process.exit(7));
      const engine = new ChatEngine(memory());
      await engine.ping();
      setImmediate(() => { throw new Error('unrelated'); });`,
  };
  for (const [when, script] of Object.entries(exits)) {
    test(`exits ${when}`, async () => {
      const { code, signal, output } = await run(script);
      assert.deepEqual([code, signal, output], [7, null, '']);
    });
  }

  test('ends by itself when nothing is under way', async () => {
    const { code, output } = await run(`
      const engine = new ChatEngine(memory());
      const { id } = await engine.openConversation('org-1', 'carl');
      const events = engine.subscribe(id);
      await events.next();
      console.log('nothing to wait for');`);
    assert.deepEqual([code, output], [0, 'nothing to wait for\n']);
  });

  test('stays for whoever waits for an event', async () => {
    const { code, output } = await run(`
      const engine = new ChatEngine(memory(), { typingTimeout: 300 });
      const { id } = await engine.openConversation('org-1', 'carl');
      const watching = engine.subscribe(id);
      const typing = engine.subscribe(id, { as: ada });
      await Promise.all([watching.opened, typing.opened]);
      typing.setTyping(true);
      // The third is only due when the typing has expired, and there is nothing else to keep the process.
      for (let i = 0; i < 3; ++i) console.log((await watching.next()).value.advisorTyping);`);
    assert.deepEqual([code, output], [0, 'false\ntrue\nfalse\n']);
  });

  // AddressSanitizer keeps what is freed, to tell of its use.
  const skip = (process.env.LD_PRELOAD ?? '').includes('libasan') && 'memory means nothing here';
  test('gets back what 1,000 engines have taken', { timeout: 300_000, skip }, async () => {
    const { code, output } = await run(`
      const { readdirSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').length;
      const descriptors = () => readdirSync('/proc/self/fd').length;
      const once = async () => {
        const engine = new ChatEngine(memory(), { shards: 1, readers: 1 });
        const { id } = await engine.openConversation('org-1', 'carl');
        const events = engine.subscribe(id);
        await events.opened;
        await engine.send(ada, { conversationId: id, content: 'Hello' });
        await events.next();
        await engine.close();
      };
      for (let i = 0; i < 100; ++i) await once();
      gc();
      const before = [threads(), descriptors(), process.memoryUsage().rss];
      for (let i = 0; i < 1000; ++i) await once();
      gc();
      const after = [threads(), descriptors(), process.memoryUsage().rss];
      console.log(JSON.stringify({ before, after }));`);
    assert.equal(code, 0, output);
    const { before, after } = JSON.parse(output);
    assert.deepEqual(after.slice(0, 2), before.slice(0, 2));
    // 1,000 engines of which each kept a thread's stack or a 64 KiB read buffer would show.
    assert.ok(after[2] - before[2] < 16 << 20, `grew by ${after[2] - before[2]} bytes`);
  });

  test('gets back what engines that nobody closed have taken', async () => {
    const { code, output } = await run(`
      const { readdirSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').length;
      new ChatEngine(memory(), { shards: 1 }).stats();
      const before = threads();
      for (let i = 0; i < 20; ++i) new ChatEngine(memory(), { shards: 1 });
      const during = threads();
      // A finalizer runs in a later turn of the loop; the thread that closes, when it is done.
      const started = Date.now();
      while (threads() > before && Date.now() - started < 20_000) { gc(); await new Promise(setImmediate); }
      console.log(during > before, threads() <= before);`);
    assert.deepEqual([code, output], [0, 'true true\n']);
  });
});

describe('a worker', () => {
  const worker = (script) => new Worker(`${prelude};(async () => {${script}})()`, { eval: true });

  test('has engines of its own', async () => {
    const one = worker(`
      const { parentPort } = require('node:worker_threads');
      const engine = new ChatEngine(memory());
      const { id } = await engine.openConversation('org-1', 'carl');
      const { message } = await engine.send(ada, { conversationId: id, content: 'from a worker' });
      await engine.close();
      parentPort.postMessage(message.content);`);
    const [[content], [code]] = await Promise.all([once(one, 'message'), once(one, 'exit')]);
    assert.deepEqual([content, code], ['from a worker', 0]);
  });

  test('may be the only one that has loaded the addon, again and again', async () => {
    const { code, output } = await run(`
      const { Worker } = require('node:worker_threads');
      const { once } = require('node:events');
      const script = ${JSON.stringify(prelude)} + \`(async () => {
        const engine = new ChatEngine(memory(), { shards: 1 });
        const { id } = await engine.openConversation('org-1', 'carl');
        await engine.issueToken({ orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: id });
        await engine.close();
      })()\`;
      for (let i = 0; i < 10; ++i) {
        const [code] = await once(new Worker(script, { eval: true }), 'exit');
        if (code !== 0) throw new Error('worker ' + code);
      }`);
    assert.deepEqual([code, output], [0, '']);
  });

  test('may be ended in the middle of anything', async () => {
    const engine = new ChatEngine(memory());
    const busy = `
      const { parentPort } = require('node:worker_threads');
      const engine = new ChatEngine(memory(), { shards: 1 });
      const { id } = await engine.openConversation('org-1', 'carl');
      (async () => { for await (const event of engine.subscribe(id)); })();
      parentPort.postMessage('busy');
      for (;;) await Promise.all(Array.from({ length: 100 }, () => engine.send(ada, { conversationId: id, content: 'm' })));`;
    // Node's pool has its four threads from the first use on, whoever that is.
    await promisify(randomBytes)(16);
    const before = readdirSync('/proc/self/task').length;
    for (let i = 0; i < 10; ++i) {
      const one = worker(busy);
      await once(one, 'message');
      await one.terminate();
    }
    const leaver = worker(`const engine = new ChatEngine(memory()); await engine.ping(); engine.ping(); process.exit(3);`);
    assert.deepEqual(await once(leaver, 'exit'), [3]);
    // The main thread's engine has noticed nothing, and no thread of theirs is left.
    assert.equal(await engine.ping(), true);
    // The system ends a thread a moment after its worker has ended.
    const threads = () => readdirSync('/proc/self/task').length;
    const started = Date.now();
    while (threads() > before && Date.now() - started < 20_000) await new Promise(setImmediate);
    assert.equal(threads(), before);
    await engine.close();
  });
});
