// Turning notifications off, in a browser and at a server that do as the test says. Chromium does it in tests/e2e.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

const endpoint = 'https://push.example/1';

let log: string[];
let server: 'answers' | 'refuses' | 'is away' | 'hangs';

beforeEach(() => {
  log = [];
  server = 'answers';
  const subscription = {
    endpoint,
    unsubscribe: () => {
      log.push('unsubscribe');
      return Promise.resolve(true);
    },
  };
  const registration = {
    getNotifications: () => Promise.resolve([{ close: () => log.push('close') }]),
    pushManager: { getSubscription: () => Promise.resolve(subscription) },
  };
  vi.stubGlobal('navigator', { serviceWorker: { getRegistration: () => Promise.resolve(registration) } });
  vi.stubGlobal('window', { PushManager: class {}, Notification: class {} });
  vi.stubGlobal('fetch', (path: string, { method, body }: { method: string; body: string }) => {
    log.push(`${method} ${path} ${(JSON.parse(body) as { endpoint: string }).endpoint}`);
    if (server === 'is away') return Promise.reject(new TypeError('no network'));
    if (server === 'hangs') return new Promise(() => {});
    const answer = server === 'answers' ? { ok: true } : { code: 'unauthenticated', message: 'Sign in.' };
    return Promise.resolve(new Response(JSON.stringify(answer), { status: server === 'answers' ? 200 : 401 }));
  });
  vi.resetModules();
});

afterEach(() => vi.unstubAllGlobals());

describe('turning notifications off', () => {
  test.each(['answers', 'refuses', 'is away', 'hangs'] as const)(
    'ends the subscription of this browser when the server %s',
    async (how) => {
      server = how;
      const { turnOffPush } = await import('../src/push');
      const done = turnOffPush();
      if (how !== 'hangs') await done;
      await vi.waitFor(() => expect(log).toContain('unsubscribe'));
      expect(log).toEqual(['close', `DELETE /api/push/subscriptions ${endpoint}`, 'unsubscribe']);
    },
  );
});
