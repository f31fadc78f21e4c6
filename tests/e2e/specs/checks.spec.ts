// The eight checks of the product's specification. On the phone a long press stands for hovering. Tagged: `@timed`, which hold
// the product to its times and so run alone; `@page`, in which the page decides, and no server can change it.
import type { Page } from '@playwright/test';
import { atRest, endMotion, followMotion } from '../harness/motion.ts';
import {
  nextEvent,
  showsBubble,
  showsNoOtherTyping,
  showsNoSideTyping,
  showsOtherTyping,
  showsSideTyping,
  watch,
} from '../harness/stopwatch.ts';
import { expect, test } from '../harness/test.ts';
import type { Thread } from '../harness/thread.ts';

const ARRIVAL_MS = 1_000;
const DOTS_MS = 500;
// The sender is silent for 2 s before it counts as having stopped; the news of it travels as fast as the dots' beginning.
const SILENCE_MS = 2_000;

test('1. a message sent in one tab is in the other within a second', { tag: '@timed' }, async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const first = await browsers.advisorThread(room, context);
  const second = await browsers.advisorThread(room, context);

  await first.input.fill('The tickets are booked');
  const arrival = await watch(second.page, showsBubble, 'The tickets are booked');
  const sent = await nextEvent(first.page, 'click');
  await first.press(first.sendButton);
  expect((await arrival.first()) - (await sent.first())).toBeLessThan(ARRIVAL_MS);

  await expect(second.row('The tickets are booked')).toHaveAttribute('data-own', 'true');
  await expect(first.row('The tickets are booked')).toHaveCount(1);
  await expect(first.row('The tickets are booked')).toHaveAttribute('data-status', 'sent');
});

/** Types a letter in one page and stops; the other shows the dots in time and takes them away in time. */
async function expectDots(typist: Thread, reader: Page, shows: () => boolean, showsNone: () => boolean): Promise<void> {
  const begin = await watch(reader, shows, undefined);
  await typist.input.focus();
  const typed = await nextEvent(typist.page, 'input');
  await typist.page.keyboard.type('H');
  const typedAt = await typed.first();
  const appearedAt = await begin.first();
  expect(appearedAt - typedAt, 'dots appear').toBeLessThan(DOTS_MS);

  const end = await watch(reader, showsNone, undefined);
  const goneAt = await end.first();
  expect(goneAt - typedAt, 'dots vanish').toBeLessThan(SILENCE_MS + DOTS_MS);
  expect(goneAt - appearedAt, 'dots stay while it may go on').toBeGreaterThan(1_000);
}

test('2. typing shows three dots within half a second, and they go 2 s after it stopped', { tag: '@timed' }, async ({ browsers, room }) => {
  const context = await browsers.advisorContext(room.advisor);
  const advisor = await browsers.advisorThread(room, context);
  const client = await browsers.openWidget(room);
  await expectDots(advisor, client.page, showsOtherTyping, showsNoOtherTyping);
  await expectDots(client, advisor.page, showsOtherTyping, showsNoOtherTyping);

  // Read to the letter, "the other browser tab" is one of the same person: it shows its own side's dots.
  const otherTab = await browsers.advisorThread(room, context);
  await expectDots(advisor, otherTab.page, showsSideTyping, showsNoSideTyping);
  await expect(advisor.sideTyping).toBeHidden();
});

test('2. the dots are three, and go at once when the input is left or emptied', { tag: '@timed' }, async ({ browsers, room }) => {
  const advisor = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);

  await client.input.pressSequentially('Ah');
  await expect(advisor.typing.locator('.tc-dot')).toHaveCount(3);
  await client.input.blur();
  await expect(advisor.typing).toBeHidden({ timeout: DOTS_MS });

  await client.input.pressSequentially('a');
  await expect(advisor.typing).toBeVisible({ timeout: DOTS_MS });
  await client.input.fill('');
  await expect(advisor.typing).toBeHidden({ timeout: DOTS_MS });

  await client.input.pressSequentially('sent');
  await expect(advisor.typing).toBeVisible({ timeout: DOTS_MS });
  await client.press(client.sendButton);
  await expect(advisor.row('sent')).toBeVisible({ timeout: ARRIVAL_MS });
  await expect(advisor.typing).toBeHidden({ timeout: DOTS_MS });
});

test('3. a bubble offers six emoji; one chosen shows below it, chosen again it is gone', { tag: '@timed' }, async ({ browsers, room }) => {
  await room.clientSays('Shall we take the early train?');
  const advisor = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);
  const text = 'Shall we take the early train?';

  await advisor.openPicker(text);
  const names = ['Heart', 'Thumbs up', 'Laughing', 'Surprised', 'Sad', 'Thumbs down'];
  for (const name of names) await expect(advisor.picker.getByRole('button', { name, exact: true })).toBeVisible();
  await expect(advisor.picker.getByRole('button')).toHaveCount(names.length);
  const picker = (await advisor.picker.boundingBox())!;
  const bubble = (await advisor.bubble(text).boundingBox())!;
  expect(picker.y, 'the picker is above the bubble').toBeLessThan(bubble.y);

  await advisor.press(advisor.picker.getByRole('button', { name: 'Heart' }));
  await expect(advisor.pill(text)).toHaveText(/❤️/);
  await expect(advisor.pill(text)).toHaveAttribute('aria-pressed', 'true');
  const pill = (await advisor.pill(text).boundingBox())!;
  expect(pill.y + pill.height, 'the reaction is below the bubble').toBeGreaterThan(bubble.y + bubble.height);
  await expect(client.pill(text)).toHaveText(/❤️/, { timeout: ARRIVAL_MS });
  await expect(client.pill(text)).toHaveAttribute('aria-pressed', 'false');

  await advisor.react(text, 'Heart');
  await expect(advisor.pill(text)).toHaveCount(0);
  await expect(client.pill(text)).toHaveCount(0, { timeout: ARRIVAL_MS });

  await advisor.react(text, 'Laughing');
  await advisor.react(text, 'Sad');
  await expect(advisor.pill(text)).toHaveCount(1);
  await expect(advisor.pill(text)).toHaveText(/😢/);
  await client.press(client.pill(text));
  await expect(advisor.pill(text)).toHaveText(/😢\s*2/, { timeout: ARRIVAL_MS });
  await client.press(client.pill(text));
  await expect(advisor.pill(text)).not.toHaveText(/2/, { timeout: ARRIVAL_MS });
});

test('4. a trip link shows the client a blue chat button in the bottom right corner', async ({ browsers, room, isPhone }) => {
  const page = await (await browsers.context()).newPage();
  await page.goto(room.tripPath);
  const launcher = page.getByRole('button', { name: 'Open chat' });
  await expect(launcher).toBeVisible();
  await expect(launcher).toHaveCSS('background-color', 'rgb(0, 122, 255)');
  const box = (await launcher.boundingBox())!;
  const size = page.viewportSize()!;
  expect(size.width - box.x - box.width, 'from the right').toBeCloseTo(24, 0);
  expect(size.height - box.y - box.height, 'from the bottom').toBeCloseTo(24, 0);
  expect(isPhone).toBe(size.width < 640);

  await page.goto(`/trip/${room.client.trip.id}`);
  await expect(page.getByRole('heading').first()).toBeVisible();
  await expect(page.locator('.tc-launcher')).toHaveCount(0);
});

test('5. what a client writes in the widget is live on the Messages page', { tag: '@timed' }, async ({ browsers, room }) => {
  const advisor = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);
  await client.input.fill('Is breakfast included?');
  const arrival = await watch(advisor.page, showsBubble, 'Is breakfast included?');
  const sent = await nextEvent(client.page, 'click');
  await client.press(client.sendButton);
  expect((await arrival.first()) - (await sent.first())).toBeLessThan(ARRIVAL_MS);
  await expect(advisor.row('Is breakfast included?')).toHaveAttribute('data-own', 'false');
  await expect(client.row('Is breakfast included?')).toHaveAttribute('data-own', 'true');
});

test("6. the advisor's reply is live in the widget, and its sender learns that it was seen", { tag: '@timed' }, async ({ browsers, room }) => {
  const advisor = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);
  await client.send('Is breakfast included?');
  await expect(advisor.row('Is breakfast included?')).toBeVisible();
  await advisor.input.fill('Yes, every day');
  const arrival = await watch(client.page, showsBubble, 'Yes, every day');
  const sent = await nextEvent(advisor.page, 'click');
  await advisor.press(advisor.sendButton);
  expect((await arrival.first()) - (await sent.first())).toBeLessThan(ARRIVAL_MS);
  await expect(advisor.receipt).toHaveText(/^Seen \d{1,2}:\d\d\s[AP]M$/);
});

test('6. a closed widget counts what is unseen, and opening it clears the count', { tag: '@timed' }, async ({ browsers, room }) => {
  await room.advisorSays('Good morning');
  const widget = await browsers.widget(room);
  await expect(widget.badge).toHaveText('1');
  const advisor = await browsers.advisorThread(room);
  await expect(advisor.receipt).toHaveText('Sent');
  await advisor.send('The hotel has answered');
  await expect(widget.badge).toHaveText('2', { timeout: ARRIVAL_MS });
  await expect(widget.page.getByRole('button', { name: 'Open chat, 2 unread messages' })).toBeVisible();

  const client = await widget.open();
  await client.expectAtEnd();
  await expect(widget.badge).toBeHidden();
  await expect(advisor.receipt).toHaveText(/^Seen /, { timeout: ARRIVAL_MS });
  await expect.poll(async () => (await room.messages()).every((message) => message.seenAt !== null)).toBe(true);
  await widget.close();
  await expect(widget.badge).toBeHidden();
});

test("7. the Message button on a client's page opens a sheet, and what is sent in it is on the Messages page", async ({
  browsers,
  room,
  isPhone,
}) => {
  const page = await (await browsers.advisorContext(room.advisor)).newPage();
  await page.goto('/clients');
  const thread = browsers.threadOn(page);
  await thread.press(page.getByRole('link', { name: room.client.name }));
  await thread.press(page.getByRole('button', { name: 'Message', exact: true }));
  const sheet = page.getByRole('dialog', { name: room.client.name });
  await expect(sheet).toBeVisible();
  await expect.poll(async () => (await sheet.boundingBox())!.width).toBe(isPhone ? 390 : 480);
  await expect
    .poll(async () => {
      const box = (await sheet.boundingBox())!;
      return box.x + box.width;
    })
    .toBe(page.viewportSize()!.width);

  await thread.send('I have put the plan on paper');
  await expect(thread.row('I have put the plan on paper')).toHaveAttribute('data-status', 'sent');
  await thread.press(sheet.getByRole('button', { name: 'Close' }));
  await expect(sheet).toBeHidden();

  await page.goto('/dashboard/messages');
  await thread.press(page.locator(`[data-conversation-id="${room.conversationId}"]`));
  await expect(thread.row('I have put the plan on paper')).toBeVisible();
  expect(await room.contents()).toEqual(['I have put the plan on paper']);
});

test('8. a new message does not move a reader who has scrolled up, and is there on the way down', { tag: ['@timed', '@page'] }, async ({
  browsers,
  room,
}) => {
  await room.converse(80);
  const advisor = await browsers.advisorThread(room);
  await advisor.expectAtEnd();
  await advisor.scrollBy(-900);
  await expect.poll(() => advisor.distanceToEnd()).toBeGreaterThan(400);
  await atRest(advisor);
  await followMotion(advisor);

  const counted = advisor.jump;
  await room.clientSays('Are you there?');
  await expect(counted).toHaveText(/1 new message\b/, { timeout: ARRIVAL_MS });
  await room.clientSays('Hello?');
  await expect(counted).toHaveText(/2 new messages/, { timeout: ARRIVAL_MS });
  await atRest(advisor);
  expect((await endMotion(advisor)).largest, 'pixels that the reader was moved').toBe(0);
  await expect(advisor.bubble('Hello?')).not.toBeInViewport();

  await expect(async () => {
    await advisor.scrollBy(1_000);
    await expect(advisor.bubble('Hello?')).toBeInViewport({ timeout: 200 });
  }).toPass();
  await advisor.expectAtEnd();
  await room.clientSays('There you are');
  await expect(advisor.bubble('There you are')).toBeInViewport({ timeout: ARRIVAL_MS });
  await advisor.expectAtEnd();
});

test('8. the jump button leads to the end', { tag: ['@timed', '@page'] }, async ({ browsers, room }) => {
  await room.converse(80);
  const advisor = await browsers.advisorThread(room);
  await advisor.expectAtEnd();
  await advisor.scrollBy(-900);
  await expect(advisor.page.getByRole('button', { name: 'Scroll to the end' })).toBeVisible();
  await room.clientSays('Are you there?');
  await advisor.press(advisor.page.getByRole('button', { name: /1 new message/ }));
  await advisor.expectAtEnd();
  await expect(advisor.bubble('Are you there?')).toBeInViewport();
  await expect(advisor.jump).toBeHidden();
});
