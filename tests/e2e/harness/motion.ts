// Whether a reader's place moved. Each frame, the page notes where the visible rows stand.
import type { Thread } from './thread.ts';

interface Recording {
  /** How far the rows have come down since the beginning, frame by frame. */
  readonly moved: number[];
  /** What the wheel had asked for by then. */
  readonly asked: number[];
  /** The largest difference between two rows of one frame: something grew between them. */
  torn: number;
  mostRows: number;
  /** Frames in which no message was in sight. */
  blank: number;
  end: () => void;
}

declare global {
  interface Window {
    tcMotion?: Recording;
  }
}

export async function followMotion(thread: Thread): Promise<void> {
  await thread.scroller.evaluate((scroller) => {
    const recording: Recording = { moved: [], asked: [], torn: 0, mostRows: 0, blank: 0, end: () => {} };
    window.tcMotion = recording;
    let isRunning = true;
    let before = new Map<string, number>();
    let moved = 0;
    let asked = 0;
    const wheel = (event: Event) => (asked -= (event as WheelEvent).deltaY);
    scroller.addEventListener('wheel', wheel, { passive: true });
    const frame = () => {
      if (!isRunning) return;
      const rows = [...scroller.querySelectorAll<HTMLElement>('[data-message-key]')];
      const sight = scroller.getBoundingClientRect();
      const now = new Map<string, number>();
      for (const row of rows) {
        const { top, bottom } = row.getBoundingClientRect();
        if (bottom > sight.top && top < sight.bottom) now.set(row.dataset['messageKey']!, top);
      }
      const shifts = [...now].filter(([key]) => before.has(key)).map(([key, top]) => top - before.get(key)!);
      if (shifts.length > 0) {
        moved += shifts[0]!;
        recording.torn = Math.max(recording.torn, Math.max(...shifts) - Math.min(...shifts));
      }
      recording.moved.push(moved);
      recording.asked.push(asked);
      recording.mostRows = Math.max(recording.mostRows, rows.length);
      if (now.size === 0) recording.blank += 1;
      before = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    recording.end = () => {
      isRunning = false;
      scroller.removeEventListener('wheel', wheel);
    };
  });
}

export interface Motion {
  /** The largest move from where the rows stood at the beginning, in pixels. */
  readonly largest: number;
  /** How far rows went against the wheel, or further than it asked, in pixels. */
  readonly astray: number;
  readonly torn: number;
  readonly mostRows: number;
  readonly blank: number;
  readonly frames: number;
}

export async function endMotion(thread: Thread): Promise<Motion> {
  return thread.page.evaluate(() => {
    const { moved, asked, torn, mostRows, blank, end } = window.tcMotion!;
    end();
    let astray = 0;
    let furthest = 0;
    moved.forEach((distance, frame) => {
      // The page hears of a wheel some frames before or after the scrolling is to be seen.
      const allowed = asked[Math.min(frame + 6, asked.length - 1)]!;
      astray = Math.max(astray, furthest - distance, distance - allowed);
      furthest = Math.max(furthest, distance);
    });
    return { largest: Math.max(0, ...moved.map(Math.abs)), astray, torn, mostRows, blank, frames: moved.length };
  });
}

export interface Journey {
  /** The largest difference between how far rows went and how far they were scrolled, in any frame, in pixels. */
  readonly astray: number;
  readonly torn: number;
  readonly mostRows: number;
  readonly blank: number;
  readonly frames: number;
  /** The seq of the first row in the end. */
  readonly firstSeq: number;
}

/**
 * Scrolls up to the first message, `step` pixels in each frame, all inside the page, and holds each frame against it: rows
 * go exactly as far as the list was scrolled, whatever is loaded, measured or corrected on the way.
 */
export async function scrollToBeginning(thread: Thread, step: number): Promise<Journey> {
  return thread.scroller.evaluate(
    (scroller, pixels) =>
      new Promise<Journey>((resolve) => {
        let before = new Map<string, number>();
        let scrolled = 0;
        let moved = 0;
        let [astray, torn, mostRows, blank, frames, still] = [0, 0, 0, 0, 0, 0];
        const frame = () => {
          frames += 1;
          const rows = [...scroller.querySelectorAll<HTMLElement>('[data-message-key]')];
          mostRows = Math.max(mostRows, rows.length);
          const sight = scroller.getBoundingClientRect();
          const now = new Map<string, number>();
          for (const row of rows) {
            const { top, bottom } = row.getBoundingClientRect();
            if (bottom > sight.top && top < sight.bottom) now.set(row.dataset['messageKey']!, top);
          }
          if (now.size === 0) blank += 1;
          const shifts = [...now].filter(([key]) => before.has(key)).map(([key, top]) => top - before.get(key)!);
          if (before.size > 0 && shifts.length > 0) {
            torn = Math.max(torn, Math.max(...shifts) - Math.min(...shifts));
            moved += shifts[0]!;
            astray = Math.max(astray, Math.abs(moved - scrolled));
          } else if (before.size > 0) {
            // Not one row is left of the frame before: that is no journey but a jump.
            astray = Infinity;
          }
          before = now;
          const firstSeq = Number(rows[0]?.dataset['seq'] ?? 0);
          // Some more frames at the beginning: a correction may come late.
          still = firstSeq === 1 && scroller.scrollTop <= 0 ? still + 1 : 0;
          if (still > 20) {
            resolve({ astray, torn, mostRows, blank, frames, firstSeq });
            return;
          }
          const top = scroller.scrollTop;
          scroller.scrollTop = top - pixels;
          scrolled += top - scroller.scrollTop;
          requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      }),
    step,
  );
}

/** Where a message stands below the scroller's upper edge. */
export function placeOf(thread: Thread, text: string): Promise<number> {
  return thread.bubble(text).evaluate((bubble) => {
    const scroller = bubble.closest('.tc-scroller')!;
    return bubble.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
  });
}

/** Resolves when the list has not moved for ten frames. */
export async function atRest(thread: Thread): Promise<void> {
  await thread.scroller.evaluate(
    (scroller) =>
      new Promise<void>((resolve) => {
        let still = 0;
        let last = '';
        const frame = () => {
          const now = `${scroller.scrollTop} ${scroller.scrollHeight}`;
          still = now === last ? still + 1 : 0;
          last = now;
          if (still >= 10) resolve();
          else requestAnimationFrame(frame);
        };
        frame();
      }),
  );
}
