// One advisor with two tabs, and two advisors of one organization.
import type { Locator, Page } from '@playwright/test';
import { query, uuidBytes } from '../harness/database.ts';
import { expect, test } from '../harness/test.ts';
import { Room } from '../harness/voices.ts';

const listRow = (page: Page, conversationId: string): Locator =>
  page.locator(`[data-conversation-id="${conversationId}"]`);

test('the list is live: preview, order and badge follow what clients write', async ({ stage, room, server }) => {
  const other = await Room.open(server.url, room.organization, 1);
  await other.clientSays('earlier');
  await room.clientSays('later');
  const page = await (await stage.advisorContext(room.advisor)).newPage();
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

test('reading in one tab clears the badge in the other', async ({ stage, room }) => {
  await room.clientSays('one');
  await room.clientSays('two');
  const context = await stage.advisorContext(room.advisor);
  const list = await context.newPage();
  await list.goto('/dashboard/messages');
  await expect(listRow(list, room.conversationId).locator('.tc-unread [aria-hidden]')).toHaveText('2');
  const thread = await stage.advisorThread(room, context);
  await thread.expectAtEnd();
  await expect(listRow(list, room.conversationId).locator('.tc-unread')).toBeHidden({ timeout: 2_000 });
  expect(await room.unreadCount()).toBe(0);
});

test('a colleague sees the message, its sender as one of the own side, and clears the badge for all', async ({
  stage,
  room,
}) => {
  await room.clientSays('Good morning');
  const [nora, ivan] = room.organization.advisors;
  const list = await (await stage.advisorContext(nora)).newPage();
  await list.goto('/dashboard/messages');
  await expect(listRow(list, room.conversationId).locator('.tc-unread [aria-hidden]')).toHaveText('1');
  const colleague = await stage.advisorThread(room, await stage.advisorContext(ivan));
  await expect(listRow(list, room.conversationId).locator('.tc-unread')).toBeHidden({ timeout: 2_000 });
  await colleague.send('Nora is out today');
  const hers = await stage.advisorThread(room, await stage.advisorContext(nora));
  await expect(hers.row('Nora is out today')).toBeVisible();
});

test('two tabs show the same messages in the same order, whichever of them wrote', async ({ stage, room }) => {
  const context = await stage.advisorContext(room.advisor);
  const first = await stage.advisorThread(room, context);
  const second = await stage.advisorThread(room, context);
  for (let i = 1; i <= 4; ++i) await (i % 2 ? first : second).send(`message ${i}`);
  await expect(first.rows).toHaveCount(4);
  await expect(second.rows).toHaveCount(4);
  await expect.poll(async () => (await first.shown()).every((row) => row.status === 'sent')).toBe(true);
  const order = await room.contents();
  expect(await first.texts()).toEqual(order);
  expect(await second.texts()).toEqual(order);
});

test('what a closed tab had not sent is sent by the other', async ({ stage, room, server }) => {
  const context = await stage.advisorContext(room.advisor);
  const first = await stage.advisorThread(room, context);
  const second = await stage.advisorThread(room, context);
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

test('the search finds clients and words, and an empty search shows all', async ({ stage, room, server }) => {
  const other = await Room.open(server.url, room.organization, 1);
  await room.clientSays('We would like a window seat');
  await other.clientSays('Where is the vineyard?');
  const page = await (await stage.advisorContext(room.advisor)).newPage();
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

test('without a session a thread asks for a login first, and leads there after it', async ({ stage, room }) => {
  const page = await (await stage.context()).newPage();
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
