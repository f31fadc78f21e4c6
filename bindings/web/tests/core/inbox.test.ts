import { beforeEach, describe, expect, it } from 'vitest';
import type { Conversation } from '../../src/core';
import { Api } from '../../src/core/api';
import { LiveInbox } from '../../src/core/inbox';
import { nullsOfMessage } from '../../src/core/wire';
import { Clock, FakeSocket, Page, answer, fakeEnvironment, refusal, seeded, settle } from './world';

type Line = NonNullable<Conversation['lastMessage']>;

const line = (id: string, seq: number, senderType: Line['senderType']): Line => ({
  ...nullsOfMessage,
  id: `${id}-${seq}`,
  conversationId: id,
  orgId: 'org',
  senderType,
  senderId: senderType,
  senderName: senderType,
  content: `message ${seq}`,
  isRead: false,
  createdAt: '2026-11-23T09:00:00.000Z',
  seq,
  rev: seq,
});

const row = (id: string, rev: number, more: Partial<Conversation> = {}): Conversation => ({
  id,
  orgId: 'org',
  clientId: `client-${id}`,
  createdAt: '2026-11-01T00:00:00.000Z',
  lastMessageAt: `2026-11-23T09:00:00.${String(rev).padStart(3, '0')}Z`,
  clientName: id.toUpperCase(),
  clientAvatarUrl: null,
  lastMessage: line(id, rev, 'client'),
  unreadCount: 1,
  activeTrip: null,
  rev,
  ...more,
});

describe('the inbox', () => {
  let clock: Clock;
  let page: Page;
  let sockets: FakeSocket[];
  let requests: string[];
  let reply: (query: string | null) => Response | Promise<Response>;
  let inbox: LiveInbox;
  let heard: string[];
  let refusesSockets: boolean;

  beforeEach(() => {
    clock = new Clock();
    page = new Page();
    sockets = [];
    requests = [];
    heard = [];
    refusesSockets = false;
    reply = () => answer(200, [row('a', 3), row('b', 2), row('c', 1)]);
    const env = fakeEnvironment(clock, seeded(1), {
      random: () => 0.5,
      onPageEvent: page.listen,
      webSocket: (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        sockets.push(socket);
        queueMicrotask(() => (refusesSockets ? socket.end(1006) : socket.accept()));
        return socket;
      },
      fetch: async (input) => {
        const url = new URL(input as string);
        requests.push(url.pathname + url.search);
        return reply(url.searchParams.get('q'));
      },
    });
    inbox = new LiveInbox(env, new Api(env, 'http://chat.test', { kind: 'session' }), 'ws://chat.test');
    inbox.onIncoming(({ id }) => heard.push(id));
  });

  const open = async (): Promise<void> => {
    inbox.open();
    for (let i = 0; i < 4; i += 1) await settle();
  };
  const update = (conversation: Conversation): void =>
    sockets.at(-1)!.say({ type: 'conversation_update', conversation });
  const ids = (): string[] | undefined => inbox.snapshot().conversations?.map(({ id }) => id);

  it('is loaded once its socket is open, and is open once it is loaded', async () => {
    inbox.open();
    expect(inbox.snapshot()).toMatchObject({ conversations: null, connection: { phase: 'connecting' } });
    await open();
    expect(sockets[0]!.url).toBe('ws://chat.test/ws/inbox');
    expect(requests).toEqual(['/api/conversations']);
    expect(inbox.snapshot()).toMatchObject({
      isLoading: false,
      failure: null,
      unreadCount: 3,
      connection: { phase: 'open' },
    });
    expect(ids()).toEqual(['a', 'b', 'c']);
  });

  it('follows: newest activity on top, a new conversation is added, an older update changes nothing', async () => {
    await open();
    update(row('c', 9));
    expect(ids()).toEqual(['c', 'a', 'b']);
    update(row('d', 10, { clientName: null as unknown as string }));
    expect(ids()).toEqual(['d', 'c', 'a', 'b']);
    expect(inbox.snapshot().conversations![0]!.clientName).toBe('client-d');
    const before = inbox.snapshot();
    update(row('c', 8, { unreadCount: 7 }));
    expect(inbox.snapshot()).toBe(before);
  });

  it('a conversation without messages stands where it was made', async () => {
    await open();
    const empty = { lastMessageAt: null, lastMessage: null, unreadCount: 0 };
    update(row('new', 0, { ...empty, createdAt: '2026-11-24T00:00:00.000Z' }));
    update(row('old', 0, { ...empty, createdAt: '2026-01-01T00:00:00.000Z' }));
    expect(ids()).toEqual(['new', 'a', 'b', 'c', 'old']);
    expect(heard).toEqual([]);
  });

  it('an update during the load is not lost, nor undone by an answer that is older', async () => {
    let land: (response: Response) => void = () => {};
    reply = () => new Promise((done) => (land = done));
    await open();
    update(row('c', 9, { unreadCount: 4 }));
    update(row('x', 10));
    expect(inbox.snapshot()).toMatchObject({ conversations: null, isLoading: true });
    land(answer(200, [row('a', 3), row('b', 2), row('c', 1)]));
    for (let i = 0; i < 4; i += 1) await settle();
    expect(ids()).toEqual(['x', 'c', 'a', 'b']);
    expect(inbox.snapshot().unreadCount).toBe(1 + 4 + 1 + 1);
  });

  it('is loaded again after each reconnection, since /ws/inbox has no replay', async () => {
    await open();
    sockets[0]!.end(1006);
    expect(inbox.snapshot()).toMatchObject({ connection: { phase: 'waiting' } });
    expect(ids()).toEqual(['a', 'b', 'c']);
    reply = () => answer(200, [row('b', 7), row('a', 3), row('c', 1)]);
    await clock.advance(1000);
    expect(ids()).toEqual(['b', 'a', 'c']);
    expect(requests).toHaveLength(2);
  });

  describe('a list', () => {
    const lists = async (rows: readonly Conversation[], headers: Record<string, string> = {}): Promise<void> => {
      reply = () => answer(200, rows, headers);
      sockets.at(-1)!.end(1006);
      await clock.advance(1000);
    };

    it('is the truth about names and trips, which change without a revision', async () => {
      await open();
      const { conversations: before } = inbox.snapshot();
      const renamed = { clientName: 'Ann Lee', activeTrip: { id: 't', title: 'Kyoto' } };
      await lists([row('a', 3), row('b', 2, renamed), row('c', 1)]);
      expect(inbox.snapshot().conversations![1]).toMatchObject(renamed);
      // What is the same stays the same object.
      expect(inbox.snapshot().conversations![0]).toBe(before![0]);
    });

    it('takes away what it does not name, and what is away is not counted', async () => {
      await open();
      await lists([row('a', 3), row('c', 1)]);
      expect(ids()).toEqual(['a', 'c']);
      expect(inbox.snapshot().unreadCount).toBe(2);
      await lists([]);
      expect(ids()).toEqual([]);
    });

    it('that is not the whole one takes nothing away', async () => {
      await open();
      await lists([row('d', 9), row('a', 3)], { 'x-next-cursor': 'more' });
      expect(ids()).toEqual(['d', 'a', 'b', 'c']);
      reply = () => answer(200, [row('b', 2, { clientName: 'Bo' })]);
      inbox.search('bo');
      await clock.advance(200);
      inbox.search('');
      expect(inbox.snapshot().conversations!.map(({ clientName }) => clientName)).toEqual(['D', 'A', 'Bo', 'C']);
    });

    it('that is older than what the socket told meanwhile takes none of that away', async () => {
      await open();
      let land: (response: Response) => void = () => {};
      reply = () => new Promise((done) => (land = done));
      sockets.at(-1)!.end(1006);
      await clock.advance(1000);
      update(row('b', 2, { clientName: 'Now' }));
      update(row('d', 9));
      land(answer(200, [row('a', 3), row('b', 2, { clientName: 'Before' })]));
      for (let i = 0; i < 4; i += 1) await settle();
      expect(inbox.snapshot().conversations!.map(({ clientName }) => clientName)).toEqual(['D', 'A', 'Now']);
      // The next one knows.
      await lists([row('a', 3), row('b', 2, { clientName: 'Later' })]);
      expect(inbox.snapshot().conversations!.map(({ clientName }) => clientName)).toEqual(['A', 'Later']);
    });

    it('that comes after a newer one changes nothing', async () => {
      const lands: ((response: Response) => void)[] = [];
      reply = () => new Promise((done) => lands.push(done));
      await open();
      sockets.at(-1)!.end(1006);
      await clock.advance(1000);
      lands[1]!(answer(200, [row('a', 4)]));
      for (let i = 0; i < 4; i += 1) await settle();
      lands[0]!(answer(200, [row('a', 3), row('b', 2)]));
      for (let i = 0; i < 4; i += 1) await settle();
      expect(ids()).toEqual(['a']);
      expect(inbox.snapshot().conversations![0]!.rev).toBe(4);
    });
  });

  describe('without a socket that tells it', () => {
    it('is loaded and brought up to date every 20 s, and a message that came is told', async () => {
      refusesSockets = true;
      await open();
      expect(inbox.snapshot().conversations).toBeNull();
      await clock.advance(2000);
      expect(ids()).toEqual(['a', 'b', 'c']);
      expect(heard).toEqual([]);
      reply = () => answer(200, [row('c', 9), row('a', 3), row('b', 2, { clientName: 'Bo' })]);
      await clock.advance(25_000);
      expect(inbox.snapshot().conversations!.map(({ clientName }) => clientName)).toEqual(['C', 'A', 'Bo']);
      expect(heard).toEqual(['c']);
      const before = inbox.snapshot();
      await clock.advance(75_000);
      // Nothing has changed: nothing is shown anew.
      expect(inbox.snapshot().conversations).toEqual(before.conversations);
      expect(heard).toEqual(['c']);
      expect(requests.length).toBeLessThanOrEqual(8);
    });

    it('a first load that fails is said, and tried again', async () => {
      refusesSockets = true;
      reply = () => refusal(503, 'overloaded');
      await open();
      await clock.advance(2000);
      expect(inbox.snapshot()).toMatchObject({ conversations: null, failure: { code: 'overloaded' } });
      reply = () => answer(200, [row('a', 1)]);
      await clock.advance(20_000);
      expect(inbox.snapshot().failure).toBeNull();
      expect(ids()).toEqual(['a']);
    });

    it('a socket that falls silent is replaced when the list shows that it has missed something', async () => {
      await open();
      // An older server never says `alive`; its first socket is replaced in any case.
      await clock.advance(55_000);
      await clock.advance(60_000);
      expect(sockets).toHaveLength(2);
      reply = () => answer(200, [row('b', 7), row('a', 3), row('c', 1)]);
      await clock.advance(20_000);
      expect(ids()).toEqual(['b', 'a', 'c']);
      expect(heard).toEqual(['b']);
      expect(sockets).toHaveLength(3);
    });
  });

  it('a load that fails is said, and tried again with the connection', async () => {
    reply = () => refusal(503, 'overloaded');
    await open();
    expect(inbox.snapshot()).toMatchObject({
      conversations: null,
      isLoading: false,
      failure: { code: 'overloaded' },
      connection: { phase: 'waiting', attempt: 1 },
    });
    reply = () => answer(200, [row('a', 1)]);
    await clock.advance(1000);
    expect(inbox.snapshot()).toMatchObject({ failure: null, connection: { phase: 'open' } });
    expect(ids()).toEqual(['a']);
  });

  it('the answer of a socket that was given up opens nothing', async () => {
    let land: (response: Response) => void = () => {};
    reply = () => new Promise((done) => (land = done));
    await open();
    const late = land;
    sockets[0]!.end(1006);
    late(answer(200, [row('a', 1)]));
    for (let i = 0; i < 4; i += 1) await settle();
    expect(inbox.snapshot().connection.phase).toBe('waiting');
    expect(ids()).toEqual(['a']);
  });

  describe('search', () => {
    it('asks once the writer pauses, and the newest question wins, whatever comes first', async () => {
      await open();
      const lands = new Map<string, (response: Response) => void>();
      reply = (query) => new Promise((done) => lands.set(query!, done));
      inbox.search('b');
      inbox.search('bo');
      expect(inbox.snapshot()).toMatchObject({ query: 'bo', isLoading: true });
      expect(ids()).toEqual(['a', 'b', 'c']);
      await clock.advance(199);
      expect(requests).toHaveLength(1);
      await clock.advance(1);
      expect(requests.at(-1)).toBe('/api/conversations?q=bo');
      inbox.search(' bob & co ');
      await clock.advance(200);
      expect(requests.at(-1)).toBe('/api/conversations?q=bob%20%26%20co');
      lands.get('bob & co')!(answer(200, [row('b', 2)]));
      await settle();
      expect(ids()).toEqual(['b']);
      lands.get('bo')!(answer(200, [row('a', 3), row('b', 2)]));
      await settle();
      expect(ids()).toEqual(['b']);
      expect(inbox.snapshot()).toMatchObject({ isLoading: false, query: ' bob & co ' });
    });

    it('while it is set, rows that are shown follow, others count, and its end shows all', async () => {
      await open();
      reply = () => answer(200, [row('b', 2)]);
      inbox.search('b');
      await clock.advance(200);
      update(row('b', 20, { unreadCount: 5 }));
      update(row('a', 21, { unreadCount: 2 }));
      expect(inbox.snapshot().conversations).toMatchObject([{ id: 'b', unreadCount: 5 }]);
      expect(inbox.snapshot().unreadCount).toBe(8);
      inbox.search('  ');
      expect(ids()).toEqual(['a', 'b', 'c']);
      await clock.advance(1000);
      expect(requests).toHaveLength(2);
    });

    it('an answer that comes after its end changes nothing', async () => {
      await open();
      let land: (response: Response) => void = () => {};
      reply = () => new Promise((done) => (land = done));
      inbox.search('b');
      await clock.advance(200);
      inbox.search('');
      land(answer(200, [row('b', 2)]));
      await settle();
      expect(ids()).toEqual(['a', 'b', 'c']);
      expect(inbox.snapshot().isLoading).toBe(false);
    });

    it('that fails is said, and the next one forgets it', async () => {
      await open();
      reply = () => refusal(500, 'internal');
      inbox.search('b');
      await clock.advance(200);
      expect(inbox.snapshot()).toMatchObject({ failure: { code: 'internal' }, isLoading: false });
      reply = () => answer(200, []);
      inbox.search('bo');
      await clock.advance(200);
      expect(inbox.snapshot()).toMatchObject({ failure: null, conversations: [] });
    });

    it('is asked again after a reconnection', async () => {
      await open();
      reply = (query) => answer(200, query ? [row('b', 2)] : [row('a', 3), row('b', 2)]);
      inbox.search('b');
      await clock.advance(200);
      sockets[0]!.end(1006);
      reply = (query) => answer(200, query ? [row('b', 2), row('z', 8)] : [row('z', 8), row('a', 3), row('b', 2)]);
      await clock.advance(1000);
      expect(ids()).toEqual(['z', 'b']);
    });
  });

  describe('a message that arrives', () => {
    it("of a client is told once; a read, one's own message and history are not", async () => {
      await open();
      expect(heard).toEqual([]);
      update(row('c', 9));
      expect(heard).toEqual(['c']);
      update(row('c', 10, { lastMessage: line('c', 9, 'client'), unreadCount: 0 }));
      update(row('a', 11, { lastMessage: line('a', 11, 'advisor') }));
      expect(heard).toEqual(['c']);
      update(row('first', 1));
      expect(heard).toEqual(['c', 'first']);
    });
  });

  it('as many closes as opens end it', async () => {
    await open();
    inbox.open();
    inbox.close();
    expect(inbox.snapshot().connection.phase).toBe('open');
    inbox.close();
    inbox.close();
    expect(inbox.snapshot().connection.phase).toBe('idle');
    expect(sockets[0]!.readyState).toBe(3);
    expect(page.isListenedTo).toBe(false);
    expect(clock.pending).toBe(0);
    await open();
    expect(inbox.snapshot().connection.phase).toBe('open');
  });

  it('of another epoch is not merged with what the one before had told', async () => {
    reply = () => answer(200, [row('a', 30), row('gone', 31)], { 'x-epoch': 'e1' });
    inbox.open();
    await settle();
    reply = () => {
      // Told by the new socket while its list is on the way.
      sockets.at(-1)!.say({ type: 'conversation_update', conversation: row('new', 3) });
      return answer(200, [row('a', 2)], { 'x-epoch': 'e2' });
    };
    sockets.at(-1)!.end(1006);
    await clock.advance(5000);
    expect(inbox.snapshot().conversations?.map(({ id, rev }) => [id, rev])).toEqual([
      ['new', 3],
      ['a', 2],
    ]);
  });
});
