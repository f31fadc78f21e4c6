// public/sw.js as a browser runs it, in a scope whose windows and answers the test gives. Chromium runs the real one in
// tests/e2e.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';

const source = readFileSync(fileURLToPath(new URL('../public/sw.js', import.meta.url)), 'utf8');
const origin = 'https://lab.example';
const page = '/dashboard/messages?id=7';

/** As Safari has it before 17. */
class OldURL extends URL {
  static override readonly canParse = undefined as never;
}

interface Window {
  /** The address it was opened with. */
  url: string;
  /** What it shows now, and answers for; without it, it does not answer. */
  shows?: string;
  focused?: boolean;
  visibilityState?: 'visible' | 'hidden';
}

/** A worker with these windows open; `log` holds what it did, in order. `session`: what /api/me says, or somebody in its
 * place. `browser`: what it calls itself, Safari where nothing is said. `isBroken`: all that it may be asked, but to show
 * something, fails. */
function start(
  windows: Window[],
  session: number | 'no answer' | 'silence' | { status: number; body: string } = 200,
  browser: object = {},
  isBroken = false,
) {
  const log: unknown[] = [];
  const listeners = new Map<string, (event: object) => void>();
  const clients = windows.map(({ url, shows, focused = false, visibilityState = 'visible' }, number) => ({
    url: origin + url,
    focused,
    visibilityState,
    postMessage: (message: { type: string; page: string }, ports: MessagePort[] = []) => {
      if (message.type !== 'isInView') log.push(['message', number, message]);
      else if (shows !== undefined) ports[0]!.postMessage(message.page === shows);
    },
    focus: () => log.push(['focus', number]),
  }));
  const unlessBroken = <T>(value: T): Promise<T> => (isBroken ? Promise.reject(new Error('no')) : Promise.resolve(value));
  const self = {
    navigator: { userAgent: 'Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/16.4 Safari/605.1.15', ...browser },
    location: new URL(`${origin}/sw.js`),
    addEventListener: (type: string, listener: (event: object) => void) => listeners.set(type, listener),
    clients: {
      matchAll: () => unlessBroken(clients),
      openWindow: (path: string) => log.push(['open', path]),
      claim: () => {},
    },
    registration: {
      showNotification: (title: string, options: { body: string; tag: string; silent?: boolean; data: { page: string } }) =>
        log.push(['show', title, options.body, options.tag, options.data.page, ...(options.silent ? ['silent'] : [])]),
      getNotifications: ({ tag }: { tag?: string } = {}) =>
        unlessBroken([{ close: () => log.push(tag === undefined ? ['close'] : ['close', tag]) }]),
      pushManager: {
        subscribe: (options: unknown) => Promise.resolve({ made: options }),
        getSubscription: () => unlessBroken({ unsubscribe: () => log.push(['unsubscribe']) }),
      },
    },
    skipWaiting: () => {},
  };
  const fetch = (path: string, init?: { method: string; body: string }) => {
    if (path === '/api/me') {
      if (session === 'no answer') return Promise.reject(new TypeError('no network'));
      if (session === 'silence') return new Promise<Response>(() => {});
      const own = (status: number) => JSON.stringify(status === 200 ? { id: 'ann' } : { code: 'a_code', message: 'No.' });
      const { status, body } = typeof session === 'number' ? { status: session, body: own(session) } : session;
      return Promise.resolve(new Response(body, { status }));
    }
    log.push(init ? ['fetch', init.method, path, JSON.parse(init.body)] : ['fetch', 'GET', path]);
    return Promise.resolve({ ok: true, json: () => Promise.resolve({ publicKey: 'BKey' }) });
  };
  runInNewContext(source, { self, fetch, URL: OldURL, MessageChannel, setTimeout, clearTimeout });
  const dispatch = async (type: string, event: object) => {
    let done: unknown;
    listeners.get(type)!({ ...event, waitUntil: (promise: unknown) => (done = promise) });
    await done;
  };
  return {
    log,
    push: (payload: string | null) =>
      dispatch('push', { data: payload === null ? null : { json: () => JSON.parse(payload) as unknown } }),
    click: (data: unknown) =>
      dispatch('notificationclick', { notification: { data, close: () => log.push(['close']) } }),
    change: (event: object) => dispatch('pushsubscriptionchange', event),
  };
}

describe('a push', () => {
  const payload = JSON.stringify({ title: 'New message from Ann', body: 'Hello', url: page });

  test('is shown under its conversation', async () => {
    const worker = start([]);
    await worker.push(payload);
    expect(worker.log).toEqual([['show', 'New message from Ann', 'Hello', page, page]]);
  });

  const inView = [{ url: '/clients' }, { url: '/login', shows: page, focused: true }];

  test('of the conversation that somebody looks at, whatever page the window began with, is shown without a sound and taken away', async () => {
    const worker = start(inView);
    await worker.push(payload);
    expect(worker.log).toEqual([
      ['show', 'New message from Ann', 'Hello', page, page, 'silent'],
      ['close', page],
    ]);
  });

  test.each([
    ['Chromium', { userAgentData: { brands: [] } }],
    ['Firefox', { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0' }],
  ])('is not shown over that conversation by %s, which asks for nothing there', async (_, browser) => {
    const worker = start(inView, 200, browser);
    await worker.push(payload);
    expect(worker.log).toEqual([]);
    await worker.push(JSON.stringify({ title: 'New message from Ben', url: '/dashboard/messages?id=8' }));
    expect(worker.log).toHaveLength(1);
  });

  test.each([200, 401])('is shown whatever else fails (%i)', async (session) => {
    const worker = start(inView, session, {}, true);
    await worker.push(payload);
    expect(worker.log).toHaveLength(1);
    expect(worker.log[0]).toContain('show');
  });

  test.each<Window>([
    { url: page, shows: page },
    { url: page, shows: '/dashboard/messages?id=8', focused: true },
    { url: page, focused: true },
    { url: '/trip/5?token=x', shows: page, focused: true },
  ])('is shown while a window is %o', async (window) => {
    const worker = start([window]);
    await worker.push(payload);
    expect(worker.log).toHaveLength(1);
  });

  test.each([null, 'no json', 'null', '7', '{}', '{"url":7,"title":7,"body":7}', '{"url":"https://evil.example/x"}'])(
    'that holds %s still says that there is a message',
    async (broken) => {
      const worker = start([]);
      await worker.push(broken);
      expect(worker.log).toEqual([['show', 'New message', '', '/dashboard/messages', '/dashboard/messages']]);
    },
  );
});

describe('a push for somebody who is not signed in any more', () => {
  const payload = JSON.stringify({ title: 'New message from Ann', body: 'My passport number is', url: page });

  test('shows nothing of it, takes away what was shown, and is the last one', async () => {
    const worker = start([{ url: '/login' }], 401);
    await worker.push(payload);
    expect(worker.log).toEqual([
      ['unsubscribe'],
      ['close'],
      ['show', 'You are signed out', 'Sign in to read your messages.', '/dashboard/messages', '/dashboard/messages'],
    ]);
  });

  test.each([200, 401, 404, 502])('is shown without its words when somebody between answers: %i', async (status) => {
    const worker = start([], { status, body: '<html>Sign in to the hotel</html>' });
    await worker.push(payload);
    expect(worker.log).toEqual([['show', 'New message', '', '/dashboard/messages', '/dashboard/messages']]);
    const other = start([], { status, body: '{"message":"no Route matched"}' });
    await other.push(payload);
    expect(other.log).toEqual(worker.log);
  });

  test.each([500, 503, 404, 'no answer'] as const)('is shown without its words when that is not known: %s', async (session) => {
    const worker = start([], session);
    await worker.push(payload);
    expect(worker.log).toEqual([['show', 'New message', '', '/dashboard/messages', '/dashboard/messages']]);
  });
});

describe('a push, while the server says nothing', () => {
  afterEach(() => void vi.useRealTimers());

  test('is shown without its words after five seconds', async () => {
    vi.useFakeTimers();
    const worker = start([], 'silence');
    const done = worker.push(JSON.stringify({ title: 'New message from Ann', body: 'Hello', url: page }));
    await vi.advanceTimersByTimeAsync(4_999);
    expect(worker.log).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await done;
    expect(worker.log).toEqual([['show', 'New message', '', '/dashboard/messages', '/dashboard/messages']]);
  });
});

describe('a click on a notification', () => {
  test('brings forward the window that is in use, and leads it to the conversation', async () => {
    const worker = start([{ url: '/clients', visibilityState: 'hidden' }, { url: '/clients/9' }]);
    await worker.click({ page });
    expect(worker.log).toEqual([['close'], ['message', 1, { type: 'open', page }], ['focus', 1]]);
  });

  test('opens a window when there is none', async () => {
    const worker = start([]);
    await worker.click({ page });
    expect(worker.log).toEqual([['close'], ['open', page]]);
  });

  test("does not take a client's trip page", async () => {
    const worker = start([{ url: '/trip/5?token=x', focused: true }]);
    await worker.click({ page });
    expect(worker.log).toEqual([['close'], ['open', page]]);
  });

  test('opens no other site', async () => {
    const worker = start([]);
    await worker.click({ page: 'https://evil.example/' });
    expect(worker.log).toEqual([['close'], ['open', '/dashboard/messages']]);
  });
});

describe('a subscription that the browser replaced', () => {
  const change = { oldSubscription: { endpoint: 'https://push.example/old' } };

  test('is told to the server, the old one after the new one', async () => {
    const worker = start([]);
    await worker.change({ ...change, newSubscription: { endpoint: 'https://push.example/new' } });
    expect(worker.log).toEqual([
      ['fetch', 'POST', '/api/push/subscriptions', { endpoint: 'https://push.example/new' }],
      ['fetch', 'DELETE', '/api/push/subscriptions', { endpoint: 'https://push.example/old' }],
    ]);
  });

  test("is made anew with the server's key where the browser only dropped it", async () => {
    const worker = start([]);
    await worker.change(change);
    expect(worker.log.slice(0, 2)).toEqual([
      ['fetch', 'GET', '/api/push/key'],
      ['fetch', 'POST', '/api/push/subscriptions', { made: { userVisibleOnly: true, applicationServerKey: 'BKey' } }],
    ]);
  });
});
