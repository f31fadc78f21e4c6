// The script tag on somebody else's page: another origin, a strict policy, and styles that mean no good.
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { Widget } from '../harness/browsers.ts';
import { expect, test } from '../harness/test.ts';

interface Site {
  readonly origin: string;
  /** Shown from the next request on. */
  show(html: string, policy?: string): void;
  close(): Promise<void>;
}

async function site(): Promise<Site> {
  let page = { html: '', policy: '' };
  const server: HttpServer = createServer((request, response) => {
    if (request.url !== '/') return response.writeHead(404).end();
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      ...(page.policy ? { 'content-security-policy': page.policy } : {}),
    });
    return response.end(page.html);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    show: (html, policy = '') => (page = { html, policy }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

const HOSTILE = `
  * { all: revert; color: red !important; font: 40px/3 serif !important; letter-spacing: 1em !important;
      background: yellow !important; border: 5px solid lime !important; box-sizing: content-box !important; }
  div, button, textarea, span { display: none !important; position: static !important; }
  button { width: 300px !important; }
  .tc-bubble, .tc-window, .tc-launcher { transform: rotate(180deg) !important; visibility: hidden !important; }`;

/** As Turbo does: the next page's body takes the place of this one's, and the scripts in it run. */
async function navigate(page: Page, html: string): Promise<void> {
  await page.evaluate((html) => {
    const body = document.adoptNode(new DOMParser().parseFromString(html, 'text/html').body);
    document.body.replaceWith(body);
    for (const inert of body.querySelectorAll('script')) {
      const live = document.createElement('script');
      for (const { name, value } of inert.attributes) live.setAttribute(name, value);
      inert.replaceWith(live);
    }
  }, html);
}

function tag(server: string, trip: { id: string; shareToken: string; title: string }): string {
  return `<script src="${server}/widget.js" data-trip-id="${trip.id}" data-share-token="${trip.shareToken}"
    data-trip-title="${trip.title}" async></script>`;
}

test.describe('on a page of another origin', () => {
  let elsewhere: Site;
  test.beforeAll(async () => {
    elsewhere = await site();
  });
  test.afterAll(() => elsewhere.close());

  test('one script tag is a chat: history, both directions live, reactions and the count', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    await room.advisorSays('Welcome!');
    elsewhere.show(`<!doctype html><title>Blog</title><h1>Blog</h1><p>Words.</p>${tag(server.url, room.client.trip)}`);
    const page = await (await browsers.context()).newPage();
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    await expect(widget.badge).toHaveText('1');
    const advisor = await browsers.advisorThread(room);
    const client = await widget.open();
    await expect(client.row('Welcome!')).toBeVisible();
    await expect(widget.window).toContainText(`Re: ${room.client.trip.title}`);
    await expect(advisor.receipt).toHaveText(/^Seen /);
    await client.send('From the blog');
    await expect(advisor.row('From the blog')).toBeVisible({ timeout: 1_000 });
    await advisor.send('Good to see you');
    await expect(client.row('Good to see you')).toBeVisible({ timeout: 1_000 });
    await client.react('Good to see you', 'Heart');
    await expect(advisor.pill('Good to see you')).toHaveText(/❤️/, { timeout: 1_000 });
    await page.reload();
    await widget.open();
    await expect(client.row('Good to see you')).toBeVisible();
  });

  test('neither sees the other: hostile styles change nothing, and the page keeps its own', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    await room.advisorSays('Welcome!');
    const body = `<h1 id="title">Blog</h1><p id="words">Words.</p><textarea id="box">x</textarea>`;
    const measures = () =>
      [...document.querySelectorAll('h1, p, textarea, body, html')].map((element) => {
        const style = getComputedStyle(element);
        return [element.tagName, style.font, style.color, style.backgroundColor, style.margin, style.overflow];
      });
    const context = await browsers.context();
    const page = await context.newPage();
    elsewhere.show(`<!doctype html><title>Blog</title><style>${HOSTILE}</style>${body}`);
    await page.goto(elsewhere.origin);
    const alone = await page.evaluate(measures);
    const globals = await page.evaluate(() => Object.keys(window));

    elsewhere.show(`<!doctype html><title>Blog</title><style>${HOSTILE}</style>${body}${tag(server.url, room.client.trip)}`);
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    await expect(widget.launcher).toBeVisible();
    expect(await page.evaluate(measures)).toEqual(alone);
    expect((await page.evaluate(() => Object.keys(window))).filter((name) => !globals.includes(name))).toEqual([
      'travelchatWidget',
    ]);
    const launcher = (await widget.launcher.boundingBox())!;
    expect(launcher.width).toBe(56);
    expect(launcher.height).toBe(56);
    await expect(widget.launcher).toHaveCSS('background-color', 'rgb(0, 122, 255)');

    const client = await widget.open();
    await client.send('Hello');
    await expect(client.bubble('Hello')).toHaveCSS('font-size', '17px');
    await expect(client.bubble('Hello')).toHaveCSS('color', 'rgb(255, 255, 255)');
    await expect(client.bubble('Hello')).toHaveCSS('background-color', 'rgb(0, 122, 255)');
    await expect(client.bubble('Hello')).toHaveCSS('border-top-width', '0px');
    await expect(client.bubble('Hello')).toHaveCSS('transform', 'none');
    expect(await page.locator('.tc-bubble').first().evaluate((bubble) => bubble.getRootNode() instanceof ShadowRoot)).toBe(true);
  });

  test('a strict Content-Security-Policy is enough for it, without unsafe-inline', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    await room.advisorSays('Welcome!');
    const socket = server.url.replace('http', 'ws');
    elsewhere.show(
      `<!doctype html><title>Blog</title><h1>Blog</h1>${tag(server.url, room.client.trip)}`,
      `default-src 'none'; script-src ${server.url}; connect-src ${server.url} ${socket}; img-src ${server.url}`,
    );
    const page = await (await browsers.context()).newPage();
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    const client = await widget.open();
    await expect(client.bubble('Welcome!')).toHaveCSS('background-color', 'rgb(233, 233, 235)');
    await client.send('Strict');
    await expect(client.row('Strict')).toHaveAttribute('data-status', 'sent');
    expect(await room.contents()).toEqual(['Welcome!', 'Strict']);
  });

  test('it has its looks in browsers without constructed style sheets', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    elsewhere.show(`<!doctype html><title>Blog</title><h1>Blog</h1>${tag(server.url, room.client.trip)}`);
    const page = await (await browsers.context()).newPage();
    await page.addInitScript(() => {
      const lacking = { adoptedStyleSheets: ShadowRoot.prototype, replaceSync: CSSStyleSheet.prototype };
      for (const [name, owner] of Object.entries(lacking)) delete (owner as unknown as Record<string, unknown>)[name];
    });
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    await expect(widget.launcher).toHaveCSS('position', 'fixed');
    await widget.open();
    await expect(page.locator('.tc-window')).toHaveCSS('position', 'fixed');
  });

  test('keys typed into it do not reach the page, and what a page names its trip stays text', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    const title = '&lt;img src=x onerror=&quot;window.__xss=1&quot;&gt;';
    elsewhere.show(
      `<!doctype html><title>Blog</title>
       <script>window.keys = []; addEventListener('keydown', (event) => keys.push(event.key));</script>
       ${tag(server.url, { ...room.client.trip, title })}`,
    );
    const page = await (await browsers.context()).newPage();
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    const client = await widget.open();
    await expect(widget.window).toContainText('Re: <img src=x onerror="window.__xss=1">');
    await client.input.pressSequentially('jk?');
    const seen = await page.evaluate(() => [
      (window as unknown as { keys: string[] }).keys,
      (window as unknown as { __xss?: number }).__xss,
    ]);
    expect(seen).toEqual([[], undefined]);
  });

  for (const [place, html] of [
    ['body', (script: string) => `<!doctype html><title>Blog</title><h1>Blog</h1>${script}`],
    ['head', (script: string) => `<!doctype html><title>Blog</title>${script}<h1>Blog</h1>`],
  ] as const) {
    test(`a page that replaces its body keeps the chat as it is, once: the tag is in the ${place}`, async ({ launch, isPhone }) => {
      const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
      for (let i = 1; i <= 40; ++i) await room.advisorSays(`Hint ${i}`);
      const own = html(tag(server.url, room.client.trip));
      elsewhere.show(own);
      const page = await (await browsers.context()).newPage();
      await page.goto(elsewhere.origin);
      const widget = new Widget(page, isPhone);
      const client = await widget.open();
      await expect(client.row('Hint 40')).toBeVisible();
      await client.expectAtEnd();
      await client.input.fill('half a tho');
      for (let visit = 0; visit < 2; ++visit) {
        await navigate(page, own);
        await expect(widget.launcher).toHaveCount(1);
        await expect(client.input).toHaveValue('half a tho');
        await client.expectAtEnd();
      }
      // A reader stays at their place, too.
      await client.scrollBy(-600);
      await expect.poll(() => client.distanceToEnd()).toBeGreaterThan(400);
      const distance = await client.distanceToEnd();
      await navigate(page, own);
      await expect.poll(() => client.distanceToEnd()).toBeGreaterThan(distance - 2);
      await expect.poll(() => client.distanceToEnd()).toBeLessThan(distance + 2);
      // What is in the body may be exchanged as well, for a page without a chat.
      await page.evaluate(() => {
        document.body.innerHTML = '<h1>Another page</h1><travelchat-widget></travelchat-widget>';
      });
      await expect(widget.launcher).toHaveCount(1);
      await expect(page.locator('travelchat-widget')).toHaveCount(1);
      await expect(client.input).toHaveValue('half a tho');
      await client.send('A whole thought');
      await expect(client.row('A whole thought')).toHaveAttribute('data-status', 'sent');
      await page.evaluate(() => (window as unknown as { travelchatWidget: { destroy(): void } }).travelchatWidget.destroy());
      await navigate(page, '<h1>Without</h1>');
      await expect(page.getByRole('heading', { name: 'Without' })).toBeVisible();
      await expect(page.locator('travelchat-widget')).toHaveCount(0);
    });
  }

  test('a page with a chat of its own takes the place of the other one', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    const [first, second] = room.organization.clients;
    elsewhere.show(`<!doctype html><title>Blog</title><h1>Blog</h1>${tag(server.url, first.trip)}`);
    const page = await (await browsers.context()).newPage();
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    await widget.open();
    await expect(widget.window).toContainText(`Re: ${first.trip.title}`);
    await navigate(page, `<h1>Another trip</h1>${tag(server.url, second.trip)}`);
    await expect(widget.window).toBeHidden();
    await expect(widget.launcher).toHaveCount(1);
    await widget.open();
    await expect(widget.window).toContainText(`Re: ${second.trip.title}`);
  });

  test('the sound is switched off and on in the window, in the words of the page, for the next visits', async ({
    launch,
    isPhone,
  }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    const own = tag(server.url, room.client.trip);
    elsewhere.show(`<!doctype html><title>Blog</title><h1>Blog</h1>${own}`);
    const page = await (await browsers.context()).newPage();
    await page.goto(elsewhere.origin);
    const widget = new Widget(page, isPhone);
    await widget.open();
    const english = widget.window.getByRole('button', { name: 'Sound of new messages' });
    await expect(english).toHaveAttribute('aria-pressed', 'true');
    await english.click();
    await expect(english).toHaveAttribute('aria-pressed', 'false');
    elsewhere.show(`<!doctype html><html lang="de"><title>Blog</title><h1>Blog</h1>${own}`);
    await page.reload();
    await widget.launcher.click();
    await expect(widget.window.getByRole('button', { name: 'Ton bei neuen Nachrichten' })).toHaveAttribute('aria-pressed', 'false');
    elsewhere.show(`<!doctype html><title>Blog</title><h1>Blog</h1>${own.replace('<script ', '<script data-sound="off" ')}`);
    await page.reload();
    await widget.open();
    await expect(widget.window.getByRole('button', { name: 'Close chat' })).toBeVisible();
    await expect(english).toHaveCount(0);
  });

  test("it speaks the page's language", async ({ launch }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    await room.advisorSays('Guten Morgen');
    elsewhere.show(`<!doctype html><html lang="de"><title>Blog</title><h1>Blog</h1>${tag(server.url, room.client.trip)}`);
    const page = await (await browsers.context({ timezoneId: 'Europe/Berlin' })).newPage();
    await page.goto(elsewhere.origin);
    await page.getByRole('button', { name: 'Chat öffnen, 1 ungelesene Nachricht' }).click();
    await expect(page.getByRole('dialog', { name: `Chat mit ${room.advisor.name}` })).toBeVisible();
    await expect(page.getByRole('log', { name: 'Nachrichten' })).toBeVisible();
    await expect(page.locator('.tc-divider')).toHaveText(/^Heute \d{1,2}:\d\d$/);
    await page.getByRole('textbox', { name: 'Nachricht' }).fill('Hallo');
    await page.getByRole('button', { name: 'Senden' }).click();
    await expect(page.locator('.tc-receipt')).toHaveText('Gesendet');
    await page.getByRole('article', { name: /Guten Morgen/ }).focus();
    await page.keyboard.press('Enter');
    await expect(page.getByRole('toolbar', { name: 'Reagieren' }).getByRole('button', { name: 'Herz' })).toBeVisible();
  });

  test('it works on a page whose lang is no language tag', async ({ launch, isPhone }) => {
    const { server, browsers, room } = await launch({ extra: ['--allowed-origin', elsewhere.origin] });
    await room.advisorSays('Welcome!');
    const page = await (await browsers.context()).newPage();
    for (const lang of ['de-DE@euro', 'en-US.UTF-8', 'en-GB-UK', 'en-US, en', 'en-', 'de_AT', 'C']) {
      await test.step(lang, async () => {
        elsewhere.show(`<!doctype html><html lang="${lang}"><title>Blog</title><h1>Blog</h1>${tag(server.url, room.client.trip)}`);
        await page.goto(elsewhere.origin);
        const { launcher, thread } = new Widget(page, isPhone);
        await launcher.click();
        await expect(thread.row('Welcome!')).toBeVisible();
        await expect(page.locator('.tc-divider').first()).toHaveText(lang.startsWith('de') ? /^Heute \d/ : /^Today \d/);
      });
    }
  });

  test('an origin that the operator did not allow gets no chat, and the console says why', async ({ launch }) => {
    const { server, browsers, room } = await launch();
    elsewhere.show(`<!doctype html><title>Blog</title><h1>Blog</h1>${tag(server.url, room.client.trip)}`);
    const page = await (await browsers.context()).newPage();
    const told = page.waitForEvent('console', (message) => message.text().startsWith('travelchat: '));
    const refused = page.waitForEvent('requestfailed', (request) => request.url().includes('/api/chat-token'));
    await page.goto(elsewhere.origin);
    await refused;
    expect((await told).text()).toContain(`${server.url} answers, but not to scripts of ${elsewhere.origin}`);
    await expect(page.getByRole('heading', { name: 'Blog' })).toBeVisible();
    await expect(page.locator('.tc-launcher')).toHaveCount(0);
  });
});
