// The core against the server that it was written for: its own process, its own sockets.
import { IDBFactory } from 'fake-indexeddb';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ChatGrant, Message, Thread } from '../../src/core';
import { ChatClient, ChatError } from '../../src/core';
import { browserEnvironment } from '../../src/core/environment';
import { openOutboxStore } from '../../src/core/outbox_store';
import type { Advisor } from './real_server';
import { RealServer, advisorClient, clientClient, hasServer, nodeEnvironment } from './real_server';
import { until } from './until';

const isOpen = (snapshot: { connection: { phase: string } }): boolean => snapshot.connection.phase === 'open';

describe.skipIf(!hasServer)('with the reference server', { timeout: 60_000 }, () => {
  let server: RealServer;
  let advisor: Advisor;
  const clients: ChatClient[] = [];
  const keep = (client: ChatClient): ChatClient => {
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    server = await RealServer.start();
    advisor = await server.signIn();
  });

  afterAll(async () => {
    for (const client of clients) client.dispose();
    await server.stop();
  });

  const grantOf = (index: number): Promise<ChatGrant> => {
    const trips = server.demo.trips.filter(({ orgId }) => orgId === advisor.orgId);
    return server.grant(trips[index]);
  };

  async function both(index: number): Promise<{ grant: ChatGrant; theirs: Thread; ours: Thread }> {
    const grant = await grantOf(index);
    const theirs = keep(clientClient(server, grant)).thread(grant.conversationId);
    const ours = keep(advisorClient(server, advisor)).thread(grant.conversationId);
    theirs.open();
    ours.open();
    await Promise.all([until(theirs, isOpen), until(ours, isOpen)]);
    return { grant, theirs, ours };
  }

  it('a message is shown at once, stored, and arrives at the other side', async () => {
    const { theirs, ours } = await both(0);
    const incoming: Message[] = [];
    ours.onIncoming((message) => incoming.push(message));
    const key = theirs.send('  Is breakfast included?  ')!;
    expect(theirs.snapshot().rows.at(-1)).toMatchObject({ key, isOwn: true, status: 'sending' });
    const sent = await until(theirs, ({ rows }) => rows.at(-1)?.status === 'sent');
    expect(sent.rows.at(-1)).toMatchObject({ key, message: { content: 'Is breakfast included?' } });
    const got = await until(ours, ({ rows }) => rows.at(-1)?.message.clientMessageId === key);
    expect(got.rows.at(-1)).toMatchObject({ isOwn: false, status: 'sent' });
    expect(incoming.map(({ content }) => content)).toEqual(['Is breakfast included?']);
  });

  it("the first message of a colleague or of another tab is this side's, and not unseen", async () => {
    const { grant, ours } = await both(1);
    const colleague = await server.signIn(
      server.demo.advisors.findIndex((a) => a.orgId === advisor.orgId && a.id !== advisor.id),
    );
    const theirs = keep(advisorClient(server, colleague)).thread(grant.conversationId);
    theirs.open();
    await until(theirs, isOpen);
    const before = ours.snapshot().unseenCount;
    const key = theirs.send('I will take this one.')!;
    const got = await until(ours, ({ rows }) => rows.at(-1)?.message.clientMessageId === key);
    expect(got.rows.at(-1)).toMatchObject({ isOwn: true, message: { senderId: colleague.id } });
    expect(got.rows.at(-1)!.key).toBe(got.rows.at(-1)!.message.id);
    expect(got.unseenCount).toBe(before);
  });

  it('what is read while looking is told, and both sides know it', async () => {
    const { theirs, ours } = await both(2);
    theirs.setReading(true);
    ours.setReading(true);
    await until(theirs, ({ unseenCount }) => unseenCount === 0);
    await until(ours, ({ unseenCount }) => unseenCount === 0);
    const question = ours.send('Window or aisle?')!;
    const seen = await until(ours, (snapshot) => snapshot.seen?.key === question);
    expect(seen.seen!.at).toBe(seen.rows.at(-1)!.message.seenAt);
    const answer = theirs.send('Window!')!;
    const read = await until(theirs, (snapshot) => snapshot.seen?.key === answer);
    expect(Math.abs(Date.parse(read.seen!.at!) - Date.now())).toBeLessThan(60_000);
    theirs.setReading(false);
    ours.send('Noted.');
    const unseen = await until(theirs, ({ unseenCount }) => unseenCount === 1);
    expect(unseen.firstUnseenSeq).toBe(unseen.rows.at(-1)!.message.seq);
    theirs.setReading(true);
    await until(theirs, ({ unseenCount, firstUnseenSeq }) => unseenCount === 0 && firstUnseenSeq === null);
  });

  it('typing is seen by the other side, ends by itself, and a second tab of this side sees it too', async () => {
    const { grant, theirs, ours } = await both(0);
    const tab = keep(clientClient(server, grant)).thread(grant.conversationId);
    tab.open();
    await until(tab, isOpen);
    theirs.typed();
    await until(ours, ({ otherTyping }) => otherTyping);
    await until(tab, ({ sideTyping }) => sideTyping);
    expect(theirs.snapshot().sideTyping).toBe(false);
    await until(ours, ({ otherTyping }) => !otherTyping);
    await until(tab, ({ sideTyping }) => !sideTyping);
    theirs.typed();
    await until(ours, ({ otherTyping }) => otherTyping);
    theirs.send('done');
    await until(ours, ({ otherTyping }) => !otherTyping);
  });

  it('a reaction is shown at once, replaced, taken away, and the other side sees each', async () => {
    const { theirs, ours } = await both(1);
    const last = ours.snapshot().rows.findLast(({ isOwn }) => isOwn)!.message.id;
    const emojiOf = (thread: Thread): string =>
      thread
        .snapshot()
        .rows.find(({ message }) => message.id === last)!
        .message.reactions.filter(({ reactorType }) => reactorType === 'client')
        .map(({ emoji }) => emoji)
        .join();
    const before = emojiOf(theirs);
    if (before !== '') theirs.toggleReaction(last, before as '👍');
    theirs.toggleReaction(last, '😮');
    expect(emojiOf(theirs)).toBe('😮');
    await until(ours, () => emojiOf(ours) === '😮');
    theirs.toggleReaction(last, '❤️');
    expect(emojiOf(theirs)).toBe('❤️');
    await until(ours, () => emojiOf(ours) === '❤️');
    theirs.toggleReaction(last, '❤️');
    expect(emojiOf(theirs)).toBe('');
    await until(ours, () => emojiOf(ours) === '');
    await until(theirs, () => emojiOf(theirs) === '');
  });

  it('a reaction that the server refuses is undone', async () => {
    const { theirs } = await both(1);
    const { id, reactions } = theirs.snapshot().rows.at(-1)!.message;
    const emojis = (): string[] =>
      theirs
        .snapshot()
        .rows.at(-1)!
        .message.reactions.map(({ emoji }) => emoji);
    theirs.toggleReaction(id, '🎉' as '👍');
    expect(emojis()).toContain('🎉');
    await until(theirs, () => !emojis().includes('🎉' as never));
    expect(theirs.snapshot().rows.at(-1)!.message.reactions).toEqual(reactions);
  });

  it('older pages come above what is there, once, and end', async () => {
    const { grant, theirs, ours } = await both(3);
    for (let i = 0; i < 120; i += 1) ours.send(`number ${i}`);
    await until(theirs, ({ rows }) => rows.at(-1)?.message.content === 'number 119', 30_000);
    const late = keep(clientClient(server, grant)).thread(grant.conversationId);
    late.open();
    const first = await until(late, ({ loading }) => loading === null);
    expect(first.rows).toHaveLength(100);
    expect(first.hasOlder).toBe(true);
    const twice = [late.loadOlder(), late.loadOlder()];
    expect(late.snapshot().loading).toBe('older');
    await Promise.all(twice);
    expect(late.snapshot().rows.length).toBeLessThanOrEqual(200);
    while (late.snapshot().hasOlder) await late.loadOlder();
    const { rows } = late.snapshot();
    expect(rows.map(({ message }) => message.seq)).toEqual(rows.map((_, i) => i + 1));
    expect(
      rows.filter(({ message }) => message.content.startsWith('number ')).map(({ message }) => message.content),
    ).toEqual(Array.from({ length: 120 }, (_, i) => `number ${i}`));
    for (const row of first.rows) expect(rows).toContain(row);
  });

  it('what is refused stays as failed, the next one goes on, and retry and discard work', async () => {
    const { theirs } = await both(2);
    const long = theirs.send('x'.repeat(10_001))!;
    const good = theirs.send('short')!;
    const failed = await until(theirs, ({ rows }) => rows.some(({ key, status }) => key === good && status === 'sent'));
    expect(failed.rows.at(-1)).toMatchObject({
      key: long,
      status: 'failed',
      failure: { code: 'invalid_content', status: 400 },
    });
    theirs.retry(long);
    expect(theirs.snapshot().rows.at(-1)).toMatchObject({ key: long, status: 'sending', failure: null });
    await until(theirs, ({ rows }) => rows.at(-1)?.status === 'failed');
    theirs.discard(long);
    expect(theirs.snapshot().rows.some(({ key }) => key === long)).toBe(false);
  });

  it('white space and what has no ink is not sent', async () => {
    const { theirs } = await both(2);
    for (const nothing of ['', ' ', '\n\t\u00a0\u3000', '\u200b\u200d\ufeff', '\u0000', '\u00ad']) {
      expect(theirs.send(nothing)).toBeNull();
    }
  });

  it('survives a killed server: waits, resumes, and loses and doubles nothing', async () => {
    const own = await RealServer.start();
    try {
      const person = await own.signIn();
      const trip = own.demo.trips.find(({ orgId }) => orgId === person.orgId)!;
      const grant = await own.grant(trip);
      const theirs = keep(clientClient(own, grant)).thread(grant.conversationId);
      const ours = keep(advisorClient(own, person)).thread(grant.conversationId);
      theirs.open();
      ours.open();
      await Promise.all([until(theirs, isOpen), until(ours, isOpen)]);
      const phases = new Set<string>();
      const end = theirs.subscribe(() => phases.add(theirs.snapshot().connection.phase));
      for (let i = 0; i < 5; i += 1) {
        theirs.send(`before ${i}`);
        ours.send(`and ours ${i}`);
      }
      await own.kill('SIGKILL');
      await until(theirs, ({ connection }) => connection.phase === 'waiting');
      expect(theirs.snapshot().connection.downSince).not.toBeNull();
      for (let i = 0; i < 5; i += 1) theirs.send(`while down ${i}`);
      await own.restart();
      await Promise.all([until(theirs, isOpen, 30_000), until(ours, isOpen, 30_000)]);
      const last = ours.send('after')!;
      const done = (thread: Thread): Promise<unknown> =>
        until(
          thread,
          ({ rows }) =>
            rows.every(({ status }) => status === 'sent') &&
            rows.some(({ message }) => message.clientMessageId === last) &&
            rows.some(({ message }) => message.content === 'while down 4'),
          30_000,
        );
      await Promise.all([done(theirs), done(ours)]);
      end();
      expect([...phases]).toEqual(expect.arrayContaining(['waiting', 'connecting', 'open']));
      const stored = theirs.snapshot().rows.map(({ message }) => message);
      expect(ours.snapshot().rows.map(({ message }) => message)).toEqual(stored);
      const sentByThem = stored
        .filter(({ senderType, seq }) => senderType === 'client' && seq > 0)
        .map((m) => m.content);
      const expected = [0, 1, 2, 3, 4].map((i) => `before ${i}`).concat([0, 1, 2, 3, 4].map((i) => `while down ${i}`));
      expect(sentByThem.slice(-10)).toEqual(expected);
      expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => stored[0]!.seq + i));
    } finally {
      await own.stop();
    }
  });

  it('what was written without a server goes out after a reload of the page, once and in order', async () => {
    const grant = await grantOf(2);
    const indexedDB = new IDBFactory();
    const offline = keep(
      clientClient(server, grant, undefined, {
        indexedDB,
        fetch: () => Promise.reject(new TypeError('offline')),
      }),
    );
    const before = offline.thread(grant.conversationId);
    before.open();
    const keys = ['one', 'two', 'three'].map((text) => before.send(text));
    const kept = openOutboxStore(browserEnvironment({ indexedDB }));
    const scope = `${server.url.replace('http', 'ws')}/client/${grant.clientId}/${grant.conversationId}`;
    await vi.waitUntil(async () => (await kept.all(scope)).entries.length === 3);
    expect(before.snapshot().rows.map(({ key, status }) => [key, status])).toEqual(keys.map((key) => [key, 'sending']));
    // The page goes without a word.
    offline.dispose();

    const after = keep(clientClient(server, grant, undefined, { indexedDB })).thread(grant.conversationId);
    after.open();
    const { rows } = await until(after, (snapshot) => snapshot.rows.at(-1)?.message.content === 'three');
    await until(after, (snapshot) => snapshot.rows.every(({ status }) => status === 'sent'));
    expect(rows.slice(-3).map(({ key }) => key)).toEqual(keys);
    const again = keep(clientClient(server, grant, undefined, { indexedDB })).thread(grant.conversationId);
    again.open();
    await until(again, isOpen);
    expect(again.snapshot().rows.map(({ key }) => key)).toEqual(after.snapshot().rows.map(({ key }) => key));
  });

  it('a chat token that expires while open is renewed, and the conversation goes on', async () => {
    const own = await RealServer.start('--token-lifetime', '2');
    try {
      const trip = own.demo.trips[0]!;
      const grant = await own.grant(trip);
      let renewals = 0;
      const client = keep(
        clientClient(own, grant, async () => {
          renewals += 1;
          return (await own.grant(trip)).chatToken;
        }),
      );
      const thread = client.thread(grant.conversationId);
      thread.open();
      await until(thread, isOpen);
      await until(thread, () => renewals > 0);
      await until(thread, isOpen);
      const key = thread.send('still here')!;
      await until(thread, ({ rows }) => rows.some((row) => row.key === key && row.status === 'sent'));
      expect(thread.snapshot().connection).toMatchObject({ attempt: 0, reason: null });
    } finally {
      for (const client of clients) client.dispose();
      await own.stop();
    }
  });

  it('a token that nobody renews stops the conversation with its reason', async () => {
    const grant = await grantOf(0);
    const bad = { ...grant, chatToken: 'f'.repeat(64) };
    const refuse = (): Promise<string> => Promise.reject(new ChatError('sharing_disabled', 403, 'no'));
    const thread = keep(clientClient(server, bad, refuse)).thread(grant.conversationId);
    thread.open();
    const stopped = await until(thread, ({ connection }) => connection.phase === 'stopped');
    expect(stopped.connection.reason).toBe('forbidden');
    expect(stopped.loading).toBe('opening');
    expect(stopped.loadFailure).toMatchObject({ code: 'sharing_disabled' });
  });

  it('a session that is over is told once, and stops', async () => {
    let told = 0;
    const grant = await grantOf(0);
    const client = keep(
      new ChatClient({
        baseUrl: server.url,
        me: { type: 'advisor', id: advisor.id, name: advisor.name },
        credential: { kind: 'session', onExpired: () => (told += 1) },
        environment: nodeEnvironment('session=wrong'),
      }),
    );
    const thread = client.thread(grant.conversationId);
    const inbox = client.inbox();
    thread.open();
    inbox.open();
    await until(thread, ({ connection }) => connection.reason === 'unauthorized');
    await until(inbox, ({ connection }) => connection.reason === 'unauthorized');
    expect(told).toBe(1);
  });

  it('a conversation that does not exist stops with its reason', async () => {
    const thread = keep(advisorClient(server, advisor)).thread('019345a0-0000-7000-8000-000000000001');
    thread.open();
    const stopped = await until(thread, ({ connection }) => connection.phase === 'stopped');
    expect(stopped.connection.reason).toBe('not_found');
    expect(stopped.loadFailure).toMatchObject({ status: 404 });
  });

  it('the inbox lists, counts, follows, and searches', async () => {
    const client = keep(advisorClient(server, advisor));
    const inbox = client.inbox();
    expect(inbox.snapshot()).toMatchObject({ conversations: null, unreadCount: 0 });
    inbox.open();
    const listed = await until(inbox, isOpen);
    expect(listed.conversations!.length).toBeGreaterThan(3);
    const times = listed.conversations!.map(({ lastMessageAt, createdAt }) => lastMessageAt ?? createdAt);
    expect(times).toEqual([...times].sort().reverse());

    const incoming: string[] = [];
    inbox.onIncoming(({ clientId }) => incoming.push(clientId));
    const { grant, theirs, ours } = await both(4);
    theirs.send('A zanzibarian question');
    const moved = await until(inbox, ({ conversations }) => conversations![0]!.id === grant.conversationId);
    expect(moved.conversations![0]).toMatchObject({ lastMessage: { content: 'A zanzibarian question' } });
    expect(moved.unreadCount).toBe(listed.unreadCount + 1);
    expect(incoming).toEqual([grant.clientId]);

    inbox.search('zanz');
    inbox.search('zanzibarian');
    const found = await until(inbox, ({ conversations, isLoading }) => !isLoading && conversations!.length === 1);
    expect(found).toMatchObject({ query: 'zanzibarian', unreadCount: listed.unreadCount + 1 });
    const other = server.demo.trips.filter(({ orgId }) => orgId === advisor.orgId)[0]!;
    const theirOther = keep(clientClient(server, await server.grant(other))).thread(
      (await server.grant(other)).conversationId,
    );
    theirOther.open();
    theirOther.send('unrelated');
    const counted = await until(inbox, ({ unreadCount }) => unreadCount === listed.unreadCount + 2);
    expect(counted.conversations).toHaveLength(1);

    ours.setReading(true);
    await until(inbox, ({ conversations }) => conversations![0]!.unreadCount === 0);
    inbox.search('');
    expect(inbox.snapshot().conversations).toHaveLength(listed.conversations!.length);

    const opened = await client.openConversation(grant.clientId);
    expect(opened).toMatchObject({ id: grant.conversationId, clientId: grant.clientId });
    await expect(client.openConversation('nobody at all')).rejects.toMatchObject({ name: 'ChatError' });
  });

  it('a chat token opens no inbox', async () => {
    const refuse = (): Promise<string> => Promise.reject(new ChatError('sharing_disabled', 403, 'no'));
    const inbox = keep(clientClient(server, await grantOf(0), refuse)).inbox();
    inbox.open();
    const { connection } = await until(inbox, ({ connection: { phase } }) => phase === 'stopped');
    expect(connection.reason).toBe('forbidden');
  });

  it('too far behind for a replay: the page is loaded anew and nothing is missing', async () => {
    const { grant, theirs } = await both(3);
    theirs.close();
    const { id } = theirs.snapshot().rows.at(-1)!.message;
    // Far more changes than the 1,000 that the server replays, and all of the same message.
    const emojis = ['👍', '😂'];
    for (let i = 0; i < 1010; i += 1) {
      await fetch(`${server.url}/api/conversations/${grant.conversationId}/messages/${id}/reactions`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', cookie: advisor.cookie },
        body: JSON.stringify({ emoji: emojis[i % 2] }),
      });
    }
    theirs.open();
    const after = await until(theirs, isOpen);
    expect(after.rows.at(-1)!.message.reactions.map(({ emoji }) => emoji)).toContain('😂');
    const key = theirs.send('back again')!;
    await until(theirs, ({ rows }) => rows.at(-1)?.key === key && rows.at(-1)?.status === 'sent');
  });
});
