// docs/images: every screen and state at two widths, light and dark, from the real server and the built pages.
import { type BrowserContext, type Page, test as base } from '@playwright/test';
import path from 'node:path';
import { repository, Server } from '../harness/server.ts';
import { Browsers, Widget } from '../harness/browsers.ts';
import { refuseNextMessage, type Thread } from '../harness/thread.ts';
import { Room } from '../harness/room.ts';
import { addToDatabase, demoPasswordHash, historyRows, hostRows } from '../harness/organizations.ts';
import { agency, histories, longTalk, NOW, people } from './agency.ts';

const { expect } = base;

const test = base.extend<{ browsers: Browsers }, { server: Server }>({
  server: [
    async ({}, use) => {
      const server = new Server();
      try {
        await server.start();
        await server.pausedFor(() => {
          const hash = demoPasswordHash(server.database);
          const talks = histories.map(([client, lines], i) => historyRows(800_000 + i, agency, client, lines));
          addToDatabase(server.database, [...hostRows(agency, hash), ...talks.flat()]);
        });
        await use(server);
        await server.stop();
      } finally {
        await server.discard();
      }
    },
    { scope: 'worker' },
  ],
  browsers: async ({ browser, server, hasTouch }, use) => {
    const browsers = new Browsers(browser, server, hasTouch);
    await use(browsers);
    await browsers.close();
  },
});

async function advisorContext(browsers: Browsers): Promise<BrowserContext> {
  const context = await browsers.advisorContext(agency.advisors[0]);
  await context.clock.setFixedTime(NOW);
  return context;
}

async function clientContext(browsers: Browsers): Promise<BrowserContext> {
  const context = await browsers.context();
  await context.clock.setFixedTime(NOW);
  return context;
}

/** When nothing moves, no picture is missing, and neither cursor nor mouse leaves a trace. */
async function shoot(page: Page, name: string, keepsMouse = false): Promise<void> {
  if (!keepsMouse) await page.mouse.move(0, 0);
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
  await expect
    .poll(() =>
      page.evaluate(() =>
        [...document.images].every((image) => {
          const { top, bottom, width } = image.getBoundingClientRect();
          // What is hidden or out of sight may wait until it is seen.
          return image.complete || width === 0 || bottom < 0 || top > innerHeight;
        }),
      ),
    )
    .toBe(true);
  await page.screenshot({
    path: path.join(repository, 'docs/images', `${name}-${base.info().project.name}.png`),
    animations: 'disabled',
    caret: 'hide',
  });
}

/** Typing dots are a motion; in a picture they stand still in mid-jump. */
async function shootMoving(page: Page, name: string): Promise<void> {
  await page.screenshot({
    path: path.join(repository, 'docs/images', `${name}-${base.info().project.name}.png`),
    animations: 'allow',
    caret: 'hide',
  });
}

const roomOf = (server: Server, name: keyof typeof people) =>
  Room.open(server.url, agency, agency.clients.indexOf(people[name]));

test('signing in', async ({ browsers }) => {
  const page = await (await clientContext(browsers)).newPage();
  await page.goto('/login');
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  await shoot(page, 'login');
});

test('the list and a thread', async ({ browsers, server }) => {
  const context = await advisorContext(browsers);
  const elena = await roomOf(server, 'elena');
  const messages = await elena.messages();
  const messageOf = (text: string) => messages.find((message) => message.content.startsWith(text))!;
  await elena.clientReacts(messageOf('Every day').id, '❤️');
  const list = await context.newPage();
  await list.goto('/dashboard/messages');
  await expect(list.locator('[data-conversation-id]')).toHaveCount(histories.length);
  await shoot(list, 'messages');
  await list.close();

  const thread = await browsers.advisorThread(elena, context);
  await expect(thread.bubble('Anything else on your list?')).toBeVisible();
  await thread.react('And the transfer from the airport?', 'Thumbs up');
  await putAway(thread);
  await shoot(thread.page, 'thread');
  await thread.openPicker('And the transfer from the airport?');
  await shoot(thread.page, 'thread-picker', true);
});

/** No picker, no keyboard focus on a message. */
async function putAway(thread: Thread): Promise<void> {
  if (thread.isTouch) {
    const box = (await thread.scroller.boundingBox())!;
    await thread.page.touchscreen.tap(box.x + 4, box.y + 4);
  } else {
    await thread.page.mouse.move(1, 1);
  }
  await expect(thread.picker).toBeHidden();
}

test('an empty thread, and one with a failed message', async ({ browsers, server }) => {
  const context = await advisorContext(browsers);
  const grace = await roomOf(server, 'grace');
  const thread = await browsers.advisorThread(grace, context);
  await shoot(thread.page, 'thread-empty');

  const theo = await roomOf(server, 'theo');
  const other = await browsers.advisorThread(theo, context);
  await refuseNextMessage(other.page);
  await other.send('Pack for four seasons: I have attached a list.');
  await expect(other.row('Pack for four seasons: I have attached a list.')).toHaveAttribute('data-status', 'failed');
  await shoot(other.page, 'thread-failed');
});

test('somebody types', async ({ browsers, server }) => {
  const elena = await roomOf(server, 'elena');
  const thread = await browsers.advisorThread(elena, await advisorContext(browsers));
  const widget = await browsers.widget(elena, await clientContext(browsers));
  const client = await widget.open();
  await client.expectAtEnd();
  await client.input.pressSequentially('No, that is');
  await expect(thread.typing).toBeVisible();
  await shootMoving(thread.page, 'thread-typing');
  await client.input.fill('');

  await thread.input.pressSequentially('One more thing');
  await expect(client.typing).toBeVisible();
  await shootMoving(client.page, 'widget-typing');
});

test('no connection', async ({ browsers, server }) => {
  const amara = await roomOf(server, 'amara');
  const context = await advisorContext(browsers);
  const thread = await browsers.advisorThread(amara, context);
  await server.stop();
  try {
    await expect(thread.banner).toBeVisible();
    await thread.send('The tea ceremony is on the 12th.');
    await shoot(thread.page, 'thread-offline');
  } finally {
    await server.start();
  }
});

test('unread messages, and newer ones below', async ({ browsers, server }) => {
  await server.pausedFor(() => {
    addToDatabase(server.database, historyRows(810_000, agency, people.hugo, longTalk));
  });
  const hugo = await roomOf(server, 'hugo');
  const thread = await browsers.advisorThread(hugo, await advisorContext(browsers));
  await expect(thread.root.locator('.tc-new-line')).toBeVisible();
  await shoot(thread.page, 'thread-new');
  await thread.expectAtEnd();
  await thread.scrollBy(-700);
  await expect(thread.jump).toBeVisible();
  for (const text of ['One last thing', 'Do we need cash?', 'Or is a card enough?']) await hugo.clientSays(text);
  await expect(thread.jump).toHaveText(/3 new messages/);
  await putAway(thread);
  await shoot(thread.page, 'thread-jump');
});

test('clients and the sheet', async ({ browsers }) => {
  const page = await (await advisorContext(browsers)).newPage();
  await page.goto('/clients');
  await expect(page.getByRole('link', { name: people.elena.name })).toBeVisible();
  await shoot(page, 'clients');
  await page.goto(`/clients/${people.elena.id}`);
  const button = page.getByRole('button', { name: 'Message', exact: true });
  await expect(button).toBeVisible();
  await shoot(page, 'client');
  await button.click();
  await expect(browsers.threadOn(page).row('Anything else on your list?')).toBeVisible();
  await shoot(page, 'client-sheet');
});

test('a trip and its widget', async ({ browsers, server }) => {
  const mei = await roomOf(server, 'mei');
  const page = await (await clientContext(browsers)).newPage();
  await mei.advisorSays('The boat on day two leaves at nine.');
  await page.goto(mei.tripPath);
  const widget = new Widget(page, browsers.isTouch);
  await expect(widget.badge).toBeVisible();
  await shoot(page, 'trip');

  const elena = await roomOf(server, 'elena');
  const open = await browsers.widget(elena, await clientContext(browsers));
  await (await open.open()).expectAtEnd();
  await shoot(open.page, 'widget');

  const grace = await roomOf(server, 'grace');
  const empty = await browsers.widget(grace, await clientContext(browsers));
  await empty.open();
  await shoot(empty.page, 'widget-empty');
});
