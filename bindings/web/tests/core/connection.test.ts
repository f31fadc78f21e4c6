import { beforeEach, describe, expect, it } from 'vitest';
import { ChatError } from '../../src/core';
import type { ConnectionOwner, Credential } from '../../src/core/connection';
import { Connection } from '../../src/core/connection';
import type { ChatEvent, InboxEvent } from '../../src/core/events';
import type { ConnectionStatus } from '../../src/core/model';
import { Clock, FakeSocket, Page, fakeEnvironment, seeded, settle } from './world';

class Owner implements ConnectionOwner, Credential {
  token: string | null = null;
  events: (ChatEvent | InboxEvent)[] = [];
  statuses: ConnectionStatus[] = [];
  joined: number[] = [];
  calls: string[] = [];
  renewal: () => Promise<void> = () => Promise.resolve();
  preparation: () => Promise<void> = () => Promise.resolve();
  polled: () => Promise<boolean> = () => Promise.resolve(false);

  renew(refused: string | null): Promise<void> {
    this.calls.push(`renew ${refused}`);
    return this.renewal();
  }
  prepare(): Promise<void> {
    this.calls.push('prepare');
    return this.preparation();
  }
  url(): string {
    return 'ws://chat.test/ws/chat?x=1';
  }
  expire(): void {
    this.calls.push('expired');
  }
  onJoined(number: number): void {
    this.joined.push(number);
  }
  onEvent(event: ChatEvent | InboxEvent): void {
    this.events.push(event);
  }
  poll(): Promise<boolean> {
    this.calls.push('poll');
    return this.polled();
  }
  onStatus(status: ConnectionStatus): void {
    this.statuses.push(status);
  }
}

describe('a connection', () => {
  let clock: Clock;
  let page: Page;
  let owner: Owner;
  let sockets: FakeSocket[];
  let connection: Connection;
  let refuse: Error | null;

  beforeEach(() => {
    clock = new Clock();
    page = new Page();
    owner = new Owner();
    sockets = [];
    refuse = null;
    const env = fakeEnvironment(clock, seeded(1), {
      random: () => 0.5,
      onPageEvent: page.listen,
      webSocket: (url, protocols) => {
        if (refuse) throw refuse;
        const socket = new FakeSocket(url, protocols);
        sockets.push(socket);
        return socket;
      },
    });
    connection = new Connection(env, owner, owner);
  });

  const open = async (): Promise<FakeSocket> => {
    connection.start();
    await settle();
    sockets.at(-1)!.accept();
    connection.ready();
    return sockets.at(-1)!;
  };

  it('opens its socket at the address of its owner, with the token if there is one', async () => {
    const socket = await open();
    expect(socket.url).toBe('ws://chat.test/ws/chat?x=1');
    expect(socket.protocols).toEqual(['travelchat.v1']);
    expect(owner.calls).toEqual(['prepare']);
    owner.token = 'abc';
    connection.replace();
    await settle();
    expect(sockets[1]!.protocols).toEqual(['travelchat.v1', 'auth.abc']);
  });

  it('tells each phase', async () => {
    await open();
    expect(owner.statuses.map(({ phase }) => phase)).toEqual(['connecting', 'open']);
  });

  it('sends only while it is open, and says so', async () => {
    expect(connection.send({ type: 'seen' })).toBe(false);
    const socket = await open();
    expect(connection.send({ type: 'seen' })).toBe(true);
    expect(socket.sent).toEqual([{ type: 'seen' }]);
    socket.readyState = 2;
    expect(connection.send({ type: 'seen' })).toBe(false);
  });

  it('a status is told when it changed, and not otherwise', async () => {
    const socket = await open();
    const { length } = owner.statuses;
    socket.say({ type: 'caught_up', rev: 1 });
    page.tell('focus');
    page.tell('hidden');
    page.tell('visible');
    await clock.advance(30_000);
    socket.say({ type: 'alive', intervalMs: 25_000 });
    await clock.advance(30_000);
    expect(owner.statuses).toHaveLength(length);
  });

  it("what a socket says after it was given up is nobody's", async () => {
    const first = await open();
    connection.replace();
    await settle();
    const { onmessage, onopen, onclose } = first;
    const { length } = owner.statuses;
    onopen!({} as never);
    onmessage!({ data: '{"type":"caught_up","rev":9}' } as never);
    onclose!({ code: 4404 } as never);
    expect(owner.events).toEqual([]);
    expect(owner.joined).toHaveLength(1);
    expect(owner.statuses).toHaveLength(length);
    expect(sockets).toHaveLength(2);
  });

  it('binary frames and broken texts are passed over', async () => {
    const socket = await open();
    for (const data of [new ArrayBuffer(3), new Blob(['{}']), '{"type":', '']) socket.onmessage!({ data } as never);
    socket.say({ type: 'caught_up', rev: 4 });
    expect(owner.events).toEqual([{ type: 'caught_up', rev: 4 }]);
  });

  it('a browser that refuses to make a socket is a failure like any other', async () => {
    refuse = new DOMException('mixed content', 'SecurityError');
    connection.start();
    await settle();
    expect(connection.status).toMatchObject({ phase: 'waiting', attempt: 1 });
    refuse = null;
    await clock.advance(1000);
    expect(sockets).toHaveLength(1);
  });

  it('a preparation that is refused stops it, and one that finds nobody is tried again', async () => {
    owner.preparation = () => Promise.reject(new ChatError('network', 0, 'lost'));
    connection.start();
    await settle();
    expect(connection.status).toMatchObject({ phase: 'waiting', attempt: 1 });
    owner.preparation = () => Promise.reject(new ChatError('not_found', 404, 'No.'));
    await clock.advance(1000);
    expect(connection.status).toMatchObject({ phase: 'stopped', reason: 'not_found' });
    expect(sockets).toEqual([]);
    owner.preparation = () => Promise.resolve();
    connection.reconnect();
    await settle();
    expect(sockets).toHaveLength(1);
  });

  it('a refused token is renewed; a renewal that throws anything else than a refusal is tried again', async () => {
    owner.token = 'old';
    const socket = await open();
    owner.renewal = () => Promise.reject(new TypeError('Failed to fetch'));
    socket.end(4401);
    await settle();
    expect(connection.status).toMatchObject({ phase: 'waiting', attempt: 1 });
    owner.renewal = async () => {
      owner.token = 'new';
    };
    await clock.advance(1000);
    expect(owner.calls).toEqual(['prepare', 'renew old', 'renew old', 'prepare']);
    expect(sockets.map(({ protocols }) => protocols[1])).toEqual(['auth.old', 'auth.new']);
  });

  it('a session that is over is told', async () => {
    (await open()).end(4401);
    expect(owner.calls.at(-1)).toBe('expired');
    expect(connection.status).toMatchObject({ phase: 'stopped', reason: 'unauthorized' });
  });

  it('a server that says that it is there is listened for; a socket on which it falls silent is replaced', async () => {
    const socket = await open();
    socket.say({ type: 'alive', intervalMs: 25_000 });
    expect(owner.events).toEqual([]);
    for (let i = 0; i < 10; i += 1) {
      await clock.advance(25_000);
      socket.say({ type: 'alive', intervalMs: 25_000 });
    }
    expect([sockets.length, owner.calls]).toEqual([1, ['prepare']]);
    await clock.advance(54_999);
    expect(sockets).toHaveLength(1);
    await clock.advance(1);
    expect(sockets).toHaveLength(2);
    expect(connection.status).toMatchObject({ phase: 'connecting', attempt: 0 });
  });

  describe('asks its owner to ask by HTTP', () => {
    const polls = (): number => owner.calls.filter((call) => call === 'poll').length;

    it('while no socket opens', async () => {
      connection.start();
      await settle();
      for (let i = 0; i < 120; i += 1) {
        sockets.at(-1)!.end(1006);
        await clock.advance(1000);
      }
      expect(polls()).toBe(6);
      connection.reconnect();
      await settle();
      sockets.at(-1)!.accept();
      connection.ready();
      await clock.advance(34_000);
      expect(polls()).toBe(6);
      connection.stop();
      await clock.advance(300_000);
      expect(polls()).toBe(6);
    });

    it('while a socket says nothing, which it replaces where that has missed something', async () => {
      await open();
      // The first socket of a server that never says `alive` is replaced in any case.
      await clock.advance(55_000);
      const socket = sockets[1]!;
      socket.accept();
      connection.ready();
      const before = polls();
      await clock.advance(54_999);
      expect(polls()).toBe(before);
      await clock.advance(1);
      expect(polls()).toBe(before + 1);
      expect(sockets).toHaveLength(2);
      // The socket is heard during the request: what it tells need not be asked for.
      owner.polled = () => {
        socket.say({ type: 'caught_up', rev: 1 });
        return Promise.resolve(true);
      };
      await clock.advance(20_000);
      expect([polls() - before, sockets.length]).toEqual([2, 2]);
      owner.polled = () => Promise.resolve(true);
      await clock.advance(54_999);
      expect([polls() - before, sockets.length]).toEqual([2, 2]);
      await clock.advance(1);
      expect([polls() - before, sockets.length]).toEqual([3, 3]);
    });

    it('not when it is refused for good', async () => {
      (await open()).end(4404);
      await clock.advance(300_000);
      expect(polls()).toBe(0);
    });
  });

  it('the answer to what an old socket had asked for opens nothing', async () => {
    await open();
    const [old] = owner.joined;
    connection.replace();
    await settle();
    sockets[1]!.accept();
    connection.ready(old);
    connection.fail(old!, new ChatError('not_found', 404, 'No.'));
    expect(connection.status.phase).toBe('connecting');
    connection.ready(owner.joined[1]);
    expect(connection.status.phase).toBe('open');
  });

  it('leaves no socket, timer or listener behind when it stops', async () => {
    const socket = await open();
    expect(page.isListenedTo).toBe(true);
    connection.stop();
    expect(socket.readyState).toBe(3);
    expect(clock.pending).toBe(0);
    expect(page.isListenedTo).toBe(false);
    await settle();
    expect(connection.status).toEqual({ phase: 'idle', attempt: 0, downSince: null, reason: null });
  });

  it('a preparation that ends after it was stopped opens no socket', async () => {
    let end: () => void = () => {};
    owner.preparation = () => new Promise((done) => (end = done));
    connection.start();
    connection.stop();
    end();
    await settle();
    expect(sockets).toEqual([]);
  });
});
