import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import pg from 'pg';

import { ada, carl, take, travelchat } from './support/package.mjs';
import { usePostgres } from './support/postgres.mjs';

const { ChatEngine, ChatError, postgres } = travelchat;

describe('on PostgreSQL, an engine', () => {
  const server = usePostgres();

  test('keeps what it was given', async () => {
    const url = server.createDatabase();
    const engine = new ChatEngine(postgres({ url, lanes: 2, maxReaders: 2 }), { shards: 1 });
    const { id } = await engine.openConversation('org-1', 'carl');
    const { message } = await engine.send(ada, { conversationId: id, content: 'Olá \u{1F389}' });
    await engine.react(carl, { conversationId: id, messageId: message.id }, '❤️');
    await engine.mark(carl, id);
    await engine.close();
    const again = new ChatEngine(postgres({ url }), { shards: 1 });
    const [kept] = (await again.listMessages(ada, { conversationId: id })).messages;
    assert.deepEqual([kept.content, kept.reactions[0].emoji, kept.seenAt !== null], ['Olá \u{1F389}', '❤️', true]);
    assert.equal((await again.findConversation(id)).rev, 3);
    await again.close();
  });

  test('shares its database with another one', async () => {
    const url = server.createDatabase();
    const [one, other] = [new ChatEngine(postgres({ url })), new ChatEngine(postgres({ url }))];
    const { id } = await one.openConversation('org-1', 'carl');
    assert.equal((await other.openConversation('org-1', 'carl')).id, id);
    const sent = await Promise.all(
      Array.from({ length: 40 }, (_, i) => (i % 2 ? one : other).send(ada, { conversationId: id, content: `m${i}` })),
    );
    assert.deepEqual(sent.map(({ message }) => message.seq).sort((a, b) => a - b), Array.from({ length: 40 }, (_, i) => i + 1));
    await Promise.all([one.close(), other.close()]);
  });

  test('adopts tables that the host has made and filled, and tells of it', async () => {
    const url = server.createDatabase();
    const client = new pg.Client(url);
    await client.connect();
    await client.query(`
      CREATE TABLE conversations (id varchar PRIMARY KEY DEFAULT gen_random_uuid(), org_id varchar NOT NULL,
        client_id varchar NOT NULL, last_message_at timestamp, created_at timestamp DEFAULT now());
      CREATE TABLE messages (id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
        conversation_id varchar NOT NULL REFERENCES conversations(id), org_id varchar NOT NULL, sender_type text NOT NULL,
        sender_id varchar NOT NULL, sender_name text NOT NULL, content text NOT NULL, is_read boolean DEFAULT false,
        created_at timestamp DEFAULT now());
      WITH made AS (INSERT INTO conversations (org_id, client_id) VALUES ('org-1', 'carl') RETURNING id)
      INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)
        SELECT id, 'org-1', 'client', 'carl', 'Carl', 'from before' FROM made`);
    const lines = [];
    const engine = new ChatEngine(postgres({ url, log: (line) => lines.push(line) }));
    const { id } = await engine.openConversation('org-1', 'carl');
    assert.equal(lines.at(-1), 'the tables are adopted');
    const { messages } = await engine.listMessages(ada, { conversationId: id });
    assert.deepEqual(messages.map(({ content, seq }) => [content, seq]), [['from before', 1]]);
    await Promise.all([engine.close(), client.end()]);
  });

  test('refuses what is no database of its, and says why to an operator', async () => {
    const url = server.createDatabase();
    // Only a caller's mistake is explained in the message itself, other errors in their `cause`.
    const refused = (code, cause) => (error) =>
      error instanceof ChatError && error.code === code && cause.test(error.cause.message) &&
      cause.test(error.message) === (code === 'invalid_argument');
    assert.throws(() => new ChatEngine(postgres({ url: 'mysql://localhost/chat' })), refused('invalid_argument', /url/i));
    assert.throws(() => new ChatEngine(postgres({ url: `${url}nowhere` })), refused('storage_failed', /nowhere/));
    const silent = `postgres://127.0.0.1:1/chat`;
    assert.throws(() => new ChatEngine(postgres({ url: silent, connectTimeout: 100 })), refused('storage_failed', /refused/));
    assert.throws(() => postgres({}), { name: 'TypeError', message: 'storage.url must be a string that is not empty, not undefined' });
    assert.throws(() => new ChatEngine(postgres({ url, lanes: 'four' })), { message: /storage.lanes must be a whole number/ });
    assert.throws(() => new ChatEngine(postgres({ url, log: 'console' })), { message: 'storage.log must be a function, not "console"' });
  });

  test('fails while its database is away, and goes on when it is back', { timeout: 60_000 }, async () => {
    const engine = new ChatEngine(postgres({ url: server.createDatabase(), patience: 10_000 }), { shards: 1 });
    const { id } = await engine.openConversation('org-1', 'carl');
    const events = engine.subscribe(id, { since: 0 });
    await engine.send(ada, { conversationId: id, content: 'before', clientMessageId: 'a' });
    server.restart();
    for (let tries = 1; ; ++tries) {
      try {
        await engine.send(ada, { conversationId: id, content: 'after', clientMessageId: 'b' });
        break;
      } catch (error) {
        assert.equal(error.code, 'storage_failed');
        assert.ok(tries < 20);
      }
    }
    const heard = await take(events, (event) => event.message?.content === 'after');
    assert.deepEqual(heard.flatMap(({ message }) => message?.content ?? []), ['before', 'after']);
    await events.return();
    await engine.close();
  });
});
