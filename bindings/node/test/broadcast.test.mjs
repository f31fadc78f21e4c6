// An application that goes on writing to the chat's tables itself, and says so.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { before, describe, test } from 'node:test';

import pg from 'pg';

import { application, Peer } from './support/application.mjs';
import { ada, carl, take, travelchat } from './support/package.mjs';
import { usePostgres } from './support/postgres.mjs';

const { broadcasts, ChatEngine, chatRoutes, memory, postgres, setupWebSocket } = travelchat;

describe('what an application has written itself', () => {
  const database = usePostgres();
  let url;
  let engine;
  let server;
  let client;
  let conversation;
  let advisor; // sockets
  let traveller;
  let inbox;
  let told;

  before(async () => {
    url = database.createDatabase();
    engine = new ChatEngine(postgres({ url }), { shards: 2 });
    told = broadcasts(engine);
    conversation = await engine.openConversation('org-1', 'carl');
    server = createServer((request, response) => routes(request, response, () => response.end()));
    const routes = chatRoutes(engine, application([]));
    setupWebSocket(server, engine);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = new pg.Client(url);
    await client.connect();

    const origin = `ws://127.0.0.1:${server.address().port}`;
    const headers = { cookie: 'session=ada' };
    advisor = new Peer(`${origin}/ws/chat?conversationId=${conversation.id}&userType=advisor&userId=ada`, { headers });
    const { token } = await engine.issueToken({
      orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: conversation.id,
    });
    traveller = new Peer(`${origin}/ws/chat?conversationId=${conversation.id}&userType=client&userId=carl`, {}, [
      'travelchat.v1', `auth.${token}`,
    ]);
    inbox = new Peer(`${origin}/ws/inbox`, { headers });
    await Promise.all([
      once(inbox.socket, 'open'),
      ...[advisor, traveller].map(async (peer) => assert.equal((await peer.next()).type, 'typing')),
    ]);
  });
  database.beforeStop(async () => {
    await engine.close();
    await client.end();
    server.close();
  });

  const both = async () => {
    const [one, other] = await Promise.all([advisor.next(), traveller.next()]);
    assert.deepEqual(one, other);
    return one;
  };
  const insert = async (role, id, name, content) =>
    (await client.query(
      `INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)
       VALUES ($1, 'org-1', $2, $3, $4, $5) RETURNING *`, [conversation.id, role, id, name, content])).rows[0];

  test('reaches every socket: a message, with its number', async () => {
    const row = await insert('client', 'carl', 'Carl', 'written by the application');
    told.broadcastNewMessage(conversation.id, row);
    const { type, message, rev } = await both();
    assert.deepEqual([type, message.id, message.content, message.seq, message.rev, rev],
      ['new_message', row.id, 'written by the application', 1, 1, 1]);
    const update = await inbox.next();
    assert.deepEqual([update.type, update.conversation.lastMessage.id, update.conversation.unreadCount],
      ['conversation_update', row.id, 1]);
  });

  test('a reaction, and its removal', async () => {
    const [{ id }] = (await engine.listMessages(ada, { conversationId: conversation.id })).messages;
    await client.query(
      `INSERT INTO message_reactions (message_id, conversation_id, org_id, reactor_type, reactor_id, reactor_name, emoji)
       VALUES ($1, $2, 'org-1', 'advisor', 'ada', 'Ada', '👍')`, [id, conversation.id]);
    told.broadcastReactionUpdate(conversation.id, id, []);
    const set = await both();
    assert.deepEqual([set.type, set.messageId, set.rev, set.reactions.map(({ emoji, reactorId }) => [emoji, reactorId])],
      ['reaction_update', id, 2, [['👍', 'ada']]]);
    await client.query('DELETE FROM message_reactions WHERE message_id = $1', [id]);
    told.broadcastReactionUpdate(conversation.id, id, []);
    const removed = await both();
    assert.deepEqual([removed.type, removed.rev, removed.reactions], ['reaction_update', 3, []]);
  });

  test('that messages were seen', async () => {
    await insert('advisor', 'ada', 'Ada', 'an answer');
    told.broadcastNewMessage(conversation.id);
    assert.equal((await both()).message.seq, 2);
    await client.query(
      `UPDATE messages SET seen_at = now() WHERE conversation_id = $1 AND sender_type = 'advisor' AND seen_at IS NULL`,
      [conversation.id]);
    told.broadcastSeen(conversation.id, new Date().toISOString());
    const seen = await both();
    assert.deepEqual([seen.type, seen.rev, Math.abs(Date.now() - Date.parse(seen.seenAt)) < 60_000], ['seen', 5, true]);
  });

  test('is also noticed when nobody says so', async () => {
    const other = new ChatEngine(postgres({ url }), { shards: 1, pollInterval: 20 });
    const events = other.subscribe(conversation.id, { since: 5 });
    await take(events, (event) => event.type === 'caught_up');
    const row = await insert('client', 'carl', 'Carl', 'written silently');
    const [{ type, message }] = await take(events, 1);
    assert.deepEqual([type, message.id], ['new_message', row.id]);
    await other.close();
    told.broadcastNewMessage(conversation.id);
    assert.equal((await both()).message.id, row.id);
  });

  test('by an engine is told at once by another one of the same process', async () => {
    const other = new ChatEngine(postgres({ url }), { shards: 1 });
    const { message } = await other.send(carl, { conversationId: conversation.id, content: 'by another engine' });
    assert.deepEqual((await both()).message, message);
    await other.close();
  });

  test('mixed with what goes through the engine, in one order and each once', async () => {
    const events = engine.subscribe(conversation.id, { since: 7 });
    await take(events, (event) => event.type === 'caught_up');
    const count = 20;
    const through = async () => {
      for (let i = 0; i < count / 2; ++i) {
        await engine.send(carl, { conversationId: conversation.id, content: `engine ${i}` });
      }
    };
    const past = async () => {
      for (let i = 0; i < count / 2; ++i) {
        told.broadcastNewMessage(conversation.id, await insert('client', 'carl', 'Carl', `application ${i}`));
      }
    };
    await Promise.all([through(), past()]);
    const heard = await take(events, count);
    assert.deepEqual(heard.map(({ rev }) => rev), Array.from({ length: count }, (_, i) => 8 + i));
    assert.deepEqual(heard.map(({ message }) => message.seq), Array.from({ length: count }, (_, i) => 5 + i));
    for (let i = 0; i < count; ++i) assert.equal((await both()).rev, 8 + i);
    await events.return();
  });
});

describe('saying so', () => {
  test('is without effect where nothing changed, and names what is wrong', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const { broadcastNewMessage, broadcastSeen } = broadcasts(engine);
    const { id } = await engine.openConversation('org-1', 'carl');
    const events = engine.subscribe(id);
    await events.opened;
    broadcastNewMessage(id, {});
    broadcastSeen('0192f0c0-0000-7000-8000-000000000000');
    await engine.send(ada, { conversationId: id, content: 'Hello' });
    assert.deepEqual((await take(events, 2)).map(({ type }) => type), ['typing', 'new_message']);
    assert.throws(() => broadcastNewMessage('nowhere'), { code: 'not_found' });
    assert.throws(() => broadcastNewMessage(7), { name: 'TypeError', message: 'refresh.conversationId must be a string, not the number 7' });
    await events.return();
    await engine.close();
    broadcastSeen(id);
    assert.throws(() => engine.refresh(id), { code: 'closed' });
  });
});
