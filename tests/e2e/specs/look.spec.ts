// The measures of the design, as the browser computes them.
import type { Locator } from '@playwright/test';
import { expect, test } from '../harness/test.ts';
import type { Thread } from '../harness/thread.ts';
import { Room } from '../harness/room.ts';
import { addToDatabase, historyRows, type PastMessage, type Organization } from '../harness/organizations.ts';
import type { Server } from '../harness/server.ts';

const style = (target: Locator, ...names: string[]) =>
  target.evaluate(
    (element, wanted) => wanted.map((name) => getComputedStyle(element).getPropertyValue(name)),
    names,
  );

const box = async (target: Locator) => (await target.boundingBox())!;

const MINUTE = 60_000;
const LONG = 'A sentence that is long enough to need more than one line in a bubble, on a phone and on a desk as well. '.repeat(4);

/** Times are New York's, the browsers' zone: all on one morning of the past, and one of them today. */
function history(now: number): PastMessage[] {
  const day = Date.parse('2025-12-14T16:00:00.000Z');
  return [
    { by: 'client', text: 'Good morning', at: day },
    { by: 'client', text: 'Two rooms, please', at: day + 20_000 },
    { by: 'client', text: 'With a view', at: day + 40_000 },
    { by: 'advisor', text: 'With pleasure', at: day + 2 * MINUTE },
    { by: 'advisor', text: 'I have asked', at: day + 2 * MINUTE + 30_000 },
    { by: 'advisor', text: 'They answer tomorrow', at: day + 5 * MINUTE },
    { by: 'client', text: LONG, at: day + 6 * MINUTE },
    { by: 'advisor', text: LONG, at: day + 7 * MINUTE },
    { by: 'client', text: '🎉🏖️', at: day + 8 * MINUTE },
    { by: 'client', text: '❤️❤️❤️❤️', at: day + 9 * MINUTE + 1_000 },
    { by: 'client', text: 'See https://example.com/menu.', at: now - 90_000 },
  ];
}

async function withHistory(server: Server, organization: Organization): Promise<Room> {
  await server.pausedFor(() => {
    addToDatabase(server.database, historyRows(900_003, organization, organization.clients[0], history(Date.now())));
  });
  return Room.open(server.url, organization);
}

/** The thread scrolled to its beginning. */
async function atStart(thread: Thread): Promise<void> {
  await expect(thread.rows.first()).toBeVisible();
  await thread.expectAtEnd();
}

test('bubbles have their colours, type, padding, width, gaps and corners', async ({ launch }) => {
  const { server, browsers, organizations } = await launch();
  const room = await withHistory(server, organizations[1]!);
  const thread = await browsers.advisorThread(room);
  await atStart(thread);

  const sent = thread.bubble('With pleasure');
  const received = thread.bubble('Good morning');
  expect(await style(sent, 'background-color', 'color')).toEqual(['rgb(0, 122, 255)', 'rgb(255, 255, 255)']);
  expect(await style(received, 'background-color', 'color')).toEqual(['rgb(233, 233, 235)', 'rgb(0, 0, 0)']);
  for (const bubble of [sent, received]) {
    expect(await style(bubble, 'font-size', 'line-height')).toEqual(['17px', '22px']);
    expect(await style(bubble, 'padding-top', 'padding-right', 'padding-bottom', 'padding-left')).toEqual(
      ['6px', '12px', '6px', '12px'],
    );
  }

  const { width } = await box(thread.rows.first());
  const widths = await thread.root
    .locator('.tc-bubble')
    .evaluateAll((bubbles) => bubbles.map((bubble) => bubble.getBoundingClientRect().width));
  expect(Math.max(...widths)).toBeLessThanOrEqual(0.75 * width + 0.5);
  const longest = thread.rows.filter({ hasText: LONG.trim() }).locator('.tc-bubble').first();
  expect((await box(longest)).height).toBeGreaterThan(2 * 22);

  const gap = async (above: string, below: string) =>
    (await box(thread.bubble(below))).y - ((await box(thread.bubble(above))).y + (await box(thread.bubble(above))).height);
  expect(await gap('Good morning', 'Two rooms, please')).toBeCloseTo(2, 1);
  expect(await gap('Two rooms, please', 'With a view')).toBeCloseTo(2, 1);
  expect(await gap('With a view', 'With pleasure')).toBeCloseTo(8, 1);
  expect(await gap('With pleasure', 'I have asked')).toBeCloseTo(2, 1);
  expect(await gap('I have asked', 'They answer tomorrow')).toBeCloseTo(8, 1);

  const corners = async (text: string) =>
    style(thread.bubble(text), 'border-bottom-left-radius', 'border-bottom-right-radius', 'border-top-left-radius');
  const round = (await corners('Good morning'))[0]!;
  expect(Number.parseFloat(round)).toBeGreaterThanOrEqual(16);
  expect(await corners('Two rooms, please')).toEqual([round, round, round]);
  expect(await corners('With a view')).toEqual(['4px', round, round]);
  expect(await corners('With pleasure')).toEqual([round, round, round]);
  expect(await corners('I have asked')).toEqual([round, '4px', round]);
  expect(await corners('They answer tomorrow')).toEqual([round, '4px', round]);
});

test('a line in a bubble ends where the next word has no room', async ({ browsers, room }) => {
  const text = 'And the transfer from the airport?';
  await room.clientSays(text);
  const client = await browsers.openWidget(room);
  await expect(client.bubble(text)).toBeVisible();
  const lines = await client.bubble(text).evaluate((bubble) => {
    const content = bubble.querySelector('.tc-text')!;
    const words = document.createTreeWalker(content, NodeFilter.SHOW_TEXT).nextNode() as Text;
    const all: { top: number; right: number; firstWord: number }[] = [];
    for (const { 0: word, index } of words.data.matchAll(/\S+/g)) {
      const range = new Range();
      range.setStart(words, index);
      range.setEnd(words, index + word.length);
      // WebKit adds an empty one at the end of the line before.
      const { top, right, width } = [...range.getClientRects()].at(-1)!;
      const line = all.at(-1);
      if (line?.top === top) line.right = right;
      else all.push({ top, right, firstWord: width });
    }
    const end = bubble.getBoundingClientRect().right - Number.parseFloat(getComputedStyle(bubble).paddingRight);
    return all.map((line) => ({ ...line, room: end - line.right }));
  });
  expect(lines).toHaveLength(2);
  expect(lines[0]!.room).toBeLessThan(lines[1]!.firstWord + 8);
});

test('the avatar stands at the first bubble of a group, 28 px wide, and the others line up with it', async ({ launch }) => {
  const { server, browsers, organizations } = await launch();
  const room = await withHistory(server, organizations[1]!);
  const thread = await browsers.advisorThread(room);
  await atStart(thread);
  const first = thread.row('Good morning');
  const avatar = first.locator('.tc-avatar');
  await expect(avatar).toBeVisible();
  const size = await box(avatar);
  expect([size.width, size.height]).toEqual([28, 28]);
  const bubble = await box(thread.bubble('Good morning'));
  expect(size.x + size.width).toBeLessThanOrEqual(bubble.x);
  for (const text of ['Two rooms, please', 'With a view']) {
    expect(await thread.row(text).locator('img, .tc-avatar:not(:empty)').count()).toBe(0);
    expect((await box(thread.bubble(text))).x).toBeCloseTo(bubble.x, 1);
  }
  expect(await thread.row('With pleasure').locator('.tc-avatar').count()).toBe(0);
});

test('dividers say the day and the time, once for each pause', async ({ launch }) => {
  const { server, browsers, organizations } = await launch();
  const room = await withHistory(server, organizations[1]!);
  const thread = await browsers.advisorThread(room);
  await atStart(thread);
  const dividers = (await thread.root.locator('.tc-divider').allTextContents()).map((text) => text.replace(/\s/g, ' ').trim());
  expect(dividers).toHaveLength(2);
  expect(dividers[0]).toBe('Sun Dec 14, 2025, 11:00 AM');
  expect(dividers[1]).toMatch(/^(Today|Yesterday) \d{1,2}:\d\d [AP]M$/);
  const divider = await box(thread.root.locator('.tc-divider').first());
  const log = await box(thread.scroller);
  expect(divider.x + divider.width / 2).toBeCloseTo(log.x + log.width / 2, -1);
});

test('up to three emoji alone are large and without a bubble; four are text', async ({ launch }) => {
  const { server, browsers, organizations } = await launch();
  const room = await withHistory(server, organizations[1]!);
  const thread = await browsers.advisorThread(room);
  await atStart(thread);
  const jumbo = thread.root.locator('.tc-jumbo');
  await expect(jumbo).toHaveCount(1);
  await expect(jumbo).toHaveText('🎉🏖️');
  const [size, background] = await style(jumbo, 'font-size', 'background-color');
  expect(Number.parseFloat(size!)).toBeGreaterThanOrEqual(34);
  expect(background).toBe('rgba(0, 0, 0, 0)');
  await expect(thread.bubble('❤️❤️❤️❤️')).toHaveCSS('font-size', '17px');
});

test('a link is one, without the full stop behind it', async ({ launch }) => {
  const { server, browsers, organizations } = await launch();
  const room = await withHistory(server, organizations[1]!);
  const thread = await browsers.advisorThread(room);
  const link = thread.bubble('See https://example.com/menu.').getByRole('link');
  await expect(link).toHaveText('https://example.com/menu');
  await expect(link).toHaveAttribute('href', 'https://example.com/menu');
  await expect(link).toHaveAttribute('rel', 'noopener nofollow ugc');
  await expect(link).toHaveAttribute('target', '_blank');
});

test('the exact time of a message is in the document', async ({ browsers, room }) => {
  await room.clientSays('What time is it?');
  const [message] = await room.messages();
  const thread = await browsers.advisorThread(room);
  const time = thread.row('What time is it?').locator('time');
  await expect(time.first()).toHaveAttribute('datetime', (message as unknown as { createdAt: string }).createdAt);
});

test('the send button is gray without words and blue with some', async ({ browsers, room }) => {
  const thread = await browsers.advisorThread(room);
  const colour = () => thread.sendButton.evaluate((button) => {
    const candidates = [button, ...button.querySelectorAll('*')].map((each) => getComputedStyle(each).backgroundColor);
    return candidates.find((each) => each !== 'rgba(0, 0, 0, 0)');
  });
  const gray = (await colour())!;
  const [r, g, b] = gray.match(/\d+/g)!.map(Number);
  expect(Math.max(r!, g!, b!) - Math.min(r!, g!, b!), gray).toBeLessThan(20);
  await thread.input.fill('words');
  await expect.poll(colour).toBe('rgb(0, 122, 255)');
  await thread.input.fill('');
  await expect.poll(colour).toBe(gray);
});

test('a message of mine is Sending…, then Sent, then Seen, once and under the newest', async ({ browsers, room }) => {
  const advisor = await browsers.advisorThread(room);
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  await advisor.page.route('**/api/conversations/*/messages', async (route) => {
    if (route.request().method() === 'POST') await held;
    await route.continue();
  });
  await advisor.send('First');
  await expect(advisor.receipt).toHaveText('Sending…');
  answer();
  await expect(advisor.receipt).toHaveText('Sent');
  await advisor.send('Second');
  await expect(advisor.row('Second')).toHaveAttribute('data-status', 'sent');
  await expect(advisor.receipt).toHaveCount(1);
  await room.clientReads();
  await expect(advisor.receipt).toHaveText(/^Seen \d{1,2}:\d\d\s[AP]M$/);
  const receipt = await box(advisor.receipt);
  const bubble = await box(advisor.bubble('Second'));
  expect(receipt.y).toBeGreaterThanOrEqual(bubble.y + bubble.height);
  expect(receipt.x + receipt.width).toBeCloseTo(bubble.x + bubble.width, -1);
});

test('the widget: a 56 px button at 24 px, and a window of 360 × 480 above it, or the whole screen of a phone', async ({
  browsers,
  room,
  isPhone,
}) => {
  const widget = await browsers.widget(room);
  const button = await box(widget.launcher);
  const size = widget.page.viewportSize()!;
  expect([button.width, button.height]).toEqual([56, 56]);
  expect(size.width - button.x - button.width).toBe(24);
  expect(size.height - button.y - button.height).toBe(24);
  await expect(widget.launcher).toHaveCSS('border-radius', '50%');
  await widget.open();
  await expect
    .poll(async () => {
      const { width, height } = await box(widget.window);
      return [width, height];
    })
    .toEqual(isPhone ? [size.width, size.height] : [360, 480]);
  if (!isPhone) {
    const window = await box(widget.window);
    expect(window.y + window.height).toBeLessThanOrEqual(button.y);
    await expect(widget.window).toHaveCSS('border-radius', '16px');
  }
  await expect(widget.window).toContainText(room.advisor.name);
  await expect(widget.window).toContainText(`Re: ${room.client.trip.title}`);
  await expect(widget.window).toContainText('Send a message to your advisor');
  expect(await widget.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
});

test('the window slides up and fades in for 200 ms', async ({ browsers, room }) => {
  const widget = await browsers.widget(room);
  await widget.open();
  expect(await style(widget.window, 'animation-duration', 'animation-timing-function')).toEqual(['0.2s', 'ease-out']);
});

test('the Messages page: two panels, or one at a time with a way back', async ({ browsers, room, isPhone }) => {
  await room.clientSays('Hello');
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.goto('/dashboard/messages');
  const row = page.locator(`[data-conversation-id="${room.conversationId}"]`);
  const thread = browsers.threadOn(page);
  await thread.press(row);
  await expect(thread.row('Hello')).toBeVisible();
  await expect(page.getByTestId('active-trip')).toContainText(room.client.trip.title);
  const back = page.getByRole('button', { name: 'Back' });
  if (isPhone) {
    await expect(row).toBeHidden();
    await back.tap();
    await expect(row).toBeVisible();
    await expect(thread.input).toBeHidden();
  } else {
    await expect(row).toBeVisible();
    await expect(back).toBeHidden();
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
});

test('the picker stays on the screen, at either edge and at the top', async ({ browsers, room }) => {
  await room.converse(40);
  await room.clientSays('x');
  await room.advisorSays('y');
  const thread = await browsers.advisorThread(room);
  await thread.expectAtEnd();
  const inside = async () => {
    const size = thread.page.viewportSize()!;
    const picker = await box(thread.picker);
    expect(picker.x).toBeGreaterThanOrEqual(0);
    expect(picker.x + picker.width).toBeLessThanOrEqual(size.width);
    const frame = await box(thread.scroller);
    expect(picker.y).toBeGreaterThanOrEqual(frame.y - 1);
  };
  for (const text of ['x', 'y']) {
    await thread.openPicker(text);
    await inside();
    if (thread.isTouch) {
      const frame = await box(thread.scroller);
      await thread.page.touchscreen.tap(frame.x + 4, frame.y + 4);
      await expect(thread.picker).toBeHidden();
    }
  }
  // The bubble that is cut off or close at the upper edge.
  const top = await thread.rows.evaluateAll((rows) => {
    const edge = document.querySelector('.tc-scroller')!.getBoundingClientRect().top;
    return rows.find((row) => row.getBoundingClientRect().top >= edge + 2)!.querySelector('.tc-text')!.textContent!;
  });
  await thread.openPicker(top);
  await inside();
});
