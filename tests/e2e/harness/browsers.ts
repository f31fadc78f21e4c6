// The browser's side of a test: each person in a context of their own, as on different machines.
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  expect,
  type Page,
  type WebSocket,
} from '@playwright/test';
import type { Server } from './server.ts';
import { Thread } from './thread.ts';
import { type Room, signIn } from './room.ts';
import type { Advisor } from './organizations.ts';

export class Widget {
  readonly launcher;
  readonly badge;
  readonly window;
  readonly thread: Thread;

  constructor(
    readonly page: Page,
    isTouch: boolean,
  ) {
    this.launcher = page.locator('.tc-launcher');
    this.badge = page.locator('.tc-badge');
    this.window = page.locator('.tc-window');
    this.thread = new Thread(page, this.window, isTouch);
  }

  async open(): Promise<Thread> {
    await this.thread.press(this.launcher);
    await expect(this.window).toBeVisible();
    await expect(this.thread.input).toBeVisible();
    return this.thread;
  }

  async close(): Promise<void> {
    await this.thread.press(this.window.getByRole('button', { name: 'Close chat' }));
    await expect(this.window).toBeHidden();
  }
}

export class Browsers {
  /** Exceptions and breaches of the page's policy; a test ends with none. */
  readonly pageErrors: string[] = [];
  private readonly contexts: BrowserContext[] = [];
  private readonly live = new WeakMap<Page, Set<WebSocket>>();

  constructor(
    private readonly browser: Browser,
    readonly server: Server,
    readonly isTouch: boolean,
  ) {}

  async context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext({ baseURL: this.server.url, ...options });
    this.contexts.push(context);
    context.on('page', (page) => this.listen(page));
    return context;
  }

  /** A context in which this advisor is signed in. */
  async advisorContext(advisor: Advisor, options?: BrowserContextOptions): Promise<BrowserContext> {
    const context = await this.context(options);
    const cookie = await signIn(this.server.url, advisor.email);
    await context.addCookies([{ ...cookie, url: this.server.url }]);
    return context;
  }

  /** The advisor's Messages page with this conversation open. */
  async advisorThread(room: Room, context?: BrowserContext): Promise<Thread> {
    const page = await (context ?? (await this.advisorContext(room.advisor))).newPage();
    await page.goto(room.threadPath);
    const thread = this.threadOn(page);
    await this.isReady(thread);
    return thread;
  }

  /** The client's trip page with the widget, still closed. */
  async widget(room: Room, context?: BrowserContext): Promise<Widget> {
    const page = await (context ?? (await this.context())).newPage();
    await page.goto(room.tripPath);
    const widget = new Widget(page, this.isTouch);
    await expect(widget.launcher).toBeVisible();
    await this.hasJoined(page);
    return widget;
  }

  async openWidget(room: Room, context?: BrowserContext): Promise<Thread> {
    return (await this.widget(room, context)).open();
  }

  threadOn(page: Page): Thread {
    return new Thread(page, page.locator('body'), this.isTouch);
  }

  async isReady(thread: Thread): Promise<void> {
    await expect(thread.input).toBeVisible();
    await this.hasJoined(thread.page);
  }

  /** The page's chat socket has heard its first event: from here on it is live. */
  async hasJoined(page: Page): Promise<void> {
    await expect.poll(() => this.live.get(page)?.size ?? 0, { message: 'a live socket' }).toBeGreaterThan(0);
  }

  async close(): Promise<void> {
    for (const context of this.contexts) await context.close();
  }

  private listen(page: Page): void {
    const live = new Set<WebSocket>();
    this.live.set(page, live);
    page.on('pageerror', (error) => this.pageErrors.push(`exception: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) this.pageErrors.push(message.text());
    });
    page.on('websocket', (socket) => {
      if (!socket.url().includes('/ws/chat')) return;
      socket.on('framereceived', () => live.add(socket));
      socket.on('close', () => live.delete(socket));
    });
  }
}
