// For everybody: assistive tools, dark and high-contrast screens, less motion, right to left, another language.
import AxeBuilder from '@axe-core/playwright';
import type { BrowserContextOptions, Locator, Page } from '@playwright/test';
import { expect, test } from '../harness/test.ts';
import type { Browsers } from '../harness/browsers.ts';
import { refuseNextMessage, type Thread } from '../harness/thread.ts';
import type { Room } from '../harness/room.ts';

/** Axe finds nothing, but for one waiver: white on the exact blue of the own bubbles (4.02:1), in that node alone. */
async function expectNoFindings(page: Page, state: string): Promise<void> {
  // What is half transparent for a moment has another contrast than it will have.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().filter((each) => each.effect?.getComputedTiming().endTime !== Infinity).map((each) => each.finished.catch(() => {}))),
  );
  const { violations } = await new AxeBuilder({ page }).analyze();
  const findings: string[] = [];
  for (const violation of violations) {
    for (const node of violation.nodes) {
      const data = node.any[0]?.data as { bgColor?: string; fgColor?: string } | undefined;
      const isOfTheBlue = data?.fgColor === '#ffffff' && (data.bgColor === '#007aff' || data.bgColor === '#0a84ff');
      const isWaived =
        violation.id === 'color-contrast' && isOfTheBlue && (await isInOwnBubble(page.locator(node.target.join(' '))));
      if (!isWaived) findings.push(`${violation.id}: ${node.html.slice(0, 160)} — ${node.failureSummary ?? ''}`);
    }
  }
  expect(findings, state).toEqual([]);
}

const isInOwnBubble = (target: Locator): Promise<boolean> =>
  target.evaluate((element) => element.closest('[data-own="true"] .tc-bubble') !== null);

const themes: readonly ('light' | 'dark')[] = ['light', 'dark'];

for (const colorScheme of themes) {
  test(`axe finds nothing on the advisor's pages, ${colorScheme}`, async ({ browsers, room }) => {
    test.slow();
    await room.clientSays('See https://example.com for the menu');
    const { id } = await room.advisorSays('Thank you, I will');
    await room.clientReacts(id, '❤️');
    await room.clientSays('🎉');
    const context = await browsers.context({ colorScheme });
    const page = await context.newPage();
    await page.goto('/login');
    await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
    await expectNoFindings(page, 'login');

    const signedIn = await browsers.advisorContext(room.advisor, { colorScheme });
    const desk = await signedIn.newPage();
    await desk.goto('/dashboard/messages');
    await expect(desk.locator('[data-conversation-id]').first()).toBeVisible();
    await expectNoFindings(desk, 'messages, none chosen');

    const thread = await browsers.advisorThread(room, signedIn);
    await expect(thread.row('Thank you, I will')).toBeVisible();
    await expectNoFindings(thread.page, 'a thread');
    await thread.openPicker('Thank you, I will');
    await expectNoFindings(thread.page, 'the picker');

    await desk.goto('/clients');
    await expect(desk.getByRole('link', { name: room.client.name })).toBeVisible();
    await expectNoFindings(desk, 'clients');
    await desk.goto(`/clients/${room.client.id}`);
    await expect(desk.getByRole('button', { name: 'Message', exact: true })).toBeVisible();
    await expectNoFindings(desk, 'a client');
    await desk.getByRole('button', { name: 'Message', exact: true }).click();
    await expect(browsers.threadOn(desk).input).toBeVisible();
    await expectNoFindings(desk, 'the sheet');
  });

  test(`axe finds nothing on a trip and in its widget, ${colorScheme}`, async ({ browsers, room }) => {
    await room.advisorSays('Welcome!');
    const widget = await browsers.widget(room, await browsers.context({ colorScheme }));
    await expect(widget.badge).toBeVisible();
    await expectNoFindings(widget.page, 'the trip, with a badge');
    const thread = await widget.open();
    await thread.send('Hello');
    await expect(thread.row('Hello')).toHaveAttribute('data-status', 'sent');
    await expectNoFindings(widget.page, 'the open widget');
  });
}

test('axe finds nothing in a thread with a failed message and without a connection', async ({ launch }) => {
  const { server, browsers, room } = await launch();
  const thread = await browsers.advisorThread(room);
  await refuseNextMessage(thread.page);
  await thread.send('Refused');
  await expect(thread.row('Refused')).toHaveAttribute('data-status', 'failed');
  await server.kill();
  await expect(thread.banner).toBeVisible();
  await expectNoFindings(thread.page, 'failed and offline');
  await server.start();
});

test('the log is not live itself; a separate announcer says each message of the other side once', async ({ browsers, room }) => {
  await room.clientSays('from before');
  const thread = await browsers.advisorThread(room);
  await expect(thread.row('from before')).toBeVisible();
  await expect(thread.log).toHaveAttribute('aria-live', 'off');
  const announcer = thread.root.locator('.tc-announcer');
  await expect(announcer).toHaveAttribute('aria-live', 'polite');
  await announcer.evaluate((element) => {
    const said: string[] = [];
    Object.assign(window, { said });
    new MutationObserver((changes) => {
      for (const change of changes) {
        for (const node of change.addedNodes) if (node.textContent) said.push(node.textContent);
        if (change.type === 'characterData' && change.target.textContent) said.push(change.target.textContent);
      }
    }).observe(element, { childList: true, subtree: true, characterData: true });
  });
  await room.clientSays('Are you open on Sunday?');
  await expect(announcer).toContainText('Are you open on Sunday?');
  await expect(announcer).toContainText(room.client.name);
  await room.clientSays('And on Monday?');
  await expect(announcer).toContainText('And on Monday?');
  const said = await thread.page.evaluate(() => (window as unknown as { said: string[] }).said);
  expect(said.filter((text) => text.includes('Are you open on Sunday?'))).toHaveLength(1);
  expect(said.filter((text) => text.includes('And on Monday?'))).toHaveLength(1);
  expect(said.some((text) => text.includes('from before'))).toBe(false);
});

test('the widget announces too, from inside its dialog', async ({ browsers, room }) => {
  const client = await browsers.openWidget(room);
  await room.advisorSays('Your tickets are here');
  await expect(client.root.locator('.tc-announcer')).toContainText('Your tickets are here');
});

test('who asks for less motion gets none', async ({ browsers, room }) => {
  const options: BrowserContextOptions = { reducedMotion: 'reduce' };
  const advisor = await browsers.advisorThread(room, await browsers.advisorContext(room.advisor, options));
  const widget = await browsers.widget(room, await browsers.context(options));
  for (const page of [advisor.page, widget.page]) {
    await page.evaluate(() => {
      const moving = /^(transform|translate|scale|rotate|inset|top|left|right|bottom|width|height|margin)/;
      const seen: string[] = [];
      Object.assign(window, { seen });
      const look = () => {
        for (const each of document.getAnimations()) {
          if (each.playState !== 'running' || !(each.effect instanceof KeyframeEffect)) continue;
          const properties = each.effect.getKeyframes().flatMap((frame) => Object.keys(frame));
          seen.push(...properties.filter((name) => moving.test(name)));
        }
        requestAnimationFrame(look);
      };
      look();
    });
  }
  const client = await widget.open();
  await client.input.pressSequentially('moving');
  await expect(advisor.typing).toBeVisible();
  await client.press(client.sendButton);
  await expect(advisor.row('moving')).toBeVisible();
  await advisor.openPicker('moving');
  await widget.close();
  for (const page of [advisor.page, widget.page]) {
    expect(await page.evaluate(() => (window as unknown as { seen: string[] }).seen)).toEqual([]);
  }
});

test('from right to left, own bubbles are on the left and the corner is mirrored', async ({ browsers, room }) => {
  await room.clientSays('مرحبا');
  await room.advisorSays('Welcome');
  const context = await browsers.advisorContext(room.advisor);
  await context.addInitScript(() => {
    document.addEventListener('DOMContentLoaded', () => (document.documentElement.dir = 'rtl'));
  });
  const thread = await browsers.advisorThread(room, context);
  const log = (await thread.log.boundingBox())!;
  const own = (await thread.bubble('Welcome').boundingBox())!;
  const other = (await thread.bubble('مرحبا').boundingBox())!;
  const middle = log.x + log.width / 2;
  expect(own.x + own.width / 2).toBeLessThan(middle);
  expect(other.x + other.width / 2).toBeGreaterThan(middle);
  await expect(thread.bubble('Welcome')).toHaveCSS('border-bottom-left-radius', '4px');
  await expect(thread.bubble('Welcome')).not.toHaveCSS('border-bottom-right-radius', '4px');
  await expect(thread.bubble('مرحبا')).toHaveCSS('border-bottom-right-radius', '4px');
});

test('the direction of a text is its own', async ({ browsers, room }) => {
  await room.clientSays('شكرا جزيلا');
  const thread = await browsers.advisorThread(room);
  const bubble = thread.bubble('شكرا جزيلا');
  const text = bubble.locator('[dir="auto"]').first();
  await expect(text).toHaveCSS('direction', 'rtl');
  await expect(bubble).toHaveCSS('direction', 'ltr');
});

/** WCAG's contrast of two CSS colours, as the page computes them. */
async function contrast(thread: Thread, text: string): Promise<number> {
  return thread.bubble(text).evaluate((bubble) => {
    const luminance = (colour: string) => {
      const [r, g, b] = colour.match(/[\d.]+/g)!.map((part) => {
        const share = Number(part) / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const style = getComputedStyle(bubble);
    const [light, dark] = [luminance(style.color), luminance(style.backgroundColor)].sort((a, b) => b - a);
    return (light! + 0.05) / (dark! + 0.05);
  });
}

async function bothBubbles(browsers: Browsers, room: Room, options: BrowserContextOptions): Promise<Thread> {
  await room.clientSays('received');
  await room.advisorSays('sent');
  const thread = await browsers.advisorThread(room, await browsers.advisorContext(room.advisor, options));
  await expect(thread.bubble('sent')).toBeVisible();
  return thread;
}

for (const colorScheme of themes) {
  test(`with more contrast asked for, own bubbles have at least 4.5:1, ${colorScheme}`, async ({ browsers, room }) => {
    const thread = await bothBubbles(browsers, room, { contrast: 'more', colorScheme });
    expect(await contrast(thread, 'sent')).toBeGreaterThanOrEqual(4.5);
    expect(await contrast(thread, 'received')).toBeGreaterThanOrEqual(4.5);
  });
}

test('the dark colours are exact, on black', async ({ browsers, room }) => {
  const thread = await bothBubbles(browsers, room, { colorScheme: 'dark' });
  await expect(thread.bubble('sent')).toHaveCSS('background-color', 'rgb(10, 132, 255)');
  await expect(thread.bubble('sent')).toHaveCSS('color', 'rgb(255, 255, 255)');
  await expect(thread.bubble('received')).toHaveCSS('background-color', 'rgb(38, 37, 42)');
  await expect(thread.bubble('received')).toHaveCSS('color', 'rgb(255, 255, 255)');
  const behind = await thread.scroller.evaluate((element) => {
    for (let each: Element | null = element; each; each = each.parentElement) {
      const { backgroundColor } = getComputedStyle(each);
      if (backgroundColor !== 'rgba(0, 0, 0, 0)') return backgroundColor;
    }
    return 'none';
  });
  expect(behind).toBe('rgb(0, 0, 0)');
});
