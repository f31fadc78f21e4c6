import { describe, expect, it } from 'vitest';
import type {
  StepContext,
  ConnectionEffect,
  ConnectionInput,
  ConnectionState,
} from '../../src/core/connection_machine';
import { closeCodeOf, initialConnection, stepConnection, silentSince } from '../../src/core/connection_machine';

type Untried = ConnectionInput extends infer I ? (I extends { try: number } ? Omit<I, 'try'> : I) : never;

/** Feeds a machine; inputs of a try are of the present one unless they say otherwise. */
class Feed {
  state: ConnectionState = initialConnection;
  effects: readonly ConnectionEffect[] = [];
  now = 1_000_000;
  random = 0.5;
  canRenew = false;

  step(input: Untried | ConnectionInput): this {
    const needsTry = ['renewed', 'prepared', 'heard', 'alive', 'ready', 'closed', 'renewFailed'].includes(input.type);
    const whole = (needsTry ? { try: this.state.try, ...input } : input) as ConnectionInput;
    const at: StepContext = { now: this.now, random: this.random, canRenew: this.canRenew };
    [this.state, this.effects] = stepConnection(this.state, whole, at);
    return this;
  }

  after(ms: number): this {
    this.now += ms;
    return this;
  }

  get done(): string[] {
    return this.effects.map((effect) => effect.type);
  }

  get ms(): number | null | undefined {
    return this.effects.find((effect) => effect.type === 'timer')?.ms;
  }
}

const idle = (): Feed => new Feed();
const preparing = (): Feed => idle().step({ type: 'start' });
const joining = (): Feed => preparing().step({ type: 'prepared' });
const open = (): Feed => joining().step({ type: 'heard' }).step({ type: 'ready' });
const lost = (): Feed => open().after(60_000).step({ type: 'closed', code: 1006 });

describe('on its way to an open socket', () => {
  it('the owner prepares first, then the socket is opened, and it counts as open when the owner says so', () => {
    const feed = preparing();
    expect(feed.done).toEqual(['drop', 'prepare', 'timer']);
    expect(feed.state).toMatchObject({ phase: 'connecting', attempt: 0, downSince: 1_000_000 });
    feed.step({ type: 'prepared' });
    expect(feed.done).toEqual(['join', 'timer']);
    feed.step({ type: 'heard' });
    expect(feed.state.phase).toBe('connecting');
    feed.step({ type: 'ready' });
    expect(feed.state).toMatchObject({ phase: 'open', attempt: 0, downSince: null, reason: null });
  });

  it('a second start changes nothing', () => {
    for (const feed of [preparing(), joining(), open(), lost()]) {
      const before = feed.state;
      expect(feed.step({ type: 'start' }).state).toBe(before);
      expect(feed.effects).toEqual([]);
    }
  });

  it('stop ends everything, in any phase, and start begins anew', () => {
    for (const feed of [idle(), preparing(), joining(), open(), lost()]) {
      feed.step({ type: 'stop' });
      expect(feed.state).toMatchObject({ phase: 'idle', attempt: 0, downSince: null, reason: null });
      expect(feed.done).toEqual(['drop', 'timer']);
      expect(feed.ms).toBeNull();
      expect(feed.step({ type: 'start' }).state.phase).toBe('connecting');
    }
  });

  it('a socket that says nothing for 10 s has failed', () => {
    const feed = joining();
    expect(feed.ms).toBe(10_000);
    feed.after(10_000).step({ type: 'timer' });
    expect(feed.state).toMatchObject({ phase: 'waiting', attempt: 1 });
    expect(feed.done).toContain('drop');
  });

  it('a replay may take longer than that as long as it goes on', () => {
    const feed = joining().after(7000).step({ type: 'heard' }).after(3000).step({ type: 'timer' });
    expect(feed.state.phase).toBe('connecting');
    expect(feed.ms).toBe(7000);
    expect(feed.after(7000).step({ type: 'timer' }).state.phase).toBe('waiting');
  });

  it('what the owner prepares has a bound as well', () => {
    expect(preparing().after(45_000).step({ type: 'timer' }).state.phase).toBe('waiting');
  });
});

describe('a superseded socket', () => {
  it('is nothing any more, whatever it still says', () => {
    const stale: Untried[] = [
      { type: 'prepared' },
      { type: 'renewed' },
      { type: 'heard' },
      { type: 'ready' },
      { type: 'closed', code: 1006 },
      { type: 'closed', code: 4404 },
      { type: 'renewFailed', code: 4403 },
    ];
    for (const make of [preparing, joining, open, lost]) {
      for (const input of stale) {
        const feed = make();
        const before = feed.state;
        feed.step({ ...input, try: before.try - 1 } as ConnectionInput);
        expect(feed.state).toBe(before);
        expect(feed.effects).toEqual([]);
      }
    }
  });

  it('cannot speak while the next try is waited for', () => {
    const feed = open();
    const old = feed.state.try;
    feed.step({ type: 'closed', code: 1006 });
    const before = feed.state;
    for (const type of ['heard', 'ready'] as const) expect(feed.step({ type, try: old }).state).toBe(before);
    expect(feed.step({ type: 'closed', try: old, code: 4404 }).state).toBe(before);
    expect(feed.step({ type: 'closed', code: 4404 }).state).toBe(before);
  });
});

describe('close codes', () => {
  it.each([1000, 1001, 1005, 1006, 1011, 1012, 1013, 4408, 4429, 3000, 4999])('%i: tries again', (code) => {
    for (const feed of [joining(), open()]) {
      feed.step({ type: 'closed', code });
      expect(feed.state).toMatchObject({ phase: 'waiting', attempt: 1, reason: null });
      expect(feed.after(feed.ms!).step({ type: 'timer' }).state.phase).toBe('connecting');
    }
  });

  it.each([
    [1002, 'protocol'],
    [1003, 'protocol'],
    [1007, 'protocol'],
    [1008, 'protocol'],
    [1009, 'protocol'],
    [4400, 'protocol'],
    [4401, 'unauthorized'],
    [4403, 'forbidden'],
    [4404, 'not_found'],
  ] as const)('%i: stops, because of %s, until somebody asks', (code, reason) => {
    for (const feed of [joining(), open()]) {
      feed.step({ type: 'closed', code });
      expect(feed.state).toMatchObject({ phase: 'stopped', reason });
      expect(feed.done).toContain('drop');
      expect(feed.ms).toBeNull();
      const before = feed.state;
      for (const type of ['timer', 'online', 'visible', 'focus', 'restored'] as const) {
        expect(feed.step({ type }).state.phase).toBe('stopped');
      }
      expect(before.downSince).not.toBeNull();
      expect(feed.step({ type: 'reconnect' }).state).toMatchObject({ phase: 'connecting', reason: null });
    }
  });

  it('4429, 1011 and 1013 ask for patience, which nothing but a person shortens', () => {
    for (const [code, least] of [
      [4429, 5000],
      [1013, 2000],
      [1011, 1000],
    ] as const) {
      const feed = open();
      feed.random = 0;
      feed.step({ type: 'closed', code });
      expect(feed.ms).toBe(least);
      for (const type of ['online', 'visible', 'focus', 'restored'] as const) {
        expect(feed.step({ type }).state.phase).toBe('waiting');
      }
      expect(feed.step({ type: 'reconnect' }).state.phase).toBe('connecting');
    }
  });

  it('an HTTP status is the close code that says the same', () => {
    const table = [0, 400, 401, 403, 404, 405, 408, 409, 413, 425, 429, 500, 502, 503, 507].map((status) => [
      status,
      closeCodeOf(status),
    ]);
    expect(Object.fromEntries(table)).toEqual({
      0: 1006,
      400: 4400,
      401: 4401,
      403: 4403,
      404: 4404,
      405: 4400,
      408: 1006,
      409: 4400,
      413: 4400,
      425: 1006,
      429: 4429,
      500: 1006,
      502: 1006,
      503: 1006,
      507: 1006,
    });
  });
});

describe('waiting', () => {
  it('grows from 0.5 s to 20 s with full jitter, and never ends', () => {
    const feed = joining();
    feed.random = 0.999_999;
    const waits: number[] = [];
    for (let i = 0; i < 40; i += 1) {
      feed.step({ type: 'closed', code: 1006 });
      waits.push(feed.ms!);
      expect(feed.state.attempt).toBe(i + 1);
      feed.after(feed.ms!).step({ type: 'timer' }).step({ type: 'prepared' });
    }
    expect(waits.slice(0, 7)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000]);
    expect(new Set(waits.slice(6))).toEqual(new Set([20_000]));
    feed.random = 0;
    expect(feed.step({ type: 'closed', code: 1006 }).ms).toBe(0);
  });

  it('a socket that opens and dies at once is one more failure; one that lasted is not', () => {
    const feed = joining();
    feed.random = 0.999_999;
    for (const expected of [500, 1000, 2000]) {
      feed.step({ type: 'ready' }).after(100).step({ type: 'closed', code: 1011 });
      expect(feed.ms).toBe(Math.max(1000, expected));
      feed.after(feed.ms!).step({ type: 'timer' }).step({ type: 'prepared' });
    }
    feed.step({ type: 'ready' }).after(10_000).step({ type: 'closed', code: 1006 });
    expect(feed.ms).toBe(500);
    expect(feed.state.attempt).toBe(1);
  });

  it('since when it is down stays the same through all tries', () => {
    const feed = open().after(5000);
    const since = feed.now;
    for (let i = 0; i < 5; i += 1) {
      feed.step({ type: 'closed', code: 1006 });
      expect(feed.state.downSince).toBe(since);
      feed.after(feed.ms!).step({ type: 'timer' }).step({ type: 'prepared' });
      expect(feed.state.downSince).toBe(since);
    }
    expect(feed.step({ type: 'ready' }).state.downSince).toBeNull();
  });

  it.each(['online', 'visible', 'focus', 'restored', 'reconnect'] as const)('%s ends it at once', (type) => {
    expect(lost().step({ type }).state.phase).toBe('connecting');
  });
});

describe('a socket that only looks open', () => {
  it('is replaced when the network came back', () => {
    for (const make of [joining, open]) {
      const feed = make().step({ type: 'offline' });
      const before = feed.state.try;
      expect(feed.step({ type: 'online' }).done).toEqual(['drop', 'prepare', 'timer']);
      expect(feed.state).toMatchObject({ phase: 'connecting', try: before + 1, attempt: 0, isOffline: false });
      expect(feed.step({ type: 'online' }).effects).toEqual([]);
    }
  });

  it('is left alone when the network was never gone', () => {
    expect(open().step({ type: 'online' }).state.phase).toBe('open');
  });

  it('is replaced when the page comes back from the back/forward cache', () => {
    expect(open().step({ type: 'restored' }).state.phase).toBe('connecting');
    expect(idle().step({ type: 'restored' }).state.phase).toBe('idle');
  });

  it('is replaced after more than 30 s hidden and silent', () => {
    const hidden = (): Feed => open().step({ type: 'hidden' });
    expect(hidden().after(30_001).step({ type: 'visible' }).state.phase).toBe('connecting');
    expect(hidden().after(30_000).step({ type: 'visible' }).state.phase).toBe('open');
    const heard = hidden().after(20_000).step({ type: 'heard' }).after(20_000).step({ type: 'visible' });
    expect(heard.state).toMatchObject({ phase: 'open', hiddenAt: null });
    const fromTheStart = open().after(100_000).step({ type: 'visible' });
    expect(fromTheStart.state.phase).toBe('connecting');
    expect(open().after(100_000).step({ type: 'focus' }).state.phase).toBe('open');
  });

  it('is replaced when the timers show that the machine slept, and not because a hidden page runs them seldom', () => {
    const feed = open();
    expect(feed.ms).toBe(30_000);
    expect(feed.after(30_000 + 60_000).step({ type: 'heard' }).step({ type: 'timer' }).state.phase).toBe('open');
    expect(feed.after(30_000 + 90_001).step({ type: 'heard' }).step({ type: 'timer' }).state.phase).toBe('connecting');
  });

  it('is replaced when the server says nothing for 30 s longer than it said it would', () => {
    const feed = open().step({ type: 'alive', interval: 25_000 });
    for (const passed of [30_000, 24_000]) {
      feed.after(passed).step({ type: 'timer' });
      expect(feed.state.phase).toBe('open');
    }
    // The timer is set for when the socket counts as dead.
    expect(feed.ms).toBe(1000);
    expect(feed.after(1000).step({ type: 'timer' }).done).toEqual(['drop', 'prepare', 'timer']);
    expect(feed.state).toMatchObject({ phase: 'connecting', attempt: 0 });
    // The next socket of the same server is watched from its beginning.
    feed.step({ type: 'prepared' }).step({ type: 'ready' });
    for (const passed of [30_000, 25_000]) feed.after(passed).step({ type: 'timer' });
    expect(feed.state.phase).toBe('connecting');
  });

  it('is left alone while anything is heard', () => {
    const feed = open().step({ type: 'alive', interval: 25_000 });
    for (let i = 0; i < 20; i += 1) feed.after(20_000).step({ type: 'heard' }).step({ type: 'timer' });
    expect(feed.state.phase).toBe('open');
  });

  it('is replaced also before the server has said anything of itself; one of before, that never does, is known then', () => {
    const feed = open();
    for (const passed of [30_000, 25_000]) feed.after(passed).step({ type: 'timer' });
    expect(feed.state.phase).toBe('connecting');
    feed.step({ type: 'prepared' }).step({ type: 'ready' });
    for (let i = 0; i < 20; i += 1) feed.after(30_000).step({ type: 'timer' });
    expect(feed.state.phase).toBe('open');
    // The server says `alive` after all: it was updated, or a newer one took its place.
    feed.step({ type: 'alive', interval: 25_000 });
    for (const passed of [30_000, 25_000]) feed.after(passed).step({ type: 'timer' });
    expect(feed.state.phase).toBe('connecting');
  });

  it('is found also by a clock that was set back by an hour', () => {
    const feed = open().step({ type: 'alive', interval: 25_000 }).after(-3_600_000);
    for (let i = 0; i < 3; i += 1) feed.step({ type: 'timer' }).after(30_000);
    expect(feed.state.phase).toBe('connecting');
  });

  it('is believed for 10 s longer than the server said, or is taken to have said', () => {
    const feed = open();
    expect(silentSince(feed.state)).toBe(feed.now + 35_000);
    feed.after(5000).step({ type: 'alive', interval: 60_000 });
    expect(silentSince(feed.state)).toBe(feed.now + 70_000);
    feed.after(5000).step({ type: 'closed', code: 4429 });
    expect(silentSince(feed.state)).toBe(feed.now);
    expect(silentSince(preparing().state)).toBe(1_000_000);
    expect(silentSince(idle().state)).toBeNull();
    expect(silentSince(open().step({ type: 'closed', code: 4404 }).state)).toBeNull();
  });

  it('is replaced when its owner misses something, but what never opens is not replaced at full speed', () => {
    const feed = open().step({ type: 'replace' });
    expect(feed.state).toMatchObject({ phase: 'connecting', attempt: 0 });
    feed.step({ type: 'prepared' }).step({ type: 'replace' });
    expect(feed.state).toMatchObject({ phase: 'waiting', attempt: 1 });
    feed.after(feed.ms!).step({ type: 'timer' }).step({ type: 'prepared' }).step({ type: 'ready' });
    expect(feed.step({ type: 'replace' }).state.phase).toBe('connecting');
    expect(lost().step({ type: 'replace' }).state.phase).toBe('waiting');
  });
});

describe('a chat token', () => {
  const refused = (): Feed => {
    const feed = joining();
    feed.canRenew = true;
    return feed.step({ type: 'closed', code: 4401 });
  };

  it('that was refused is renewed at once, and the socket opened again', () => {
    const feed = refused();
    expect(feed.done).toEqual(['drop', 'renew', 'timer']);
    expect(feed.state).toMatchObject({ phase: 'connecting', attempt: 0 });
    expect(feed.step({ type: 'renewed' }).done).toEqual(['prepare', 'timer']);
    expect(feed.step({ type: 'prepared' }).done).toEqual(['join', 'timer']);
    expect(feed.step({ type: 'ready' }).state.phase).toBe('open');
  });

  it('that is refused again right after its renewal waits before the next one', () => {
    const feed = refused().step({ type: 'renewed' }).step({ type: 'prepared' }).step({ type: 'closed', code: 4401 });
    expect(feed.state).toMatchObject({ phase: 'waiting', attempt: 1 });
    expect(feed.after(feed.ms!).step({ type: 'timer' }).done).toEqual(['drop', 'renew', 'timer']);
  });

  it('that expires again after a socket was open is renewed at once again', () => {
    const feed = refused().step({ type: 'renewed' }).step({ type: 'prepared' }).step({ type: 'ready' });
    expect(feed.after(1000).step({ type: 'closed', code: 4401 }).done).toEqual(['drop', 'renew', 'timer']);
  });

  it('that cannot be renewed for lack of an answer is tried again, with a renewal', () => {
    const feed = refused().step({ type: 'renewFailed', code: 1006 });
    expect(feed.state).toMatchObject({ phase: 'waiting', attempt: 1 });
    expect(feed.after(feed.ms!).step({ type: 'timer' }).done).toEqual(['drop', 'renew', 'timer']);
  });

  it.each([
    [4400, 'unauthorized'],
    [4401, 'unauthorized'],
    [4403, 'forbidden'],
    [4404, 'not_found'],
  ] as const)('whose renewal is refused (%i) stops: %s', (code, reason) => {
    const feed = refused().step({ type: 'renewFailed', code });
    expect(feed.state).toMatchObject({ phase: 'stopped', reason });
    expect(feed.step({ type: 'reconnect' }).state.phase).toBe('connecting');
  });

  it('a renewal that never ends is given up', () => {
    expect(refused().after(45_000).step({ type: 'timer' }).state.phase).toBe('waiting');
  });
});

describe('a session', () => {
  it('that is over is told, and not tried again by itself', () => {
    const feed = open().step({ type: 'closed', code: 4401 });
    expect(feed.done).toEqual(['drop', 'timer', 'expired']);
    expect(feed.state).toMatchObject({ phase: 'stopped', reason: 'unauthorized' });
  });
});

it('from any state, any input leaves one that can go on: never a phase without a timer or a try', () => {
  const inputs: Untried[] = [
    ...(['start', 'stop', 'reconnect', 'replace', 'timer'] as const).map((type) => ({ type })),
    ...(['online', 'offline', 'visible', 'hidden', 'focus', 'restored'] as const).map((type) => ({ type })),
    ...(['renewed', 'prepared', 'heard', 'ready'] as const).map((type) => ({ type })),
    ...[0, 25_000].map((interval) => ({ type: 'alive' as const, interval })),
    ...[1006, 4401, 4404, 4429].map((code) => ({ type: 'closed' as const, code })),
    ...[1006, 4403].map((code) => ({ type: 'renewFailed' as const, code })),
  ];
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let run = 0; run < 100; run += 1) {
    const feed = new Feed();
    feed.canRenew = run % 2 === 0;
    let hasTimer = false;
    let hasSocket = false;
    for (let i = 0; i < 60; i += 1) {
      feed.random = random();
      feed.after(Math.floor(random() * 40_000)).step(inputs[Math.floor(random() * inputs.length)]!);
      for (const effect of feed.effects) {
        if (effect.type === 'timer') hasTimer = effect.ms !== null;
        if (effect.type === 'drop') hasSocket = false;
        if (effect.type === 'join') {
          expect(hasSocket, 'one socket at a time').toBe(false);
          hasSocket = true;
        }
      }
      const { phase, attempt, downSince, reason } = feed.state;
      expect(hasTimer).toBe(phase !== 'idle' && phase !== 'stopped');
      if (phase === 'waiting' || phase === 'idle' || phase === 'stopped') expect(hasSocket).toBe(false);
      expect(downSince === null).toBe(phase === 'open' || phase === 'idle');
      expect(reason !== null).toBe(phase === 'stopped');
      if (phase === 'open') expect(attempt).toBe(0);
    }
  }
});
