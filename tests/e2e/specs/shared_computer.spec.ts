// What one person leaves in a browser for the next: nothing to be shown, and nothing that goes on arriving.
import type { Page } from '@playwright/test';
import { expect, test } from '../harness/test.ts';
import { signIn } from '../harness/room.ts';
import { PASSWORD } from '../harness/organizations.ts';

/** Everything that the browser keeps for this origin, as text. */
const kept = (page: Page): Promise<string> =>
  page.evaluate(async () => {
    const databases = await indexedDB.databases();
    const found: unknown[] = [{ ...localStorage }, { ...sessionStorage }];
    for (const { name } of databases) {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(name!);
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      for (const store of database.objectStoreNames) {
        found.push(
          await new Promise((resolve, reject) => {
            const request = database.transaction(store).objectStore(store).getAll();
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
          }),
        );
      }
      database.close();
    }
    return JSON.stringify(found);
  });

async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in to Travel Lab' })).toBeVisible();
}

test('who signs out takes along what was written and not sent', async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const thread = await browsers.advisorThread(room, context);
  const { page } = thread;
  // The server takes no message: this one waits in the outbox, the other in the input.
  await page.route('**/messages', (route) => (route.request().method() === 'POST' ? route.abort() : route.fallback()));
  await thread.send('a secret that was sent');
  await thread.input.fill('a secret draft');
  await expect.poll(() => kept(page)).toContain('a secret that was sent');
  expect(await kept(page)).toContain('a secret draft');
  await page.goto('/clients');
  await signOut(page);
  await expect.poll(() => kept(page)).not.toContain('secret');
  // Nor does it go out when the next one has signed in.
  await page.unroute('**/messages');
  const cookie = await signIn(browsers.server.url, room.advisor.email);
  await context.addCookies([{ ...cookie, url: browsers.server.url }]);
  const next = await browsers.advisorThread(room, context);
  await expect(next.input).toHaveValue('');
  await expect(next.row('a secret that was sent')).toHaveCount(0);
});

test('notifications end with the sign-out although the server does not take it', async ({ browsers, room }) => {
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  // This browser has no push service. What it would have subscribed to is stood in for.
  await page.addInitScript(() => {
    Object.defineProperty(Notification, 'permission', { get: () => 'granted' });
    const state = window as unknown as { subscribed: boolean };
    state.subscribed = false;
    const subscription = {
      endpoint: 'https://push.example/1',
      options: { applicationServerKey: null },
      toJSON: () => ({ endpoint: 'https://push.example/1', keys: {} }),
      unsubscribe: () => {
        state.subscribed = false;
        return Promise.resolve(true);
      },
    };
    PushManager.prototype.getSubscription = () => Promise.resolve(state.subscribed ? (subscription as never) : null);
    PushManager.prototype.subscribe = () => {
      state.subscribed = true;
      return Promise.resolve(subscription as never);
    };
  });
  await page.route('**/api/push/subscriptions', (route) =>
    route.request().method() === 'POST' ? route.fulfill({ status: 201, json: { ok: true } }) : route.abort(),
  );
  await page.goto('/clients');
  const subscribed = () => page.evaluate(() => (window as unknown as { subscribed: boolean }).subscribed);
  await expect.poll(subscribed).toBe(true);
  await signOut(page);
  expect(await subscribed()).toBe(false);
});

test('a second tab shows nothing of who was signed in before', async ({ browsers, room, world }) => {
  const other = world.organizations.at(-1)!;
  const context = await browsers.advisorContext(room.advisor);
  const rowOf = (page: Page, id: string) => page.locator(`a[href="/clients/${id}"]`);
  const [first, second] = [await context.newPage(), await context.newPage()];
  for (const page of [first, second]) {
    await page.goto('/clients');
    await expect(rowOf(page, room.client.id)).toBeVisible();
  }
  await signOut(first);
  await expect(second.getByRole('heading', { name: 'Sign in to Travel Lab' })).toBeVisible();
  await first.getByLabel('E-mail').fill(other.advisors[0].email);
  await first.getByLabel('Password').fill(PASSWORD);
  await first.getByRole('button', { name: 'Sign in' }).click();
  await expect(second.getByRole('heading', { name: 'Sign in to Travel Lab' })).toHaveCount(0);
  await second.getByRole('link', { name: 'Clients' }).click();
  await expect(rowOf(second, other.clients[0].id)).toBeVisible();
  await expect(rowOf(second, room.client.id)).toHaveCount(0);
});

test("no address that the client's chat asks for holds the secret of the share link or a token", async ({ browsers, room }) => {
  const context = await browsers.context();
  const asked: string[] = [];
  const tokens: string[] = [];
  context.on('request', (request) => {
    // The page itself, whose address is the link, and the trip that it shows.
    if (/\/api\/conversations|\/api\/chat-token|\/ws\//.test(request.url())) asked.push(request.url());
  });
  context.on('page', (page) => page.on('websocket', (socket) => asked.push(socket.url())));
  context.on('response', async (response) => {
    if (response.url().includes('/api/chat-token')) {
      expect(response.request().method()).toBe('POST');
      tokens.push(((await response.json()) as { chatToken: string }).chatToken);
    }
  });
  const thread = await browsers.openWidget(room, context);
  await thread.send('Hello');
  await expect(thread.receipt).toBeVisible();
  await expect.poll(() => tokens.length).toBe(1);
  expect(asked.length).toBeGreaterThan(2);
  for (const url of asked) {
    expect(url).not.toContain(room.client.trip.shareToken);
    expect(url).not.toContain(tokens[0]!);
  }
});
