// The part of a long thread that is on the screen: which rows are rendered, and the scroll position.
//
// Two rules. While somebody reads, nothing moves: the first row in view, the anchor, keeps its place while rows around
// it are added, removed or change their height. Who is at the end stays exactly there. Both are kept before the browser
// paints, in layout effects and ResizeObserver callbacks; the browser's own anchoring is off (it cannot hold a row that
// is rendered anew).
//
// Setting `scrollTop` while a finger, a wheel or momentum moves the list would stop that motion. So until the list
// rests, errors of estimated heights are added to the empty space above the rendered rows (`drift`), out of sight; at
// rest the space and `scrollTop` are corrected in one step, which changes no pixel.
import { matches } from './media';
import { RowHeights, type RowRange } from './row_heights';

/** Up to this far from the end one still follows the conversation. */
export const NEAR_END = 100;
/** The bound of what is rendered. */
export const MAX_ROWS = 120;

/** The event at the root of a list that was taken out of the page and has come back. */
export const RETURNED = 'tc-returned';

const OVERSCAN = 800;
const REST_MS = 120;

export interface ViewportElements {
  /** What scrolls. */
  readonly scroller: HTMLElement;
  /** Everything in it. */
  readonly content: HTMLElement;
  /** Empty space for the rows above and below the rendered ones. */
  readonly above: HTMLElement;
  readonly below: HTMLElement;
  /** Its children are the rendered rows and nothing else. */
  readonly items: HTMLElement;
}

export interface ViewportEvents {
  /** Render these rows; `isUrgent`: before the call returns. */
  onRange: (range: RowRange, isUrgent: boolean) => void;
  onNearEnd: (isNearEnd: boolean) => void;
  /** Less than one and a half screens of rows are left above. */
  onNearStart: () => void;
}

interface Anchor {
  readonly key: string;
  /** From the top of the item to the message in it: a divider above the message may vanish. Null for a row that is not
   * rendered, which is held by its item. */
  readonly lead: number | null;
  /** From the top of the list's view to the message. */
  readonly offset: number;
}

export class Viewport {
  readonly heights = new RowHeights();
  #elements: ViewportElements | null = null;
  #events: ViewportEvents;
  #range: RowRange = { start: 0, end: 0 };
  #drift = 0;
  #anchor: Anchor | null = null;
  #isAtEnd = true;
  #isNearEnd = true;
  #mustSlide = false;
  #top = 0;
  #expectedTop = -1;
  #width = 0;
  #touchCount = 0;
  #restTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(events: ViewportEvents) {
    this.#events = events;
  }

  get width(): number {
    return this.#width;
  }

  /** Returns what takes the listeners away again. */
  attach(elements: ViewportElements): () => void {
    const { scroller, content } = elements;
    this.#elements = elements;
    this.#width = scroller.clientWidth;
    const onScroll = () => this.#scrolled();
    const onTouch = (event: TouchEvent) => {
      this.#touchCount = event.touches.length;
      if (this.#touchCount === 0) this.#awaitRest();
    };
    const sizes = new ResizeObserver(() => {
      if (scroller.clientWidth !== this.#width && scroller.clientWidth > 0) {
        this.#width = scroller.clientWidth;
        this.heights.forget();
      }
      this.settle(true);
    });
    // The browser has reset the list's scroll position.
    const onReturn = () => {
      this.#moveTo(this.#top);
      this.settle(true);
    };
    const root = scroller.getRootNode();
    root.addEventListener(RETURNED, onReturn);
    scroller.addEventListener('scroll', onScroll, { passive: true });
    for (const type of ['touchstart', 'touchend', 'touchcancel'] as const) {
      scroller.addEventListener(type, onTouch, { passive: true });
    }
    sizes.observe(scroller);
    sizes.observe(content);
    return () => {
      this.#elements = null;
      clearTimeout(this.#restTimer);
      this.#restTimer = undefined;
      sizes.disconnect();
      root.removeEventListener(RETURNED, onReturn);
      scroller.removeEventListener('scroll', onScroll);
      for (const type of ['touchstart', 'touchend', 'touchcancel'] as const) {
        scroller.removeEventListener(type, onTouch);
      }
    };
  }

  /** In the layout effect of each render: of the rows that `heights` was told, these were rendered. `news`: what came
   *  to the end since. A message scrolls a list that is near its end along; anything else, such as typing dots, only
   *  one that is at its end. */
  rendered(range: RowRange, news: 'message' | 'other' | null): void {
    this.#range = range;
    if (news === 'message' && this.#isNearEnd) this.#isAtEnd = true;
    this.#mustSlide ||= news !== null && this.#isAtEnd;
    this.settle(false);
  }

  /** Goes to the end and stays there. */
  toEnd(): void {
    this.#isAtEnd = true;
    this.#mustSlide = true;
    this.settle(true);
  }

  /** Brings a row into view, rendered. Returns its item. */
  reveal(index: number): HTMLElement | null {
    const elements = this.#elements;
    if (!elements) return null;
    const { scroller, items } = elements;
    this.#onRest();
    // What is rendered on the way gets its real height, so the second pass is exact.
    for (let pass = 0; pass < 3; ++pass) {
      const top = this.heights.top(index) + this.#drift;
      const bottom = this.heights.top(index + 1) + this.#drift;
      const view = scroller.clientHeight;
      const target = top < scroller.scrollTop + 8 ? top - 8 : Math.max(scroller.scrollTop, bottom + 8 - view);
      const isLast = index === this.heights.count - 1;
      if (!isLast && target < scroller.scrollTop) this.#isAtEnd = false;
      if (isLast) this.#isAtEnd = true;
      else if (Math.abs(target - scroller.scrollTop) >= 1) {
        this.#moveTo(target);
        this.#anchor = null;
      } else if (pass > 0) break;
      this.settle(true);
    }
    return (items.children[index - this.#range.start] as HTMLElement | undefined) ?? null;
  }

  /** The first row that is wholly in view. */
  firstInView(): number {
    const top = (this.#elements?.scroller.scrollTop ?? 0) - this.#drift;
    const first = this.heights.at(top);
    return this.heights.top(first) < top && first + 1 < this.heights.count ? first + 1 : first;
  }

  /** How many px of the list one sees. */
  viewHeight(): number {
    return this.#elements?.scroller.clientHeight ?? 0;
  }

  /** Restores both rules. `isUrgent`: not inside React's commit, so rows that are missing must be asked for at once. */
  settle(isUrgent: boolean): void {
    const elements = this.#elements;
    // A hidden list has no heights; it is put right when it is shown again.
    if (!elements || elements.scroller.clientHeight === 0) return;
    const { scroller, items } = elements;
    const { heights } = this;
    this.#adoptScroll();
    heights.measure(
      this.#range.start,
      Array.from(items.children, (item) => item.getBoundingClientRect().height),
    );
    const anchor = this.#anchor;
    const index = anchor ? heights.indexOf(anchor.key) : -1;
    const place = anchor && index >= 0 ? heights.top(index) + (anchor.lead === null ? 0 : (this.#leadOf(index) ?? anchor.lead)) : null;

    if (this.#isAtEnd || place === null) {
      this.#drift = 0;
      this.#setSpace();
      if (this.#isAtEnd) {
        this.#moveTo(this.#endTop());
        this.#slide(place === null ? null : anchor!.offset - (place - scroller.scrollTop));
      }
    } else {
      const drift = anchor!.offset + scroller.scrollTop - place;
      const space = heights.top(this.#range.start) + drift;
      if (!this.#isAtRest() && this.#range.start > 0 && space >= 0) {
        this.#drift = drift;
        this.#setSpace();
      } else {
        this.#drift = 0;
        this.#setSpace();
        if (Math.abs(place - anchor!.offset - scroller.scrollTop) >= 0.5) this.#moveTo(place - anchor!.offset);
      }
    }
    this.#mustSlide = false;
    this.#top = scroller.scrollTop;
    this.#keepAnchor();
    this.#requestRange(isUrgent);
    this.#reportEdges();
  }

  #scrolled(): void {
    const elements = this.#elements;
    if (!elements || elements.scroller.clientHeight === 0) return;
    const top = elements.scroller.scrollTop;
    if (Math.abs(top - this.#expectedTop) < 1) {
      this.#expectedTop = -1;
      return;
    }
    this.#expectedTop = -1;
    const distance = this.#endTop() - top;
    // Only scrolling up leaves the end; content that grows there does not.
    if (distance <= 2) this.#isAtEnd = true;
    else if (top < this.#top) this.#isAtEnd = false;
    this.#top = top;
    this.#keepAnchor();
    this.#awaitRest();
    this.#requestRange(true);
    this.#reportEdges();
  }

  // A person may have scrolled since the last event, and restoring the anchor would undo that. The browser itself moves
  // a list that became shorter, but only to its new end.
  #adoptScroll(): void {
    const { scrollTop } = this.#elements!.scroller;
    const moved = scrollTop - this.#top;
    const distance = this.#endTop() - scrollTop;
    if (Math.abs(moved) < 1 || (moved < 0 && distance < 1)) return;
    if (moved < 0 && distance > 2) this.#isAtEnd = false;
    if (this.#anchor) this.#anchor = { ...this.#anchor, offset: this.#anchor.offset - moved };
    this.#top = scrollTop;
    this.#awaitRest();
  }

  #onRest(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = undefined;
    if (this.#touchCount === 0) this.settle(true);
  }

  #isAtRest(): boolean {
    return this.#restTimer === undefined && this.#touchCount === 0;
  }

  #awaitRest(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => this.#onRest(), REST_MS);
  }

  #endTop(): number {
    const { scroller } = this.#elements!;
    return scroller.scrollHeight - scroller.clientHeight;
  }

  #moveTo(top: number): void {
    const { scroller } = this.#elements!;
    const before = scroller.scrollTop;
    if (Math.abs(top - before) < 0.5) return;
    scroller.scrollTop = top;
    // The scroll event of this comes later, and must not count as a person's.
    if (scroller.scrollTop !== before) this.#expectedTop = scroller.scrollTop;
  }

  #setSpace(): void {
    const { above, below } = this.#elements!;
    const { start, end } = this.#range;
    above.style.blockSize = `${Math.max(0, this.heights.top(start) + this.#drift)}px`;
    below.style.blockSize = `${this.heights.total - this.heights.top(end)}px`;
  }

  #leadOf(index: number): number | null {
    const item = this.#elements!.items.children[index - this.#range.start];
    const row = item?.querySelector('[data-message-key]');
    return row ? row.getBoundingClientRect().top - item!.getBoundingClientRect().top : null;
  }

  #keepAnchor(): void {
    const { scroller } = this.#elements!;
    const { heights } = this;
    const { start, end } = this.#range;
    const top = scroller.scrollTop - this.#drift;
    let index = this.firstInView();
    // Preferably a row that is on the screen already.
    if (index < start && heights.top(start) < top + scroller.clientHeight) index = start;
    else if (index >= end && heights.top(end) > top) index = end - 1;
    const key = heights.key(index);
    const lead = this.#leadOf(index);
    this.#anchor = key === undefined ? null : { key, lead, offset: heights.top(index) + (lead ?? 0) - top };
  }

  #requestRange(isUrgent: boolean): void {
    const { scroller } = this.#elements!;
    // Without the style sheet nothing scrolls: the view is as high as the rendered rows, and each range would request a
    // larger one.
    if (getComputedStyle(scroller).overflowY === 'visible') return;
    const top = scroller.scrollTop - this.#drift;
    const view = scroller.clientHeight;
    const range = this.heights.range(this.#range, top, top + view, Math.max(OVERSCAN, view / 2), MAX_ROWS);
    if (range !== this.#range) this.#events.onRange(range, isUrgent);
  }

  #reportEdges(): void {
    const { scroller } = this.#elements!;
    const isNearEnd = this.#isAtEnd || this.#endTop() - scroller.scrollTop <= NEAR_END;
    if (isNearEnd !== this.#isNearEnd) {
      this.#isNearEnd = isNearEnd;
      this.#events.onNearEnd(isNearEnd);
    }
    if (scroller.scrollTop - this.#drift < 1.5 * scroller.clientHeight) this.#events.onNearStart();
  }

  // The list is scrolled to its end at once, and the visible rows are animated: a smooth `scrollTop` would not be exact
  // meanwhile. `distance` is how far the rows jumped; null when those from before are gone.
  #slide(distance: number | null): void {
    const { scroller, items } = this.#elements!;
    if (!this.#mustSlide || matches('(prefers-reduced-motion: reduce)')) return;
    const most = scroller.clientHeight * 0.8;
    const shift = Math.max(-most, Math.min(most, distance ?? most));
    if (Math.abs(shift) < 1) return;
    // Additive, so that a second message before the first one has arrived continues the motion.
    items.parentElement!.animate?.([{ transform: `translateY(${shift}px)` }, { transform: 'translateY(0)' }], {
      duration: 320,
      easing: 'cubic-bezier(0.2, 0.9, 0.25, 1)',
      composite: 'add',
    });
  }
}
