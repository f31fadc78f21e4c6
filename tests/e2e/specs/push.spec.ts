// Notifications: the banner that offers them, the worker that shows them, and where a click leads. What a push service
// would deliver is handed to the worker by the browser's own tools.
import type { BrowserContext, Page, Worker } from '@playwright/test';
import { expect, test } from '../harness/test.ts';
import { devTools } from '../harness/thread.ts';

interface Pushes {
  deliver(payload: unknown): Promise<void>;
  /** Resolves when the worker has shown so many notifications in all. */
  notified(count: number): Promise<void>;
  readonly worker: Worker;
}

interface WorkerScope {
  readonly registration: ServiceWorkerRegistration;
  notified: number;
}

/** The page's registered worker, ready for pushes. */
async function pushes(context: BrowserContext, page: Page, origin: string): Promise<Pushes> {
  const session = await devTools(page);
  const registered = new Promise<string>((resolve) => {
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const found = registrations.find((each) => each.scopeURL.startsWith(origin) && !each.isDeleted);
      if (found) resolve(found.registrationId);
    });
  });
  await session.send('ServiceWorker.enable');
  const registrationId = await registered;
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await expect.poll(() => context.serviceWorkers().length).toBeGreaterThan(0);
  const worker = context.serviceWorkers()[0]!;
  // Chromium forgets a notification that is asked for between its being stored and its being displayed, so a test asks
  // `shown` only when all that it awaits are displayed.
  await worker.evaluate(() => {
    const scope = self as unknown as WorkerScope;
    const show = scope.registration.showNotification.bind(scope.registration);
    scope.notified = 0;
    scope.registration.showNotification = async (...notification) => {
      await show(...notification);
      scope.notified += 1;
    };
  });
  return {
    worker,
    notified: (count) =>
      expect.poll(() => worker.evaluate(() => (self as unknown as WorkerScope).notified)).toBe(count),
    deliver: async (payload) => {
      const data = typeof payload === 'string' ? payload : JSON.stringify(payload);
      await session.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data });
    },
  };
}

const shown = (page: Page) =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    const notifications = await registration.getNotifications();
    return notifications.map(({ title, body, data }) => ({ title, body, data: data as unknown }));
  });

test('the banner offers notifications, and a "Not now" is remembered', async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const page = await context.newPage();
  // A fresh profile has not been asked; this browser answers "denied" for it.
  await page.addInitScript(() => {
    Object.defineProperty(Notification, 'permission', { get: () => 'default' });
  });
  await page.goto('/dashboard/messages');
  const banner = page.getByTestId('push-banner');
  await expect(banner).toBeVisible();
  await expect(banner.getByRole('button', { name: 'Turn on' })).toBeVisible();
  await banner.getByRole('button', { name: 'Not now' }).click();
  await expect(banner).toBeHidden();
  await page.reload();
  await expect(page.getByRole('searchbox', { name: 'Search' })).toBeVisible();
  const key = page.waitForResponse((response) => response.url().endsWith('/api/push/key'));
  await page.reload();
  await key;
  await expect(banner).toBeHidden();
});

test('who has refused notifications is not asked again', async ({ browsers, room }) => {
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.addInitScript(() => {
    Object.defineProperty(Notification, 'permission', { get: () => 'denied' });
  });
  await page.goto('/dashboard/messages');
  await expect(page.getByRole('searchbox', { name: 'Search' })).toBeVisible();
  await expect(page.getByTestId('push-banner')).toHaveCount(0);
});

test('a push becomes a notification of its words, and a click opens the conversation', async ({ browsers, room, server }) => {
  await room.clientSays('Is the transfer booked?');
  const context = await browsers.advisorContext(room.advisor);
  await context.grantPermissions(['notifications'], { origin: server.url });
  const page = await context.newPage();
  await page.goto('/dashboard/messages');
  const { deliver, notified, worker } = await pushes(context, page, server.url);
  await deliver({
    title: `New message from ${room.client.name}`,
    body: 'Is the transfer booked?',
    url: room.threadPath,
  });
  await notified(1);
  expect(await shown(page)).toEqual([
    { title: `New message from ${room.client.name}`, body: 'Is the transfer booked?', data: { page: room.threadPath } },
  ]);

  // Nothing outside the browser can click on a notification; the worker is told as the browser would tell it.
  const click = () =>
    worker.evaluate(async () => {
      const scope = self as unknown as {
        registration: { getNotifications(): Promise<Notification[]> };
        dispatchEvent(event: Event): boolean;
      };
      const [notification] = await scope.registration.getNotifications();
      const Click = (self as unknown as { NotificationEvent: new (type: string, init: object) => Event }).NotificationEvent;
      scope.dispatchEvent(new Click('notificationclick', { notification }));
    });
  await click();
  await expect(browsers.threadOn(page).row('Is the transfer booked?')).toBeVisible();
  expect(new URL(page.url()).searchParams.get('id')).toBe(room.conversationId);
  await expect.poll(() => shown(page)).toEqual([]);
});

test('nobody is notified of the conversation that is in front of them', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  await context.grantPermissions(['notifications'], { origin: server.url });
  const thread = await browsers.advisorThread(room, context);
  const { deliver, notified } = await pushes(context, thread.page, server.url);
  await deliver({ title: 'New message', body: 'in sight', url: room.threadPath });
  await deliver({ title: 'New message', body: 'elsewhere', url: '/dashboard/messages?id=another' });
  await notified(1);
  expect((await shown(thread.page)).map(({ body }) => body)).toEqual(['elsewhere']);
});

test('a payload that is not ours opens nothing foreign, and markup in it stays text', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  await context.grantPermissions(['notifications'], { origin: server.url });
  const page = await context.newPage();
  await page.goto('/dashboard/messages');
  const { deliver, notified } = await pushes(context, page, server.url);
  await deliver({ title: '<b>bold</b>', body: '<img src=x onerror=window.__xss=1>', url: 'https://evil.example/' });
  await notified(1);
  expect(await shown(page)).toEqual([
    { title: '<b>bold</b>', body: '<img src=x onerror=window.__xss=1>', data: { page: '/dashboard/messages' } },
  ]);
  await deliver('this is no JSON');
  await notified(2);
  expect((await shown(page)).map(({ title }) => title)).toEqual(['New message']);
});

test('a push for a session that is over shows none of its words, and takes away those that are shown', async ({
  browsers,
  room,
  server,
}) => {
  const context = await browsers.advisorContext(room.advisor);
  await context.grantPermissions(['notifications'], { origin: server.url });
  const page = await context.newPage();
  await page.goto('/dashboard/messages');
  const { deliver, notified } = await pushes(context, page, server.url);
  await deliver({ title: 'From Ann', body: 'My passport number is', url: '/dashboard/messages?id=another' });
  await notified(1);
  // The page does not know: it could as well be closed.
  await context.clearCookies();
  await deliver({ title: 'From Ann', body: 'and my credit card is', url: room.threadPath });
  await notified(2);
  expect((await shown(page)).map(({ title, body }) => [title, body])).toEqual([
    ['You are signed out', 'Sign in to read your messages.'],
  ]);
});
