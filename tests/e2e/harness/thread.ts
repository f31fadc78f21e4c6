// One chat on the screen: the advisor's panel, the sheet or the widget's window.
import { type CDPSession, expect, type Locator, type Page } from '@playwright/test';

export type EmojiName = 'Heart' | 'Thumbs up' | 'Laughing' | 'Surprised' | 'Sad' | 'Thumbs down';

export interface ShownRow {
  readonly key: string;
  readonly seq: number;
  readonly isOwn: boolean;
  readonly status: string;
  readonly text: string;
}

const sessions = new WeakMap<Page, Promise<CDPSession>>();

/** One DevTools session for a page. */
export function devTools(page: Page): Promise<CDPSession> {
  let session = sessions.get(page);
  if (!session) sessions.set(page, (session = page.context().newCDPSession(page)));
  return session;
}

/** Resolves when the page has drawn this often. */
async function frames(page: Page, count: number): Promise<void> {
  await page.evaluate(
    (wanted) =>
      new Promise<void>((resolve) => {
        const frame = (left: number) => (left === 0 ? resolve() : requestAnimationFrame(() => frame(left - 1)));
        frame(wanted);
      }),
    count,
  );
}

export class Thread {
  readonly log: Locator;
  readonly scroller: Locator;
  readonly rows: Locator;
  readonly input: Locator;
  readonly sendButton: Locator;
  readonly picker: Locator;
  readonly typing: Locator;
  readonly sideTyping: Locator;
  readonly receipt: Locator;
  readonly jump: Locator;
  readonly banner: Locator;

  constructor(
    readonly page: Page,
    readonly root: Locator,
    readonly isTouch: boolean,
  ) {
    this.log = root.getByRole('log', { name: 'Messages' });
    this.scroller = root.locator('.tc-scroller');
    this.rows = root.locator('[data-message-key]');
    this.input = root.getByRole('textbox', { name: 'Message' });
    this.sendButton = root.getByRole('button', { name: 'Send', exact: true });
    this.picker = root.getByRole('toolbar', { name: 'React' });
    this.typing = root.locator('.tc-typing:not([data-own="true"])');
    this.sideTyping = root.locator('.tc-typing[data-own="true"]');
    this.receipt = root.locator('.tc-receipt');
    this.jump = root.locator('.tc-jump');
    this.banner = root.locator('.tc-banner');
  }

  /** The rows whose text is exactly this. */
  row(text: string): Locator {
    const exactly = new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
    return this.rows.filter({ has: this.page.locator('.tc-text, .tc-jumbo').filter({ hasText: exactly }) });
  }

  bubble(text: string): Locator {
    return this.row(text).locator('.tc-bubble');
  }

  pill(text: string): Locator {
    return this.row(text).locator('button.tc-pill');
  }

  async send(text: string): Promise<void> {
    await this.input.fill(text);
    if (this.isTouch) await this.sendButton.tap();
    else await this.input.press('Enter');
  }

  /** As a person does: with the mouse over the bubble, or a finger held on it. */
  async openPicker(text: string): Promise<void> {
    const bubble = this.bubble(text);
    await bubble.scrollIntoViewIfNeeded();
    if (!this.isTouch) {
      await bubble.hover();
      await expect(this.picker).toBeVisible();
      return;
    }
    const box = (await bubble.boundingBox())!;
    const session = await devTools(this.page);
    const point = { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
    await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [point] });
    await expect(this.picker).toBeVisible();
    await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    await expect(this.picker).toBeVisible();
  }

  async react(text: string, name: EmojiName): Promise<void> {
    await this.openPicker(text);
    await this.press(this.picker.getByRole('button', { name, exact: true }));
  }

  /** A click, or a tap where there is no mouse. */
  async press(target: Locator): Promise<void> {
    if (this.isTouch) await target.tap();
    else await target.click();
  }

  /** Scrolls by this many pixels, down when positive: by the wheel, or by a finger that does not fling. */
  async scrollBy(distance: number): Promise<void> {
    const box = (await this.scroller.boundingBox())!;
    const x = Math.round(box.x + box.width / 2);
    if (!this.isTouch) {
      await this.page.mouse.move(x, Math.round(box.y + box.height / 2));
      await this.page.mouse.wheel(0, distance);
      return;
    }
    const session = await devTools(this.page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', y?: number) =>
      session.send('Input.dispatchTouchEvent', { type, touchPoints: y === undefined ? [] : [{ x, y: Math.round(y) }] });
    const reach = box.height * 0.6;
    for (let left = Math.abs(distance); left > 0; left -= reach) {
      const travel = Math.min(left, reach) * -Math.sign(distance);
      const from = box.y + box.height * (travel > 0 ? 0.2 : 0.8);
      await touch('touchStart', from);
      for (let step = 1; step <= 8; ++step) await touch('touchMove', from + (travel * step) / 8);
      // A finger that rests before it leaves does not fling.
      await frames(this.page, 12);
      await touch('touchEnd');
    }
  }

  /** How far the end of the list is below the lower edge. */
  async distanceToEnd(): Promise<number> {
    return this.scroller.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
  }

  async expectAtEnd(): Promise<void> {
    await expect.poll(() => this.distanceToEnd()).toBeLessThanOrEqual(2);
  }

  /** Rows that are in the document, top to bottom. */
  async shown(): Promise<ShownRow[]> {
    return this.rows.evaluateAll((rows) =>
      rows.map((row) => ({
        key: (row as HTMLElement).dataset['messageKey'] ?? '',
        seq: Number((row as HTMLElement).dataset['seq']),
        isOwn: (row as HTMLElement).dataset['own'] === 'true',
        status: (row as HTMLElement).dataset['status'] ?? '',
        text: row.querySelector('.tc-text, .tc-jumbo')?.textContent ?? '',
      })),
    );
  }

  async texts(): Promise<string[]> {
    return (await this.shown()).map((row) => row.text);
  }
}

/** A finger held on the middle of something until `until` holds, then lifted. */
export async function holdFinger(page: Page, target: Locator, until: () => Promise<void>): Promise<void> {
  const box = (await target.boundingBox())!;
  const session = await devTools(page);
  const point = { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
  await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [point] });
  await until();
  await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
}

/** On its way to the server the page's next message turns into one that the server refuses; `after` may hold it back. */
export async function refuseNextMessage(page: Page, after: Promise<void> = Promise.resolve()): Promise<void> {
  let isDone = false;
  await page.route('**/api/conversations/*/messages', async (route) => {
    if (isDone || route.request().method() !== 'POST') return route.fallback();
    isDone = true;
    await after;
    await route.continue({ postData: JSON.stringify({ content: ' ' }) });
  });
}
