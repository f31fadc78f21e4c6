// What people write is text. Nothing of the corpus in tests/vectors/xss.json runs, loads or leads anywhere, wherever it is
// shown: messages, names, trips, file names, addresses.
import type { BrowserContext, Page } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { repository } from '../harness/server.ts';
import { Widget } from '../harness/browsers.ts';
import { expect, test } from '../harness/test.ts';
import { Room } from '../harness/room.ts';
import { addToDatabase, historyRows, type PastMessage } from '../harness/organizations.ts';

const corpus = JSON.parse(readFileSync(`${repository}/tests/vectors/xss.json`, 'utf8')) as {
  readonly texts: readonly string[];
  readonly urls: readonly string[];
};

/** Everything by which a page could betray that something ran or was fetched. */
async function guard(context: BrowserContext, origin: string): Promise<string[]> {
  const breaches: string[] = [];
  await context.exposeBinding('tellOfXss', (_source, value) => breaches.push(`ran: ${String(value)}`));
  await context.addInitScript(() => {
    Object.defineProperty(window, '__xss', {
      set: (value) => (window as unknown as { tellOfXss: (value: unknown) => void }).tellOfXss(value),
    });
  });
  context.on('dialog', (dialog) => {
    breaches.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('request', (request) => {
    const { protocol, origin: target } = new URL(request.url());
    if (/^https?:$/.test(protocol) && target !== origin) breaches.push(`request: ${request.url()}`);
  });
  context.on('page', (page) => page.on('framenavigated', (frame) => {
    if (frame !== page.mainFrame()) breaches.push(`frame: ${frame.url()}`);
    else if (!frame.url().startsWith(origin) && frame.url() !== 'about:blank') breaches.push(`left for ${frame.url()}`);
  }));
  return breaches;
}

/** Where links and sources of the page lead, as the browser resolves them. */
const leads = (page: Page): Promise<string[]> =>
  page.evaluate(() => [
    ...[...document.querySelectorAll<HTMLAnchorElement>('a[href]')].map((link) => link.href),
    ...[...document.querySelectorAll<HTMLImageElement>('img[src]')].map((image) => image.src),
    ...[...document.querySelectorAll<HTMLElement>('iframe, object, embed, base, form[action]')].map((each) => each.outerHTML),
  ]);

async function expectSafeLeads(page: Page): Promise<void> {
  for (const lead of await leads(page)) expect(lead).toMatch(/^(https?|mailto):/);
}

/** Moves the mouse over everything, so that whatever waits for it gets its chance. */
async function touchAll(page: Page, selector: string): Promise<void> {
  await page.locator(selector).evaluateAll((elements) => {
    for (const element of elements) {
      for (const target of [element, ...element.querySelectorAll('*')]) {
        for (const type of ['mouseover', 'mouseenter', 'mousemove', 'focus', 'pointerover']) {
          target.dispatchEvent(new MouseEvent(type, { bubbles: true }));
        }
      }
    }
  });
}

test('messages of the corpus are shown letter by letter, on both sides, and nothing runs', async ({ browsers, room, server }) => {
  for (const text of corpus.texts) await room.clientSays(text);
  const context = await browsers.advisorContext(room.advisor);
  const breaches = await guard(context, server.url);
  const advisor = await browsers.advisorThread(room, context);
  const clientContext = await browsers.context();
  breaches.push(...(await guard(clientContext, server.url)));
  const client = await browsers.openWidget(room, clientContext);

  for (const thread of [advisor, client]) {
    await thread.expectAtEnd();
    const shown = new Map<number, string>();
    await expect(async () => {
      for (const row of await thread.shown()) shown.set(row.seq, row.text);
      await thread.scroller.evaluate((element) => (element.scrollTop -= element.clientHeight / 2));
      expect(shown.size).toBe(corpus.texts.length);
    }).toPass({ timeout: 15_000, intervals: [50] });
    corpus.texts.forEach((text, index) => expect(shown.get(index + 1)).toBe(text));
    await touchAll(thread.page, '.tc-bubble');
    await expectSafeLeads(thread.page);
    for (const link of await thread.root.locator('.tc-bubble a').all()) {
      await expect(link).toHaveAttribute('rel', 'noopener nofollow ugc');
    }
  }
  expect(breaches).toEqual([]);
});

test('what an advisor types from the corpus is sent and shown as typed', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  const breaches = await guard(context, server.url);
  const advisor = await browsers.advisorThread(room, context);
  const typed = corpus.texts.filter((text) => !/[\t\n]/.test(text)).slice(0, 12);
  for (const text of typed) await advisor.send(text);
  await expect.poll(async () => (await advisor.shown()).filter((row) => row.status === 'sent').length).toBe(typed.length);
  expect(await advisor.texts()).toEqual(typed);
  expect(await room.contents()).toEqual(typed);
  expect(breaches).toEqual([]);
});

test('names, trips and previews of the corpus are text on every page', async ({ launch }) => {
  test.slow();
  const names = corpus.texts.filter((text) => !text.includes('\u202e')).map((text) => text.replace('\t', ' '));
  const { server, browsers, organizations } = await launch({}, (number) =>
    number === 1
      ? { advisor: names[0]!, moreClients: names.map((name) => ({ name, trip: name })) }
      : {},
  );
  const organization = organizations[1]!;
  const named = organization.clients.slice(2);
  for (let i = 0; i < named.length; ++i) {
    const room = await Room.open(server.url, organization, 2 + i);
    await room.clientSays(names[i]!);
  }
  const context = await browsers.advisorContext(organization.advisors[0]);
  const breaches = await guard(context, server.url);
  const page = await context.newPage();
  await page.goto('/dashboard/messages');
  const rows = page.locator('[data-conversation-id]');
  await expect(rows).toHaveCount(named.length);
  const lines = await rows.evaluateAll((all) => all.map((row) => row.textContent ?? ''));
  for (const name of names) expect(lines.filter((line) => line.includes(name)).length, name).toBeGreaterThan(0);
  await touchAll(page, '[data-conversation-id]');
  await expectSafeLeads(page);

  await page.goto('/clients');
  const links = page.locator('main').getByRole('link');
  await expect.poll(() => links.count()).toBeGreaterThanOrEqual(named.length);
  const entries = await links.allTextContents();
  for (const name of names) expect(entries.some((entry) => entry.includes(name)), name).toBe(true);
  await expectSafeLeads(page);

  for (const [i, client] of named.entries()) {
    if (i % 4 !== 0) continue;
    const name = names[i]!;
    await page.goto(`/clients/${client.id}`);
    await expect(page.getByRole('heading', { name, exact: true, level: 1 })).toBeVisible();
    await expectSafeLeads(page);
  }
  await page.goto(`/clients/${named[0]!.id}`);
  await page.getByRole('button', { name: 'Message', exact: true }).click();
  await expect(page.getByRole('dialog', { name: names[0]!, exact: true })).toBeVisible();

  const outside = await browsers.context();
  const outsideBreaches = await guard(outside, server.url);
  const trip = await outside.newPage();
  for (const [i, client] of named.entries()) {
    if (i % 4 !== 0) continue;
    await trip.goto(`/trip/${client.trip.id}?token=${client.trip.shareToken}`);
    await expect(trip.getByRole('heading', { name: names[i]!, exact: true, level: 1 })).toBeVisible();
    await expect(trip).toHaveTitle(new RegExp(names[i]!.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
    const widget = new Widget(trip, false);
    await widget.open();
    await expect(widget.window).toContainText(names[0]!);
    await expect(widget.window).toContainText(`Re: ${names[i]!}`);
    await expectSafeLeads(trip);
  }
  expect(breaches.concat(outsideBreaches)).toEqual([]);
});

test('attachments with names and addresses of the corpus load nothing and lead nowhere', async ({ launch }) => {
  const { server, browsers, organizations } = await launch();
  const organization = organizations[1]!;
  const now = Date.now();
  const attachments = [
    ...corpus.urls.flatMap((url) => [
      { url, type: 'image/png', name: 'picture.png' },
      { url, type: 'text/html', name: 'page.html' },
    ]),
    ...corpus.texts.slice(0, 40).map((name) => ({ url: '/icon.svg', type: name, name })),
  ];
  const lines = attachments.map(
    (attachment, i): PastMessage => ({ by: 'client', text: `with ${i}`, at: now - (attachments.length - i) * 1_000, attachment }),
  );
  await server.pausedFor(() => {
    addToDatabase(server.database, historyRows(900_002, organization, organization.clients[0], lines));
  });
  const room = await Room.open(server.url, organization);
  const context = await browsers.advisorContext(organization.advisors[0]);
  const breaches = await guard(context, server.url);
  const advisor = await browsers.advisorThread(room, context);
  const client = await browsers.openWidget(room, await browsers.context());
  for (const thread of [advisor, client]) {
    await expect(thread.row(`with ${attachments.length - 1}`)).toBeVisible();
    for (let i = attachments.length - 1; i >= 0; i -= 3) {
      const row = thread.row(`with ${i}`);
      await expect(async () => {
        if ((await row.count()) === 0) await thread.scroller.evaluate((element) => (element.scrollTop -= 200));
        await expect(row).toHaveCount(1, { timeout: 100 });
      }).toPass();
      await row.scrollIntoViewIfNeeded();
      await expectSafeLeads(thread.page);
    }
    await touchAll(thread.page, '[data-message-key]');
  }
  // A picture elsewhere on the web is tried, and this page's policy stops it.
  expect(breaches.filter((breach) => breach !== 'request: https://evil.example/x.png')).toEqual([]);
  const stopped = browsers.pageErrors.splice(0);
  expect(stopped.filter((complaint) => !complaint.includes("Loading the image 'https://evil.example/x.png'"))).toEqual([]);
});

test('addresses of the corpus in the address bar do nothing', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  const breaches = await guard(context, server.url);
  const page = await context.newPage();
  // Control characters do not get that far: the server refuses them.
  for (const url of corpus.urls.filter((each) => !/\p{Cc}/u.test(each))) {
    await page.goto(`/login?next=${encodeURIComponent(url)}`);
    await expect(page.getByRole('searchbox', { name: 'Search' })).toBeVisible();
    expect(new URL(page.url()).origin).toBe(server.url);
  }
  for (const text of corpus.texts.slice(0, 8)) {
    await page.goto(`/dashboard/messages?id=${encodeURIComponent(text)}`);
    await expect(page.getByRole('alert')).toBeVisible();
    await page.goto(`/trip/x?token=${encodeURIComponent(text)}`);
    await expect(page.getByRole('heading').first()).toBeVisible();
  }
  expect(breaches).toEqual([]);
});
