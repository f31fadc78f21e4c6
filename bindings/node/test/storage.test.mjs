// A storage written in JavaScript: held to the suite of every other one, and what happens when it misbehaves.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { JsMemoryStorage } from './support/memory-storage.mjs';
import { ada, carl, conformanceAddon, take, travelchat } from './support/package.mjs';

const { ChatEngine, ChatError } = travelchat;

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
    for (const name of ['commit', 'listChanges', 'listRevisions', 'findToken']) {
      const storage = new JsMemoryStorage();
      storage[name] = undefined;
      assert.throws(() => new ChatEngine(storage), { name: 'TypeError', message: `storage.${name} must be a function` });
    }
  });

  test('does not hold up the event loop or the readers while it commits', async () => {
    let commits;
    const mayCommit = new Promise((resolve) => (commits = resolve));
    class Slow extends JsMemoryStorage {
      async commit(writes) {
        if (writes.some(({ kind }) => kind === 'appendMessage')) await mayCommit;
        return super.commit(writes);
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
      async commit(writes) {
        if (this.error !== undefined) throw this.error;
        return super.commit(writes);
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
    // Each twice: by a write and by a read. A ChatError is an answer and no mistake.
    assert.deepEqual(warnings, Array(2).fill('no database').concat(Array(2).fill('not even an error')));
    await events.return();
    await engine.close();
  });

  const broken = {
    'commit must give an array': () => null,
    'commit()[0] must be an object': () => [null],
    'commit()[0].conversation must be an object': () => [{ changed: true, conversation: 'x' }],
    'commit()[0].conversation.id must be a string': () => [{ changed: true, conversation: {} }],
    'commit()[0].message.seq must be a whole number from 0 on': async (storage, writes) => {
      const [written] = await JsMemoryStorage.prototype.commit.call(storage, writes);
      return [{ ...written, message: { ...written.message, seq: -1 } }];
    },
    'commit()[0].count must be a whole number from 0 on': () => [{ changed: true, count: 0.5 }],
  };
  for (const [said, answer] of Object.entries(broken)) {
    test(`that answers nonsense fails the call and is told: ${said}`, async () => {
      class Broken extends JsMemoryStorage {
        commit(writes) {
          return writes.some(({ kind }) => kind === 'appendMessage') ? answer(this, writes) : super.commit(writes);
        }
      }
      const { engine, conversation } = await open(new Broken());
      const warned = once(process, 'warning');
      await assert.rejects(engine.send(carl, { conversationId: conversation.id, content: 'x' }), { code: 'storage_failed' });
      const [warning] = await warned;
      assert.deepEqual([warning.name, warning.message], ['TypeError', said]);
      await engine.ping();
      await engine.close();
    });
  }

  test('that answers too few writes fails them', async () => {
    class Short extends JsMemoryStorage {
      commit(writes) {
        return writes.some(({ kind }) => kind === 'appendMessage') ? [] : super.commit(writes);
      }
    }
    const { engine, conversation } = await open(new Short());
    await assert.rejects(engine.send(carl, { conversationId: conversation.id, content: 'x' }), { code: 'storage_failed' });
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
