import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { application, Peer } from './support/application.mjs';
import { JsMemoryStorage } from './support/memory-storage.mjs';
import { ada, carl, travelchat } from './support/package.mjs';

const { attachChat, ChatEngine, ChatError, memory } = travelchat;

describe('a credential that ends', () => {
  let engine;
  let server;
  let origin;
  let conversation;
  let trip;
  let live;
  const errors = [];

  beforeEach(async () => {
    engine = new ChatEngine(memory(), { shards: 2 });
    conversation = await engine.openConversation('org-1', 'carl');
    trip = { id: 'lisbon', orgId: 'org-1', clientId: 'carl', shareEnabled: true, shareToken: 'share' };
    live = async (ids) => ids;
    const host = {
      ...application([]),
      authenticate: ({ cookie }) => (cookie === '' ? null : { orgId: 'org-1', id: 'ada', name: 'Ada', sessionId: cookie }),
      findTrip: async () => {
        if (trip instanceof Error) throw trip;
        return trip;
      },
      checkSessions: (ids) => live(ids),
    };
    server = createServer();
    attachChat(server, engine, host, {
      rateLimits: false, shareCheckInterval: 20, sessionCheckInterval: 20, pingInterval: 40,
      onError: (error) => errors.push(error),
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${server.address().port}`;
  });
  afterEach(async () => {
    await engine.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const post = (path, body) =>
    fetch(origin + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const token = async (shareToken = 'share') =>
    (await (await post('/api/chat-token', { tripId: 'lisbon', shareToken })).json()).chatToken;
  const socketUrl = (role, user) =>
    `${origin.replace('http', 'ws')}/ws/chat?conversationId=${conversation.id}&userType=${role}&userId=${user}`;
  async function client(chatToken) {
    const peer = new Peer(socketUrl('client', 'carl'), {}, ['travelchat.v1', `auth.${chatToken}`]);
    assert.equal((await peer.next()).type, 'typing');
    return peer;
  }
  async function advisor(cookie, url = socketUrl('advisor', 'ada')) {
    const peer = new Peer(url, { headers: { cookie } });
    if (url.includes('/ws/chat')) assert.equal((await peer.next()).type, 'typing');
    else await once(peer.socket, 'open');
    return peer;
  }
  async function goesOn(...peers) {
    const { message } = await engine.send(ada, { conversationId: conversation.id, content: 'still here' });
    for (const peer of peers) assert.equal((await peer.next()).message.id, message.id);
  }

  test('closes its sockets: tokens revoked one by one, by client and by trip', async () => {
    const tokens = [await token(), await token(), await token()];
    const peers = [];
    for (const each of tokens) peers.push(await client(each));
    const own = await engine.issueToken({ orgId: 'org-1', clientId: 'carl', tripId: 'porto', conversationId: conversation.id });
    const other = await client(own.token);
    assert.equal(await engine.revokeToken(tokens[0]), true);
    assert.equal(await peers[0].closed, 4401);
    await goesOn(peers[1], peers[2], other);
    assert.equal(await engine.revokeTokens({ orgId: 'org-1', tripId: 'lisbon' }), 2);
    assert.deepEqual(await Promise.all([peers[1].closed, peers[2].closed]), [4401, 4401]);
    await goesOn(other);
    assert.equal(await engine.revokeTokens({ orgId: 'org-1', clientId: 'carl' }), 1);
    assert.equal(await other.closed, 4401);
    await assert.rejects(engine.revokeTokens({ orgId: 'org-1' }), (error) => error instanceof ChatError && error.code === 'invalid_argument');
    await assert.rejects(engine.revokeTokens({ orgId: 'org-1', clientId: undefined, tripId: null }), { name: 'TypeError' });
  });

  test('closes its sockets: a session that the application ends', async () => {
    const one = await advisor('session=1');
    const inbox = await advisor('session=1', `${origin.replace('http', 'ws')}/ws/inbox`);
    const other = await advisor('session=2');
    engine.endSession('session=1');
    assert.deepEqual(await Promise.all([one.closed, inbox.closed]), [4401, 4401]);
    await goesOn(other);
    assert.throws(() => engine.endSession(undefined), TypeError);
  });

  test('closes its sockets: a session that the host no longer knows, but not for want of an answer', async () => {
    const one = await advisor('session=1');
    const other = await advisor('session=2');
    for (const answer of [
      () => { throw new Error('the database is away'); },
      () => undefined,
      async () => null,
      async () => 'session=1',
    ]) {
      const asked = new Promise((resolve) => {
        let times = 0;
        live = (ids) => {
          if (++times === 3) resolve();
          return answer(ids);
        };
      });
      await asked;
      await goesOn(one, other);
    }
    assert.ok(errors.length > 0);
    live = async (ids) => ids.filter((id) => id !== 'session=1');
    assert.equal(await one.closed, 4401);
    await goesOn(other);
  });

  for (const [how, change] of [
    ['is switched off', { shareEnabled: false }],
    ['is replaced', { shareToken: 'another' }],
    ['is of nobody', { clientId: undefined }],
    ['says nothing about sharing', { shareEnabled: undefined }],
  ]) {
    test(`closes its sockets and refuses requests: a link that ${how}`, async () => {
      const chatToken = await token();
      const peer = await client(chatToken);
      const read = () =>
        fetch(`${origin}/api/conversations/${conversation.id}/messages`, { headers: { authorization: `Bearer ${chatToken}` } });
      const write = () => post(`/api/conversations/${conversation.id}/messages/client`, { content: 'Hello', chatToken });
      assert.equal((await read()).status, 200);
      trip = new Error('the database is away');
      assert.equal((await read()).status, 200);
      trip = { id: 'lisbon', orgId: 'org-1', clientId: 'carl', shareEnabled: true, shareToken: 'share', ...change };
      assert.equal(await peer.closed, 4401);
      // By each of the engine's shards, which take requests by turns.
      for (let i = 0; i < 3; i += 1) {
        assert.equal((await read()).status, 401);
        assert.equal((await write()).status, 401);
        assert.equal((await write()).status, 401);
      }
      assert.deepEqual((await engine.listMessages(ada, { conversationId: conversation.id })).messages, []);
    });
  }

  test('closes its sockets: a token that somebody deleted past the engine, in a storage in JavaScript', async () => {
    const storage = new JsMemoryStorage();
    const own = new ChatEngine(storage, { shards: 2, credentialCheckInterval: 20 });
    try {
      const { id } = await own.openConversation('org-1', 'carl');
      const issued = await own.issueToken({ orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: id });
      const http = createServer();
      attachChat(http, own, { ...application([]) }, { rateLimits: false });
      http.listen(0, '127.0.0.1');
      await once(http, 'listening');
      const url = `ws://127.0.0.1:${http.address().port}/ws/chat?conversationId=${id}&userType=client&userId=carl`;
      const peer = new Peer(url, {}, ['travelchat.v1', `auth.${issued.token}`]);
      assert.equal((await peer.next()).type, 'typing');
      storage.removeTokens({ kind: 'revokeTokens', orgId: 'org-1', clientId: 'carl', tripId: null });
      assert.equal(await peer.closed, 4401);
      http.close();
    } finally {
      await own.close();
    }
  });

  test('a subscription is for those who may read', async () => {
    const outsider = engine.subscribe(conversation.id, { as: { ...ada, orgId: 'org-2' } });
    await assert.rejects(outsider.opened, (error) => error.code === 'not_found');
    const stranger = engine.subscribe(conversation.id, { as: { ...carl, id: 'dora' } });
    await assert.rejects(stranger.opened, (error) => error.code === 'not_found');
    const program = engine.subscribe(conversation.id);
    await program.opened;
    await program.return();
    await assert.rejects(engine.subscribe('00000000-0000-7000-8000-000000000000').opened, (error) => error.code === 'not_found');
  });
});
