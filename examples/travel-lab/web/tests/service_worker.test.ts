// public/sw.js as a browser runs it, in a scope whose windows and answers the test gives. Chromium runs the real one in
// tests/e2e.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';

const source = readFileSync(fileURLToPath(new URL('../public/sw.js', import.meta.url)), 'utf8');
const origin = 'https://lab.example';
const page = '/dashboard/messages?id=7';

interface Window {
  /** The address it was opened with. */
  url: string;
  /** What it shows now, and answers for; without it, it does not answer. */
  shows?: string;
  focused?: boolean;
  visibilityState?: 'visible' | 'hidden';
}

/** A worker with these windows open; `log` holds what it did, in order. */
function start(windows: Window[]) {
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
  const self = {
    location: new URL(`${origin}/sw.js`),
    addEventListener: (type: string, listener: (event: object) => void) => listeners.set(type, listener),
    clients: {
      matchAll: () => Promise.resolve(clients),
      openWindow: (path: string) => log.push(['open', path]),
      claim: () => {},
    },
    registration: {
      showNotification: (title: string, options: { body: string; tag: string; data: { page: string } }) =>
        log.push(['show', title, options.body, options.tag, options.data.page]),
      pushManager: { subscribe: (options: unknown) => Promise.resolve({ made: options }) },
    },
    skipWaiting: () => {},
  };
  const fetch = (path: string, init?: { method: string; body: string }) => {
    log.push(init ? ['fetch', init.method, path, JSON.parse(init.body)] : ['fetch', 'GET', path]);
    return Promise.resolve({ ok: true, json: () => Promise.resolve({ publicKey: 'BKey' }) });
  };
  runInNewContext(source, { self, fetch, URL, MessageChannel, setTimeout, clearTimeout });
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

  test('is not shown over the conversation that somebody looks at, whatever page the window began with', async () => {
    const worker = start([{ url: '/clients' }, { url: '/login', shows: page, focused: true }]);
    await worker.push(payload);
    expect(worker.log).toEqual([]);
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
