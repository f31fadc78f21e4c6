// A storage written in JavaScript: held to the suite of every other one, and what happens when it misbehaves.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { JsMemoryStorage } from './support/memory-storage.mjs';
import { ada, carl, conformanceAddon, take, travelchat } from './support/package.mjs';

const { ChatEngine, ChatError } = travelchat;

const eventVectors = new URL('../../../tests/vectors/events.json', import.meta.url);

/** An engine on a storage with one conversation in it. */
async function open(storage) {
  const engine = new ChatEngine(storage, { shards: 1 });
  return { engine, conversation: await engine.openConversation('org-1', 'carl') };
}

describe('a storage in JavaScript', () => {
  test('passes the conformance suite', { timeout: 300_000 }, async () => {
    // In a process of its own: Catch2 writes to standard output, and exits on what it cannot survive.
    const script = `
      import { createRequire } from 'node:module';
      import { JsMemoryStorage } from ${JSON.stringify(new URL('./support/memory-storage.mjs', import.meta.url))};
      const require = createRequire(${JSON.stringify(import.meta.url)});
      const { toNativeStorage } = require('../dist/storage.js');
      const make = () => toNativeStorage(new JsMemoryStorage()).call;
      require(${JSON.stringify(conformanceAddon)}).run(['--abort'], make, (status) => { process.exitCode = status; });`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const [, assertions, cases] = /All tests passed \((\d+) assertions in (\d+) test cases\)/.exec(stdout) ?? assert.fail(stdout);
    assert.ok(Number(cases) > 50 && Number(assertions) > 1_000, stdout);
  });

  test('that lacks a function is refused', () => {
    for (const name of ['transact', 'removeTokens', 'listChanges', 'listRevisions', 'findToken']) {
      const storage = new JsMemoryStorage();
      storage[name] = undefined;
      assert.throws(() => new ChatEngine(storage), { name: 'TypeError', message: `storage.${name} must be a function` });
    }
  });

  test('that fails is told to the log, which may throw, without a word of the messages', async (context) => {
    const warned = context.mock.method(process, 'emitWarning', () => undefined);
    const records = [];
    const storage = new JsMemoryStorage();
    const engine = new ChatEngine(storage, {
      shards: 1,
      log: (record) => {
        records.push(record);
        throw new Error('no log either');
      },
    });
    const { id } = await engine.openConversation('org-1', 'carl');
    storage.transact = async () => {
      throw new Error('a storage that fails');
    };
    await assert.rejects(engine.send(ada, { conversationId: id, content: 'secret' }), { code: 'storage_failed' });
    await engine.close();
    assert.deepEqual(records, [{ level: 'error', event: 'storage_failed', subject: 'commit', detail: 'storage_failed' }]);
    assert.deepEqual(warned.mock.calls.map(({ arguments: [error] }) => error.message).sort(),
      ['a storage that fails', 'no log either']);
    assert.throws(() => new ChatEngine(storage, { log: 'stderr' }), /options.log must be a function/);
  });

  test('needs neither an epoch nor pruning', async () => {
    const storage = new JsMemoryStorage();
    storage.pruneChanges = storage.beginEpoch = undefined;
    for (const name of ['listMessages', 'listChanges', 'listRevisions']) {
      const own = storage[name].bind(storage);
      storage[name] = async (query) => {
        const { epoch, ...answer } = await own(query);
        return answer;
      };
    }
    const { engine, conversation } = await open(storage);
    await engine.send(ada, { conversationId: conversation.id, content: 'Hello' });
    const page = await engine.listMessages(ada, { conversationId: conversation.id });
    assert.equal(page.messages.length, 1);
    assert.equal('epoch' in page, false);
    const events = engine.subscribe(conversation.id, { since: 0 });
    const heard = await take(events, ({ type }) => type === 'caught_up');
    assert.deepEqual(heard.at(-1), { type: 'caught_up', rev: 1 });
    await events.return();
    assert.equal(await engine.pruneChanges(), 0);
    await assert.rejects(engine.beginEpoch(), { code: 'not_found' });
    await engine.close();
  });

  // It may keep rows that a later version has written.
  for (const { description, change: later } of JSON.parse(readFileSync(eventVectors, 'utf8')).laterChanges) {
    test(`may have a change of a later version, which is passed over: ${description}`, async (context) => {
      const unknown = new Set();
      class Later extends JsMemoryStorage {
        listChanges(query) {
          const answer = super.listChanges(query);
          return { ...answer, changes: answer.changes.map((one) => (unknown.has(one.rev) ? { rev: one.rev, ...later } : one)) };
        }
      }
      const warned = context.mock.method(process, 'emitWarning', () => undefined);
      const storage = new Later();
      const { engine, conversation: { id } } = await open(storage);
      const other = new ChatEngine(storage, { shards: 1 });
      const send = (by, content) => by.send(ada, { conversationId: id, content });
      for (const content of ['one', 'two', 'three']) await send(engine, content);
      const heard = (list) => list.slice(1).map(({ type, rev }) => [type, rev]);
      const replay = async () => {
        const events = engine.subscribe(id, { since: 0 });
        return { events, told: heard(await take(events, ({ type }) => type === 'caught_up')) };
      };
      unknown.add(2);
      const middle = await replay();
      assert.deepEqual(middle.told, [['new_message', 1], ['new_message', 3], ['caught_up', 3]]);
      unknown.add(3);
      const newest = await replay();
      assert.deepEqual(newest.told, [['new_message', 1], ['caught_up', 3]]);
      // What another engine wrote reaches listeners by the same reading of changes, before what is sent after it.
      unknown.add(4);
      await send(other, 'four');
      engine.refresh(id);
      await send(engine, 'five');
      for (const { events } of [middle, newest]) {
        const [event] = await take(events, 1);
        assert.deepEqual([event.rev, event.message.content], [5, 'five']);
        await events.return();
      }
      await Promise.all([engine.close(), other.close()]);
      assert.equal(warned.mock.callCount(), 0);
    });
  }

  test('may have members of a later version in its rows, which are ignored', async (context) => {
    const later = { editedAt: '2027-01-01T00:00:00.000Z', history: [{ at: 1 }] };
    const warned = context.mock.method(process, 'emitWarning', () => undefined);
    class Later extends JsMemoryStorage {
      transact(questions, decide) {
        return super.transact(questions, ({ conversations, messages, ...facts }) => decide({
          ...facts, ...later, conversations: conversations.map((one) => ({ ...one, ...later })),
          messages: messages.map((one) => ({ ...one, ...later })),
        }));
      }
      listChanges(query) {
        const answer = super.listChanges(query);
        return { ...answer, ...later, changes: answer.changes.map((one) =>
          ({ ...one, ...later, ...(one.message && { message: { ...one.message, ...later } }) })) };
      }
    }
    const { engine, conversation: { id } } = await open(new Later());
    const { message } = await engine.send(ada, { conversationId: id, content: 'one' });
    await engine.react(carl, { conversationId: id, messageId: message.id }, '👍');
    const events = engine.subscribe(id, { since: 0 });
    const told = await take(events, ({ type }) => type === 'caught_up');
    assert.deepEqual(told.slice(1).map(({ type, rev }) => [type, rev]), [['new_message', 1], ['reaction_update', 2], ['caught_up', 2]]);
    assert.equal('editedAt' in told[1].message, false);
    await events.return();
    await engine.close();
    assert.equal(warned.mock.callCount(), 0);
  });

  test('does not hold up the event loop or the readers while it commits', async () => {
    let commits;
    const mayCommit = new Promise((resolve) => (commits = resolve));
    class Slow extends JsMemoryStorage {
      async transact(questions, decide) {
        if (questions.openings.length === 0) await mayCommit;
        return super.transact(questions, decide);
      }
    }
    const { engine, conversation } = await open(new Slow());
    const sending = engine.send(ada, { conversationId: conversation.id, content: 'Hello' });
    assert.equal((await engine.findConversation(conversation.id)).rev, 0);
    commits();
    assert.equal((await sending).message.seq, 1);
    await engine.close();
  });

  test('answers with the code of what it throws, and nobody hears of what was not stored', async (context) => {
    class Failing extends JsMemoryStorage {
      error;
      async transact(questions, decide) {
        if (this.error !== undefined) throw this.error;
        return super.transact(questions, decide);
      }
      ping() {
        if (this.error !== undefined) throw this.error;
      }
    }
    const storage = new Failing();
    const { engine, conversation } = await open(storage);
    const warnings = [];
    const warned = ({ message }) => warnings.push(message);
    process.on('warning', warned);
    context.after(() => process.off('warning', warned));
    const events = engine.subscribe(conversation.id);
    await events.opened;
    for (const [error, code] of [
      [new ChatError('storage_full'), 'storage_full'],
      [new ChatError('not_found'), 'not_found'],
      [new Error('no database'), 'storage_failed'],
      ['not even an error', 'storage_failed'],
    ]) {
      storage.error = error;
      await assert.rejects(engine.send(ada, { conversationId: conversation.id, content: 'lost' }), { code });
      await assert.rejects(engine.ping(), { code });
    }
    storage.error = undefined;
    await engine.send(ada, { conversationId: conversation.id, content: 'kept' });
    const heard = await take(events, (event) => event.type === 'new_message');
    assert.equal(heard.at(-1).message.content, 'kept');
    // Each twice: by a write and by a read. A ChatError is an answer, and causes no warning.
    assert.deepEqual(warnings, Array(2).fill('no database').concat(Array(2).fill('not even an error')));
    await events.return();
    await engine.close();
  });

  const broken = {
    'facts must be an object, not null': () => null,
    'facts.conversations must be an array, not undefined': () => ({}),
    'facts.messages must be an array, not null': (facts) => ({ ...facts, messages: null }),
    'facts.conversations[0] must be an object, not null': (facts) => ({ ...facts, conversations: [null] }),
    'facts.conversations[0].id must be a string, not undefined': (facts) => ({ ...facts, conversations: [{}] }),
    'facts.conversations[0].id must be an id that the engine gave, a UUID in lower case': (facts) =>
      ({ ...facts, conversations: [{ ...facts.conversations[0], id: '7' }] }),
    'facts.conversations[0].unseenCount must be a whole number from 0 on, not undefined': (facts) =>
      ({ ...facts, conversations: [{ ...facts.conversations[0], unseenCount: undefined }] }),
    'facts.conversations[0].rev must be a whole number from 0 on, not the number 0.5': (facts) =>
      ({ ...facts, conversations: [{ ...facts.conversations[0], rev: 0.5 }] }),
    'facts.messages[0].senderType must be "advisor" or "client", not "user"': (facts, message) =>
      ({ ...facts, messages: [{ ...message, senderType: 'user' }] }),
    'facts.messages[0].seq must be a whole number from 0 on, not the number -1': (facts, message) =>
      ({ ...facts, messages: [{ ...message, seq: -1 }] }),
    'the digest of a token must be 64 hexadecimal digits in lower case': (facts) =>
      ({ ...facts, tokens: [{ digest: 'x' }] }),
  };
  for (const [said, change] of Object.entries(broken)) {
    test(`that loads nonsense fails the call and is told: ${said}`, async () => {
      class Broken extends JsMemoryStorage {
        message;
        transact(questions, decide) {
          if (this.message === undefined) return super.transact(questions, decide);
          return super.transact(questions, (facts) => decide(change(facts, this.message)));
        }
      }
      const storage = new Broken();
      const { engine, conversation } = await open(storage);
      const { message } = await engine.send(carl, { conversationId: conversation.id, content: 'x' });
      storage.message = message;
      const warned = once(process, 'warning');
      await assert.rejects(engine.send(carl, { conversationId: conversation.id, content: 'x' }), { code: 'storage_failed' });
      const [warning] = await warned;
      assert.deepEqual([warning.name, warning.message], ['TypeError', said]);
      // Nothing of it was stored.
      storage.message = undefined;
      assert.equal((await engine.send(carl, { conversationId: conversation.id, content: 'y' })).message.seq, 2);
      await engine.close();
    });
  }

  test('that decides too late is told, and one that does not decide has failed', async () => {
    let late;
    const storage = new JsMemoryStorage();
    const { engine, conversation } = await open(storage);
    storage.transact = (questions, decide) => {
      late = decide;
    };
    await assert.rejects(engine.send(carl, { conversationId: conversation.id, content: 'x' }), { code: 'storage_failed' });
    assert.throws(() => late({ conversations: [], messages: [], members: [], tokens: [] }), { message: 'transact() has ended' });
    delete storage.transact;
    assert.equal((await engine.send(carl, { conversationId: conversation.id, content: 'y' })).message.seq, 1);
    await engine.close();
  });

  test('that begins a transaction anew decides on what it finds then', async () => {
    class Again extends JsMemoryStorage {
      transact(questions, decide) {
        return super.transact(questions, (facts) => {
          decide(facts);
          return decide(facts);
        });
      }
    }
    const { engine, conversation } = await open(new Again());
    assert.equal((await engine.send(carl, { conversationId: conversation.id, content: 'x' })).message.seq, 1);
    assert.equal((await engine.listMessages(ada, { conversationId: conversation.id })).messages.length, 1);
    await engine.close();
  });

  test('that answers a read with nothing fails it', async () => {
    const storage = new JsMemoryStorage();
    const { engine, conversation } = await open(storage);
    const messages = [];
    const warned = ({ message }) => messages.push(message);
    process.on('warning', warned);
    for (const [name, read] of [
      ['listConversations', () => engine.listConversations({ orgId: 'org-1' })],
      ['listMessages', () => engine.listMessages(ada, { conversationId: conversation.id })],
      ['countUnread', () => engine.countUnread('org-1')],
    ]) {
      for (const nothing of [undefined, null, {}, '', NaN]) {
        storage[name] = () => nothing;
        await assert.rejects(read(), { code: 'storage_failed' }, `${name} ${nothing}`);
      }
    }
    storage.ping = () => false;
    await assert.rejects(engine.ping(), { code: 'storage_failed' });
    storage.ping = undefined;
    assert.equal(await engine.ping(), true);
    storage.findConversation = () => { throw new ChatError('storage_failed'); };
    await assert.rejects(engine.ping(), { code: 'storage_failed' });
    const endless = [];
    endless.length = 4_294_967_295;
    storage.listConversations = () => endless;
    await assert.rejects(engine.listConversations({ orgId: 'org-1' }), { code: 'storage_failed' });
    await new Promise(setImmediate);
    process.off('warning', warned);
    assert.equal(messages.length, 16);
    assert.match(messages.at(-1), /^listConversations\(\) must be an array, at most 1000000 of them/);
    await engine.close();
  });

  test('is let go of by an engine that is closed', async () => {
    let storage = new JsMemoryStorage();
    const known = new WeakRef(storage);
    const { engine } = await open(storage);
    await engine.close();
    storage = undefined;
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    const started = Date.now();
    while (known.deref() !== undefined && Date.now() - started < 20_000) {
      await new Promise(setImmediate);
      gc();
    }
    assert.equal(known.deref(), undefined);
    assert.ok(engine instanceof ChatEngine);
  });
});
