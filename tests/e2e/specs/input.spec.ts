// Writing: composition, line breaks, growth, drafts, what could not be sent, and all of it without a mouse.
import type { Locator, Page } from '@playwright/test';
import { expect, test } from '../harness/test.ts';
import { devTools, refuseNextMessage, type Thread } from '../harness/thread.ts';
import { Room } from '../harness/room.ts';

test('Enter while composing sends nothing; Enter afterwards sends what was composed', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  const session = await devTools(thread.page);
  await thread.input.focus();
  const enter = async (keyCode: number) => {
    const key = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: keyCode, nativeVirtualKeyCode: keyCode };
    await session.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...key });
    await session.send('Input.dispatchKeyEvent', { type: 'keyUp', ...key });
  };

  await session.send('Input.imeSetComposition', { text: 'にほん', selectionStart: 3, selectionEnd: 3 });
  await expect(thread.input).toHaveValue('にほん');
  await enter(229);
  await enter(13);
  await expect(thread.input).toHaveValue('にほん');
  await expect(thread.rows).toHaveCount(0);

  await session.send('Input.insertText', { text: '日本' });
  await expect(thread.input).toHaveValue('日本');
  // Safari's Enter that ends a composition comes after its end, with key code 229.
  await enter(229);
  await expect(thread.input).toHaveValue('日本');
  await thread.input.press('Enter');
  await expect(thread.row('日本')).toHaveAttribute('data-status', 'sent');
  await expect(thread.input).toHaveValue('');
  expect(await room.contents()).toEqual(['日本']);
});

test('Shift+Enter breaks the line, and the message keeps the break', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  await thread.input.pressSequentially('Day 1');
  await thread.input.press('Shift+Enter');
  await thread.input.pressSequentially('Day 2');
  await expect(thread.input).toHaveValue('Day 1\nDay 2');
  await expect(thread.rows).toHaveCount(0);
  await thread.input.press('Enter');
  await expect(thread.rows).toHaveCount(1);
  await expect.poll(() => room.contents()).toEqual(['Day 1\nDay 2']);
  const height = await thread.root.locator('.tc-bubble').evaluate((bubble) => bubble.getBoundingClientRect().height);
  expect(height).toBeCloseTo(2 * 22 + 2 * 6, 2);
});

test('nothing but white space is not sent', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  await thread.input.fill('   \n ');
  await thread.input.press('Enter');
  await expect(thread.rows).toHaveCount(0);
  await thread.send('something');
  await expect(thread.row('something')).toHaveAttribute('data-status', 'sent');
  await expect(thread.rows).toHaveCount(1);
  expect(await room.contents()).toEqual(['something']);
});

test('the input grows to five lines and then scrolls, and shrinks when it was sent', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  const height = () => thread.input.evaluate((input) => input.getBoundingClientRect().height);
  const line = await thread.input.evaluate((input) => Number.parseFloat(getComputedStyle(input).lineHeight));
  const one = await height();
  for (let lines = 2; lines <= 5; ++lines) {
    await thread.input.fill(Array.from({ length: lines }, (_, i) => `line ${i}`).join('\n'));
    expect(await height()).toBeCloseTo(one + (lines - 1) * line, 0);
  }
  await thread.input.fill(Array.from({ length: 9 }, (_, i) => `line ${i}`).join('\n'));
  expect(await height()).toBeCloseTo(one + 4 * line, 0);
  expect(await thread.input.evaluate((input) => input.scrollHeight > input.clientHeight)).toBe(true);
  await thread.input.press('Enter');
  await expect.poll(height).toBe(one);
});

test('the text of the input is at least 16 px high, so that no phone zooms in', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  const size = await thread.input.evaluate((input) => Number.parseFloat(getComputedStyle(input).fontSize));
  expect(size).toBeGreaterThanOrEqual(16);
});

test('each conversation keeps its draft, through a change of conversation and a reload', async ({ browsers, room, server }) => {
  const other = await Room.open(server.url, room.organization, 1);
  await room.clientSays('one');
  await other.clientSays('two');
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.goto('/dashboard/messages');
  const thread = browsers.threadOn(page);
  const choose = (each: Room) => page.locator(`[data-conversation-id="${each.conversationId}"]`).click();
  await choose(room);
  await thread.input.fill('a draft for the first');
  await choose(other);
  await expect(thread.row('two')).toBeVisible();
  await expect(thread.input).toHaveValue('');
  await thread.input.fill('and one for the second');
  await choose(room);
  await expect(thread.input).toHaveValue('a draft for the first');
  await page.reload();
  await expect(thread.input).toHaveValue('a draft for the first');
  await choose(other);
  await expect(thread.input).toHaveValue('and one for the second');
  await thread.input.press('Enter');
  await expect(thread.row('and one for the second')).toBeVisible();
  await page.reload();
  await expect(thread.row('and one for the second')).toBeVisible();
  await expect(thread.input).toHaveValue('');
});

test('what the server refuses stays with a mark; Retry sends it, and newer typing is not lost', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  let refuse = () => {};
  const held = new Promise<void>((resolve) => (refuse = resolve));
  await refuseNextMessage(thread.page, held);
  await thread.send('A difficult one');
  await thread.input.fill('newer typing');
  refuse();
  const row = thread.row('A difficult one');
  await expect(row).toHaveAttribute('data-status', 'failed');
  await expect(row.getByRole('button', { name: 'Retry' })).toBeVisible();
  await expect(row.getByRole('button', { name: 'Delete' })).toBeVisible();
  await expect(thread.input).toHaveValue('newer typing');
  expect(await room.contents()).toEqual([]);

  await row.getByRole('button', { name: 'Retry' }).click();
  await expect(row).toHaveAttribute('data-status', 'sent');
  await expect(row).toHaveCount(1);
  await expect(row.getByRole('button', { name: 'Retry' })).toHaveCount(0);
  expect(await room.contents()).toEqual(['A difficult one']);
});

test('refused words come back into an empty input: sent again they take the place of what failed, others do not', async ({
  browsers,
  room,
}) => {
  const thread = await browsers.advisorThread(room);
  await refuseNextMessage(thread.page);
  await thread.send('Almost right');
  await expect(thread.row('Almost right')).toHaveAttribute('data-status', 'failed');
  await expect(thread.input).toHaveValue('Almost right');
  await thread.send('Something else');
  await expect(thread.row('Something else')).toHaveAttribute('data-status', 'sent');
  await expect(thread.row('Almost right')).toHaveAttribute('data-status', 'failed');
  await thread.send('Almost right');
  await expect(thread.row('Almost right')).toHaveAttribute('data-status', 'sent');
  await expect(thread.rows).toHaveCount(2);
  expect(await room.contents()).toEqual(['Something else', 'Almost right']);
});

test('10,001 characters do not go out, and 10,000 do', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  await thread.input.fill('🧳'.repeat(10_001));
  await expect(thread.root.getByRole('alert')).toHaveText(/Too long by 1 /);
  await expect(thread.sendButton).toBeDisabled();
  await thread.input.press('Enter');
  await expect(thread.rows).toHaveCount(0);
  expect(await room.contents()).toEqual([]);
  await thread.input.fill('🧳'.repeat(10_000));
  await thread.input.press('Enter');
  await expect(thread.rows).toHaveCount(1);
  await expect(thread.rows.first()).toHaveAttribute('data-status', 'sent');
  expect((await room.contents())[0]).toBe('🧳'.repeat(10_000));
});

test('Delete takes a refused message away for good', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  await refuseNextMessage(thread.page);
  await thread.send('Never mind');
  const row = thread.row('Never mind');
  await expect(row).toHaveAttribute('data-status', 'failed');
  await row.getByRole('button', { name: 'Delete' }).click();
  await expect(row).toHaveCount(0);
  await thread.page.reload();
  await browsers.isReady(thread);
  await expect(thread.rows).toHaveCount(0);
  expect(await room.contents()).toEqual([]);
});

/** Tab until this has the focus. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  const pressed: string[] = [];
  for (let i = 0; i < 40; ++i) {
    if ((await target.count()) > 0 && (await target.first().evaluate((element) => element.contains(document.activeElement)))) return;
    await page.keyboard.press('Tab');
    pressed.push(await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 80) ?? ''));
  }
  throw new Error(`Tab did not lead to ${target}:\n${pressed.join('\n')}`);
}

test('an advisor needs no mouse: sign in, choose, read, react, answer', async ({ browsers, room }) => {
  await room.clientSays('May we bring the dog?');
  const page = await (await browsers.context()).newPage();
  await page.goto('/dashboard/messages');
  await tabTo(page, page.getByRole('textbox', { name: 'E-mail' }));
  await page.keyboard.type(room.advisor.email);
  await tabTo(page, page.getByRole('textbox', { name: 'Password' }));
  await page.keyboard.type('demo-travel');
  await page.keyboard.press('Enter');

  const listRow = page.locator(`[data-conversation-id="${room.conversationId}"]`);
  await expect(listRow).toBeVisible();
  await tabTo(page, listRow);
  await page.keyboard.press('Enter');
  const thread: Thread = browsers.threadOn(page);
  await browsers.isReady(thread);

  await tabTo(page, thread.log);
  await expect(thread.row('May we bring the dog?')).toBeFocused();
  await expect(thread.picker).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(thread.picker.getByRole('button', { name: 'Heart' })).toBeFocused();
  await page.keyboard.press('ArrowRight');
  await expect(thread.picker.getByRole('button', { name: 'Thumbs up' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(thread.pill('May we bring the dog?')).toHaveText(/👍/);

  await tabTo(page, thread.input);
  await page.keyboard.type('Of course');
  await page.keyboard.press('Enter');
  await expect(thread.row('Of course')).toHaveAttribute('data-status', 'sent');
  await expect(thread.input).toBeFocused();
});

test('arrows lead between messages, the list is one Tab stop, and Esc leaves the picker', async ({ browsers, room }) => {
  await room.converse(6);
  const thread = await browsers.advisorThread(room);
  const { page } = thread;
  await thread.input.focus();
  await page.keyboard.press('Shift+Tab');
  await tabBackTo(page, thread.log);
  await expect(thread.row('line 6')).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(thread.row('line 5')).toBeFocused();
  await page.keyboard.press('Home');
  await expect(thread.row('line 1')).toBeFocused();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await expect(thread.row('line 4')).toBeFocused();
  await expect(thread.picker).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(thread.picker.getByRole('button', { name: 'Heart' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(thread.picker).toBeHidden();
  await expect(thread.row('line 4')).toBeFocused();
});

async function tabBackTo(page: Page, target: Locator): Promise<void> {
  for (let i = 0; i < 10; ++i) {
    if (await target.evaluate((element) => element.contains(document.activeElement))) return;
    await page.keyboard.press('Shift+Tab');
  }
  throw new Error('Shift+Tab did not lead back to it');
}

test('a client needs no mouse: open, write, close, and the focus is back on the button', async ({ browsers, room }) => {
  const widget = await browsers.widget(room);
  const { page } = widget;
  await tabTo(page, widget.launcher);
  await page.keyboard.press('Enter');
  await expect(widget.window).toBeVisible();
  await expect(widget.thread.input).toBeFocused();
  await page.keyboard.type('Without a mouse');
  await page.keyboard.press('Enter');
  await expect(widget.thread.row('Without a mouse')).toHaveAttribute('data-status', 'sent');
  await page.keyboard.press('Escape');
  await expect(widget.window).toBeHidden();
  await expect(widget.launcher).toBeFocused();
  expect(await room.contents()).toEqual(['Without a mouse']);
});

test('the sheet keeps the focus inside, and gives it back to the Message button', async ({ browsers, room }) => {
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.goto(`/clients/${room.client.id}`);
  const button = page.getByRole('button', { name: 'Message', exact: true });
  await button.focus();
  await page.keyboard.press('Enter');
  const sheet = page.getByRole('dialog', { name: room.client.name });
  await expect(sheet).toBeVisible();
  const thread = browsers.threadOn(page);
  await expect(thread.input).toBeVisible();
  for (let i = 0; i < 12; ++i) {
    await page.keyboard.press('Tab');
    expect(await sheet.evaluate((element) => element.contains(document.activeElement))).toBe(true);
  }
  await page.keyboard.press('Escape');
  await expect(sheet).toBeHidden();
  await expect(button).toBeFocused();
});
