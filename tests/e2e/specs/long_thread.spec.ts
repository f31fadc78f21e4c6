// Long conversations: quick to open, readable to their beginning, and nothing ever moves a reader's place.
import type { Route } from '@playwright/test';
import { query, uuidBytes } from '../harness/database.ts';
import { atRest, endMotion, followMotion, placeOf, scrollToBeginning } from '../harness/motion.ts';
import type { Server } from '../harness/server.ts';
import { expect, test } from '../harness/test.ts';
import { devTools, Thread } from '../harness/thread.ts';
import { Room } from '../harness/room.ts';
import { addToDatabase, historyRows, type PastMessage } from '../harness/organizations.ts';

const MOST_ROWS = 150;

/** The demonstration's conversation of 5,000 messages, and who may read it. */
function longConversation(server: Server): { id: string; advisor: { id: string; name: string; email: string }; last: string } {
  const [row] = query(
    server.database,
    `SELECT c.id, a.id, a.full_name, a.email, m.content FROM travelchat_conversations c
       JOIN clients k ON k.id = c.client_id JOIN advisors a ON a.id = k.advisor_id
       JOIN travelchat_messages m ON m.conversation_pk = c.pk AND m.seq = c.last_seq
     WHERE c.last_seq >= 5000 ORDER BY c.last_seq DESC LIMIT 1`,
  );
  const hex = (row![0] as { hex: string }).hex;
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  const [advisorId, name, email, last] = row!.slice(1) as [string, string, string, string];
  return { id, advisor: { id: advisorId, name, email }, last };
}

test('5,000 messages open in less than a second', { tag: '@timed' }, async ({ browsers, server }) => {
  const { id, advisor, last } = longConversation(server);
  const page = await (await browsers.advisorContext(advisor)).newPage();
  await page.goto('/dashboard/messages');
  const row = page.locator(`[data-conversation-id="${id}"]`);
  await expect(row).toBeVisible();
  await page.evaluate((text) => {
    const took = new Promise<number>((resolve) => {
      document.addEventListener(
        'click',
        () => {
          const clicked = performance.now();
          const frame = () => {
            const scroller = document.querySelector('.tc-scroller');
            const bubbles = scroller ? [...scroller.querySelectorAll('.tc-bubble, .tc-jumbo')] : [];
            const newest = bubbles.at(-1);
            const sight = scroller?.getBoundingClientRect();
            const box = newest?.getBoundingClientRect();
            if (newest?.textContent?.includes(text) && sight && box && box.top < sight.bottom && box.bottom > sight.top) {
              resolve(performance.now() - clicked);
            } else {
              requestAnimationFrame(frame);
            }
          };
          frame();
        },
        { capture: true, once: true },
      );
    });
    Object.assign(window, { took });
  }, last);
  const thread = browsers.threadOn(page);
  await thread.press(row);
  const took = await page.evaluate(() => (window as unknown as { took: Promise<number> }).took);
  expect(took).toBeLessThan(1_000);
  await thread.expectAtEnd();
  expect(await thread.rows.count()).toBeLessThan(MOST_ROWS);
});

test('5,000 messages are read back to the first without moving a pixel, in a bounded number of rows', { tag: '@timed' }, async ({
  browsers,
  server,
}) => {
  test.setTimeout(180_000);
  const { id, advisor } = longConversation(server);
  const page = await (await browsers.advisorContext(advisor)).newPage();
  let pages = 0;
  page.on('response', (response) => {
    if (response.url().includes('before=')) pages += 1;
  });
  await page.goto(`/dashboard/messages?id=${id}`);
  const thread = browsers.threadOn(page);
  await expect(thread.rows.first()).toBeVisible();
  await thread.expectAtEnd();
  await atRest(thread);
  const journey = await scrollToBeginning(thread, 500);
  expect(journey.firstSeq).toBe(1);
  expect(pages).toBeGreaterThan(20);
  expect(journey.blank, 'frames without a message').toBe(0);
  expect(journey.torn, 'rows against each other').toBeLessThan(1);
  expect(journey.astray, 'rows against the scrolling').toBeLessThan(1);
  expect(journey.mostRows).toBeLessThan(MOST_ROWS);
  await expect(thread.rows.first()).toBeInViewport();
});

test('an older page that arrives while the list is at rest moves nothing at all', { tag: '@timed' }, async ({ browsers, server }) => {
  const { id, advisor } = longConversation(server);
  const page = await (await browsers.advisorContext(advisor)).newPage();
  const waiting: Route[] = [];
  await page.route('**/api/conversations/*/messages?*', (route) => {
    if (new URL(route.request().url()).searchParams.has('before')) waiting.push(route);
    else void route.continue();
  });
  await page.goto(`/dashboard/messages?id=${id}`);
  const thread = browsers.threadOn(page);
  await expect(thread.rows.first()).toBeVisible();
  await thread.expectAtEnd();
  for (let arrivals = 1; arrivals <= 3; ++arrivals) {
    await expect(async () => {
      await thread.scrollBy(-2_400);
      expect(waiting.length).toBeGreaterThan(0);
    }).toPass({ intervals: [50] });
    await atRest(thread);
    await followMotion(thread);
    const arrived = page.waitForResponse((response) => response.url().includes('before='));
    await waiting.shift()!.continue();
    await (await arrived).finished();
    await atRest(thread);
    const motion = await endMotion(thread);
    expect(motion.largest, `page ${arrivals}`).toBe(0);
    expect(motion.blank).toBe(0);
  }
});

test('scrolling on while older pages arrive goes where the wheel says, and never shows an empty list', { tag: '@timed' }, async ({
  browsers,
  server,
}) => {
  const { id, advisor } = longConversation(server);
  const page = await (await browsers.advisorContext(advisor)).newPage();
  await page.goto(`/dashboard/messages?id=${id}`);
  const thread = browsers.threadOn(page);
  await expect(thread.rows.first()).toBeVisible();
  await thread.expectAtEnd();
  const newest = Number(await thread.rows.last().getAttribute('data-seq'));
  const sight = (await thread.scroller.boundingBox())!;
  await page.mouse.move(sight.x + sight.width / 2, sight.y + sight.height / 2);
  await followMotion(thread);
  for (let i = 0; i < 40; ++i) await page.mouse.wheel(0, -360);
  await atRest(thread);
  const motion = await endMotion(thread);
  expect(motion.astray, 'against the wheel, or further').toBeLessThanOrEqual(1);
  expect(motion.torn, 'rows against each other').toBeLessThanOrEqual(1);
  expect(motion.blank).toBe(0);
  expect(motion.mostRows).toBeLessThan(MOST_ROWS);
  expect(Number(await thread.rows.first().getAttribute('data-seq'))).toBeLessThan(newest - 150);
});

/** A thread whose reader has scrolled up and is at rest, with a message in the middle of the screen. */
async function readAbove(thread: Thread): Promise<string> {
  await thread.expectAtEnd();
  await thread.scrollBy(-700);
  await atRest(thread);
  const sight = (await thread.scroller.boundingBox())!;
  const text = await thread.rows.evaluateAll((rows, middle) => {
    const row = rows.find((each) => each.getBoundingClientRect().bottom > middle)!;
    return row.querySelector('.tc-text')!.textContent!;
  }, sight.y + sight.height / 2);
  return text;
}

test('a reaction, above, below or in sight, does not move a reader', async ({ browsers, room }) => {
  await room.converse(80);
  const messages = await room.messages();
  const thread = await browsers.advisorThread(room);
  const inSight = await readAbove(thread);
  const index = messages.findIndex((message) => message.content === inSight);
  await followMotion(thread);
  for (const target of [messages[index + 12]!, messages[index - 12]!]) {
    await room.clientReacts(target.id, '👍');
    await expect(thread.pill(target.content)).toHaveCount(1);
  }
  await atRest(thread);
  expect((await endMotion(thread)).largest).toBe(0);

  const before = await placeOf(thread, inSight);
  await room.clientReacts(messages[index]!.id, '👍');
  await expect(thread.pill(inSight)).toBeVisible();
  await atRest(thread);
  expect(await placeOf(thread, inSight)).toBeCloseTo(before, 0);
});

test('a reaction at the end keeps a reader at the end', async ({ browsers, room }) => {
  await room.converse(60);
  const thread = await browsers.advisorThread(room);
  await thread.expectAtEnd();
  const messages = await room.messages();
  for (const message of messages.slice(-3)) {
    await room.clientReacts(message.id, '😂');
    await expect(thread.pill(message.content)).toBeVisible();
    await thread.expectAtEnd();
  }
});

test('typing dots neither move a reader nor unpin one at the end', async ({ browsers, room }) => {
  await room.converse(60);
  const thread = await browsers.advisorThread(room);
  const client = await browsers.openWidget(room);
  await thread.expectAtEnd();
  await client.input.pressSequentially('Hm');
  await expect(thread.typing).toBeInViewport();
  await thread.expectAtEnd();
  await client.input.fill('');
  await expect(thread.typing).toBeHidden();
  await thread.expectAtEnd();

  await readAbove(thread);
  await followMotion(thread);
  await client.input.pressSequentially('Hm');
  await expect(thread.typing).toBeVisible();
  await client.input.fill('');
  await expect(thread.typing).toBeHidden();
  await atRest(thread);
  expect((await endMotion(thread)).largest).toBe(0);
});

test('an image that arrives late moves nobody and unpins nobody', async ({ launch, isPhone }) => {
  const { server, browsers, organizations, room } = await launch();
  const other = organizations[1]!;
  const picture = { url: `/avatars/${other.clients[0].id}.svg`, type: 'image/svg+xml', name: 'view.svg' };
  const now = Date.now();
  const lines: PastMessage[] = Array.from({ length: 60 }, (_, i) => ({
    by: i % 3 ? 'client' : 'advisor',
    text: `picture line ${i + 1}`,
    at: now - (60 - i) * 90_000,
    ...(i === 24 || i === 26 || i >= 57 ? { attachment: picture } : {}),
  }));
  await server.pausedFor(() => addToDatabase(server.database, historyRows(900_001, other, other.clients[0], lines)));
  expect(room.url).toBe(server.url);

  const gallery = await Room.open(server.url, other);
  const context = await browsers.advisorContext(other.advisors[0]);
  const page = await context.newPage();
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route(`**${picture.url}*`, async (route) => {
    // The same picture is the client's avatar elsewhere on the page: both come late.
    await held;
    await route.continue();
  });
  await page.goto(gallery.threadPath);
  const thread = new Thread(page, page.locator('body'), isPhone);
  await expect(thread.row('picture line 60')).toBeVisible();
  await thread.expectAtEnd();
  release();
  const image = thread.row('picture line 60').locator('img').last();
  await expect(image).toBeVisible();
  await expect.poll(() => image.evaluate((each) => (each as HTMLImageElement).naturalWidth)).toBeGreaterThan(0);
  await thread.expectAtEnd();

  // Above the reader: the pictures of lines 25 and 27 come while line 30 is read.
  let releaseAgain = () => {};
  const heldAgain = new Promise<void>((resolve) => (releaseAgain = resolve));
  await page.unroute(`**${picture.url}*`);
  await page.route(`**${picture.url}*`, async (route) => {
    await heldAgain;
    await route.continue();
  });
  const session = await devTools(page);
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  await page.reload();
  await expect(thread.row('picture line 60')).toBeVisible();
  await thread.expectAtEnd();
  await expect(async () => {
    await thread.scrollBy(-300);
    await expect(thread.bubble('picture line 30')).toBeInViewport({ timeout: 200 });
  }).toPass();
  await atRest(thread);
  await followMotion(thread);
  releaseAgain();
  await expect
    .poll(() =>
      thread.rows.locator('img').evaluateAll((images) => images.every((each) => (each as HTMLImageElement).complete)),
    )
    .toBe(true);
  await atRest(thread);
  expect((await endMotion(thread)).largest).toBe(0);
});

test('a resized window and a growing input keep a reader in place, and one at the end at the end', async ({
  browsers,
  room,
  isPhone,
}) => {
  await room.converse(80);
  const thread = await browsers.advisorThread(room);
  await thread.expectAtEnd();
  const size = thread.page.viewportSize()!;
  const resize = (width: number, height: number) => thread.page.setViewportSize({ width, height });

  await resize(size.width, size.height - 200);
  await thread.expectAtEnd();
  await resize(size.width, size.height);
  await thread.expectAtEnd();
  await resize(isPhone ? 340 : 900, size.height);
  await thread.expectAtEnd();
  await resize(size.width, size.height);
  await thread.input.fill('one\ntwo\nthree\nfour\nfive');
  await thread.expectAtEnd();
  await thread.input.fill('');
  await thread.expectAtEnd();

  const inSight = await readAbove(thread);
  const before = await placeOf(thread, inSight);
  await thread.input.fill('one\ntwo\nthree\nfour\nfive');
  await atRest(thread);
  expect(await placeOf(thread, inSight)).toBeCloseTo(before, 0);
  await resize(size.width, size.height - 150);
  await atRest(thread);
  expect(await placeOf(thread, inSight)).toBeCloseTo(before, 0);
});

test('the line "New" stands where the unread began, and stays while the thread is open', async ({ browsers, room }) => {
  await room.converse(10);
  await room.clientSays('unread 1');
  await room.clientSays('unread 2');
  const thread = await browsers.advisorThread(room);
  const line = thread.root.locator('.tc-new-line');
  await expect(line).toHaveCount(1);
  const lineBox = (await line.boundingBox())!;
  expect(lineBox.y).toBeLessThan((await thread.bubble('unread 1').boundingBox())!.y);
  expect(lineBox.y).toBeGreaterThan((await thread.bubble('line 10').boundingBox())!.y);
  await expect.poll(() => room.unreadCount()).toBe(0);
  await room.clientSays('unread 3');
  await expect(thread.row('unread 3')).toBeVisible();
  await expect(line).toHaveCount(1);
  await thread.page.reload();
  await browsers.isReady(thread);
  await expect(thread.row('unread 3')).toBeVisible();
  await expect(line).toHaveCount(0);
});

test('a conversation keeps its messages together whichever end they came from', async ({ browsers, room, server }) => {
  await room.converse(130);
  const thread = await browsers.advisorThread(room);
  await thread.expectAtEnd();
  const seen = new Set<number>();
  const collect = async () => {
    const seqs = (await thread.shown()).map((row) => row.seq);
    expect(seqs, 'in order, without gaps').toEqual(seqs.map((_, i) => seqs[0]! + i));
    for (const seq of seqs) seen.add(seq);
  };
  await expect(async () => {
    await collect();
    await thread.scrollBy(-500);
    await atRest(thread);
    expect(seen.has(1)).toBe(true);
  }).toPass({ timeout: 40_000, intervals: [0] });
  expect(seen.size).toBe(130);
  const count = 'SELECT last_seq FROM travelchat_conversations WHERE id = ?';
  expect(query(server.database, count, uuidBytes(room.conversationId))).toEqual([[130]]);
});

test('without its style sheet a thread still shows its newest messages, and no more rows than ever', async ({ browsers, room }) => {
  await room.converse(300);
  const context = await browsers.advisorContext(room.advisor);
  await context.route('**/*.css', (route) => route.fulfill({ contentType: 'text/css', body: '' }));
  const thread = await browsers.advisorThread(room, context);
  await expect(thread.rows.last()).toHaveAttribute('data-seq', '300');
  expect(await thread.rows.count()).toBeLessThan(MOST_ROWS);
});
