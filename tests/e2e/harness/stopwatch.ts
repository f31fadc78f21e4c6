// When something became true in a page, by the page's own clock. All pages and the runner share one machine, so the times
// can be compared, and nothing of the runner's own latency is counted as the product's.
import type { Page } from '@playwright/test';

/** Watches from now on; `first()` is when `holds` was first seen true, in ms since the epoch. */
export interface Stopwatch {
  first(): Promise<number>;
}

// As text: the page's Content-Security-Policy forbids eval, but not what the debugger runs.
const WATCH = `(holds, argument) => {
  let settle;
  const first = new Promise((resolve) => { settle = resolve; });
  const look = () => {
    if (!holds(argument)) return false;
    settle(Date.now());
    observer.disconnect();
    return true;
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  const frame = () => { if (!look()) requestAnimationFrame(frame); };
  frame();
  return { first };
}`;

export async function watch<A>(page: Page, holds: (argument: A) => boolean, argument: A): Promise<Stopwatch> {
  const handle = await page.evaluateHandle<{ first: Promise<number> }>(
    `(${WATCH})(${holds.toString()}, ${JSON.stringify(argument)})`,
  );
  return { first: () => handle.evaluate((watched) => watched.first) };
}

/** When the next event of this type happens in the page: a person's act itself, not the runner's way to it. */
export async function nextEvent(page: Page, type: 'click' | 'input'): Promise<Stopwatch> {
  const handle = await page.evaluateHandle(
    (name) => ({
      first: new Promise<number>((resolve) => {
        document.addEventListener(name, () => resolve(Date.now()), { capture: true, once: true });
      }),
    }),
    type,
  );
  return { first: () => handle.evaluate((watched) => watched.first) };
}

// ---- What is watched for: these run in the page ----

export const showsBubble = (text: string): boolean =>
  [...document.querySelectorAll('.tc-bubble')].some((bubble) => bubble.textContent?.includes(text));

export const showsOtherTyping = (): boolean => {
  const dots = document.querySelector('.tc-typing:not([data-own="true"])');
  return dots !== null && (dots as HTMLElement).offsetHeight > 0;
};

export const showsNoOtherTyping = (): boolean => {
  const dots = document.querySelector('.tc-typing:not([data-own="true"])');
  return dots === null || (dots as HTMLElement).offsetHeight === 0;
};

export const showsSideTyping = (): boolean => {
  const dots = document.querySelector('.tc-typing[data-own="true"]');
  return dots !== null && (dots as HTMLElement).offsetHeight > 0;
};

export const showsNoSideTyping = (): boolean => {
  const dots = document.querySelector('.tc-typing[data-own="true"]');
  return dots === null || (dots as HTMLElement).offsetHeight === 0;
};
