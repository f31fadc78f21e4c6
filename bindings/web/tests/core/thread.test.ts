import { describe, expect, it } from 'vitest';
import type { Message, Participant, ThreadSnapshot } from '../../src/core';
import { Site } from './site';
import { answer, refusal } from './world';

const ADVISOR = { type: 'advisor', id: 'adv' } as const;

const contents = ({ rows }: ThreadSnapshot): string[] => rows.map(({ message }) => message.content);

describe('opening', () => {
  it('shows the newest page first, then resumes from it by socket', async () => {
    const site = new Site();
    for (let i = 0; i < 130; i += 1) site.other(`m${i}`);
    const thread = site.makeThread();
    expect(thread.snapshot()).toMatchObject({ rows: [], loading: 'opening', connection: { phase: 'idle' } });
    thread.open();
    expect(thread.snapshot().connection.phase).toBe('connecting');
    await site.turn();
    const snapshot = thread.snapshot();
    expect(snapshot).toMatchObject({ loading: null, hasOlder: true, connection: { phase: 'open', downSince: null } });
    expect(contents(snapshot)).toEqual(Array.from({ length: 100 }, (_, i) => `m${i + 30}`));
    expect(Object.fromEntries(site.socket.query)).toEqual({
      conversationId: site.server.conversationId,
      userType: 'client',
      userId: 'cli',
      since: '130',
    });
    expect(site.socket.protocols).toEqual(['travelchat.v1']);
  });

  it('what happens between page and socket is not lost', async () => {
    const site = new Site();
    site.other('before');
    site.reply = ({ method, path }) => {
      if (method !== 'GET' || !path.endsWith('/messages')) return null;
      const page = answer(200, site.server.messages);
      site.other('between');
      site.server.mark(site.who);
      site.reply = () => null;
      return page;
    };
    const thread = await site.open();
    expect(contents(thread.snapshot())).toEqual(['before', 'between']);
    expect(thread.snapshot().unseenCount).toBe(0);
  });

  it('a page that cannot be loaded is said, and tried again by itself', async () => {
    const site = new Site();
    site.other('here');
    site.reply = () => refusal(503, 'overloaded');
    const thread = await site.open();
    expect(thread.snapshot()).toMatchObject({
      loading: 'opening',
      loadFailure: { code: 'overloaded', status: 503 },
      connection: { phase: 'waiting', attempt: 1 },
    });
    site.reply = () => null;
    await site.pass(1000);
    expect(thread.snapshot()).toMatchObject({ loading: null, loadFailure: null, connection: { phase: 'open' } });
    expect(contents(thread.snapshot())).toEqual(['here']);
  });

  it('as many closes as opens end it; its rows stay, and it resumes when it is opened again', async () => {
    const site = new Site();
    site.other('first');
    const thread = await site.open();
    thread.open();
    thread.close();
    expect(thread.snapshot().connection.phase).toBe('open');
    thread.close();
    expect(thread.snapshot()).toMatchObject({ connection: { phase: 'idle', downSince: null, attempt: 0 } });
    expect(site.server.members.size).toBe(0);
    expect(site.page.isListenedTo).toBe(false);
    thread.close();
    site.other('second');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['first']);
    const { length } = site.requests;
    thread.open();
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['first', 'second']);
    expect(site.requests).toHaveLength(length);
    thread.dispose();
    await site.pass(10_000);
    expect(site.clock.pending).toBe(0);
  });

  it('before it is opened it asks for nothing, and does not throw', async () => {
    const site = new Site();
    const thread = site.makeThread();
    thread.setReading(true);
    thread.typed();
    thread.stopTyping();
    thread.toggleReaction('nothing', '👍');
    thread.retry('nothing');
    thread.discard('nothing');
    thread.reconnect();
    await thread.loadOlder();
    await site.turn();
    expect(site.requests).toEqual([]);
    expect(site.sockets).toEqual([]);
  });
});

describe('snapshots', () => {
  it('are the same object until a change was told', async () => {
    const site = new Site();
    const thread = await site.open();
    let told = 0;
    let last = thread.snapshot();
    const end = thread.subscribe(() => {
      told += 1;
      expect(thread.snapshot()).not.toBe(last);
      last = thread.snapshot();
    });
    site.other('one');
    expect(thread.snapshot()).toBe(last);
    await site.turn();
    expect(told).toBe(1);
    site.server.mark(site.who);
    await site.turn();
    expect(told).toBe(2);
    end();
    site.other('two');
    await site.turn();
    expect(told).toBe(2);
    expect(thread.snapshot().rows).toHaveLength(2);
  });

  it('rows that did not change are the same objects, also among 5,000 and after a reload of the page', async () => {
    const site = new Site();
    for (let i = 0; i < 5000; i += 1) site.other(`m${i}`);
    site.server.mark(site.who);
    const thread = await site.open();
    while (thread.snapshot().hasOlder) await thread.loadOlder();
    const { rows } = thread.snapshot();
    expect(rows).toHaveLength(5000);
    const before = new Set(rows);
    const changed = (): number => thread.snapshot().rows.filter((row) => !before.has(row)).length;
    site.other('new');
    await site.turn();
    expect(changed()).toBe(1);
    site.server.react(site.otherSide, rows[4950]!.message.id, '👍');
    await site.turn();
    expect(changed()).toBe(2);
    site.server.mark(site.who);
    await site.turn();
    expect(changed()).toBe(2);
    site.cut();
    site.server.maxReplay = 10;
    for (let i = 0; i < 11; i += 1) site.server.react(site.otherSide, rows[4960]!.message.id, i % 2 ? '👍' : '😢');
    await site.pass(1000);
    expect(thread.snapshot()).toMatchObject({ connection: { phase: 'open' }, hasOlder: true });
    expect(thread.snapshot().rows).toHaveLength(100);
    expect(changed()).toBe(3);
  });

  it('a replay is one change, however long', async () => {
    const site = new Site();
    const thread = await site.open();
    site.cut();
    for (let i = 0; i < 500; i += 1) site.other(`m${i}`);
    const seen: number[] = [];
    thread.subscribe(() => seen.push(thread.snapshot().rows.length));
    await site.pass(1000);
    expect(thread.snapshot().connection.phase).toBe('open');
    expect(seen.filter((length) => length > 0 && length < 500)).toEqual([]);
    expect(seen.at(-1)).toBe(500);
  });

  it('a listener that throws stops neither the others nor the thread', async () => {
    const site = new Site();
    const thread = site.makeThread();
    const errors: unknown[] = [];
    const hear = (error: unknown): void => void errors.push(error);
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', hear);
    let told = 0;
    thread.subscribe(() => {
      throw new Error('of the host');
    });
    thread.subscribe(() => (told += 1));
    thread.open();
    await site.turn();
    process.off('uncaughtException', hear);
    for (const listener of before) process.on('uncaughtException', listener);
    expect(thread.snapshot().connection.phase).toBe('open');
    expect(told).toBeGreaterThan(1);
    expect(errors).toHaveLength(told);
  });
});

describe('sending', () => {
  const orders = {
    'answer before event': ['answer', 'event'],
    'event before answer': ['event', 'answer'],
    'event, and the answer is lost': ['event', 'lose'],
    'answer is lost, then the event': ['lose', 'event'],
  };

  it.each(Object.entries(orders))('%s: one row with one key, from sending to sent', async (_, order) => {
    const site = new Site();
    const thread = await site.open();
    let land: (reply: Response | 'lose') => void = () => {};
    let stored: Message | null = null;
    site.reply = ({ method, path, body }) => {
      if (method !== 'POST' || !path.endsWith('/messages')) return null;
      stored = site.server.send(site.who, body.content as string, body.clientMessageId as string)!.message;
      return new Promise((done) => (land = done));
    };
    const key = thread.send(' Hello ')!;
    expect(thread.snapshot().rows).toMatchObject([
      { key, isOwn: true, status: 'sending', failure: null, message: { id: key, seq: 0, rev: 0, content: 'Hello' } },
    ]);
    const keys = new Set<string>();
    thread.subscribe(() =>
      keys.add(
        thread
          .snapshot()
          .rows.map((row) => row.key)
          .join(),
      ),
    );
    // The event waits in the server's queue until the network turns.
    await new Promise((done) => setImmediate(done));
    for (const step of order) {
      if (step === 'event') {
        await site.turn();
      } else {
        land(step === 'lose' ? 'lose' : answer(201, stored));
        site.reply = () => null;
        await new Promise((done) => setImmediate(done));
      }
      expect(thread.snapshot().rows).toHaveLength(1);
    }
    await site.pass(30_000);
    expect([...keys]).toEqual([key]);
    expect(thread.snapshot().rows).toMatchObject([{ key, status: 'sent', message: { seq: 1, content: 'Hello' } }]);
    expect(site.server.messages).toHaveLength(1);
  });

  it('an answer that is no message is a failure of the network, not a message', async () => {
    const site = new Site();
    const thread = await site.open();
    site.reply = ({ method }) => (method === 'POST' ? answer(200, { hello: 1 }) : null);
    const key = thread.send('a')!;
    await site.turn();
    expect(thread.snapshot().rows).toMatchObject([{ key, status: 'sending' }]);
    site.reply = () => null;
    await site.pass(1000);
    expect(thread.snapshot().rows).toMatchObject([{ key, status: 'sent' }]);
  });

  it.each([404, 403, 401, 413, 500, 502, 503, 521])(
    'what is written while somebody between answers %i waits, and goes when the chat answers',
    async (status) => {
      const site = new Site();
      const thread = await site.open();
      site.cut();
      site.socketReply = 1006;
      site.reply = () => new Response('404 page not found', { status });
      thread.send('written meanwhile');
      await site.pass(40_000);
      expect(thread.snapshot().rows.map(({ status }) => status)).toEqual(['sending']);
      expect(thread.snapshot().connection.phase).not.toBe('stopped');
      site.reply = () => null;
      site.socketReply = 'join';
      await site.pass(25_000);
      expect(thread.snapshot().rows.map(({ status }) => status)).toEqual(['sent']);
      expect(thread.snapshot().connection.phase).toBe('open');
      expect(site.server.messages).toHaveLength(1);
    },
  );

  it('a conversation that is opened while somebody between answers 404 is shown when the chat answers', async () => {
    const site = new Site();
    site.other('here');
    site.reply = () => new Response('404 page not found', { status: 404 });
    const thread = await site.open();
    await site.pass(8000);
    expect(thread.snapshot()).toMatchObject({ loading: 'opening', loadFailure: { code: 'network', status: 0 } });
    site.reply = () => null;
    await site.pass(20_000);
    expect(contents(thread.snapshot())).toEqual(['here']);
  });

  it.each([
    ['0', 12],
    ['', 12],
    ['-5', 12],
    ['1e9', 12],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 12],
    ['2592000', 1],
    ['1795950000', 1],
  ])('a gateway that says Retry-After: %j is asked %i times in 8 s, or less, and again later', async (after, most) => {
    const site = new Site();
    const thread = await site.open();
    const headers = { 'retry-after': after };
    site.reply = ({ method }) => (method === 'POST' ? new Response('busy', { status: 503, headers }) : null);
    thread.send('Hello');
    await site.pass(8000);
    expect(site.asked('POST', '/messages').length).toBeLessThanOrEqual(most);
    site.reply = () => null;
    await site.pass(300_000);
    expect(thread.snapshot().rows.map(({ status }) => status)).toEqual(['sent']);
  });

  it('half a surrogate pair is replaced, since it cannot travel', async () => {
    const site = new Site();
    const thread = await site.open();
    thread.send('a\ud800b');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['a\ufffdb']);
  });

  it('without a connection everything waits in order below what is stored, and goes when there is one', async () => {
    const site = new Site();
    const thread = await site.open();
    site.cut();
    site.socketReply = 1006;
    site.reply = () => 'lose';
    for (const text of ['a', 'b', 'c']) thread.send(text);
    await site.pass(30_000);
    expect(thread.snapshot().rows.map(({ status }) => status)).toEqual(['sending', 'sending', 'sending']);
    site.other('in between');
    site.socketReply = 'join';
    site.reply = () => null;
    site.page.tell('online');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['in between', 'a', 'b', 'c']);
    expect(thread.snapshot().rows.every(({ status }) => status === 'sent')).toBe(true);
  });

  it('an answered message whose event never comes shows that the socket is dead: it is replaced', async () => {
    const site = new Site();
    const thread = await site.open();
    const dead = site.socket;
    site.cut(null);
    thread.send('a');
    await site.turn();
    site.other('missed');
    await site.pass(9000);
    expect(site.socket).toBe(dead);
    expect(contents(thread.snapshot())).toEqual(['a']);
    await site.pass(1500);
    expect(site.socket).not.toBe(dead);
    expect(contents(thread.snapshot())).toEqual(['a', 'missed']);

    // The event of the next one comes, that of the one after it does not.
    thread.send('b');
    await site.turn();
    const next = site.socket;
    await site.pass(5000);
    site.cut(null);
    thread.send('c');
    await site.pass(9000);
    expect(site.socket).toBe(next);
    await site.pass(11_000);
    expect(site.socket).not.toBe(next);
  });
});

describe('what comes', () => {
  it('live is told to those who listen; history, replays, repeats and this side are not', async () => {
    const site = new Site();
    site.other('history');
    const thread = await site.open();
    const heard: string[] = [];
    const end = thread.onIncoming(({ content }) => heard.push(content));
    site.other('live');
    site.server.send({ type: 'client', id: 'cli' }, 'own, elsewhere', null);
    await site.turn();
    site.cut();
    site.other('while away');
    await site.pass(1000);
    expect(contents(thread.snapshot())).toHaveLength(4);
    expect(heard).toEqual(['live']);
    site.socket.say({ type: 'new_message', message: site.server.messages[1]!, rev: 2 });
    expect(heard).toEqual(['live']);
    end();
    site.other('nobody listens');
    await site.turn();
    expect(heard).toEqual(['live']);
  });

  it('a gap in the events makes the socket resume, and nothing of it is shown before', async () => {
    const site = new Site();
    const thread = await site.open();
    site.other('one');
    await site.turn();
    const first = site.socket;
    site.other('lost on the way');
    for (const member of site.server.members) member.queue.length = 0;
    site.other('three');
    await site.turn();
    expect(site.socket).not.toBe(first);
    expect(site.socket.query.get('since')).toBe('1');
    expect(contents(thread.snapshot())).toEqual(['one', 'lost on the way', 'three']);
    expect(thread.snapshot().connection).toMatchObject({ phase: 'open', attempt: 0 });
  });

  it('too far behind: the page replaces what there was, and the conversation goes on from there', async () => {
    const site = new Site();
    site.server.pageLimit = 5;
    for (let i = 0; i < 8; i += 1) site.other(`old ${i}`);
    const thread = await site.open();
    await thread.loadOlder();
    expect(thread.snapshot().rows).toHaveLength(8);
    site.cut();
    site.server.maxReplay = 10;
    for (let i = 0; i < 11; i += 1) site.other(`new ${i}`);
    await site.pass(1000);
    expect(thread.snapshot()).toMatchObject({ hasOlder: true, connection: { phase: 'open', attempt: 0 } });
    expect(contents(thread.snapshot())).toEqual([6, 7, 8, 9, 10].map((i) => `new ${i}`));
    await thread.loadOlder();
    expect(contents(thread.snapshot())[0]).toBe('new 1');
  });

  it('too far behind because of changes above the page: it is loaded once, and the socket goes on', async () => {
    const site = new Site();
    const { id } = site.other('old');
    site.server.pageLimit = 2;
    for (let i = 0; i < 4; i += 1) site.other(`m${i}`);
    site.server.maxReplay = 10;
    for (let i = 0; i < 20; i += 1) site.server.react(site.otherSide, id, i % 2 === 0 ? '👍' : '😢');
    const thread = await site.open();
    expect(thread.snapshot().connection).toMatchObject({ phase: 'open', attempt: 0 });
    expect(site.sockets.map(({ query }) => query.get('since'))).toEqual(['5', '25']);
    expect(contents(thread.snapshot())).toEqual(['m2', 'm3']);
  });

  it('a page that comes late, after a newer one, is not wanted any more', async () => {
    const site = new Site();
    site.other('a');
    let land: (page: Response) => void = () => {};
    site.reply = () => new Promise((done) => (land = done));
    const thread = await site.open();
    const late = answer(200, site.server.messages);
    const landLate = land;
    site.reply = () => null;
    site.page.tell('offline');
    site.page.tell('online');
    site.other('b');
    await site.turn();
    site.other('c');
    await site.turn();
    landLate(late);
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['a', 'b', 'c']);
    expect(thread.snapshot().connection.phase).toBe('open');
  });

  it('a server that was set back to an earlier day: what it has is what is shown', async () => {
    const site = new Site();
    for (let i = 0; i < 5; i += 1) site.other(`m${i}`);
    const thread = await site.open();
    site.cut();
    site.server.messages = site.server.messages.slice(0, 2);
    site.server.rev = 2;
    await site.pass(1000);
    expect(contents(thread.snapshot())).toEqual(['m0', 'm1']);
    expect(thread.snapshot().connection.phase).toBe('open');
    thread.send('on');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['m0', 'm1', 'on']);
  });

  it('a server that always wants a reload is not asked at full speed', async () => {
    const site = new Site();
    site.server.maxReplay = -1;
    const thread = await site.open();
    await site.pass(30_000);
    expect(thread.snapshot().connection.phase).not.toBe('open');
    expect(site.sockets.length).toBeLessThan(12);
  });

  it('errors, and what is no event of a conversation, change nothing', async () => {
    const site = new Site();
    const thread = await site.open();
    const before = thread.snapshot();
    site.socket.say({ type: 'viewers', people: [] });
    site.socket.say({ type: 'alive', intervalMs: 25_000 });
    site.socket.say({ type: 'error', code: 'malformed_json', message: 'No.' });
    site.socket.say({ type: 'conversation_update', conversation: { id: 'x', clientId: 'y' } });
    expect(thread.snapshot()).toBe(before);
  });

  it('an event that nobody knows yet counts as applied: the next is no gap, and a new socket resumes after it', async () => {
    const site = new Site();
    site.other('first');
    const thread = await site.open();
    const before = thread.snapshot().rows;
    site.server.sendUnknownEvent();
    site.server.sendUnknownEvent();
    await site.turn();
    expect(thread.snapshot().rows).toBe(before);
    site.other('second');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['first', 'second']);
    expect(site.sockets).toHaveLength(1);
    site.server.sendUnknownEvent();
    await site.turn();
    site.cut();
    await site.pass(1000);
    expect(site.sockets[1]!.query.get('since')).toBe('5');
    expect(thread.snapshot().connection.phase).toBe('open');
    expect(contents(thread.snapshot())).toEqual(['first', 'second']);
  });

  it('a message by somebody in an unknown role is passed over, live, in a replay and in a page', async () => {
    const site = new Site();
    const bot = { type: 'assistant', id: 'bot' } as unknown as Participant;
    site.other('first');
    site.server.send(bot, 'in the page', null);
    const thread = await site.open();
    expect(contents(thread.snapshot())).toEqual(['first']);
    site.server.send(bot, 'live', null);
    site.other('second');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['first', 'second']);
    expect(site.sockets).toHaveLength(1);
    site.cut();
    site.server.send(bot, 'replayed', null);
    await site.pass(1000);
    site.other('third');
    await site.turn();
    expect(contents(thread.snapshot())).toEqual(['first', 'second', 'third']);
    expect(site.sockets.map(({ query }) => query.get('since'))).toEqual(['1', '4']);
    expect(thread.snapshot().connection.phase).toBe('open');
  });
});

describe('without a socket that tells it', () => {
  const polls = (site: Site): Site['requests'] => site.requests.filter(({ query }) => query.has('since'));

  it('what the other side writes is shown within half a minute, where a network lets no socket through', async () => {
    const site = new Site();
    site.other('before');
    site.socketReply = 1006;
    const thread = await site.open();
    const heard: string[] = [];
    thread.onIncoming(({ content }) => heard.push(content));
    await site.pass(60_000);
    const first = site.other('one');
    site.other('two');
    await site.pass(30_000);
    expect(contents(thread.snapshot())).toEqual(['before', 'one', 'two']);
    expect(heard).toEqual(['one', 'two']);
    expect(thread.snapshot().connection.phase).not.toBe('open');
    // Also what happens to messages that are here already, and what is written here.
    site.server.react(site.otherSide, first.id, '👍');
    thread.setReading(true);
    thread.send('mine');
    await site.pass(30_000);
    expect(contents(thread.snapshot())).toEqual(['before', 'one', 'two', 'mine']);
    expect(thread.snapshot().rows[1]!.message.reactions).toHaveLength(1);
    expect(thread.snapshot().unseenCount).toBe(0);
    site.server.mark(site.otherSide);
    await site.pass(30_000);
    expect(thread.snapshot().seen).not.toBeNull();
    // Slowly, and only for what has changed since.
    expect(polls(site).length).toBeLessThanOrEqual(8);
    const since = polls(site).map(({ query }) => Number(query.get('since')));
    expect(since).toEqual(since.toSorted((a, b) => a - b));
    expect(since[0]).toBe(1);
    expect(since.at(-1)).toBeGreaterThan(3);
  });

  it('a socket that opens in the end tells it all once more, which changes nothing, and the asking ends', async () => {
    const site = new Site();
    site.socketReply = 1006;
    const thread = await site.open();
    const heard: string[] = [];
    thread.onIncoming(({ content }) => heard.push(content));
    const message = site.other('one');
    site.server.react(site.otherSide, message.id, '👍');
    site.server.react(site.otherSide, message.id, null);
    site.server.mark(site.who);
    await site.pass(30_000);
    expect(heard).toEqual(['one']);
    const { rows } = thread.snapshot();
    site.socketReply = 'join';
    await site.pass(20_000);
    expect(site.socket.query.get('since')).toBe('0');
    expect(thread.snapshot().connection.phase).toBe('open');
    expect(thread.snapshot().rows).toEqual(rows);
    expect(heard).toEqual(['one']);
    const { length } = polls(site);
    for (let i = 0; i < 10; i += 1) {
      site.socket.say({ type: 'alive', intervalMs: 25_000 });
      await site.pass(25_000);
    }
    expect(polls(site)).toHaveLength(length);
    expect(site.sockets.filter(({ readyState }) => readyState === 1)).toHaveLength(1);
  });

  it.each(['before it said that it is there', 'after it had'])(
    'what the other side writes is shown within 75 s, where the socket died without a word %s',
    async (when) => {
      const site = new Site();
      const thread = await site.open();
      await site.pass(10_000);
      if (when === 'after it had') site.socket.say({ type: 'alive', intervalMs: 25_000 });
      site.cut(null);
      site.other('Your transfer is booked');
      await site.pass(75_000);
      expect(contents(thread.snapshot())).toEqual(['Your transfer is booked']);
      expect(site.sockets).toHaveLength(2);
      expect(thread.snapshot().connection.phase).toBe('open');
      // So that also what is no message is told again.
      site.other('And now?');
      await site.turn();
      expect(contents(thread.snapshot())).toEqual(['Your transfer is booked', 'And now?']);
    },
  );

  it('a tab for which the server has no socket follows all the same', async () => {
    const site = new Site();
    site.other('before');
    site.socketReply = 4429;
    const thread = await site.open();
    for (let i = 0; i < 5; i += 1) {
      site.other(`message ${i}`);
      await site.pass(30_000);
      expect(contents(thread.snapshot()).at(-1)).toBe(`message ${i}`);
    }
  });

  it('more than fits on one page is shown at once, when all of it is here', async () => {
    const site = new Site();
    site.other('before');
    site.socketReply = 1006;
    const thread = await site.open();
    const lengths = new Set<number>();
    thread.subscribe(() => lengths.add(thread.snapshot().rows.length));
    for (let i = 0; i < 250; i += 1) site.other(`m${i}`);
    site.server.mark(site.who);
    site.other('last');
    await site.pass(30_000);
    expect([...lengths].filter((length) => length > 1)).toEqual([252]);
    expect(thread.snapshot().unseenCount).toBe(1);
  });

  it('too many changes, and another epoch, bring the newest page', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    for (let i = 0; i < 3; i += 1) site.other(`m${i}`);
    site.socketReply = 1006;
    const thread = await site.open();
    expect(thread.snapshot().rows).toHaveLength(3);
    site.server.restore(2, 'e2');
    site.other('another third');
    await site.pass(60_000);
    expect(contents(thread.snapshot())).toEqual(['m0', 'm1', 'another third']);
    let isRefused = false;
    site.reply = ({ query }) => {
      if (!query.has('since')) return null;
      isRefused = true;
      return refusal(409, 'too_many_changes');
    };
    site.other('fourth');
    await site.pass(60_000);
    expect(isRefused).toBe(true);
    expect(contents(thread.snapshot())).toEqual(['m0', 'm1', 'another third', 'fourth']);
  });

  it('an answer that comes after it was closed changes nothing and is told to nobody', async () => {
    const site = new Site();
    site.socketReply = 1006;
    const thread = await site.open();
    const heard: unknown[] = [];
    thread.onIncoming((message) => heard.push(message));
    let land: (reply: null) => void = () => {};
    site.reply = ({ query }) => (query.has('since') ? new Promise((done) => (land = done)) : null);
    await site.pass(30_000);
    site.other('too late');
    thread.close();
    land(null);
    await site.pass(30_000);
    expect([heard, contents(thread.snapshot())]).toEqual([[], []]);
    expect(site.clock.pending).toBe(0);
  });
});

describe('older pages', () => {
  it('an event that changes them while they are on their way is not lost', async () => {
    const site = new Site();
    site.server.pageLimit = 3;
    for (let i = 0; i < 6; i += 1) site.other(`m${i}`);
    const thread = await site.open();
    site.reply = ({ query }) => {
      if (!query.has('before')) return null;
      // Read before, delivered after what happens now.
      const page = answer(200, site.server.messages.slice(0, 3), { 'x-has-more': 'false' });
      site.server.react(site.otherSide, site.server.messages[1]!.id, '❤️');
      site.server.mark(site.who);
      site.other('m6');
      return site.turn().then(() => page);
    };
    await thread.loadOlder();
    expect(thread.snapshot().rows.map(({ message }) => message)).toEqual(site.server.messages);
  });

  it('are not asked for while the newest page is on its way: what stands above it is not known', async () => {
    const site = new Site();
    site.server.pageLimit = 3;
    for (let i = 0; i < 6; i += 1) site.other(`m${i}`);
    const thread = await site.open();
    site.cut();
    site.server.maxReplay = 5;
    for (let i = 6; i < 20; i += 1) site.other(`m${i}`);
    let land: (page: Response) => void = () => {};
    site.reply = () => new Promise((done) => (land = done));
    await site.pass(1000);
    const { length } = site.requests;
    await thread.loadOlder();
    expect(site.requests).toHaveLength(length);
    site.reply = () => null;
    land(answer(200, site.server.messages.slice(-3), { 'x-has-more': 'true' }));
    await site.turn();
    await thread.loadOlder();
    expect(thread.snapshot().rows.map(({ message }) => message)).toEqual(site.server.messages.slice(-6));
  });

  it('are loaded once at a time, and a failure is said and does not end them', async () => {
    const site = new Site();
    site.server.pageLimit = 3;
    for (let i = 0; i < 9; i += 1) site.other(`m${i}`);
    const thread = await site.open();
    site.reply = () => 'lose';
    await thread.loadOlder();
    expect(thread.snapshot()).toMatchObject({
      loading: null,
      loadFailure: { code: 'network', status: 0 },
      hasOlder: true,
    });
    site.reply = () => null;
    const { length } = site.requests;
    await Promise.all([thread.loadOlder(), thread.loadOlder(), thread.loadOlder()]);
    expect(site.requests).toHaveLength(length + 1);
    expect(thread.snapshot()).toMatchObject({ loading: null, loadFailure: null });
    await thread.loadOlder();
    expect(contents(thread.snapshot())).toEqual(Array.from({ length: 9 }, (_, i) => `m${i}`));
    await thread.loadOlder();
    expect(site.requests).toHaveLength(length + 2);
  });
});

describe('seen', () => {
  it('is told by the socket, once for each newest message, only while somebody looks', async () => {
    const site = new Site();
    site.other('a');
    const thread = await site.open();
    expect(thread.snapshot()).toMatchObject({ unseenCount: 1, firstUnseenSeq: 1 });
    const frames = (): number => site.socket.sent.filter(({ type }) => type === 'seen').length;
    expect(frames()).toBe(0);
    thread.setReading(true);
    thread.setReading(true);
    expect(frames()).toBe(1);
    await site.turn();
    expect(thread.snapshot()).toMatchObject({ unseenCount: 0, firstUnseenSeq: null });
    site.other('b');
    await site.turn();
    expect(frames()).toBe(2);
    thread.send('mine');
    await site.turn();
    expect(frames()).toBe(2);
    thread.setReading(false);
    site.other('c');
    await site.turn();
    expect(frames()).toBe(2);
    expect(thread.snapshot()).toMatchObject({ unseenCount: 1, firstUnseenSeq: 4 });
  });

  it('goes by HTTP without a socket, and again after a reconnection if that failed', async () => {
    const site = new Site();
    const thread = await site.open();
    site.other('a');
    await site.turn();
    site.cut();
    site.socketReply = 1006;
    thread.setReading(true);
    await site.turn();
    expect(site.asked('POST', '/read')).toHaveLength(1);
    expect(site.server.messages[0]!.seenAt).not.toBeNull();

    site.server.send(ADVISOR, 'b', null);
    site.reply = () => 'lose';
    site.socketReply = 'join';
    await site.pass(3000);
    expect(site.server.messages[1]!.seenAt).not.toBeNull();
    expect(thread.snapshot().unseenCount).toBe(0);
  });

  it('a frame that was lost with its socket is told again by the next one', async () => {
    const site = new Site();
    const thread = await site.open();
    site.other('a');
    await site.turn();
    site.cut(null);
    thread.setReading(true);
    expect(site.server.messages[0]!.seenAt).toBeNull();
    site.page.tell('offline');
    site.page.tell('online');
    await site.turn();
    expect(site.server.messages[0]!.seenAt).not.toBeNull();
  });

  it('of an advisor: the newest own message, with the time at which the client saw it', async () => {
    const site = new Site(ADVISOR);
    const thread = await site.open();
    const first = thread.send('a')!;
    await site.turn();
    expect(thread.snapshot().seen).toBeNull();
    site.server.mark(site.otherSide);
    await site.turn();
    const { seen } = thread.snapshot();
    expect(seen).toEqual({ key: first, at: site.server.messages[0]!.seenAt });
    site.other('an answer');
    await site.turn();
    expect(thread.snapshot().seen).toBe(seen);
    thread.send('b');
    await site.turn();
    expect(thread.snapshot().seen).toBeNull();
  });

  it('of a client: the time is known from a live event, or from its replay, and not from a page', async () => {
    const site = new Site();
    const thread = await site.open();
    const key = thread.send('a')!;
    await site.turn();
    site.server.mark(site.otherSide);
    await site.turn();
    expect(thread.snapshot().seen).toEqual({ key, at: site.server.time });
    const late = await site.open();
    expect(late.snapshot().seen).toEqual({ key, at: null });

    const next = thread.send('b')!;
    await site.turn();
    site.cut();
    site.server.mark(site.otherSide);
    const { time } = site.server;
    await site.pass(1000);
    expect(thread.snapshot().seen).toEqual({ key: next, at: time });
  });

  it("a colleague's message is this side's: not unseen, and what is seen may be theirs", async () => {
    const site = new Site(ADVISOR);
    const thread = await site.open();
    site.server.send({ type: 'advisor', id: 'colleague' }, 'from me', 'their-id');
    await site.turn();
    expect(thread.snapshot()).toMatchObject({ unseenCount: 0, rows: [{ isOwn: true }] });
    expect(thread.snapshot().rows[0]!.key).toBe(site.server.messages[0]!.id);
    site.server.mark(site.otherSide);
    await site.turn();
    expect(thread.snapshot().seen?.key).toBe(site.server.messages[0]!.id);
  });
});

describe('typing', () => {
  const frames = (site: Site): unknown[] => site.socket.sent.map((frame) => 'isTyping' in frame && frame.isTyping);

  it('of the other side is shown until the server says otherwise, however long', async () => {
    const site = new Site();
    const thread = await site.open();
    site.socket.say({ type: 'typing', advisorTyping: true, clientTyping: false });
    expect(thread.snapshot()).toMatchObject({ otherTyping: true, sideTyping: false });
    await site.pass(60_000);
    expect(thread.snapshot().otherTyping).toBe(true);
    site.socket.say({ type: 'typing', advisorTyping: false, clientTyping: false });
    expect(thread.snapshot().otherTyping).toBe(false);
  });

  it('is forgotten 6 s after the socket was lost, and not before', async () => {
    const site = new Site();
    const thread = await site.open();
    site.socket.say({ type: 'typing', advisorTyping: true, clientTyping: true });
    site.socketReply = 'silence';
    site.cut();
    await site.clock.advance(5999);
    expect(thread.snapshot()).toMatchObject({ otherTyping: true, sideTyping: true });
    await site.clock.advance(1);
    expect(thread.snapshot()).toMatchObject({ otherTyping: false, sideTyping: false });
  });

  it('of this side is shown only while this tab does not type, and is forgotten when it stops', async () => {
    const site = new Site();
    const thread = await site.open();
    site.socket.say({ type: 'typing', advisorTyping: false, clientTyping: true });
    expect(thread.snapshot().sideTyping).toBe(true);
    thread.typed();
    expect(thread.snapshot().sideTyping).toBe(false);
    thread.stopTyping();
    expect(thread.snapshot().sideTyping).toBe(false);
    site.socket.say({ type: 'typing', advisorTyping: false, clientTyping: true });
    expect(thread.snapshot().sideTyping).toBe(true);
  });

  it('of this person is told at once, and its end when the message goes', async () => {
    const site = new Site();
    const thread = await site.open();
    thread.typed();
    expect(frames(site)).toEqual([true]);
    await site.clock.advance(500);
    thread.send('done');
    expect(frames(site)).toEqual([true, false]);
  });

  it('that goes on is told to a new socket', async () => {
    const site = new Site();
    const thread = await site.open();
    thread.typed();
    site.cut();
    for (let i = 0; i < 4; i += 1) {
      await site.pass(500);
      thread.typed();
    }
    expect(site.sockets).toHaveLength(2);
    expect(frames(site)[0]).toBe(true);
  });
});

describe('reactions', () => {
  const emojis = (snapshot: ThreadSnapshot): string[] => snapshot.rows[0]!.message.reactions.map(({ emoji }) => emoji);

  const withMessage = async (): Promise<{ site: Site; thread: Awaited<ReturnType<Site['open']>>; id: string }> => {
    const site = new Site();
    const { id } = site.other('a');
    return { site, thread: await site.open(), id };
  };

  it('are shown at once and asked for in the order of the wishes, one request at a time', async () => {
    const { site, thread, id } = await withMessage();
    for (const emoji of ['👍', '❤️', '❤️', '😮'] as const) thread.toggleReaction(id, emoji);
    expect(emojis(thread.snapshot())).toEqual(['😮']);
    await site.turn();
    expect(emojis(thread.snapshot())).toEqual(['😮']);
    expect(thread.snapshot().rows[0]!.message).toBe(thread.snapshot().rows[0]!.message);
    expect(thread.snapshot().rows.map(({ message }) => message)).toEqual(site.server.messages);
    expect(site.requests.slice(1).map(({ method, body }) => [method, body.emoji])).toEqual([
      ['POST', '👍'],
      ['POST', '😮'],
    ]);
  });

  it('of others stand, whatever this person wants', async () => {
    const { site, thread, id } = await withMessage();
    site.reply = ({ method }) => (method === 'GET' ? null : new Promise(() => {}));
    thread.toggleReaction(id, '👍');
    site.server.react(site.otherSide, id, '😢');
    await site.turn();
    expect(emojis(thread.snapshot())).toEqual(['😢', '👍']);
    site.server.mark(site.who);
    await site.turn();
    expect(thread.snapshot().rows[0]!.message.seenAt).not.toBeNull();
    expect(emojis(thread.snapshot())).toEqual(['😢', '👍']);
  });

  it('that are changed while their request is on its way do not flicker, whatever else is told meanwhile', async () => {
    const { site, thread, id } = await withMessage();
    const shown = new Set<string>();
    thread.subscribe(() => shown.add(emojis(thread.snapshot()).join()));
    let land: () => void = () => {};
    site.reply = ({ method }) =>
      method === 'POST' ? new Promise((done) => (land = () => done(null))) : new Promise(() => {});
    thread.toggleReaction(id, '👍');
    thread.toggleReaction(id, '👍');
    shown.clear();
    site.server.mark(site.who);
    await site.turn();
    land();
    await site.turn();
    expect(site.server.messages[0]!.reactions).toHaveLength(1);
    expect([...shown]).toEqual(['']);
  });

  it('that are refused are undone', async () => {
    const { site, thread, id } = await withMessage();
    site.server.react({ type: 'client', id: 'cli' }, id, '😢');
    await site.turn();
    site.reply = () => refusal(403, 'forbidden');
    thread.toggleReaction(id, '👍');
    expect(emojis(thread.snapshot())).toEqual(['👍']);
    await site.turn();
    expect(emojis(thread.snapshot())).toEqual(['😢']);
    expect(thread.snapshot().rows[0]!.message).toEqual(site.server.messages[0]);
  });

  it('that find no server are tried again, and at once with a connection', async () => {
    const { site, thread, id } = await withMessage();
    site.reply = () => 'lose';
    thread.toggleReaction(id, '👍');
    await site.turn();
    expect(emojis(thread.snapshot())).toEqual(['👍']);
    site.reply = () => null;
    site.cut();
    site.page.tell('focus');
    await site.turn();
    expect(site.server.messages[0]!.reactions).toHaveLength(1);
    expect(thread.snapshot().rows[0]!.message).toEqual(site.server.messages[0]);
  });

  it('that find none for long are undone', async () => {
    const { site, thread, id } = await withMessage();
    site.reply = () => 'lose';
    thread.toggleReaction(id, '👍');
    await site.pass(60_000);
    expect(emojis(thread.snapshot())).toEqual([]);
  });

  it('whose event never comes do not stay for ever', async () => {
    const { site, thread, id } = await withMessage();
    site.reply = ({ method }) => (method === 'GET' ? null : answer(200, []));
    thread.toggleReaction(id, '👍');
    await site.turn();
    expect(emojis(thread.snapshot())).toEqual(['👍']);
    await site.pass(5000);
    expect(emojis(thread.snapshot())).toEqual([]);
  });

  it('on what is not stored yet are nothing', async () => {
    const { site, thread } = await withMessage();
    site.reply = ({ method }) => (method === 'POST' ? 'lose' : null);
    const key = thread.send('mine')!;
    thread.toggleReaction(key, '👍');
    expect(thread.snapshot().rows.at(-1)!.message.reactions).toEqual([]);
  });
});

describe('drafts', () => {
  it('are kept for each person and conversation, across reloads', async () => {
    const site = new Site();
    const thread = site.makeThread();
    expect(thread.draft()).toBe('');
    thread.setDraft('half a th');
    expect(site.makeThread().draft()).toBe('half a th');
    site.makeThread().setDraft('');
    expect(thread.draft()).toBe('');
    expect(site.storage.items.size).toBe(0);
  });

  it('are forgotten without a place to keep them, and nothing throws', () => {
    const refuse = (): never => {
      throw new DOMException('full', 'QuotaExceededError');
    };
    for (const localStorage of [null, { getItem: refuse, setItem: refuse, removeItem: refuse, key: refuse, length: 0 }]) {
      const thread = new Site(ADVISOR, { localStorage }).makeThread();
      thread.setDraft('x');
      thread.setDraft('');
      expect(thread.draft()).toBe('');
    }
  });
});

describe('an epoch', () => {
  it('is named by whoever resumes, once a server has told one', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    site.other('one');
    await site.open();
    expect(Object.fromEntries(site.socket.query)).toMatchObject({ since: '1', epoch: 'e1' });
    // The socket tells it, too, where the page did not.
    const other = new Site();
    other.other('one');
    await other.open();
    expect(other.socket.query.has('epoch')).toBe(false);
    other.server.epoch = 'e1';
    for (let i = 0; i < 2; i += 1) {
      other.cut();
      await other.pass(5000);
    }
    expect(other.socket.query.get('epoch')).toBe('e1');
  });

  it('that is another one makes a thread forget what it knew: a backup that has grown past its `since`', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    for (const text of ['one', 'two', 'lost three', 'lost four']) site.other(text);
    const thread = await site.open();
    const heard: string[] = [];
    thread.onIncoming(({ content }) => heard.push(content));
    // Its revisions pass the thread's while the thread is away, so that nothing but the epoch tells.
    site.cut();
    site.server.restore(2, 'e2');
    for (const text of ['new three', 'new four', 'new five']) site.other(text);
    await site.pass(5000);
    expect(contents(thread.snapshot())).toEqual(['one', 'two', 'new three', 'new four', 'new five']);
    expect(thread.snapshot().connection.phase).toBe('open');
    expect(Object.fromEntries(site.socket.query)).toMatchObject({ since: '5', epoch: 'e2' });
    site.other('six');
    await site.turn();
    expect(contents(thread.snapshot()).at(-1)).toBe('six');
    expect(heard).toEqual(['six']);
  });

  it('that is another one counts also where the same `rev` stands for something else, and none is higher', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    for (const text of ['one', 'two', 'lost three', 'lost four']) site.other(text);
    const thread = await site.open();
    site.server.react(site.otherSide, site.server.messages[0]!.id, '👍');
    await site.turn();
    site.cut();
    site.server.restore(2, 'e2');
    site.other('new three');
    await site.pass(5000);
    expect(contents(thread.snapshot())).toEqual(['one', 'two', 'new three']);
    expect(thread.snapshot().rows[0]!.message.reactions).toEqual([]);
    // An answered message of the old epoch is waited for no longer: the socket stays.
    const { length } = site.sockets;
    await site.pass(60_000);
    expect(site.sockets).toHaveLength(length);
  });

  it('that the socket tells is a resync, also when its own address named none', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    for (const text of ['one', 'lost two']) site.other(text);
    // Between the page and the socket.
    site.reply = ({ method, path }) => {
      if (method !== 'GET' || !path.endsWith('/messages')) return null;
      site.reply = () => null;
      const page = answer(200, site.server.messages, { 'x-epoch': 'e1' });
      site.server.restore(1, 'e2');
      site.other('new two');
      return page;
    };
    const thread = await site.open();
    await site.pass(5000);
    expect(contents(thread.snapshot())).toEqual(['one', 'new two']);
    expect(thread.snapshot().connection.phase).toBe('open');
  });

  it('that an older page tells is a resync', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    for (let i = 0; i < 130; i += 1) site.other(`m${i}`);
    const thread = await site.open();
    site.server.restore(120, 'e2');
    await thread.loadOlder();
    await site.pass(5000);
    expect(contents(thread.snapshot())).toEqual(Array.from({ length: 100 }, (_, i) => `m${i + 20}`));
    expect(thread.snapshot()).toMatchObject({ loading: null, hasOlder: true, connection: { phase: 'open' } });
    expect(site.socket.query.get('epoch')).toBe('e2');
  });

  it('that is another one sends again what the backup does not know, once', async () => {
    const site = new Site();
    site.server.epoch = 'e1';
    site.other('one');
    const thread = await site.open();
    site.reply = ({ method }) => (method === 'POST' ? 'lose' : null);
    thread.send('mine');
    await site.turn();
    site.cut();
    site.other('lost');
    site.server.restore(1, 'e2');
    site.reply = () => null;
    await site.pass(10_000);
    expect(contents(thread.snapshot())).toEqual(['one', 'mine']);
    expect(site.server.messages.map(({ content }) => content)).toEqual(['one', 'mine']);
  });
});
