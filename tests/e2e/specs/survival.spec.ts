// Crashes, lost connections and answers in every order: each message ends up once, in order, on both screens and in the
// database.
import type { Page, Route, WebSocketRoute } from '@playwright/test';
import { query, uuidBytes, type Value } from '../harness/database.ts';
import type { Server } from '../harness/server.ts';
import { Widget } from '../harness/browsers.ts';
import { expect, test } from '../harness/test.ts';
import type { Thread } from '../harness/thread.ts';
import type { Room } from '../harness/room.ts';

const STORED = `SELECT m.content FROM travelchat_messages m JOIN travelchat_conversations c ON c.pk = m.conversation_pk
  WHERE c.id = ? ORDER BY m.seq`;

const stored = (server: Server, room: Room): Value[] =>
  query(server.database, STORED, uuidBytes(room.conversationId)).map(([content]) => content!);

/** Both screens and the database hold the same messages in the same order, all sent. */
async function expectAgreement(server: Server, room: Room, threads: readonly Thread[], count: number): Promise<void> {
  for (const thread of threads) {
    await expect
      .poll(async () => (await thread.shown()).filter((row) => row.status === 'sent').length, { timeout: 15_000 })
      .toBe(count);
  }
  const inDatabase = stored(server, room);
  expect(inDatabase).toHaveLength(count);
  for (const thread of threads) expect(await thread.texts()).toEqual(inDatabase);
}

const isPost = (route: Route) => route.request().method() === 'POST';

test('a server that is killed and restarted while both write loses nothing and doubles nothing', async ({ launch }) => {
  test.slow();
  const { server, browsers, room } = await launch();
  const advisor = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);

  const words = (who: string) => Array.from({ length: 12 }, (_, i) => `${who} ${i + 1}`);
  const write = async (thread: Thread, texts: readonly string[]) => {
    for (const text of texts) {
      await thread.input.fill(text);
      await thread.input.press('Enter');
    }
  };
  const writing = Promise.all([write(advisor, words('advisor')), write(client, words('client'))]);
  await expect.poll(() => stored(server, room).length, { timeout: 15_000 }).toBeGreaterThan(1);
  await server.kill();
  await writing;
  await write(advisor, ['written while it was down']);
  await server.start();
  await expectAgreement(server, room, [advisor, client], 25);
  const texts = (await advisor.texts()).filter((text) => text.startsWith('advisor'));
  expect(texts, "one person's messages keep their order").toEqual(words('advisor'));
  expect((await client.texts()).filter((text) => text.startsWith('client'))).toEqual(words('client'));

  // Life goes on, through the new sockets.
  await client.send('Are we back?');
  await expect(advisor.row('Are we back?')).toBeVisible();
  await advisor.send('We are');
  await expect(client.row('We are')).toBeVisible();
  await expectAgreement(server, room, [advisor, client], 27);
});

test('a kill -9 in the middle of a request leaves one bubble and one row', async ({ launch }) => {
  const { server, browsers, room } = await launch();
  const advisor = await browsers.advisorThread(room);
  // The server takes the message; its answer never leaves the machine.
  let tellOfCrash = () => {};
  const crashed = new Promise<void>((resolve) => (tellOfCrash = resolve));
  await advisor.page.route('**/messages', async (route) => {
    if (!isPost(route)) return route.fallback();
    await route.fetch();
    await server.kill();
    await route.abort('connectionreset');
    tellOfCrash();
  }, { times: 1 });
  await advisor.send('Written into the crash');
  await crashed;
  expect(stored(server, room)).toEqual(['Written into the crash']);
  await server.start();
  await expectAgreement(server, room, [advisor], 1);
});

test('what is written offline waits, survives a reload, and goes out in order', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  const advisor = await browsers.advisorThread(room, context);
  const client = await browsers.openWidget(room);
  await context.setOffline(true);
  const texts = ['first', 'second', 'third'];
  for (const text of texts) await advisor.send(text);
  for (const text of texts) await expect(advisor.row(text)).toHaveAttribute('data-status', 'sending');
  expect(await advisor.texts()).toEqual(texts);
  expect(stored(server, room)).toEqual([]);

  // The page comes back over the network, its requests to the server's routes still do not.
  await context.route('**/api/conversations/*/messages', (route) => (isPost(route) ? route.abort() : route.fallback()));
  await context.setOffline(false);
  await advisor.page.reload();
  for (const text of texts) await expect(advisor.row(text)).toHaveAttribute('data-status', 'sending');
  expect(await advisor.texts()).toEqual(texts);
  expect(stored(server, room)).toEqual([]);

  await context.unroute('**/api/conversations/*/messages');
  await context.setOffline(true);
  await context.setOffline(false);
  await expectAgreement(server, room, [advisor, client], 3);
  expect(stored(server, room)).toEqual(texts);
});

test("a client's offline messages survive a reload too", async ({ browsers, room, server }) => {
  const context = await browsers.context();
  const client = await browsers.openWidget(room, context);
  await context.route('**/messages/client', (route) => route.abort());
  await client.send('one');
  await client.send('two');
  await client.page.reload();
  await context.unroute('**/messages/client');
  const widget = new Widget(client.page, client.isTouch);
  await expect(widget.launcher).toBeVisible();
  const again = await widget.open();
  await expectAgreement(server, room, [again], 2);
  expect(stored(server, room)).toEqual(['one', 'two']);
});

test('what is sent in the moment that a page goes is sent by the next one', async ({ browsers, room, server }) => {
  const context = await browsers.context();
  // The first page's database does not answer before the page goes, as a slow disk's.
  await context.addInitScript(() => {
    if (origin === 'null' || sessionStorage.getItem('is-second') !== null) return;
    sessionStorage.setItem('is-second', '');
    IDBFactory.prototype.open = () => new EventTarget() as IDBOpenDBRequest;
  });
  await context.route('**/messages/client', (route) => route.abort());
  const client = await browsers.openWidget(room, context);
  for (const text of ['one', 'two', 'three']) await client.send(text);
  await client.page.reload();
  await context.unroute('**/messages/client');
  const widget = new Widget(client.page, client.isTouch);
  const again = await widget.open();
  await expectAgreement(server, room, [again], 3);
  expect(stored(server, room)).toEqual(['one', 'two', 'three']);
});

test('a message whose answer is lost on the way is shown and stored once', async ({ browsers, room, server }) => {
  const advisor = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);
  let requests = 0;
  await advisor.page.route('**/messages', async (route) => {
    if (!isPost(route)) return route.fallback();
    requests += 1;
    if (requests > 1) return route.fallback();
    await route.fetch();
    await route.abort('connectionreset');
  });
  await advisor.send('Did you get this?');
  await expectAgreement(server, room, [advisor, client], 1);
});

/** Passes the page's chat sockets on to the server; `hold` keeps what the server says until `release`. */
class Sockets {
  private held: (() => void)[] | null = null;
  private readonly open = new Set<WebSocketRoute>();
  opened = 0;

  async install(page: Page): Promise<void> {
    await page.routeWebSocket(/\/ws\/chat/, (socket) => {
      const server = socket.connectToServer();
      this.opened += 1;
      this.open.add(socket);
      server.onMessage((text) => {
        const pass = () => socket.send(text);
        if (this.held) this.held.push(pass);
        else pass();
      });
    });
  }

  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const pass of held) pass();
  }

  get holding(): number {
    return this.held?.length ?? 0;
  }

  async closeAll(code: number): Promise<void> {
    for (const socket of this.open) await socket.close({ code, reason: 'test' });
    this.open.clear();
  }
}

test('the event may come before the answer', async ({ browsers, room, server }) => {
  const advisor = await browsers.advisorThread(room);
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  await advisor.page.route('**/messages', async (route) => {
    if (!isPost(route)) return route.fallback();
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  });
  await advisor.send('Event first');
  await expect(advisor.row('Event first')).toHaveAttribute('data-status', 'sent');
  const key = (await advisor.shown())[0]!.key;
  const answered = advisor.page.waitForResponse((response) => response.request().method() === 'POST');
  answer();
  await answered;
  await expectAgreement(server, room, [advisor], 1);
  expect((await advisor.shown())[0]!.key, 'the row stays the same element').toBe(key);
});

test('the answer may come before the event', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  const page = await context.newPage();
  const sockets = new Sockets();
  await sockets.install(page);
  await page.goto(room.threadPath);
  const advisor = browsers.threadOn(page);
  await expect(advisor.input).toBeVisible();
  await expect.poll(() => sockets.opened).toBe(1);
  await room.clientSays('so that the socket is known to be live');
  await expect(advisor.rows).toHaveCount(1);

  sockets.hold();
  await advisor.send('Answer first');
  await expect(advisor.row('Answer first')).toHaveAttribute('data-status', 'sent');
  await expect.poll(() => sockets.holding).toBeGreaterThan(0);
  const key = (await advisor.shown())[1]!.key;
  await advisor.row('Answer first').evaluate((row) => row.setAttribute('data-same-element', ''));
  sockets.release();
  await room.clientSays('and the event has been applied');
  await expect(advisor.rows).toHaveCount(3);
  await expectAgreement(server, room, [advisor], 3);
  expect((await advisor.shown())[1]!.key).toBe(key);
  await expect(advisor.row('Answer first')).toHaveAttribute('data-same-element', '');
});

test('a chat token that the server no longer accepts is renewed, and nothing that came meanwhile is missing', async ({
  launch,
}) => {
  const { server, browsers, room } = await launch({ extra: ['--token-lifetime', '3'] });
  const advisor = await browsers.advisorThread(room);
  const page = await (await browsers.context()).newPage();
  const codes: (number | undefined)[] = [];
  await page.addInitScript(() => {
    const closes: number[] = [];
    Object.assign(window, { closes });
    const Native = window.WebSocket;
    window.WebSocket = class extends Native {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener('close', (event) => closes.push(event.code));
      }
    };
  });
  await page.goto(room.tripPath);
  const client = await new Widget(page, false).open();
  await client.send('before it expires');
  await expect(advisor.row('before it expires')).toBeVisible();
  await expect
    .poll(async () => {
      codes.splice(0, codes.length, ...(await page.evaluate(() => (window as unknown as { closes: number[] }).closes)));
      return codes;
    }, { timeout: 10_000 })
    .toContain(4401);
  await advisor.send('said meanwhile');
  await expect(client.row('said meanwhile')).toBeVisible();
  await client.send('after it expired');
  await expectAgreement(server, room, [advisor, client], 3);
  await expect(client.banner).toBeHidden();
});

test('a lost connection is shown after two seconds, and its end hides the banner', async ({ launch }) => {
  const { server, browsers, room } = await launch();
  const advisor = await browsers.advisorThread(room);
  await expect(advisor.banner).toBeHidden();
  await server.kill();
  await expect(advisor.banner).toBeVisible();
  await expect(advisor.banner).toHaveAttribute('role', 'status');
  await expect(advisor.banner.getByRole('button', { name: 'Reconnect' })).toBeVisible({ timeout: 25_000 });
  await server.start();
  await advisor.banner.getByRole('button', { name: 'Reconnect' }).click();
  await expect(advisor.banner).toBeHidden();
  await room.clientSays('live again');
  await expect(advisor.row('live again')).toBeVisible();
});

test('a socket that is cut comes back by itself and replays what was missed', async ({ browsers, room, server }) => {
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  const sockets = new Sockets();
  await sockets.install(page);
  await page.goto(room.threadPath);
  const advisor = browsers.threadOn(page);
  await room.clientSays('before');
  await expect(advisor.row('before')).toBeVisible();
  sockets.hold();
  await room.clientSays('lost with the socket');
  await expect.poll(() => sockets.holding).toBeGreaterThan(0);
  await sockets.closeAll(1012);
  sockets.release();
  await room.clientSays('while it was away');
  await expectAgreement(server, room, [advisor], 3);
  expect(sockets.opened).toBeGreaterThan(1);
});

test('what is written after the browser has closed the database survives a reload, as does what was written before', async ({
  browsers,
  room,
}) => {
  const context = await browsers.context();
  await context.addInitScript(() => {
    const { open } = IDBFactory.prototype;
    const state = window as unknown as { databases: IDBDatabase[] };
    state.databases = [];
    IDBFactory.prototype.open = function (...args) {
      const request = open.apply(this, args);
      request.addEventListener('success', () => state.databases.push(request.result));
      return request;
    };
  });
  let isDown = true;
  await context.route('**/messages/client', (route) => (isDown ? route.abort() : route.fallback()));
  const thread = await browsers.openWidget(room, context);
  await thread.send('before');
  await expect(thread.row('before')).toHaveAttribute('data-status', 'sending');
  await thread.page.evaluate(() => {
    for (const database of (window as unknown as { databases: IDBDatabase[] }).databases) {
      database.close();
      database.dispatchEvent(new Event('close'));
    }
  });
  await thread.send('after');
  const kept = () =>
    thread.page.evaluate(async () => {
      const database = await new Promise<IDBDatabase>((resolve) => {
        const request = indexedDB.open('travelchat');
        request.onsuccess = () => resolve(request.result);
      });
      const entries = await new Promise<{ content: string }[]>((resolve) => {
        const request = database.transaction('outbox').objectStore('outbox').getAll();
        request.onsuccess = () => resolve(request.result as { content: string }[]);
      });
      database.close();
      return entries.map(({ content }) => content);
    });
  await expect.poll(kept).toEqual(['before', 'after']);
  await thread.page.reload();
  await new Widget(thread.page, browsers.isTouch).open();
  await expect(thread.row('before')).toHaveAttribute('data-status', 'sending');
  await expect(thread.row('after')).toHaveAttribute('data-status', 'sending');
  isDown = false;
  await expect(thread.row('after')).toHaveAttribute('data-status', 'sent', { timeout: 30_000 });
  expect(await room.contents()).toEqual(['before', 'after']);
});
