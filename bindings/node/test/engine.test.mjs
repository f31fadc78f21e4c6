import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { ada, carl, take, travelchat } from './support/package.mjs';

const { ChatEngine, ChatError, errorTable, memory, sqlite } = travelchat;

describe('an engine', () => {
  let engine;
  let conversation;
  const draft = (content, more = {}) => ({ conversationId: conversation.id, content, ...more });

  beforeEach(async () => {
    engine = new ChatEngine(memory(), { shards: 1 });
    conversation = await engine.openConversation('org-1', 'carl');
  });
  afterEach(() => engine.close());

  test('opens one conversation for a client', async () => {
    assert.deepEqual(await engine.openConversation('org-1', 'carl'), conversation);
    assert.deepEqual(await engine.findConversation(conversation.id), conversation);
    assert.equal(conversation.rev, 0);
    assert.equal(conversation.lastMessageAt, null);
  });

  test('stores a message once for a clientMessageId', async () => {
    const first = await engine.send(ada, draft('Welcome', { clientMessageId: 'a' }));
    assert.equal(first.created, true);
    assert.equal(first.message.seq, 1);
    const again = await engine.send(ada, draft('Welcome', { clientMessageId: 'a' }));
    assert.deepEqual(again, { created: false, message: first.message });
    await assert.rejects(engine.send(ada, draft('Another', { clientMessageId: 'a' })), { code: 'idempotency_conflict' });
  });

  test('keeps what came with a message', async () => {
    const attachment = { attachmentUrl: '/files/1', attachmentType: 'image/png', attachmentName: 'Plan “A”.png' };
    const { message } = await engine.send(carl, draft('ein Bild \u{1F389}', attachment));
    const page = await engine.listMessages(ada, { conversationId: conversation.id });
    assert.deepEqual(page, { messages: [message], hasMore: false });
    assert.equal(message.content, 'ein Bild \u{1F389}');
    assert.equal(message.attachmentName, attachment.attachmentName);
  });

  test('pages through messages', async () => {
    for (let i = 1; i <= 5; ++i) await engine.send(ada, draft(`m${i}`));
    const seqs = async (query) => {
      const page = await engine.listMessages(carl, { conversationId: conversation.id, ...query });
      return [page.messages.map((message) => message.seq), page.hasMore];
    };
    assert.deepEqual(await seqs({ limit: 2 }), [[4, 5], true]);
    assert.deepEqual(await seqs({ limit: 3, before: 4 }), [[1, 2, 3], false]);
    assert.deepEqual(await seqs({ since: 3 }), [[4, 5], false]);
  });

  test('keeps one reaction for each person', async () => {
    const { message } = await engine.send(ada, draft('Lisbon?'));
    const target = { conversationId: conversation.id, messageId: message.id };
    await engine.react(carl, target, '👍');
    const reactions = await engine.react(carl, target, '❤️');
    assert.deepEqual(reactions.map(({ emoji, reactorId }) => [emoji, reactorId]), [['❤️', 'carl']]);
    assert.deepEqual(await engine.unreact(carl, target), []);
    await assert.rejects(engine.react(carl, target, '🎉'), { code: 'invalid_emoji', status: 400 });
  });

  test('counts and marks what is unread', async () => {
    await engine.send(carl, draft('one'));
    await engine.send(carl, draft('two'));
    assert.equal(await engine.countUnread('org-1'), 2);
    const [row] = await engine.listConversations({ orgId: 'org-1', text: 'TWO' });
    assert.equal(row.id, conversation.id);
    assert.equal(row.unreadCount, 2);
    assert.equal(row.lastMessage.content, 'two');
    assert.deepEqual(await engine.listConversations({ orgId: 'org-1', text: 'three' }), []);
    const marked = await engine.mark(ada, conversation.id);
    assert.equal(marked.count, 2);
    assert.equal(await engine.countUnread('org-1'), 0);
  });

  test('issues tokens that are good for their conversation until they are revoked', async () => {
    const grant = { orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: conversation.id };
    const { token, expiresAt } = await engine.issueToken(grant);
    assert.match(token, /^[0-9a-f]{64}$/);
    assert.deepEqual(await engine.authenticateToken(token), { ...grant, expiresAt });
    assert.equal(await engine.revokeToken(token), true);
    assert.equal(await engine.revokeToken(token), false);
    await assert.rejects(engine.authenticateToken(token), { code: 'unauthenticated', status: 401, closeCode: 4401 });
    assert.equal(await engine.sweepTokens(), 0);
  });

  test('answers as to nothing what is out of reach', async () => {
    const stranger = { ...ada, orgId: 'org-2' };
    for (const call of [
      () => engine.send(stranger, draft('Hello')),
      () => engine.listMessages(stranger, { conversationId: conversation.id }),
      () => engine.mark(stranger, conversation.id),
      () => engine.findConversation('not-an-id'),
      () => engine.send(ada, { conversationId: "'; DROP TABLE messages", content: 'Hello' }),
    ]) {
      await assert.rejects(call(), (error) => error instanceof ChatError && error.code === 'not_found');
    }
  });

  test('names the argument that has the wrong type', async () => {
    for (const [call, message] of [
      [() => engine.send(ada, draft(7)), 'send.content must be a string'],
      [() => engine.send('ada', draft('Hello')), 'send.sender must be an object'],
      [() => engine.send({ ...ada, id: null }, draft('Hello')), 'send.sender.id must be a string'],
      [() => engine.openConversation('org-1'), 'openConversation.clientId must be a string'],
      [() => engine.listMessages(ada, { conversationId: conversation.id, limit: 1.5 }), /limit must be a whole number/],
      [() => engine.listConversations({ orgId: 'org-1', clientIds: [1] }), /clientIds must be an array of strings/],
    ]) {
      await assert.rejects(call, { name: 'TypeError', message });
    }
    assert.throws(() => new ChatEngine(), { name: 'TypeError', message: 'storage must be an object' });
    assert.throws(() => new ChatEngine({ commit() {} }), { message: 'storage.findConversation must be a function' });
    assert.throws(() => new ChatEngine(memory(), { shards: 'two' }), { message: /options.shards must be a whole number/ });
  });

  test('stops waiting when a signal says so, and still does what it accepted', async () => {
    await assert.rejects(engine.ping({ signal: AbortSignal.abort(new Error('never mind')) }), { message: 'never mind' });
    const controller = new AbortController();
    const sent = engine.send(ada, draft('Hello'), { signal: controller.signal });
    controller.abort();
    await assert.rejects(sent, { name: 'AbortError' });
    // Writes are carried out in order: the next one is behind it.
    assert.equal((await engine.send(ada, draft('again'))).message.seq, 2);
  });

  test('tells its counts', async () => {
    await engine.send(ada, draft('Hello'));
    assert.equal(engine.stats().messages, 1);
    assert.equal(await engine.ping(), true);
  });

  test('refuses everything once it is closed', async () => {
    const accepted = engine.send(ada, draft('just in time'));
    await engine.close();
    assert.equal((await accepted).created, true);
    await assert.rejects(engine.send(ada, draft('too late')), { code: 'closed' });
    await assert.rejects(engine.subscribe(conversation.id).next(), { code: 'closed' });
    await engine.close();
  });
});

describe('a subscription', () => {
  let engine;
  let conversation;
  const send = (content, sender = ada) => engine.send(sender, { conversationId: conversation.id, content });

  beforeEach(async () => {
    engine = new ChatEngine(memory(), { shards: 2 });
    conversation = await engine.openConversation('org-1', 'carl');
  });
  afterEach(() => engine.close());

  test('hears what was missed and then what happens, each once', async () => {
    const first = await send('one');
    await send('two');
    const events = engine.subscribe(conversation.id, { since: first.message.rev });
    const replay = await take(events, (event) => event.type === 'caught_up');
    assert.deepEqual(replay.map(({ type, rev }) => [type, rev]), [['typing', undefined], ['new_message', 2], ['caught_up', 2]]);
    const { message } = await send('three');
    await engine.react(carl, { conversationId: conversation.id, messageId: message.id }, '👍');
    await engine.mark(carl, conversation.id);
    const live = await take(events, 3);
    assert.deepEqual(live.map(({ type, rev }) => [type, rev]), [['new_message', 3], ['reaction_update', 4], ['seen', 5]]);
    assert.deepEqual(live[0].message, message);
    await events.return();
  });

  test('ends with its loop', async () => {
    const events = engine.subscribe(conversation.id);
    await events.opened;
    assert.equal(engine.stats().subscribers, 1);
    for await (const event of events) {
      assert.equal(event.type, 'typing');
      break;
    }
    assert.deepEqual(await events.next(), { done: true, value: undefined });
    await send('a round of the shard behind the end');
    assert.equal(engine.stats().subscribers, 0);
  });

  test('tells others that its participant types', async () => {
    const watching = engine.subscribe(conversation.id);
    const typing = engine.subscribe(conversation.id, { as: carl });
    await Promise.all([watching.opened, typing.opened]);
    await take(watching, 1);
    typing.setTyping(true);
    assert.deepEqual(await take(watching, 1), [{ type: 'typing', advisorTyping: false, clientTyping: true }]);
    await typing.return();
    assert.deepEqual(await take(watching, 1), [{ type: 'typing', advisorTyping: false, clientTyping: false }]);
    await watching.return();
  });

  test('hears of every conversation in an inbox', async () => {
    const inbox = engine.subscribeInbox('org-1');
    await inbox.opened;
    const other = await engine.openConversation('org-1', 'dora');
    await send('Hello', carl);
    const events = await take(inbox, 2);
    assert.deepEqual(events.map(({ type, conversation: { id, unreadCount } }) => [type, id, unreadCount]), [
      ['conversation_update', other.id, 0],
      ['conversation_update', conversation.id, 1],
    ]);
    await inbox.return();
  });

  test('that is too slow ends behind what it can still have, and resumes', async () => {
    const events = engine.subscribe(conversation.id, { maxQueued: 5 });
    await events.opened;
    const witness = engine.subscribe(conversation.id);
    await witness.opened;
    for (let i = 1; i <= 10; ++i) await send(`m${i}`);
    // An answer may come before its event does: what the later one has heard, the earlier one was told.
    await take(witness, 11);
    await witness.return();
    const taken = await take(events, 5);
    assert.deepEqual(taken.map(({ type }) => type), ['typing', ...Array(4).fill('new_message')]);
    await assert.rejects(events.next(), { code: 'too_slow' });
    assert.equal((await events.next()).done, true);
    const resumed = engine.subscribe(conversation.id, { since: taken.at(-1).rev });
    const rest = await take(resumed, (event) => event.type === 'caught_up');
    assert.deepEqual(rest.map(({ rev }) => rev), [undefined, 5, 6, 7, 8, 9, 10, 10]);
    await resumed.return();
  });

  test('ends when its signal says so', async () => {
    const controller = new AbortController();
    const events = engine.subscribe(conversation.id, { signal: controller.signal });
    await take(events, 1);
    const next = events.next();
    controller.abort();
    await assert.rejects(next, { name: 'AbortError' });
    assert.equal((await events.next()).done, true);
  });

  test('ends with its engine', async () => {
    const events = engine.subscribe(conversation.id);
    await take(events, 1);
    await Promise.all([assert.rejects(events.next(), { code: 'closed' }), engine.close()]);
  });

  test('of what is no conversation fails', async () => {
    const events = engine.subscribe('nowhere');
    await assert.rejects(events.opened, { code: 'not_found' });
    await assert.rejects(events.next(), { code: 'not_found' });
  });

  test('gets thousands of events in order', async () => {
    const count = 5_000;
    const events = engine.subscribe(conversation.id);
    await events.opened;
    const heard = take(events, (event) => event.rev === count);
    await Promise.all(Array.from({ length: count }, (_, i) => send(`m${i}`)));
    const revs = (await heard).slice(1).map(({ rev }) => rev);
    assert.deepEqual(revs, Array.from({ length: count }, (_, i) => i + 1));
    await events.return();
  });
});

describe('the package', () => {
  test('has one table of errors', () => {
    const table = errorTable();
    assert.deepEqual(table.find(({ code }) => code === 'not_found'), {
      code: 'not_found', status: 404, closeCode: 4404, message: new ChatError('not_found').message,
    });
    assert.throws(() => new ChatError('nonsense'), TypeError);
  });

  test('gives the same classes to import and to require', async () => {
    const imported = await import('../dist/index.mjs');
    const required = createRequire(import.meta.url)('../dist/index.js');
    assert.deepEqual(Object.keys(imported).sort(), Object.keys(required).sort());
    assert.equal(imported.ChatError, required.ChatError);
  });

  test('keeps a SQLite file to one engine at a time, and what is in it', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'travelchat-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'chat.db');
    const engine = new ChatEngine(sqlite({ path }));
    assert.throws(() => new ChatEngine(sqlite({ path })), (error) => error instanceof ChatError && error.code === 'storage_locked');
    const { id } = await engine.openConversation('org-1', 'carl');
    await engine.send(ada, { conversationId: id, content: 'kept' });
    await engine.close();
    const again = new ChatEngine(sqlite({ path }));
    assert.equal((await again.listMessages(ada, { conversationId: id })).messages[0].content, 'kept');
    await again.close();
    assert.throws(() => new ChatEngine(sqlite({ path: join(folder, 'nowhere', 'chat.db') })), { code: 'storage_failed' });
  });
});
