import { describe, expect, test, vi } from 'vitest';
import { ChatError } from '../../src/core/index';
import type { ChatGrant } from '../../src/core/types';
import { isRefusal, retryPause, ShareLink, type ShareLinkEnvironment } from '../../src/react/share_link';

const START = Date.parse('2026-11-23T10:00:00.000Z');
const address = { baseUrl: 'https://chat.example', tripId: 'trip-1', shareToken: 'share-1' };

function grant(name: string, lifeMs = 86_400_000): ChatGrant {
  return {
    chatToken: name,
    conversationId: 'conversation-1',
    clientId: 'client-1',
    clientName: 'Maria Lopez',
    orgId: 'org-1',
    advisorName: 'Ann Beck',
    advisorAvatar: null,
    expiresAt: new Date(START + lifeMs).toISOString(),
  };
}

class Tab {
  private readonly entries = new Map<string, string>();
  readonly pauses: number[] = [];
  requests = 0;
  now = START;
  onPause = () => {};
  isReachable = false;
  readonly told: string[] = [];

  constructor(private readonly answers: (ChatGrant | Error)[]) {}

  readonly storage = {
    getItem: (key: string) => this.entries.get(key) ?? null,
    setItem: (key: string, value: string) => void this.entries.set(key, value),
    removeItem: (key: string) => void this.entries.delete(key),
  };

  get size() {
    return this.entries.size;
  }

  link(changes: Partial<ShareLinkEnvironment> = {}, at = address): ShareLink {
    return new ShareLink(at, { origin: 'https://blog.example', ...this.environment(), ...changes });
  }

  environment() {
    return {
      now: () => this.now,
      random: () => 1,
      storage: this.storage,
      fetchGrant: () => {
        const answer = this.answers[this.requests++];
        if (answer === undefined) throw new Error('one request too many');
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      pause: (ms: number) => {
        this.pauses.push(ms);
        this.onPause();
        return Promise.resolve();
      },
      isReachable: () => Promise.resolve(this.isReachable),
      tell: (problem: string) => void this.told.push(problem),
    };
  }
}

const live = () => new AbortController().signal;
const lost = new ChatError('network', 0, 'no answer');

describe('the grant of a share link', () => {
  test('is asked for once and serves the next page of the same tab', async () => {
    const tab = new Tab([grant('first')]);
    expect(await tab.link().obtain(live())).toEqual(grant('first'));
    expect(await tab.link().obtain(live())).toEqual(grant('first'));
    expect(tab.requests).toBe(1);
  });

  test('serves no other trip, share link or server', async () => {
    const tab = new Tab([grant('a'), grant('b'), grant('c'), grant('d')]);
    const token = async (at: typeof address) => (await tab.link({}, at).obtain(live()))?.chatToken;
    expect(await token(address)).toBe('a');
    expect(await token({ ...address, tripId: 'trip-2' })).toBe('b');
    expect(await token({ ...address, shareToken: 'share-2' })).toBe('c');
    expect(await token({ ...address, baseUrl: '' })).toBe('d');
  });

  test('is replaced in its last minute', async () => {
    const tab = new Tab([grant('first'), grant('second', 2 * 86_400_000)]);
    await tab.link().obtain(live());
    tab.now = START + 86_400_000 - 60_001;
    expect((await tab.link().obtain(live()))?.chatToken).toBe('first');
    tab.now = START + 86_400_000 - 60_000;
    expect((await tab.link().obtain(live()))?.chatToken).toBe('second');
  });

  test('is asked for again when what was stored is not a grant', async () => {
    const tab = new Tab([grant('first'), grant('second'), grant('third'), grant('fourth')]);
    const link = tab.link();
    const written: string[] = [];
    const setItem = (key: string, value: string) => {
      written.push(key);
      tab.storage.setItem(key, value);
    };
    const spy = { ...tab.storage, setItem };
    await tab.link({ storage: spy }).obtain(live());
    for (const [junk, next] of [['{', 'second'], ['{"chatToken":1}', 'third'], ['null', 'fourth']] as const) {
      tab.storage.setItem(written[0]!, junk);
      expect((await link.obtain(live()))?.chatToken).toBe(next);
    }
  });

  test('is null when the server refuses, and then nothing is asked again', async () => {
    const tab = new Tab([new ChatError('sharing_disabled', 403, 'The trip is not shared.')]);
    expect(await tab.link().obtain(live())).toBeNull();
    expect(tab.pauses).toEqual([]);
  });

  test('is tried again after growing pauses while there is no network', async () => {
    const busy = new ChatError('rate_limited', 429, 'Too many tokens.');
    const broken = new ChatError('internal', 500, 'Something failed.');
    const tab = new Tab([lost, lost, busy, broken, grant('first')]);
    expect((await tab.link().obtain(live()))?.chatToken).toBe('first');
    expect(tab.pauses).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  test('is tried again after an answer that is none', async () => {
    const tab = new Tab([{} as ChatGrant, grant('first')]);
    expect((await tab.link().obtain(live()))?.chatToken).toBe('first');
    expect(tab.pauses).toEqual([1_000]);
  });

  test('is not asked for before the server wants to be asked', async () => {
    const tab = new Tab([new ChatError('rate_limited', 429, 'Too many tokens.', 30_000), grant('first')]);
    await tab.link().obtain(live());
    expect(tab.pauses).toEqual([30_000]);
  });

  test('is given up when the page no longer wants it', async () => {
    const tab = new Tab([lost]);
    const end = new AbortController();
    tab.onPause = () => end.abort();
    expect(await tab.link().obtain(end.signal)).toBeNull();
    expect(tab.requests).toBe(1);
  });

  test('works without a storage, and with one that throws', async () => {
    const forbidden = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    const tab = new Tab([grant('first'), grant('second')]);
    expect((await tab.link({ storage: null }).obtain(live()))?.chatToken).toBe('first');
    const storage = { getItem: forbidden, setItem: forbidden, removeItem: forbidden };
    expect((await tab.link({ storage }).obtain(live()))?.chatToken).toBe('second');
  });
});

describe('a renewed grant', () => {
  test('replaces the stored one', async () => {
    const tab = new Tab([grant('first'), grant('second')]);
    const link = tab.link();
    await link.obtain(live());
    expect((await link.renew()).chatToken).toBe('second');
    expect((await tab.link().obtain(live()))?.chatToken).toBe('second');
  });

  test('is asked for once by all who want it at the same time', async () => {
    const tab = new Tab([grant('first'), grant('second')]);
    const link = tab.link();
    const both = await Promise.all([link.obtain(live()), link.renew()]);
    expect(both.map((each) => each?.chatToken)).toEqual(['first', 'first']);
    expect((await link.renew()).chatToken).toBe('second');
  });

  test('that is refused takes the stored one along', async () => {
    const refused = new ChatError('not_found', 404, 'No such trip.');
    const tab = new Tab([grant('first'), refused]);
    const link = tab.link();
    await link.obtain(live());
    await expect(link.renew()).rejects.toBe(refused);
    expect(tab.size).toBe(0);
  });

  test('that the network lost leaves the stored one', async () => {
    const tab = new Tab([grant('first'), lost]);
    const link = tab.link();
    await link.obtain(live());
    await expect(link.renew()).rejects.toBe(lost);
    expect(link.stored()).toEqual(grant('first'));
  });
});

describe('a server that answers, but not to this page', () => {
  const unreadable = (tries: number) => new Tab([...Array.from({ length: tries }, () => lost), grant('first')]);

  test('is told once to whoever built the page', async () => {
    const tab = unreadable(5);
    tab.isReachable = true;
    await tab.link().obtain(live());
    expect(tab.told).toEqual([expect.stringMatching(/^travelchat: https:\/\/chat\.example .*--allowed-origin https:\/\/blog\.example/)]);
  });

  test('is told what to do about a frame without an origin', async () => {
    const tab = unreadable(5);
    tab.isReachable = true;
    // What a sandboxed frame has; its location may be the server's.
    vi.stubGlobal('origin', 'null');
    vi.stubGlobal('location', { origin: address.baseUrl });
    await new ShareLink(address, tab.environment()).obtain(live());
    vi.unstubAllGlobals();
    expect(tab.told).toEqual([expect.stringContaining('a sandboxed frame needs allow-same-origin')]);
    expect(tab.told[0]).not.toContain('--allowed-origin');
  });

  test('is not suspected after one lost answer, nor while nothing answers', async () => {
    const once = unreadable(1);
    once.isReachable = true;
    await once.link().obtain(live());
    const down = unreadable(5);
    await down.link().obtain(live());
    expect([once.told, down.told]).toEqual([[], []]);
  });

  test('is told also when it could not be reached at first', async () => {
    const tab = unreadable(5);
    tab.onPause = () => {
      tab.isReachable = tab.pauses.length >= 3;
    };
    await tab.link().obtain(live());
    expect(tab.told).toHaveLength(1);
  });

  test("is not the page's own", async () => {
    for (const baseUrl of ['', 'https://blog.example']) {
      const tab = unreadable(5);
      tab.isReachable = true;
      await tab.link({}, { ...address, baseUrl }).obtain(live());
      expect(tab.told).toEqual([]);
    }
  });

  test('was heard when its answer is no grant', async () => {
    const tab = new Tab([{} as ChatGrant, {} as ChatGrant, {} as ChatGrant, grant('first')]);
    tab.isReachable = true;
    await tab.link().obtain(live());
    expect(tab.told).toEqual([]);
  });
});

describe('the pause between two tries', () => {
  test('doubles up to a minute, under full jitter', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => retryPause(failures, () => 1));
    expect(longest).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
    expect(retryPause(7, () => 0)).toBe(0);
    expect(retryPause(7, () => 0.5)).toBe(30_000);
  });
});

describe('a refusal', () => {
  test.each([
    [400, true],
    [401, true],
    [403, true],
    [404, true],
    [0, false],
    [408, false],
    [429, false],
    [500, false],
    [503, false],
  ])('by status %i: %s', (status, expected) => {
    expect(isRefusal(new ChatError('code', status, 'why'))).toBe(expected);
  });

  test('is never something that the server did not say', () => {
    expect(isRefusal(new TypeError('bug'))).toBe(false);
  });
});
