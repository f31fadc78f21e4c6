import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { ada, carl, take, travelchat } from './support/package.mjs';

const { broadcasts, ChatEngine, ChatError, errorTable, foldText, memory, postgres, sqlite, Subscription } = travelchat;

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));

test('text is folded as the shared vectors say', () => {
  const examples = vectors('search');
  assert.ok(examples.length > 20);
  for (const { texts, found, missed } of examples) {
    for (const text of texts.map(foldText)) {
      for (const wanted of found) assert.ok(text.includes(foldText(wanted)), `${wanted} in ${text}`);
      for (const wanted of missed) assert.ok(!text.includes(foldText(wanted)), `${wanted} not in ${text}`);
    }
  }
  assert.throws(() => foldText(undefined), { name: 'TypeError', message: /^text must be a string/ });
});

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
    assert.deepEqual([conversation.lastMessageAt, conversation.lastSeq], [null, 0]);
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
    assert.match(page.epoch, /^[0-9a-f-]{36}$/);
    assert.deepEqual(page, { messages: [message], hasMore: false, epoch: page.epoch });
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
      [() => engine.send(ada, draft(7)), 'send.content must be a string, not the number 7'],
      [() => engine.send('ada', draft('Hello')), 'send.sender must be an object, not a string: send(sender, draft)'],
      [() => engine.send({ ...ada, id: null }, draft('Hello')), 'send.sender.id must be a string, not null'],
      [() => engine.openConversation('org-1'), 'openConversation.clientId must be a string, not undefined'],
      [() => engine.openConversation(7, 'carl'), 'openConversation.orgId must be a string, not the number 7'],
      [() => engine.listMessages(ada, { conversationId: conversation.id, limit: 1.5 }), 'listMessages.limit must be a whole number from 0 on, not the number 1.5'],
      [() => engine.listConversations({ orgId: 'org-1', clientIds: ['a', 1] }), 'listConversations.clientIds[1] must be a string, not the number 1'],
      [() => engine.listConversations({ orgId: 'org-1', clientIds: 'a' }), 'listConversations.clientIds must be an array of strings, not a string'],
    ]) {
      await assert.rejects(call, { name: 'TypeError', message });
    }
    assert.throws(() => new ChatEngine({ transact() {}, removeTokens() {} }), { message: 'storage.findConversation must be a function' });
    assert.throws(() => new ChatEngine(memory(), { shards: 'two' }), { message: /options.shards must be a whole number/ });
    for (const [options, message] of [
      [null, 'options must be an object, not null'],
      [{ shard: 2 }, 'options has no option "shard"'],
      [{ shards: 2 ** 40 }, 'options.shards must be a whole number from 0 to 1024, not 1099511627776'],
      [{ readers: -1 }, 'options.readers must be a whole number from 0 to 1024, not -1'],
      [{ tokenLifetime: '1 d' }, /^options\.tokenLifetime must be a whole number from 0 to \d+, not "1 d"$/],
      [{ tokenLifetime: 2 ** 53 - 1 }, /^options\.tokenLifetime must be a whole number from 0 to \d+, not/],
      [{ sweepInterval: 500 }, /^options\.sweepInterval must be a whole number from 1000 to/],
      [{ pollInterval: 0 }, /^options\.pollInterval must be a whole number from 1 to/],
      [{ maxLiveTokens: null }, 'options.maxLiveTokens must be a whole number from 1 on, not null'],
    ]) {
      assert.throws(() => new ChatEngine(memory(), options), { name: 'TypeError', message });
    }
    assert.throws(() => sqlite({ path: '' }), { name: 'TypeError', message: 'storage.path must be a string that is not empty, not ""' });
    assert.throws(() => sqlite({ path: 'a', readers: 1 }), { name: 'TypeError', message: 'storage has no option "readers"' });
    for (const graceMs of [NaN, Infinity, -1, 'soon', null]) assert.throws(() => engine.close(graceMs), { name: 'TypeError' });
  });

  test('says what a storage is where there is none', () => {
    const isNone = 'storage must be what sqlite({ path }), postgres({ url }) or memory() gives, or a ChatStorage, not';
    for (const [storage, what] of [
      [undefined, 'undefined'],
      [null, 'null'],
      ['chat.db', 'a string'],
      [memory, 'the function memory that gives one'],
      [sqlite, 'the function sqlite that gives one'],
      [{ path: 'chat.db' }, 'an object'],
      [[], 'an array'],
    ]) {
      assert.throws(() => new ChatEngine(storage), { name: 'TypeError', message: `${isNone} ${what}` });
    }
    for (const [make, message] of [
      [() => sqlite(), "storage is missing: sqlite({ path: 'chat.db' })"],
      [() => sqlite('chat.db'), "storage must be an object, not a string: sqlite({ path: 'chat.db' })"],
      [() => sqlite({}), 'storage.path must be a string that is not empty, not undefined'],
      [() => sqlite({ file: 'chat.db' }), 'storage has no option "file"'],
      // It holds a password.
      [() => postgres('postgres://ada:secret@db/chat'), "storage must be an object, not a string: postgres({ url: 'postgres://…' })"],
      [() => postgres({ uri: 'postgres://db/chat' }), 'storage has no option "uri"'],
      [() => memory('chat.db'), 'memory() takes no options, and was given a string'],
      [() => memory({ maxReaders: 1 }), 'memory() takes no options, and was given an object'],
    ]) {
      assert.throws(make, { name: 'TypeError', message });
    }
  });

  test('says which argument is missing, or is another one', async () => {
    const { id } = conversation;
    const target = { conversationId: id, messageId: id };
    for (const [call, message] of [
      [() => engine.send(), 'send.sender is missing: send(sender, draft)'],
      [() => engine.send(ada), 'send.draft is missing: send(sender, draft)'],
      [() => engine.send(ada, id, 'x'), 'send.draft must be an object, not a string: send(sender, draft)'],
      [() => engine.send(ada, draft('x', { sender: ada })), 'send has no option "sender": it is the first argument of send(sender, draft)'],
      [() => engine.listMessages(ada), 'listMessages.query is missing: listMessages(reader, query)'],
      [() => engine.react(ada, { ...target, emoji: '👍' }), 'react has no option "emoji": it is the third argument of react(reactor, target, emoji)'],
      [() => engine.react(ada, target), 'react.emoji must be a string, not undefined'],
      [() => engine.unreact(ada, [id, id]), 'unreact.target must be an object, not an array: unreact(reactor, target)'],
      [() => engine.mark(), 'mark.viewer is missing: mark(viewer, conversationId)'],
      [() => engine.mark(id), 'mark.viewer must be an object, not a string: mark(viewer, conversationId)'],
      [() => engine.issueToken(), 'issueToken.grant is missing: issueToken(grant)'],
      [() => engine.revokeTokens(null), 'revokeTokens.filter must be an object, not null: revokeTokens(filter)'],
      [() => engine.listConversations('org-1'), 'listConversations.query must be an object, not a string: listConversations(query)'],
      [async () => engine.subscribe(id, { maxQueued: 0 }), 'subscribe.maxQueued must be a whole number from 1 on, not 0'],
      [() => engine.subscribe().opened, 'subscribe.conversationId must be a string, not undefined'],
      [() => engine.subscribeInbox().opened, 'subscribeInbox.orgId must be a string, not undefined'],
      [async () => engine.subscribeInbox('org-1', { maxQueued: 0 }), 'subscribeInbox.maxQueued must be a whole number from 1 on, not 0'],
    ]) {
      await assert.rejects(call, { name: 'TypeError', message });
    }
  });

  test('a participant has no other members, and no name that is null', async () => {
    const { id } = conversation;
    const target = { conversationId: id, messageId: id };
    for (const [call, name] of [
      [(who) => engine.send(who, draft('Hello')), 'send.sender'],
      [(who) => engine.listMessages(who, { conversationId: id }), 'listMessages.reader'],
      [(who) => engine.react(who, target, '👍'), 'react.reactor'],
      [(who) => engine.unreact(who, target), 'unreact.reactor'],
      [(who) => engine.mark(who, id), 'mark.viewer'],
      [async (who) => engine.subscribe(id, { as: who }), 'subscribe.as'],
    ]) {
      await assert.rejects(call({ orgId: 'org-1', role: 'advisor', id: 'ada', nmae: 'Ada' }), {
        name: 'TypeError', message: `${name} has no option "nmae"`,
      });
      await assert.rejects(call({ ...ada, name: null }), {
        name: 'TypeError', message: `${name}.name must be a string, or be left out, not null`,
      });
    }
    await assert.rejects(engine.subscribe(id, { as: { ...ada, id: 7 } }).opened, {
      name: 'TypeError', message: 'subscribe.as.id must be a string, not the number 7',
    });
    await assert.rejects(engine.subscribe(id, { as: { ...ada, id: 'a b' } }).opened, {
      code: 'invalid_argument', message: /^subscribe\.as\.id must be .* holds a space$/,
    });
    // One with a class may have more, and a name may be left out.
    class Account { orgId = 'org-1'; role = 'advisor'; id = 'ada'; email = 'ada@agency.example'; }
    assert.equal((await engine.send(new Account(), draft('Hello'))).message.senderName, '');
    assert.equal((await engine.send({ ...ada, name: undefined }, draft('Hello'))).message.senderName, '');
  });

  test('refuses text with half of a surrogate pair, and changes none', async () => {
    const { id } = conversation;
    const grant = { orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: id };
    for (const half of ['\ud800', 'a\ud800b', '\udc00', '\udc00\ud800', '\ud800\ud800\udc00', '\ufffd\udbff']) {
      await assert.rejects(engine.send(ada, draft(half)), (error) => {
        assert.equal(error.cause.message, 'send.content must be well-formed text, and holds half of a surrogate pair');
        return error instanceof ChatError && error.code === 'invalid_content';
      });
      for (const [call, name] of [
        [() => engine.send({ ...ada, name: half }, draft('x')), 'send.sender.name'],
        [() => engine.send({ ...ada, id: half }, draft('x')), 'send.sender.id'],
        [() => engine.send(ada, draft('x', { clientMessageId: half })), 'send.clientMessageId'],
        [() => engine.send(ada, draft('x', { attachmentUrl: `/${half}` })), 'send.attachmentUrl'],
        [() => engine.send(ada, draft('x', { attachmentType: half })), 'send.attachmentType'],
        [() => engine.send(ada, draft('x', { attachmentName: half })), 'send.attachmentName'],
        [() => engine.mark({ ...ada, orgId: half }, id), 'mark.viewer.orgId'],
        [() => engine.openConversation('org-1', half), 'openConversation.clientId'],
        [() => engine.countUnread(half), 'countUnread.orgId'],
        [() => engine.listConversations({ orgId: 'org-1', text: half }), 'listConversations.text'],
        [() => engine.listConversations({ orgId: 'org-1', clientIds: ['carl', half] }), 'listConversations.clientIds[1]'],
        [() => engine.issueToken({ ...grant, tripId: half }), 'issueToken.tripId'],
        [() => engine.issueToken({ ...grant, shareToken: half }), 'issueToken.shareToken'],
        [() => engine.revokeTokens({ orgId: 'org-1', tripId: half }), 'revokeTokens.tripId'],
        [() => engine.subscribe(id, { as: { ...ada, name: half } }).opened, 'subscribe.as.name'],
        [() => engine.subscribeInbox(half).opened, 'subscribeInbox.orgId'],
        [async () => engine.endSession(half), 'endSession.sessionId'],
        [async () => foldText(half), 'text'],
        [async () => new ChatEngine(sqlite({ path: join(tmpdir(), half, 'chat.db') })), 'storage.path'],
      ]) {
        await assert.rejects(call, {
          name: 'TypeError', message: `${name} must be well-formed text, and holds half of a surrogate pair`,
        });
      }
      // Nothing has such an id, and nobody such a token.
      await assert.rejects(engine.findConversation(half), { code: 'not_found' });
      await assert.rejects(engine.authenticateToken(half), { code: 'unauthenticated' });
      await assert.rejects(engine.react(ada, { conversationId: id, messageId: id }, half), { code: 'invalid_emoji' });
    }
    assert.deepEqual((await engine.listMessages(ada, { conversationId: id })).messages, []);
    for (const whole of ['\u{1F389}', '\ufffd', 'a\ufffd\u{1F389}\ufffdb', '\u{10FFFF}\ue000\ufffd']) {
      assert.equal((await engine.send({ ...ada, name: whole }, draft(whole))).message.content, whole);
    }
  });

  test('names the member that there is not', async () => {
    const { id } = conversation;
    const grant = { orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: id };
    for (const [call, message] of [
      [() => engine.send(ada, draft('Hello', { clientMesageId: 'a' })), 'send has no option "clientMesageId"'],
      [() => engine.listMessages(ada, { conversationId: id, befor: 1 }), 'listMessages has no option "befor"'],
      [() => engine.listConversations({ orgId: 'org-1', query: 'x' }), 'listConversations has no option "query"'],
      [() => engine.react(carl, { conversationId: id, messageid: id }, '👍'), 'react has no option "messageid"'],
      [() => engine.issueToken({ ...grant, sharetoken: 'share' }), 'issueToken has no option "sharetoken"'],
      [() => engine.revokeTokens({ orgId: 'org-1', clientId: 'carl', trip: 'lisbon' }), 'revokeTokens has no option "trip"'],
      [() => engine.ping({ timeout: 1 }), 'ping has no option "timeout"'],
      [async () => engine.subscribe(id, { sinse: 1 }), 'subscribe has no option "sinse"'],
      [async () => engine.subscribeInbox('org-1', { since: 1 }), 'subscribeInbox has no option "since"'],
    ]) {
      await assert.rejects(call, { name: 'TypeError', message });
    }
    // What has a class may have more.
    class Row { conversationId = id; content = 'Hello'; row = 7; }
    assert.equal((await engine.send(ada, new Row())).created, true);
    assert.equal((await engine.listMessages(ada, { conversationId: id })).messages.length, 1);
  });

  test('says which argument is malformed', async () => {
    const { id } = conversation;
    const grant = { orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: id };
    const isNoId = 'must be 1 to 128 printable ASCII characters without spaces, and';
    const isNoUrl = 'must be an http or https URL without a user name, or a path of the server that begins with one /';
    for (const [call, code, detail] of [
      [() => engine.openConversation('org 1', 'carl'), 'invalid_argument', `openConversation.orgId ${isNoId} holds a space`],
      [() => engine.openConversation('org-1', ''), 'invalid_argument', `openConversation.clientId ${isNoId} is empty`],
      [() => engine.send({ ...ada, orgId: 'org 1' }, draft('x')), 'invalid_argument', `send.sender.orgId ${isNoId} holds a space`],
      [() => engine.send({ ...ada, role: 'user' }, draft('x')), 'invalid_argument', 'send.sender.role must be "advisor" or "client", not "user"'],
      [() => engine.send(ada, draft('x', { attachmentUrl: 'javascript:alert(1)' })), 'invalid_argument', `send.attachmentUrl ${isNoUrl}`],
      [() => engine.mark({ ...ada, id: 'ä' }, id), 'invalid_argument', `mark.viewer.id ${isNoId} holds another character`],
      [() => engine.listMessages(ada, { conversationId: id, limit: 0 }), 'invalid_argument', 'listMessages.limit must be 1 to 200, and is 0'],
      [() => engine.listMessages(ada, { conversationId: id, before: 1, since: 1 }), 'invalid_argument', 'listMessages.before and since exclude each other'],
      [() => engine.listMessages(ada, { conversationId: id, epoch: 'x' }), 'invalid_argument', 'listMessages.epoch must be a UUID in lower case'],
      [() => engine.issueToken({ ...grant, shareToken: '' }), 'invalid_argument', 'issueToken.shareToken must not be empty: without one, leave it out'],
      [() => engine.revokeTokens({ orgId: 'org-1' }), 'invalid_argument', 'revokeTokens.clientId or tripId must be given, or both'],
      [() => engine.findConversation('7'), 'not_found', 'findConversation.conversationId must be an id that the engine gave, a UUID in lower case'],
      [() => engine.react(ada, { conversationId: id, messageId: id }, 'x'), 'invalid_emoji', 'react.emoji must be one of the six reactions'],
    ]) {
      const error = await call().then(() => assert.fail('it was not refused'), (refused) => refused);
      assert.ok(error instanceof ChatError);
      assert.equal(error.code, code);
      assert.equal(error.cause.message, detail);
      // A caller's mistake is explained in the message itself; for other errors that is the table's sentence.
      assert.equal(error.message, code === 'invalid_argument' ? detail : errorTable().find((row) => row.code === code).message);
    }
    assert.equal((await engine.listMessages(ada, { conversationId: id })).messages.length, 0);
  });

  test('what would mean more when it is left out is not left out by naming nothing', async () => {
    const { id } = conversation;
    const grant = { orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: id };
    for (const nothing of [undefined, null]) {
      for (const [call, name] of [
        [async () => engine.subscribe(id, { as: nothing }), 'subscribe.as'],
        [() => engine.issueToken({ ...grant, shareToken: nothing }), 'issueToken.shareToken'],
        [() => engine.revokeTokens({ orgId: 'org-1', tripId: 'lisbon', clientId: nothing }), 'revokeTokens.clientId'],
        [() => engine.revokeTokens({ orgId: 'org-1', clientId: 'carl', tripId: nothing }), 'revokeTokens.tripId'],
      ]) {
        await assert.rejects(call, { name: 'TypeError', message: `${name} must have a value, or be left out, and is ${nothing}` });
      }
    }
    const { token } = await engine.issueToken(grant);
    assert.equal((await engine.authenticateToken(token)).clientId, 'carl');
    // These may be undefined: their defaults permit no more than a value would.
    const events = engine.subscribe(id, { since: undefined, epoch: undefined, maxQueued: undefined, signal: undefined });
    await events.opened;
    await events.return();
  });

  test('names options that are none', async () => {
    const { id } = conversation;
    for (const [call, message] of [
      [() => engine.ping(null), 'ping.options must be an object, not null'],
      [async () => engine.subscribe(id, 7), 'subscribe.options must be an object, not 7'],
      [async () => engine.subscribe(id, null), 'subscribe.options must be an object, not null'],
      [async () => engine.subscribeInbox('org-1', 'all'), 'subscribeInbox.options must be an object, not "all"'],
      [() => engine.ping({ signal: new AbortController() }), 'ping.signal must be an AbortSignal, not an object'],
      [async () => engine.subscribe(id, { signal: null }), 'subscribe.signal must be an AbortSignal, not null'],
      [async () => broadcasts(undefined), 'engine must be a ChatEngine'],
    ]) {
      await assert.rejects(call, { name: 'TypeError', message });
    }
  });

  test('survives arrays, getters and proxies of every kind', async () => {
    const list = (clientIds) => engine.listConversations({ orgId: 'org-1', text: 'x', clientIds });
    const endless = [];
    endless.length = 4_294_967_295;
    await assert.rejects(list(endless), { name: 'TypeError', message: /clientIds must be an array of strings, at most 1000000 of them/ });
    const sparse = ['carl'];
    sparse[900_000] = 'carl';
    await assert.rejects(list(sparse), { name: 'TypeError', message: 'listConversations.clientIds[1] must be a string, not undefined' });
    assert.deepEqual(await list(Array(100_000).fill('nobody')), []);
    // A proxy does not count as an array. Of an array that grows while it is read, only the first length is read.
    await assert.rejects(list(new Proxy(['carl'], {})), { name: 'TypeError' });
    const growing = [];
    Object.defineProperty(growing, 0, { get: () => growing.push('carl') && 'carl', enumerable: true, configurable: true });
    assert.deepEqual((await list(growing)).map(({ id }) => id), [conversation.id]);
    const throwing = ['carl'];
    Object.defineProperty(throwing, 0, { get() { throw new RangeError('mine'); } });
    await assert.rejects(list(throwing), { name: 'RangeError', message: 'mine' });
    const proxy = new Proxy({}, { get() { throw new RangeError('a trap'); } });
    await assert.rejects(engine.listConversations(proxy), { message: 'a trap' });
    await assert.rejects(engine.openConversation('org-1', 'x'.repeat(50_000_000)), { code: 'invalid_argument' });
    await assert.rejects(engine.send(ada, draft('x'.repeat(50_000_000))), { code: 'invalid_content' });
    for (const before of [-1, 1.5, NaN, Infinity, 2 ** 53, '1', {}, Symbol('1')]) {
      await assert.rejects(engine.listMessages(ada, { conversationId: conversation.id, before }), { name: 'TypeError' });
    }
    assert.equal((await engine.findConversation(conversation.id)).id, conversation.id);
  });

  test('that is closed while its arguments are read carries nothing out', async () => {
    const other = new ChatEngine(memory(), { shards: 1 });
    let closed;
    const query = { orgId: 'org-1', get text() { closed = other.close(); return 'x'; } };
    await assert.rejects(other.listConversations(query), { code: 'closed' });
    await closed;
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
    const { messages, catchUps } = engine.stats();
    assert.deepEqual([messages, catchUps], [1, 0]);
    assert.equal(await engine.ping(), true);
  });

  test('refuses everything once it is closed', async () => {
    const accepted = engine.send(ada, draft('just in time'));
    await engine.close();
    assert.equal((await accepted).created, true);
    const isClosed = (error) => error instanceof ChatError && error.code === 'closed' && error.message === 'the engine is closed';
    await assert.rejects(engine.send(ada, draft('too late')), isClosed);
    await assert.rejects(engine.subscribe(conversation.id).next(), isClosed);
    assert.throws(() => engine.stats(), isClosed);
    assert.throws(() => engine.metrics(), isClosed);
    assert.throws(() => engine.refresh(conversation.id), isClosed);
    assert.throws(() => engine.endSession('a'), isClosed);
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

  test('from another epoch is told to load the conversation again', async () => {
    await send('one');
    const reader = { orgId: 'org-1', role: 'advisor', id: 'ada' };
    const { epoch } = await engine.listMessages(reader, { conversationId: conversation.id });
    const events = engine.subscribe(conversation.id, { since: 1, epoch });
    assert.deepEqual((await take(events, 2)).at(-1), { type: 'caught_up', rev: 1, epoch });
    const begun = await engine.beginEpoch();
    assert.notEqual(begun, epoch);
    assert.deepEqual(await take(events, 1), [{ type: 'resync', rev: 1, epoch: begun }]);
    await events.return();
    const late = engine.subscribe(conversation.id, { since: 1, epoch });
    assert.deepEqual((await take(late, 2)).at(-1), { type: 'resync', rev: 1, epoch: begun });
    await late.return();
    await assert.rejects(engine.listMessages(reader, { conversationId: conversation.id, epoch }), { code: 'epoch_changed' });
    await assert.rejects(engine.listMessages(reader, { conversationId: conversation.id, epoch: 'x' }), { code: 'invalid_argument' });
  });

  test('from before what is kept is told to load the conversation again', async () => {
    await engine.close();
    engine = new ChatEngine(memory(), { shards: 2, maxKeptChanges: 2 });
    conversation = await engine.openConversation('org-1', 'carl');
    const { message } = await send('one');
    const where = { conversationId: conversation.id, messageId: message.id };
    for (let i = 0; i < 3; ++i) {
      await engine.react(carl, where, '👍');
      await engine.unreact(carl, where);
    }
    assert.equal(await engine.pruneChanges(), 4);
    const events = engine.subscribe(conversation.id, { since: 1 });
    assert.equal((await take(events, 2)).at(-1).type, 'resync');
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
    // It joins the same shard behind the end of the first.
    const next = engine.subscribe(conversation.id);
    await next.opened;
    assert.equal(engine.stats().subscribers, 1);
    await next.return();
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

  test('that falls behind is told to load again, and goes on', async () => {
    const events = engine.subscribe(conversation.id, { since: 0, maxQueued: 5 });
    await events.opened;
    const witness = engine.subscribe(conversation.id);
    await witness.opened;
    for (let i = 1; i <= 14; ++i) await send(`m${i}`);
    // An answer may come before its event does: what the later one has heard, the earlier one was told.
    await take(witness, 15);
    await witness.return();
    const { epoch } = await engine.listMessages(ada, { conversationId: conversation.id });
    // One `resync` stands for all that was left out; after it nothing is missing.
    const [resync, typing] = await take(events, 2);
    assert.deepEqual(resync, { type: 'resync', rev: resync.rev, epoch });
    assert.deepEqual(typing, { type: 'typing', advisorTyping: false, clientTyping: false });
    const later = await take(events, 14 - resync.rev);
    assert.deepEqual(later.map(({ rev }) => rev), Array.from({ length: 14 - resync.rev }, (_, i) => resync.rev + 1 + i));
    await send('live');
    const [live] = await take(events, 1);
    assert.deepEqual([live.rev, live.message.content], [15, 'live']);
    await events.return();
  });

  test('of an inbox that falls behind is told to load the list again, and goes on', async () => {
    const inbox = engine.subscribeInbox('org-1', { maxQueued: 2 });
    await inbox.opened;
    const witness = engine.subscribeInbox('org-1');
    await witness.opened;
    for (let i = 1; i <= 3; ++i) await send(`m${i}`);
    await take(witness, 3);
    await witness.return();
    assert.deepEqual(await take(inbox, 1), [{ type: 'resync', rev: 0 }]);
    const { message } = await send('live');
    const [row] = await engine.listConversations({ orgId: 'org-1' });
    assert.deepEqual(await take(inbox, 1), [{ type: 'conversation_update', conversation: row }]);
    const { reactions, ...line } = message;
    assert.deepEqual([reactions, row.lastMessage, row.lastSeq, row.rev], [[], line, 4, 4]);
    await inbox.return();
  });

  // The addon and this package are of one version, so that it tells what both know; whatever it tells is passed on.
  for (const { description, json } of vectors('events').laterEvents) {
    test(`passes on what it does not know: ${description}`, async () => {
      const known = { type: 'seen', seenAt: '2026-11-23T07:00:00.005Z', rev: 26, later: { x: [1] } };
      const told = [JSON.stringify([json, known])];
      const listener = { take: () => told.shift() ?? null, setTyping() {}, close() {} };
      const events = new Subscription({ subscribe: (args, wake, done) => done(null, listener) }, {}, undefined);
      assert.deepEqual(await take(events, 2), [json, known]);
      await events.return();
    });
  }

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

/** The members of the union that is made from the specification. */
function codesOfTheWire() {
  const wire = readFileSync(new URL('../src/wire.ts', import.meta.url), 'utf8');
  return /ErrorCode: ("[^;]+);/.exec(wire)[1].split(' | ').map((code) => JSON.parse(code));
}

describe('the package', () => {
  test('has one table of errors, whose codes are those of the wire', () => {
    const table = errorTable();
    assert.deepEqual(table.map(({ code }) => code).sort(), [...codesOfTheWire()].sort());
    for (const { code } of table) assert.equal(new ChatError(code).code, code);
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
    assert.throws(() => new ChatEngine(sqlite({ path })), (error) => {
      assert.ok(error instanceof ChatError && error.code === 'storage_locked');
      assert.match(error.cause.message, /\/chat\.db is in use by another process, or by another storage of this one/);
      return true;
    });
    const { id } = await engine.openConversation('org-1', 'carl');
    await engine.send(ada, { conversationId: id, content: 'kept' });
    await engine.close();
    const again = new ChatEngine(sqlite({ path }));
    assert.equal((await again.listMessages(ada, { conversationId: id })).messages[0].content, 'kept');
    await again.close();
    assert.throws(() => new ChatEngine(sqlite({ path: join(folder, 'nowhere', 'chat.db') })), (error) => {
      assert.ok(error instanceof ChatError && error.code === 'storage_failed');
      assert.match(error.cause.message, /\/nowhere\/chat\.db cannot be opened: its folder does not exist$/);
      return true;
    });
    assert.throws(() => sqlite({ path, log: 'console' }), { name: 'TypeError', message: 'storage.log must be a function, not "console"' });
  });
});
