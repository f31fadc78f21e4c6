import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, describe, expect, it } from 'vitest';
import { forgetUnsent } from '../../src/core';
import type { Environment } from '../../src/core/environment';
import type { OutboxEntry } from '../../src/core/outbox_store';
import { openOutboxStore } from '../../src/core/outbox_store';
import type { Participant } from '../../src/core/types';
import { personOf, scopeOf } from '../../src/core/scope';
import { Site } from './site';
import { Clock, FakeChannels, FakeStorage, eventually, fakeEnvironment, seeded } from './world';

const entry = (scope: string, key: string): OutboxEntry => ({
  order: 0,
  scope,
  key,
  content: `secret ${key}`,
  createdAt: '2026-11-23T10:00:00.000Z',
  failure: null,
});

const ANN = { type: 'advisor', id: 'ann' } as const;
const BEN = { type: 'advisor', id: 'ben' } as const;
const CARL = { type: 'client', id: 'carl' } as const;

describe('what people wrote and did not send', () => {
  let environment: Environment;
  let storage: FakeStorage;
  const here = 'ws://chat.test';

  beforeEach(() => {
    storage = new FakeStorage();
    environment = fakeEnvironment(new Clock(), seeded(1), {
      indexedDB: new IDBFactory(),
      localStorage: storage,
      openChannel: new FakeChannels().make,
      setTimeout: (run, ms) => setTimeout(run, ms),
      clearTimeout: (timer) => clearTimeout(timer),
    });
  });

  async function write(base: string, who: Participant): Promise<void> {
    const scope = scopeOf(base, who, 'c1');
    storage.setItem(`travelchat:draft:${scope}`, 'half a thought');
    await openOutboxStore(environment).add(entry(scope, who.id));
  }

  async function left(): Promise<string[]> {
    const kept: string[] = [];
    for (const base of [here, 'wss://other.example']) {
      for (const who of [ANN, BEN, CARL]) {
        const scope = scopeOf(base, who, 'c1');
        const hasDraft = storage.getItem(`travelchat:draft:${scope}`) !== null;
        const hasEntry = (await openOutboxStore(environment).all(scope)).entries.length > 0;
        expect(hasEntry).toBe(hasDraft);
        if (hasDraft) kept.push(`${base} ${who.id}`);
      }
    }
    return kept;
  }

  beforeEach(async () => {
    storage.setItem('theme', 'dark');
    for (const who of [ANN, BEN, CARL]) await write(here, who);
    await write('wss://other.example', ANN);
  });

  it('goes with the sign-out: of every advisor at this server, and of nobody else', async () => {
    await forgetUnsent({ type: 'advisor', environment });
    expect(await left()).toEqual(['ws://chat.test carl', 'wss://other.example ann']);
    expect(storage.getItem('theme')).toBe('dark');
  });

  it('goes when another person signs in, whose own stays', async () => {
    await forgetUnsent({ type: 'advisor', except: 'ben', environment });
    expect(await left()).toEqual(['ws://chat.test ben', 'ws://chat.test carl', 'wss://other.example ann']);
  });

  it('is that of the server that is named', async () => {
    await forgetUnsent({ baseUrl: 'https://other.example/', type: 'advisor', environment });
    expect(await left()).toEqual(['ws://chat.test ann', 'ws://chat.test ben', 'ws://chat.test carl']);
  });

  it('is told apart where an id holds a slash', () => {
    const odd = { type: 'advisor', id: 'ben/c0' } as const;
    expect(personOf(scopeOf(here, odd, 'c1'), here, 'advisor')).toBe('ben/c0');
    expect(personOf(scopeOf(here, BEN, 'c1'), here, 'advisor')).toBe('ben');
    expect(personOf(scopeOf(here, BEN, 'c1'), here, 'client')).toBeNull();
    expect(personOf('ws://chat.test/advisor/', here, 'advisor')).toBeNull();
  });

  it('goes also where the database has not yet got it', async () => {
    for (const who of [ANN, CARL]) openOutboxStore(environment).note(entry(scopeOf(here, who, 'c1'), 'new'));
    await forgetUnsent({ type: 'advisor', environment });
    expect([...storage.items.keys()].filter((key) => key.includes('unsent'))).toEqual([
      `travelchat:unsent:${scopeOf(here, CARL, 'c1')}:new`,
    ]);
  });

  it('leaves also a page that is still open, and is not sent by it', async () => {
    const channels = new FakeChannels();
    const site = new Site(ANN, { indexedDB: new IDBFactory(), openChannel: channels.make });
    site.reply = ({ method }) => (method === 'POST' ? 'lose' : null);
    const thread = await site.open();
    thread.send('not for Ben');
    await eventually(() => site.asked('POST', '/messages').length > 0);
    expect(thread.snapshot().rows).toHaveLength(1);
    await forgetUnsent({ type: 'advisor', environment: site.env });
    await eventually(() => thread.snapshot().rows.length === 0);
    site.reply = () => null;
    await site.pass(60_000);
    expect(site.server.messages).toEqual([]);
  });

  it('goes without leaving the database open', async () => {
    const opened: IDBDatabase[] = [];
    const closed: IDBDatabase[] = [];
    const { indexedDB } = environment;
    const open = (name: string, version: number): IDBOpenDBRequest => {
      const request = indexedDB!.open(name, version);
      request.addEventListener('success', () => {
        const { result } = request;
        const { close } = result;
        opened.push(result);
        result.close = () => {
          closed.push(result);
          close.call(result);
        };
      });
      return request;
    };
    await forgetUnsent({ type: 'advisor', environment: { ...environment, indexedDB: { open } as unknown as IDBFactory } });
    expect(opened).toHaveLength(1);
    expect(closed).toEqual(opened);
  });

  it('is nothing where a browser keeps nothing', async () => {
    const refuse = (): never => {
      throw new DOMException('closed', 'SecurityError');
    };
    const localStorage = { getItem: refuse, setItem: refuse, removeItem: refuse, key: refuse, length: 1 };
    for (const more of [{ localStorage: null }, { localStorage }]) {
      await forgetUnsent({ type: 'advisor', environment: { ...environment, ...more, indexedDB: null } });
    }
    expect(storage.length).toBe(5);
  });
});
