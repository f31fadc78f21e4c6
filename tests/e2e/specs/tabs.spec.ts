// One advisor with two tabs, and two advisors of one organization.
import type { Locator, Page } from '@playwright/test';
import { query, uuidBytes } from '../harness/database.ts';
import { expect, test } from '../harness/test.ts';
import { devTools } from '../harness/thread.ts';
import { Room } from '../harness/room.ts';

const listRow = (page: Page, conversationId: string): Locator =>
  page.locator(`[data-conversation-id="${conversationId}"]`);

test('the list is live: preview, order and badge follow what clients write', async ({ browsers, room, server }) => {
  const other = await Room.open(server.url, room.organization, 1);
  await other.clientSays('earlier');
  await room.clientSays('later');
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.goto('/dashboard/messages');
  const first = listRow(page, room.conversationId);
  const second = listRow(page, other.conversationId);
  await expect(first).toContainText('later');
  await expect(first.locator('.tc-unread [aria-hidden]')).toHaveText('1');
  await expect(page.locator('[data-conversation-id]').first()).toHaveAttribute('data-conversation-id', room.conversationId);

  await other.clientSays('news from the other one');
  await expect(second).toContainText('news from the other one', { timeout: 1_000 });
  await expect(second.locator('.tc-unread [aria-hidden]')).toHaveText('2');
  await expect(page.locator('[data-conversation-id]').first()).toHaveAttribute('data-conversation-id', other.conversationId);
});

test('reading in one tab clears the badge in the other', async ({ browsers, room }) => {
  await room.clientSays('one');
  await room.clientSays('two');
  const context = await browsers.advisorContext(room.advisor);
  const list = await context.newPage();
  await list.goto('/dashboard/messages');
  await expect(listRow(list, room.conversationId).locator('.tc-unread [aria-hidden]')).toHaveText('2');
  const thread = await browsers.advisorThread(room, context);
  await thread.expectAtEnd();
  await expect(listRow(list, room.conversationId).locator('.tc-unread')).toBeHidden({ timeout: 2_000 });
  expect(await room.unreadCount()).toBe(0);
});

test('a colleague sees the message, its sender as one of the own side, and clears the badge for all', async ({
  browsers,
  room,
}) => {
  await room.clientSays('Good morning');
  const [nora, ivan] = room.organization.advisors;
  const list = await (await browsers.advisorContext(nora)).newPage();
  await list.goto('/dashboard/messages');
  await expect(listRow(list, room.conversationId).locator('.tc-unread [aria-hidden]')).toHaveText('1');
  const colleague = await browsers.advisorThread(room, await browsers.advisorContext(ivan));
  await expect(listRow(list, room.conversationId).locator('.tc-unread')).toBeHidden({ timeout: 2_000 });
  await colleague.send('Nora is out today');
  const hers = await browsers.advisorThread(room, await browsers.advisorContext(nora));
  await expect(hers.row('Nora is out today')).toBeVisible();
});

test('two tabs show the same messages in the same order, whichever of them wrote', async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const first = await browsers.advisorThread(room, context);
  const second = await browsers.advisorThread(room, context);
  for (let i = 1; i <= 4; ++i) await (i % 2 ? first : second).send(`message ${i}`);
  await expect(first.rows).toHaveCount(4);
  await expect(second.rows).toHaveCount(4);
  await expect.poll(async () => (await first.shown()).every((row) => row.status === 'sent')).toBe(true);
  const order = await room.contents();
  expect(await first.texts()).toEqual(order);
  expect(await second.texts()).toEqual(order);
});

test('what a closed tab had not sent is sent by the other', async ({ browsers, room, server }) => {
  const context = await browsers.advisorContext(room.advisor);
  const first = await browsers.advisorThread(room, context);
  const second = await browsers.advisorThread(room, context);
  await context.route('**/api/conversations/*/messages', (route) =>
    route.request().method() === 'POST' ? route.abort() : route.fallback(),
  );
  await first.send('left behind');
  await expect(first.row('left behind')).toHaveAttribute('data-status', 'sending');
  // Both show one outbox.
  await expect(second.row('left behind')).toHaveAttribute('data-status', 'sending');
  await context.unroute('**/api/conversations/*/messages');
  await first.page.close();
  await expect(second.row('left behind')).toHaveAttribute('data-status', 'sent', { timeout: 25_000 });
  const count = 'SELECT count(*) FROM travelchat_messages WHERE conversation_pk = (SELECT pk FROM travelchat_conversations WHERE id = ?)';
  expect(query(server.database, count, uuidBytes(room.conversationId))).toEqual([[1]]);
});

test('a suspended tab keeps no other from sending, and changes nothing when it wakes up', async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const first = await browsers.advisorThread(room, context);
  const second = await browsers.advisorThread(room, context);
  let tell = () => {};
  const isSending = new Promise<void>((resolve) => (tell = resolve));
  let lose: (() => Promise<void>) | null = null;
  await first.page.route('**/api/conversations/*/messages', (route) => {
    if (route.request().method() !== 'POST' || lose !== null) return route.fallback();
    lose = () => route.abort();
    tell();
  });
  await first.send('from the first tab');
  await isSending;
  await expect(second.row('from the first tab')).toHaveAttribute('data-status', 'sending');
  // Its scripts stand still, as those of a suspended page do.
  const session = await devTools(first.page);
  await session.send('Debugger.enable');
  await session.send('Debugger.pause');
  await second.send('from the second tab');
  await expect(second.row('from the second tab')).toHaveAttribute('data-status', 'sent', { timeout: 20_000 });
  const texts = ['from the first tab', 'from the second tab'];
  expect(await room.contents()).toEqual(texts);

  await session.send('Debugger.disable');
  await lose!();
  await first.send('awake');
  await expect(first.row('awake')).toHaveAttribute('data-status', 'sent');
  await expect(second.row('awake')).toBeVisible();
  expect(await room.contents()).toEqual([...texts, 'awake']);
  expect(await first.texts()).toEqual([...texts, 'awake']);
});

test('the sound is switched off in every tab, and stays off', async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const [first, second] = [await context.newPage(), await context.newPage()];
  const soundOf = (page: Page) => page.getByRole('switch', { name: 'Sound of new messages' });
  for (const page of [first, second]) {
    await page.goto('/clients');
    await page.getByRole('button', { name: 'Account' }).click();
    await expect(soundOf(page)).toHaveAttribute('aria-checked', 'true');
  }
  await soundOf(first).click();
  for (const page of [first, second]) await expect(soundOf(page)).toHaveAttribute('aria-checked', 'false');
  await second.reload();
  await second.getByRole('button', { name: 'Account' }).click();
  await expect(soundOf(second)).toHaveAttribute('aria-checked', 'false');
});

test('the search finds clients and words, and an empty search shows all', async ({ browsers, room, server }) => {
  const other = await Room.open(server.url, room.organization, 1);
  await room.clientSays('We would like a window seat');
  await other.clientSays('Where is the vineyard?');
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.goto('/dashboard/messages');
  const rows = page.locator('[data-conversation-id]');
  await expect(rows).toHaveCount(2);
  const search = page.getByRole('searchbox', { name: 'Search' });
  await search.fill('vineyard');
  await expect(rows).toHaveCount(1);
  await expect(rows).toHaveAttribute('data-conversation-id', other.conversationId);
  await search.fill(room.client.name.slice(0, 5));
  await expect(rows).toHaveAttribute('data-conversation-id', room.conversationId);
  await search.fill('nothing of the kind');
  await expect(rows).toHaveCount(0);
  await search.fill('');
  await expect(rows).toHaveCount(2);
});

test('without a session a thread asks for a login first, and leads there after it', async ({ browsers, room }) => {
  const page = await (await browsers.context()).newPage();
  await page.goto(room.threadPath);
  await page.getByRole('textbox', { name: 'E-mail' }).fill(room.advisor.email);
  await page.getByRole('textbox', { name: 'Password' }).fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await page.getByRole('textbox', { name: 'Password' }).fill('demo-travel');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('textbox', { name: 'Message' })).toBeVisible();
  expect(new URL(page.url()).search).toContain(room.conversationId);
});
