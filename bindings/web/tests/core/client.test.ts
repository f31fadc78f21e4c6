import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChatClient, createChime } from '../../src/core';
import { browserEnvironment } from '../../src/core/environment';
import { FakeLocks, FakeSocket, Clock, answer, fakeEnvironment, seeded, settle } from './world';

const ME = { type: 'client', id: 'cli', name: 'Kim' } as const;

afterEach(() => vi.unstubAllGlobals());

describe('a client', () => {
  const make = (baseUrl?: string): { client: ChatClient; sockets: FakeSocket[]; urls: string[]; clock: Clock } => {
    const clock = new Clock();
    const sockets: FakeSocket[] = [];
    const urls: string[] = [];
    const environment = fakeEnvironment(clock, seeded(1), {
      origin: 'https://host.example',
      webSocket: (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        sockets.push(socket);
        return socket;
      },
      fetch: async (input) => {
        urls.push(input as string);
        return answer(200, []);
      },
    });
    const credential = { kind: 'chatToken', token: 'abc', renew: () => Promise.resolve('def') } as const;
    return {
      client: new ChatClient({ me: ME, credential, environment, ...(baseUrl !== undefined && { baseUrl }) }),
      sockets,
      urls,
      clock,
    };
  };

  it('gives the same thread for the same conversation, and the same inbox', () => {
    const { client } = make();
    expect(client.thread('a')).toBe(client.thread('a'));
    expect(client.thread('a')).not.toBe(client.thread('b'));
    expect(client.inbox()).toBe(client.inbox());
    expect(client.me).toBe(ME);
  });

  it.each([
    [undefined, '', 'wss://host.example'],
    ['https://chat.example/', 'https://chat.example', 'wss://chat.example'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080', 'ws://127.0.0.1:8080'],
  ])('speaks to %s', async (baseUrl, http, ws) => {
    const { client, sockets, urls } = make(baseUrl);
    client.thread('c 1').open();
    await settle();
    expect(urls).toEqual([`${http}/api/conversations/c%201/messages?limit=100`]);
    expect(sockets[0]!.url).toBe(`${ws}/ws/chat?conversationId=c+1&userType=client&userId=cli&since=0`);
    expect(sockets[0]!.protocols).toEqual(['travelchat.v1', 'auth.abc']);
    client.dispose();
  });

  it('ends everything when it is disposed of, however often it was opened', async () => {
    const { client, sockets, clock } = make();
    const thread = client.thread('a');
    const inbox = client.inbox();
    thread.open();
    thread.open();
    inbox.open();
    await settle();
    client.dispose();
    client.dispose();
    expect(sockets.map(({ readyState }) => readyState)).toEqual([3, 3]);
    expect(thread.snapshot().connection.phase).toBe('idle');
    expect(inbox.snapshot().connection.phase).toBe('idle');
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
  });

  it('can be made where there is no browser at all', () => {
    const client = new ChatClient({ me: ME, credential: { kind: 'session' } });
    expect(client.thread('a').snapshot().rows).toEqual([]);
    expect(client.inbox().snapshot().conversations).toBeNull();
    client.dispose();
  });
});

describe('the environment of a browser', () => {
  it('that forbids storage has none, and does not throw', () => {
    const forbid = {
      get: (): never => {
        throw new DOMException('no', 'SecurityError');
      },
    };
    const window_ = Object.defineProperties({}, { localStorage: forbid });
    vi.stubGlobal('window', window_);
    const before = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB');
    Object.defineProperty(globalThis, 'indexedDB', { ...forbid, configurable: true });
    const env = browserEnvironment();
    expect(env.localStorage).toBeNull();
    expect(env.indexedDB).toBeNull();
    if (before) Object.defineProperty(globalThis, 'indexedDB', before);
    else delete (globalThis as { indexedDB?: unknown }).indexedDB;
  });

  it('makes ids that the server takes, and no two alike', () => {
    const env = browserEnvironment();
    const ids = Array.from({ length: 1000 }, () => env.newId());
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
  });

  it('tells what happens to the page, until nobody wants to hear it', () => {
    const window_ = new EventTarget();
    const document_ = Object.assign(new EventTarget(), { hidden: false });
    vi.stubGlobal('window', window_);
    vi.stubGlobal('document', document_);
    const heard: string[] = [];
    const end = browserEnvironment().onPageEvent((event) => heard.push(event));
    const show = (persisted: boolean): Event => Object.assign(new Event('pageshow'), { persisted });
    const all = (): void => {
      for (const type of ['offline', 'online', 'focus']) window_.dispatchEvent(new Event(type));
      window_.dispatchEvent(show(false));
      window_.dispatchEvent(show(true));
      for (const hidden of [true, false]) {
        document_.hidden = hidden;
        document_.dispatchEvent(new Event('visibilitychange'));
      }
    };
    all();
    expect(heard).toEqual(['offline', 'online', 'focus', 'restored', 'hidden', 'visible']);
    end();
    all();
    expect(heard).toHaveLength(6);
  });
});

describe('the chime', () => {
  let rings = 0;
  let contexts: { state: string; closed: boolean }[] = [];
  const audio = (): void => {
    rings = 0;
    contexts = [];
    const node = { connect: () => node, start: () => (rings += 1), stop: () => {} };
    const ramp = {
      setValueAtTime: () => {},
      linearRampToValueAtTime: () => {},
      exponentialRampToValueAtTime: () => {},
    };
    vi.stubGlobal('AudioContext', function AudioContext(this: Record<string, unknown>) {
      Object.assign(this, {
        state: 'suspended',
        closed: false,
        currentTime: 0,
        destination: node,
        resume: () => Promise.resolve().then(() => (this.state = 'running')),
        close: () => Promise.resolve().then(() => (this.closed = true)),
      });
      contexts.push(this as never);
    });
    vi.stubGlobal('OscillatorNode', function OscillatorNode() {
      return node;
    });
    vi.stubGlobal('GainNode', function GainNode() {
      return { gain: ramp, connect: () => node };
    });
  };

  it('is silent, and makes nothing, until somebody touches the page', async () => {
    audio();
    const page = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('navigator', {});
    const chime = createChime();
    chime.play();
    expect([rings, contexts.length]).toEqual([0, 0]);
    page.dispatchEvent(new Event('pointerdown'));
    await settle();
    chime.play();
    expect([rings, contexts.length]).toEqual([2, 1]);
    chime.dispose();
    chime.play();
    page.dispatchEvent(new Event('keydown'));
    await settle();
    expect([rings, contexts.length, contexts[0]!.closed]).toEqual([2, 1, true]);
  });

  it('sounds in one tab only', async () => {
    audio();
    const page = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('navigator', { locks: new FakeLocks() });
    const tabs = [createChime(), createChime(), createChime()];
    page.dispatchEvent(new Event('pointerdown'));
    await settle();
    for (const tab of tabs) tab.play();
    await settle();
    expect(rings).toBe(2);
    for (const tab of tabs) tab.dispose();
  });

  it('can be made where there is no browser', () => {
    const chime = createChime();
    chime.play();
    chime.dispose();
  });
});
