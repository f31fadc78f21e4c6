import { IDBFactory, forceCloseDatabase } from 'fake-indexeddb';
import { beforeEach, describe, expect, it } from 'vitest';
import { ChatError } from '../../src/core/api';
import type { Environment } from '../../src/core/environment';
import { Outbox } from '../../src/core/outbox';
import type { OutboxEntry } from '../../src/core/outbox_store';
import { openOutboxStore } from '../../src/core/outbox_store';
import type { Message } from '../../src/core/types';
import {
  Clock,
  FakeChannels,
  FakeLocks,
  FakeStorage,
  ModelServer,
  Suspension,
  eventually,
  fakeEnvironment,
  seeded,
  settle,
} from './world';

const SCOPE = 'ws://chat.test/client/cli/conversation';
const WHO = { type: 'client', id: 'cli' } as const;

/** What the server says to the next requests; then it works. */
type Reply = 'lose the request' | 'lose the answer' | ChatError;

class Origin {
  readonly clock = new Clock();
  readonly server = new ModelServer(this.clock);
  readonly indexedDB = new IDBFactory();
  readonly localStorage = new FakeStorage();
  readonly locks = new FakeLocks();
  readonly channels = new FakeChannels();
  readonly tabs: Tab[] = [];
  replies: Reply[] = [];
  /** Requests wait for `release` while it is set. */
  isHeld = false;
  inFlight = 0;
  mostInFlight = 0;
  requests = 0;
  #held: (() => void)[] = [];

  async post({ key, content }: OutboxEntry): Promise<Message> {
    this.requests += 1;
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    try {
      await settle();
      if (this.isHeld) await new Promise<void>((go) => this.#held.push(go));
      const reply = this.replies.shift();
      if (reply instanceof ChatError) throw reply;
      if (reply === 'lose the request') throw new ChatError('network', 0, 'lost');
      const sent = this.server.send(WHO, content, key);
      if (reply === 'lose the answer') throw new ChatError('network', 0, 'lost');
      if (!sent) throw new ChatError('idempotency_conflict', 409, 'other content');
      return sent.message;
    } finally {
      this.inFlight -= 1;
    }
  }

  release(): void {
    this.isHeld = false;
    for (const go of this.#held.splice(0)) go();
  }

  /** Lets time pass until then. */
  async pass(holds: () => boolean): Promise<void> {
    for (let i = 0; i < 400 && !holds(); i += 1) {
      await this.clock.advance(250);
      for (let turn = 0; turn < 10; turn += 1) await settle();
    }
    expect(holds(), String(holds)).toBe(true);
  }

  tab(more: Partial<Environment> = {}): Tab {
    const tab = new Tab(this, more);
    this.tabs.push(tab);
    tab.outbox.open();
    return tab;
  }

  get contents(): string[] {
    return this.server.messages.map(({ content }) => content);
  }
}

class Tab {
  entries: readonly OutboxEntry[] = [];
  readonly stored: Message[] = [];
  readonly outbox: Outbox;

  constructor(origin: Origin, more: Partial<Environment>) {
    this.post = (entry) => origin.post(entry);
    const env = fakeEnvironment(origin.clock, seeded(1), {
      random: () => 0.999_999,
      indexedDB: origin.indexedDB,
      localStorage: origin.localStorage,
      locks: origin.locks,
      openChannel: origin.channels.make,
      ...more,
    });
    this.outbox = new Outbox(env, openOutboxStore(env), SCOPE, {
      post: (entry) => this.post(entry),
      onStored: (message) => this.stored.push(message),
      onChange: (entries) => {
        this.entries = entries;
      },
    });
  }

  post: (entry: OutboxEntry) => Promise<Message>;

  get keys(): string[] {
    return this.entries.map(({ key }) => key);
  }
}

let origin: Origin;
beforeEach(() => {
  origin = new Origin();
});

const kept = async (): Promise<string[]> => {
  const env = fakeEnvironment(origin.clock, seeded(2), { indexedDB: origin.indexedDB });
  return (await openOutboxStore(env).all(SCOPE)).entries.map(({ key }) => key);
};

describe('an outbox', () => {
  it('sends in the order of writing, one at a time, and forgets what is stored', async () => {
    const tab = origin.tab();
    for (const key of ['a', 'b', 'c', 'd']) tab.outbox.add(key, `text ${key}`);
    expect(tab.keys).toEqual(['a', 'b', 'c', 'd']);
    await eventually(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['text a', 'text b', 'text c', 'text d']);
    expect(origin.mostInFlight).toBe(1);
    expect(tab.stored.map(({ clientMessageId }) => clientMessageId)).toEqual(['a', 'b', 'c', 'd']);
    expect(await kept()).toEqual([]);
  });

  it('survives a reload: what waits is sent by the next page, in order', async () => {
    origin.isHeld = true;
    const before = origin.tab();
    for (const key of ['a', 'b', 'c']) before.outbox.add(key, key);
    await eventually(() => origin.inFlight === 1);
    expect(await kept()).toEqual(['a', 'b', 'c']);
    before.outbox.close();
    origin.replies = ['lose the answer'];
    origin.release();
    await eventually(() => origin.inFlight === 0);

    const after = origin.tab();
    await eventually(() => after.stored.length === 3);
    expect(origin.contents).toEqual(['a', 'b', 'c']);
    expect(await kept()).toEqual([]);
  });

  it('survives a page that goes before its database has answered', async () => {
    const gone = origin.tab({ indexedDB: { open: () => ({}) } as unknown as IDBFactory, locks: null });
    for (const key of ['a', 'b', 'c']) gone.outbox.add(key, `text ${key}`);
    gone.outbox.discard('b');
    gone.outbox.close();
    const noted = [...origin.localStorage.items.values()].map((text) => (JSON.parse(text) as OutboxEntry).key);
    expect(noted, 'at once').toEqual(['a', 'b', 'c']);
    expect(await kept()).toEqual([]);

    const after = origin.tab();
    await eventually(() => after.stored.length === 3);
    expect(origin.contents).toEqual(['text a', 'text b', 'text c']);
    expect(origin.localStorage.length).toBe(0);
    expect(await kept()).toEqual([]);
  });

  it('what was discarded is in no journal', async () => {
    origin.isHeld = true;
    const tab = origin.tab({ indexedDB: null });
    tab.outbox.add('a', 'a');
    tab.outbox.add('b', 'b');
    await eventually(() => origin.inFlight === 1);
    tab.outbox.discard('b');
    await eventually(() => origin.localStorage.length === 1);
    origin.release();
    await eventually(() => origin.localStorage.length === 0);
    expect(origin.contents).toEqual(['a']);
  });

  it('what the page may not note is kept as ever, and what others left there does no harm', async () => {
    const full = Object.assign(new FakeStorage(), {
      setItem: () => {
        throw new DOMException('full', 'QuotaExceededError');
      },
    });
    for (const text of ['', '{', 'null', '{"key":1}', '{"key":"x","content":"x","scope":"elsewhere","order":1}'])
      full.items.set(`travelchat:unsent:${SCOPE}:x${full.length}`, text);
    const tab = origin.tab({ localStorage: full });
    for (const key of ['a', 'b']) tab.outbox.add(key, key);
    await eventually(() => tab.stored.length === 2 && tab.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b']);
  });

  it('an entry is on disk before it is sent', async () => {
    const tab = origin.tab();
    let before: string[] | null = null;
    const post = origin.post.bind(origin);
    origin.post = async (entry) => {
      before ??= await kept();
      return post(entry);
    };
    tab.outbox.add('a', 'a');
    await eventually(() => tab.entries.length === 0);
    expect(before).toEqual(['a']);
  });

  it('a lost request and a lost answer are repeated, and end in one message', async () => {
    origin.replies = ['lose the request', 'lose the answer', 'lose the answer'];
    const tab = origin.tab();
    tab.outbox.add('a', 'first');
    tab.outbox.add('b', 'second');
    await eventually(() => origin.requests === 1 && origin.inFlight === 0);
    expect(tab.keys).toEqual(['a', 'b']);
    await origin.pass(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['first', 'second']);
    expect(origin.requests).toBe(5);
  });

  it('has no limit of tries without an answer, and waits at most 20 s between them', async () => {
    origin.replies = Array.from({ length: 100 }, () => 'lose the request' as const);
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    await eventually(() => origin.requests === 1 && origin.inFlight === 0);
    for (let i = 2; i <= 101; i += 1) {
      await origin.clock.advance(20_000);
      await eventually(() => origin.requests === i || origin.contents.length === 1, `try ${i}`);
      await eventually(() => origin.inFlight === 0);
      if (i < 101) expect(tab.entries[0]!.failure).toBeNull();
      if (origin.contents.length === 1) break;
    }
    await eventually(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['a']);
  });

  it('a connection ends the waiting', async () => {
    origin.replies = Array.from({ length: 6 }, () => 'lose the request' as const);
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    for (let i = 1; i <= 6; i += 1) {
      await eventually(() => origin.requests === i && origin.inFlight === 0);
      await settle();
      tab.outbox.retryNow();
    }
    await eventually(() => origin.contents.length === 1);
    expect(origin.clock.now).toBe(new Clock().now);
  });

  it.each([400, 403, 404, 405, 409, 413, 415])('a refusal (%i) is final, and the next one goes on', async (status) => {
    origin.replies = [new ChatError('refused', status, 'No.')];
    const tab = origin.tab();
    tab.outbox.add('a', 'bad');
    tab.outbox.add('b', 'good');
    await eventually(() => origin.contents.length === 1 && tab.entries.length === 1);
    expect(origin.contents).toEqual(['good']);
    expect(tab.entries).toMatchObject([{ key: 'a', failure: { code: 'refused', status, message: 'No.' } }]);
    await origin.clock.advance(120_000);
    expect(origin.requests).toBe(2);
  });

  it.each([401, 408, 425, 429, 502, 503, 504])(
    '%i is no refusal: it waits, and those behind it wait too',
    async (status) => {
      origin.replies = Array.from({ length: 7 }, () => new ChatError('later', status, 'Later.'));
      const tab = origin.tab();
      tab.outbox.add('a', 'a');
      tab.outbox.add('b', 'b');
      for (let i = 1; i <= 8; i += 1) {
        await eventually(() => origin.requests >= i && origin.inFlight === 0);
        await origin.clock.advance(60_000);
      }
      await eventually(() => tab.entries.length === 0);
      expect(origin.contents).toEqual(['a', 'b']);
    },
  );

  it.each([500, 507])('a server that says %i five times has refused', async (status) => {
    origin.replies = Array.from({ length: 5 }, () => new ChatError('storage_full', status, 'Full.'));
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    tab.outbox.add('b', 'b');
    for (let i = 1; i <= 4; i += 1) {
      await eventually(() => origin.requests === i && origin.inFlight === 0);
      expect(tab.entries[0]!.failure).toBeNull();
      await origin.clock.advance(20_000);
    }
    await eventually(() => origin.contents.length === 1);
    expect(origin.contents).toEqual(['b']);
    expect(tab.entries).toMatchObject([{ key: 'a', failure: { code: 'storage_full' } }]);
  });

  it('the failures of one message are not counted against the next', async () => {
    origin.replies = Array.from({ length: 8 }, () => new ChatError('internal', 500, 'No.'));
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    tab.outbox.add('b', 'b');
    await origin.pass(() => origin.requests === 4 && origin.inFlight === 0);
    tab.outbox.discard('a');
    await origin.pass(() => tab.entries.length === 0 || tab.entries[0]!.failure !== null);
    expect(origin.contents).toEqual(['b']);
    expect(origin.requests).toBe(9);
  });

  it('429 is waited for as long as the server asked, which a connection does not shorten', async () => {
    origin.replies = [new ChatError('rate_limited', 429, 'Slowly.', 7000)];
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    await eventually(() => origin.requests === 1 && origin.inFlight === 0);
    await origin.clock.advance(6999);
    tab.outbox.retryNow();
    for (let i = 0; i < 20; i += 1) await settle();
    expect(origin.requests).toBe(1);
    await origin.clock.advance(1);
    await eventually(() => origin.contents.length === 1);
  });

  it.each([0, 1, 300])('a server that asks for %i ms is not asked more often than one that asks for nothing', async (ms) => {
    origin.replies = Array.from({ length: 50 }, () => new ChatError('overloaded', 503, 'Busy.', ms));
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    for (let i = 0; i < 32; i += 1) {
      await origin.clock.advance(250);
      for (let turn = 0; turn < 10; turn += 1) await settle();
    }
    expect(origin.requests).toBeGreaterThan(2);
    expect(origin.requests).toBeLessThanOrEqual(6);
  });

  it('a failed entry survives a reload, and goes to the end when it is tried again, under its id', async () => {
    origin.replies = [new ChatError('refused', 400, 'No.')];
    const before = origin.tab();
    before.outbox.add('a', 'a');
    await eventually(() => before.entries[0]?.failure?.code === 'refused');
    await eventually(() => origin.inFlight === 0);
    for (let i = 0; i < 20; i += 1) await settle();
    before.outbox.close();

    const after = origin.tab();
    await eventually(() => after.entries[0]?.failure?.code === 'refused');
    origin.isHeld = true;
    after.outbox.add('b', 'b');
    after.outbox.retry('a');
    expect(after.entries.map(({ key, failure }) => [key, failure])).toEqual([
      ['b', null],
      ['a', null],
    ]);
    origin.release();
    await eventually(() => after.entries.length === 0);
    expect(origin.server.messages.map(({ clientMessageId }) => clientMessageId)).toEqual(['b', 'a']);
    expect(await kept()).toEqual([]);
  });

  it('only what failed can be tried again', async () => {
    origin.isHeld = true;
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    tab.outbox.retry('a');
    tab.outbox.retry('nothing');
    await eventually(() => origin.inFlight === 1);
    origin.release();
    await eventually(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['a']);
  });

  it('what is discarded is not sent, and not kept', async () => {
    origin.isHeld = true;
    const tab = origin.tab();
    for (const key of ['a', 'b', 'c']) tab.outbox.add(key, key);
    tab.outbox.discard('c');
    await eventually(() => origin.inFlight === 1);
    tab.outbox.discard('b');
    expect(tab.keys).toEqual(['a']);
    origin.release();
    await eventually(() => tab.entries.length === 0);
    for (let i = 0; i < 50; i += 1) await settle();
    expect(origin.contents).toEqual(['a']);
    expect(await kept()).toEqual([]);
  });

  it('what is discarded while the store is being read does not come back', async () => {
    let gate: Promise<void> = Promise.resolve();
    const env = fakeEnvironment(origin.clock, seeded(1), { indexedDB: origin.indexedDB });
    const store = openOutboxStore(env);
    const slow = {
      ...store,
      all: async (scope: string) => {
        const found = await store.all(scope);
        await gate;
        return found;
      },
    };
    let entries: readonly OutboxEntry[] = [];
    const outbox = new Outbox(env, slow, SCOPE, {
      post: () => Promise.reject(new ChatError('refused', 400, 'No.')),
      onStored: () => {},
      onChange: (now) => (entries = now),
    });
    outbox.open();
    outbox.add('a', 'a');
    await eventually(() => entries[0]?.failure?.code === 'refused');
    for (let i = 0; i < 30; i += 1) await settle();
    let release: () => void = () => {};
    gate = new Promise((done) => (release = done));
    outbox.close();
    outbox.open();
    for (let i = 0; i < 30; i += 1) await settle();
    outbox.discard('a');
    release();
    for (let i = 0; i < 30; i += 1) await settle();
    expect(entries).toEqual([]);
    expect(await kept()).toEqual([]);
  });

  it('what is discarded while it is refused does not come back', async () => {
    origin.isHeld = true;
    origin.replies = [new ChatError('refused', 400, 'No.')];
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1);
    tab.outbox.discard('a');
    origin.release();
    for (let i = 0; i < 50; i += 1) await settle();
    expect(tab.entries).toEqual([]);
    expect(await kept()).toEqual([]);
  });

  it('an entry whose event came while its answer was lost is not sent again', async () => {
    origin.replies = ['lose the answer'];
    const tab = origin.tab();
    tab.outbox.add('a', 'a');
    tab.outbox.add('b', 'b');
    await eventually(() => origin.requests === 1 && origin.inFlight === 0);
    tab.outbox.discard('a');
    await eventually(() => origin.contents.length === 2);
    expect(origin.contents).toEqual(['a', 'b']);
    expect(origin.requests).toBe(2);
  });

  it('the same id with other content is a failure that stays', async () => {
    origin.server.send(WHO, 'the first', 'a');
    const tab = origin.tab();
    tab.outbox.add('a', 'another');
    await eventually(() => tab.entries[0]?.failure !== null && tab.entries.length === 1);
    expect(tab.entries[0]!.failure).toMatchObject({ code: 'idempotency_conflict', status: 409 });
  });

  it('sends nothing while it is closed', async () => {
    const tab = origin.tab();
    tab.outbox.close();
    tab.outbox.add('a', 'a');
    for (let i = 0; i < 50; i += 1) await settle();
    expect(origin.requests).toBe(0);
    expect(await kept()).toEqual(['a']);
    tab.outbox.open();
    await eventually(() => origin.contents.length === 1);
  });
});

describe('two tabs', () => {
  it('never send at the same time, and each sees what the other wrote', async () => {
    const [one, two] = [origin.tab(), origin.tab()];
    origin.isHeld = true;
    one.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1);
    two.outbox.add('b', 'b');
    await eventually(() => one.keys.length === 2 && two.keys.length === 2);
    expect(one.keys).toEqual(['a', 'b']);
    expect(two.keys).toEqual(['a', 'b']);
    one.outbox.add('c', 'c');
    origin.release();
    await eventually(() => one.entries.length === 0 && two.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b', 'c']);
    expect(origin.mostInFlight).toBe(1);
    expect(origin.requests).toBe(3);
    // Before its entry goes, the message itself has come: no row vanishes for a moment.
    for (const tab of [one, two])
      expect(tab.stored.map(({ clientMessageId }) => clientMessageId)).toEqual(['a', 'b', 'c']);
  });

  it('one that finds what the other is just writing neither doubles nor reorders it', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((done) => (open = done));
    // The database of the first answers late.
    const late = {
      open: (name: string, version: number) => {
        const request: Partial<IDBOpenDBRequest> = {};
        void opened.then(() => {
          const real = origin.indexedDB.open(name, version);
          real.onupgradeneeded = (event) => {
            Object.assign(request, { result: real.result });
            request.onupgradeneeded?.call(real, event);
          };
          real.onsuccess = (event) => {
            Object.assign(request, { result: real.result });
            request.onsuccess?.call(real, event);
          };
        });
        return request as IDBOpenDBRequest;
      },
    };
    origin.isHeld = true;
    const one = origin.tab({ indexedDB: late as unknown as IDBFactory });
    for (const key of ['a', 'b', 'c']) one.outbox.add(key, key);
    const two = origin.tab();
    await eventually(() => origin.inFlight === 1);
    expect(two.keys).toEqual(['a', 'b', 'c']);
    open();
    await eventually(() => one.entries.every(({ order }) => order > 0));
    expect(await kept()).toEqual(['a', 'b', 'c']);
    origin.release();
    await eventually(() => one.entries.length === 0 && two.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b', 'c']);
    expect(origin.requests).toBe(3);
    expect(origin.localStorage.length).toBe(0);
    expect(await kept()).toEqual([]);
  });

  it('one that closes leaves its entries to the other', async () => {
    const [one, two] = [origin.tab(), origin.tab()];
    origin.replies = Array.from({ length: 3 }, () => 'lose the request' as const);
    one.outbox.add('a', 'a');
    await eventually(() => origin.requests === 1 && origin.inFlight === 0);
    await eventually(() => two.keys.length === 1);
    one.outbox.close();
    await origin.pass(() => two.entries.length === 0);
    expect(origin.contents).toEqual(['a']);
  });

  it('what fails, is tried again or is discarded in one is so in the other', async () => {
    const [one, two] = [origin.tab(), origin.tab()];
    origin.replies = [new ChatError('refused', 400, 'No.'), new ChatError('refused', 400, 'No.')];
    one.outbox.add('a', 'a');
    await eventually(() => two.entries[0]?.failure?.code === 'refused');
    two.outbox.retry('a');
    await eventually(() => origin.requests === 2 && one.entries[0]?.failure?.code === 'refused');
    await eventually(() => two.entries[0]?.failure?.code === 'refused');
    one.outbox.discard('a');
    await eventually(() => two.entries.length === 0);
    expect(await kept()).toEqual([]);
  });

  it('of another person on the same machine see nothing of it', async () => {
    const tab = origin.tab();
    origin.isHeld = true;
    tab.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1);
    const env = fakeEnvironment(origin.clock, seeded(3), { indexedDB: origin.indexedDB });
    expect((await openOutboxStore(env).all('ws://chat.test/client/other/conversation')).entries).toEqual([]);
    origin.release();
  });
});

/** A tab that the browser may suspend: nothing reaches it meanwhile but what its own code has begun. */
function suspendable(): { tab: Tab; suspension: Suspension } {
  const suspension = new Suspension();
  const gate = <T>(work: Promise<T>): Promise<T> =>
    new Promise((found, failed) => {
      work.then(
        (result) => suspension.run(() => found(result)),
        (error: unknown) => suspension.run(() => failed(error)),
      );
    });
  const request = (name: string, options: LockOptions, run: () => unknown): Promise<unknown> =>
    gate<unknown>(origin.locks.request(name, options, () => new Promise((go) => suspension.run(() => go(run())))));
  const tab = origin.tab({
    setTimeout: (run, ms) => origin.clock.setTimeout(() => suspension.run(run), ms),
    openChannel: (name) => origin.channels.make(name, suspension.run),
    locks: { request: request as LockManager['request'] },
  });
  tab.post = (entry) => gate(origin.post(entry));
  return { tab, suspension };
}

describe('a tab that the browser has suspended', () => {
  let suspension: Suspension;
  let one: Tab;
  let two: Tab;

  // It stops while its request is on its way.
  const suspendWhileSending = async (): Promise<void> => {
    ({ tab: one, suspension } = suspendable());
    two = origin.tab();
    one.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1 && two.keys.length === 1);
    suspension.begin();
  };

  it('keeps no other from sending, in order', async () => {
    origin.replies = ['lose the request'];
    await suspendWhileSending();
    await eventually(() => origin.inFlight === 0);
    two.outbox.add('b', 'b');
    await origin.pass(() => two.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b']);
    expect(origin.clock.now - new Clock().now).toBeLessThan(10_000);
  });

  it.each(['lose the request', 'lose the answer', 'arrive'] as const)(
    'sends nothing twice or out of order when it wakes up: its request (%s)',
    async (fate) => {
      if (fate !== 'arrive') origin.replies = [fate];
      await suspendWhileSending();
      await eventually(() => origin.inFlight === 0);
      two.outbox.add('b', 'b');
      two.outbox.add('c', 'c');
      await origin.pass(() => two.entries.length === 0);
      const { requests } = origin;
      one.outbox.add('d', 'd');
      suspension.end();
      await origin.pass(() => one.entries.length === 0 && two.entries.length === 0);
      expect(origin.contents).toEqual(['a', 'b', 'c', 'd']);
      expect(origin.requests).toBe(requests + 1);
    },
  );

  it('keeps no other from sending when it gets its turn, either', async () => {
    const first = origin.tab();
    const { tab: asleep, suspension } = suspendable();
    origin.isHeld = true;
    first.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1 && asleep.keys.length === 1);
    suspension.begin();
    origin.release();
    await eventually(() => first.entries.length === 0);
    first.outbox.add('b', 'b');
    await origin.pass(() => first.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b']);
    suspension.end();
    await eventually(() => asleep.entries.length === 0);
    expect(origin.requests).toBe(2);
  });

  it.each(Array.from({ length: 25 }, (_, seed) => seed + 1))('loses, doubles and reorders nothing, whenever it was (%i)', async (seed) => {
    const random = seeded(seed);
    const pages = [suspendable(), suspendable(), suspendable()].map((page) => ({ ...page, isAwake: true, keys: [] as string[] }));
    for (let i = 0; i < 60; i += 1) {
      const page = pages[Math.floor(random() * pages.length)]!;
      const dice = random();
      if (dice < 0.4) {
        if (!page.isAwake) continue;
        const key = `${i}`;
        page.keys.push(key);
        page.tab.outbox.add(key, key);
      } else if (dice < 0.7) {
        if (page.isAwake) page.suspension.begin();
        else page.suspension.end();
        page.isAwake = !page.isAwake;
      } else if (dice < 0.9) {
        origin.replies.push(random() < 0.5 ? 'lose the request' : 'lose the answer');
      }
      await origin.clock.advance(Math.floor(random() * 4000));
      for (let turn = Math.floor(random() * 20); turn > 0; turn -= 1) await settle();
    }
    origin.replies = [];
    for (const { suspension, isAwake } of pages) if (!isAwake) suspension.end();
    await origin.pass(() => pages.every(({ tab }) => tab.entries.length === 0));
    const all = pages.flatMap(({ keys }) => keys);
    expect([...origin.contents].sort()).toEqual(all.sort());
    for (const { keys } of pages) expect(origin.contents.filter((key) => keys.includes(key))).toEqual(keys);
  });

  it('is told from one that is busy, which goes on undisturbed', async () => {
    [one, two] = [origin.tab(), origin.tab()];
    origin.isHeld = true;
    one.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1 && two.keys.length === 1);
    two.outbox.add('b', 'b');
    for (let i = 0; i < 60; i += 1) {
      await origin.clock.advance(1000);
      await settle();
    }
    expect(origin.requests).toBe(1);
    origin.release();
    await eventually(() => one.entries.length === 0 && two.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b']);
    expect(origin.mostInFlight).toBe(1);
    expect(origin.requests).toBe(2);
  });
});

describe('a tab whose session is refused', () => {
  it('lets another one send meanwhile', async () => {
    const [one, two] = [origin.tab(), origin.tab()];
    one.post = () => Promise.reject(new ChatError('unauthenticated', 401, 'Sign in.'));
    one.outbox.add('a', 'a');
    await eventually(() => two.entries.length === 0 && two.stored.length === 1);
    expect(origin.contents).toEqual(['a']);
    expect(origin.clock.now).toBe(new Clock().now);
    await eventually(() => one.entries.length === 0);
  });
});

/** The connections to the database that were opened, the last one at the end. */
class Databases {
  readonly opened: IDBDatabase[] = [];
  /** The next requests to open it fail, or are not answered. */
  refusal: 'error' | 'silence' | null = null;

  readonly factory = {
    open: (name: string, version: number) => {
      if (this.refusal === 'silence') return {} as IDBOpenDBRequest;
      if (this.refusal === 'error') {
        const refused = { error: new DOMException('no', 'UnknownError') } as unknown as IDBOpenDBRequest;
        queueMicrotask(() => refused.onerror?.(new Event('error')));
        return refused;
      }
      const request = origin.indexedDB.open(name, version);
      request.addEventListener('success', () => {
        this.opened.push(request.result);
      });
      return request;
    },
  } as unknown as IDBFactory;

  get last(): IDBDatabase {
    return this.opened.at(-1)!;
  }
}

describe('a database that', () => {
  let databases: Databases;
  let tab: Tab;

  beforeEach(async () => {
    databases = new Databases();
    origin.replies = Array.from({ length: 1000 }, () => 'lose the request' as const);
    tab = origin.tab({ indexedDB: databases.factory });
    tab.outbox.add('a', 'a');
    await eventually(() => origin.requests > 0 && origin.inFlight === 0);
  });

  const survives = async (...keys: string[]): Promise<void> => {
    expect(tab.keys).toEqual(keys);
    await eventually(() => tab.entries.every(({ order }) => order > 0));
    expect(await kept()).toEqual(keys);
    tab.outbox.close();
    origin.replies = [];
    const after = origin.tab();
    await origin.pass(() => after.entries.length === 0 && origin.contents.length === keys.length);
    expect(origin.contents).toEqual(keys);
    expect(await kept()).toEqual([]);
  };

  it('the browser closes is opened again, and what was written before and after survives a reload', async () => {
    forceCloseDatabase(databases.last as never);
    tab.outbox.add('b', 'b');
    await survives('a', 'b');
    expect(databases.opened).toHaveLength(2);
  });

  it('is closed without a word is opened again', async () => {
    databases.last.close();
    tab.outbox.add('b', 'b');
    await survives('a', 'b');
  });

  it('aborts a transaction gets it once more', async () => {
    const { last } = databases;
    const { transaction } = last;
    last.transaction = (...args) => {
      const begun = transaction.apply(last, args);
      if (args[1] === 'readwrite') begun.abort();
      return begun;
    };
    tab.outbox.add('b', 'b');
    await survives('a', 'b');
  });

  it('no longer answers is left for another connection', async () => {
    const { last } = databases;
    last.transaction = () => ({ objectStore: () => ({ index: () => ({ getAll: () => ({}) }) }) }) as unknown as IDBTransaction;
    tab.outbox.add('b', 'b');
    await origin.pass(() => tab.entries.length === 2 && tab.entries.every(({ order }) => order > 0));
    await survives('a', 'b');
  });

  it.each(['error', 'silence'] as const)('cannot be read (%s) takes nothing away from what waits', async (refusal) => {
    databases.refusal = refusal;
    forceCloseDatabase(databases.last as never);
    const other = origin.tab();
    await eventually(() => other.keys.length === 1);
    other.outbox.add('b', 'b');
    await eventually(() => other.entries.every(({ order }) => order > 0));
    // It has heard of the other's, and cannot read them.
    await origin.clock.advance(4000);
    for (let i = 0; i < 50; i += 1) await settle();
    expect(tab.keys).toEqual(['a']);
    tab.outbox.add('c', 'c');
    for (let i = 0; i < 50; i += 1) await settle();
    expect(tab.keys).toEqual(['a', 'c']);
    databases.refusal = null;
    await origin.pass(() => tab.keys.length === 3);
    other.outbox.close();
    await survives('a', 'b', 'c');
  });

  it('could not be read when the page opened is read later', async () => {
    tab.outbox.close();
    databases.refusal = 'silence';
    const after = origin.tab({ indexedDB: databases.factory });
    await origin.clock.advance(4000);
    for (let i = 0; i < 50; i += 1) await settle();
    expect(after.keys).toEqual([]);
    databases.refusal = null;
    await origin.pass(() => after.keys.length === 1);
    tab = after;
    await survives('a');
  });

  it('answers late is used all the same', async () => {
    tab.outbox.close();
    let answer: () => void = () => {};
    const late = {
      open: (name: string, version: number) => {
        const asked = { result: null } as unknown as IDBOpenDBRequest;
        const request = origin.indexedDB.open(name, version);
        request.onsuccess = () => {
          answer = () => {
            Object.assign(asked, { result: request.result });
            asked.onsuccess?.(new Event('success'));
          };
        };
        return asked;
      },
    } as unknown as IDBFactory;
    tab = origin.tab({ indexedDB: late });
    await origin.clock.advance(4000);
    for (let i = 0; i < 50; i += 1) await settle();
    answer();
    tab.outbox.retryNow();
    await eventually(() => tab.keys.length === 1);
    tab.outbox.add('b', 'b');
    await survives('a', 'b');
  });

  it('somebody deletes is let go of, and made anew for what is written then', async () => {
    await new Promise<void>((found, failed) => {
      const request = origin.indexedDB.deleteDatabase('travelchat');
      request.onblocked = () => failed(new Error('blocked'));
      request.onsuccess = () => found();
    });
    tab.outbox.add('b', 'b');
    await eventually(() => tab.entries.every(({ order }) => order > 0));
    expect(await kept()).toContain('b');
  });

  it('cannot say that a message is gone is told again', async () => {
    databases.refusal = 'error';
    databases.last.close();
    tab.outbox.discard('a');
    for (let i = 0; i < 50; i += 1) await settle();
    expect(await kept()).toEqual(['a']);
    databases.refusal = null;
    await origin.clock.advance(31_000);
    tab.outbox.add('b', 'b');
    for (let i = 0; i < 50; i += 1) await settle();
    await survives('b');
  });
});

describe('without', () => {
  const works = async (more: Partial<Environment>): Promise<void> => {
    const tab = origin.tab(more);
    for (const key of ['a', 'b', 'c']) tab.outbox.add(key, key);
    await origin.clock.advance(5000);
    await eventually(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b', 'c']);
    expect(origin.mostInFlight).toBe(1);
    origin.replies = [new ChatError('refused', 400, 'No.')];
    tab.outbox.add('d', 'd');
    await eventually(() => tab.entries[0]?.failure?.code === 'refused');
    tab.outbox.retry('d');
    await eventually(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b', 'c', 'd']);
  };

  it('IndexedDB it keeps its entries in memory', () => works({ indexedDB: null }));

  it('locks and channels it works alone', () => works({ locks: null, openChannel: () => null }));

  it('the right to use locks it works alone', () =>
    works({ locks: { request: () => Promise.reject(new DOMException('sandboxed', 'SecurityError')) } }));

  it('an IndexedDB that opens it keeps its entries in memory', () => {
    const open = (): IDBOpenDBRequest => {
      const request = {} as IDBOpenDBRequest;
      queueMicrotask(() => request.onerror?.(new Event('error')));
      return request;
    };
    return works({ indexedDB: { open } as unknown as IDBFactory });
  });

  it('an IndexedDB that throws it keeps its entries in memory', () => {
    const open = (): never => {
      throw new DOMException('not here', 'SecurityError');
    };
    return works({ indexedDB: { open } as unknown as IDBFactory });
  });

  it('an answer of IndexedDB it goes on after 3 s', () =>
    works({ indexedDB: { open: () => ({}) as IDBOpenDBRequest } as unknown as IDBFactory }));

  it('room on the disk what does not fit stays in memory, in its place', async () => {
    let isFull = false;
    const factory = new IDBFactory();
    const full = {
      open: (name: string, version: number) => {
        const request = factory.open(name, version);
        request.addEventListener('success', () => {
          const { transaction } = request.result;
          request.result.transaction = (...args) => {
            if (isFull && args[1] === 'readwrite') throw new DOMException('full', 'QuotaExceededError');
            return transaction.apply(request.result, args);
          };
        });
        return request;
      },
    } as unknown as IDBFactory;
    const tab = origin.tab({ indexedDB: full });
    origin.isHeld = true;
    tab.outbox.add('a', 'a');
    await eventually(() => origin.inFlight === 1);
    isFull = true;
    tab.outbox.add('b', 'b');
    tab.outbox.add('c', 'c');
    for (let i = 0; i < 20; i += 1) await settle();
    isFull = false;
    tab.outbox.add('d', 'd');
    for (let i = 0; i < 20; i += 1) await settle();
    origin.release();
    await eventually(() => tab.entries.length === 0);
    expect(origin.contents).toEqual(['a', 'b', 'c', 'd']);
  });
});
