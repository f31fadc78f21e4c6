import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChatClient, createChime, soundSwitch } from '../../src/core';
import { browserEnvironment } from '../../src/core/environment';
import {
  Clock,
  FakeLocks,
  FakeSocket,
  FakeStorage,
  answer,
  eventually,
  fakeEnvironment,
  seeded,
  settle,
} from './world';

const ME = { type: 'client', id: 'cli', name: 'Kim' } as const;

const realOpen = IDBFactory.prototype.open;

afterEach(() => vi.unstubAllGlobals());

describe('a client', () => {
  const make = (baseUrl?: string, indexedDB: IDBFactory | null = null): { client: ChatClient; sockets: FakeSocket[]; urls: string[]; clock: Clock } => {
    const clock = new Clock();
    const sockets: FakeSocket[] = [];
    const urls: string[] = [];
    const environment = fakeEnvironment(clock, seeded(1), {
      origin: 'https://host.example',
      indexedDB,
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
    ['https://site.example/a/chat', 'https://site.example/a/chat', 'wss://site.example/a/chat'],
    ['https://site.example/chat/', 'https://site.example/chat', 'wss://site.example/chat'],
    ['/chat', '/chat', 'wss://host.example/chat'],
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

  it('forgets threads that nobody uses, all but the last twenty', () => {
    const { client } = make();
    const opened = client.thread('opened');
    opened.open();
    const watched = client.thread('watched');
    watched.subscribe(() => {});
    const heard = client.thread('heard');
    const endHearing = heard.onIncoming(() => {});
    const unused = client.thread('unused');
    const others = Array.from({ length: 20 }, (_, i) => client.thread(`other ${i}`));
    expect(client.thread('opened')).toBe(opened);
    expect(client.thread('watched')).toBe(watched);
    expect(client.thread('heard')).toBe(heard);
    expect(others.map((_, i) => client.thread(`other ${i}`))).toEqual(others);
    expect(client.thread('unused')).not.toBe(unused);
    endHearing();
    for (let i = 0; i < 30; i += 1) client.thread(`more ${i}`);
    expect(client.thread('heard')).not.toBe(heard);
    client.dispose();
  });

  it('knows a thread that it had forgotten once somebody opens it', async () => {
    const { client, sockets } = make();
    const thread = client.thread('first');
    for (let i = 0; i < 30; i += 1) client.thread(`other ${i}`);
    thread.open();
    await settle();
    expect(client.thread('first')).toBe(thread);
    client.dispose();
    expect(sockets.map(({ readyState }) => readyState)).toEqual([3]);
  });

  it('closes its database with everything else, after what is under way', async () => {
    const { client } = make(undefined, new IDBFactory());
    const connections = new Set<IDBDatabase>();
    const open = vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(function (this: IDBFactory, ...args) {
      const request = realOpen.apply(this, args);
      request.addEventListener('success', () => {
        const { result } = request;
        const { close } = result;
        connections.add(result);
        result.close = () => {
          connections.delete(result);
          close.call(result);
        };
      });
      return request;
    });
    const thread = client.thread('a');
    thread.open();
    await eventually(() => connections.size === 1);
    thread.send('hello');
    client.dispose();
    await eventually(() => connections.size === 0);
    for (let i = 0; i < 50; i += 1) await settle();
    expect(connections.size).toBe(0);
    open.mockRestore();
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
  let contexts: { state: string }[] = [];
  /** Ends the tones that sound. */
  let fadeOut: () => void = () => {};
  /** Whether the browser lets a context run, outside of a person's act. */
  let mayResume = true;
  let page: EventTarget;

  class FakeAudioContext {
    state = 'suspended';
    currentTime = 0;
    destination = {};

    constructor() {
      contexts.push(this);
    }

    async resume(): Promise<void> {
      if (!mayResume) await new Promise(() => {});
      this.state = 'running';
    }

    async suspend(): Promise<void> {
      this.state = 'suspended';
    }

    async close(): Promise<void> {
      this.state = 'closed';
    }
  }

  class FakeNode {
    onended: (() => void) | null = null;
    gain = { setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} };
    connect = (): this => this;

    start(): void {
      rings += 1;
      const before = fadeOut;
      fadeOut = () => {
        before();
        this.onended?.();
      };
    }

    stop(): void {}
  }

  beforeEach(() => {
    rings = 0;
    contexts = [];
    fadeOut = () => {};
    mayResume = true;
    page = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('window', { localStorage: new FakeStorage() });
    vi.stubGlobal('AudioContext', FakeAudioContext);
    vi.stubGlobal('OscillatorNode', FakeNode);
    vi.stubGlobal('GainNode', FakeNode);
  });
  afterEach(() => {
    soundSwitch.set(true);
    vi.useRealTimers();
  });

  const touch = async (type = 'pointerdown'): Promise<void> => {
    page.dispatchEvent(new Event(type));
    await settle();
  };
  const states = (): string[] => contexts.map(({ state }) => state);

  it('is silent, and makes nothing, until somebody touches the page', async () => {
    const chime = createChime();
    chime.play();
    expect([rings, contexts.length]).toEqual([0, 0]);
    await touch();
    chime.play();
    await settle();
    expect([rings, contexts.length]).toEqual([2, 1]);
    chime.dispose();
    chime.play();
    await touch('keydown');
    expect([rings, states()]).toEqual([2, ['closed']]);
  });

  it('uses the audio device only while it sounds', async () => {
    const chime = createChime();
    for (const act of ['pointerdown', 'keydown', 'keydown']) {
      await touch(act);
      expect(states()).toEqual(['suspended']);
    }
    for (let i = 0; i < 2; i += 1) {
      chime.play();
      await settle();
      expect(states()).toEqual(['running']);
      fadeOut();
      fadeOut = () => {};
      await settle();
      expect(states()).toEqual(['suspended']);
    }
    expect(rings).toBe(4);
    chime.dispose();
  });

  it('does not sound late, when the browser wants another act first', async () => {
    const chime = createChime();
    await touch();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    mayResume = false;
    chime.play();
    await vi.advanceTimersByTimeAsync(1000);
    mayResume = true;
    await touch();
    expect([rings, states()]).toEqual([0, ['suspended']]);
    chime.play();
    await settle();
    expect(rings).toBe(2);
    chime.dispose();
  });

  it('is turned off and on, for the browser', async () => {
    const chime = createChime();
    let changes = 0;
    const end = soundSwitch.subscribe(() => (changes += 1));
    expect(soundSwitch.snapshot()).toBe(true);
    soundSwitch.set(false);
    expect([soundSwitch.snapshot(), changes]).toEqual([false, 1]);
    await touch();
    chime.play();
    await settle();
    expect([rings, contexts.length]).toEqual([0, 0]);
    // Which somebody does with a click.
    soundSwitch.set(true);
    await settle();
    chime.play();
    await settle();
    expect([rings, soundSwitch.snapshot(), changes]).toEqual([2, true, 2]);
    end();
    chime.dispose();
  });

  it('is turned off for this page where the browser keeps nothing', () => {
    vi.stubGlobal('window', {
      get localStorage(): never {
        throw new DOMException('no', 'SecurityError');
      },
    });
    soundSwitch.set(false);
    expect(soundSwitch.snapshot()).toBe(false);
  });

  it('sounds in one tab only', async () => {
    vi.stubGlobal('navigator', { locks: new FakeLocks() });
    const tabs = [createChime(), createChime(), createChime()];
    await touch();
    for (const tab of tabs) tab.play();
    await settle();
    expect(rings).toBe(2);
    for (const tab of tabs) tab.dispose();
  });

  it('sounds again although the tab that sounded was suspended', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const locks = new FakeLocks();
    vi.stubGlobal('navigator', { locks });
    // It keeps what it has, for ever.
    const second = Math.floor(Date.now() / 1000);
    for (const name of [second, second + 1]) void locks.request(`travelchat:chime:${name}`, {}, () => new Promise(() => {}));
    const chime = createChime();
    await touch();
    chime.play();
    await settle();
    expect(rings).toBe(0);
    vi.setSystemTime(Date.now() + 2000);
    chime.play();
    await settle();
    expect(rings).toBe(2);
    chime.dispose();
  });

  it('can be made where there is no browser', () => {
    vi.unstubAllGlobals();
    const chime = createChime();
    chime.play();
    chime.dispose();
  });
});
