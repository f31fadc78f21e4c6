// React on viewport.ts: renders the rows that the viewport asks for, and tells it of every commit.
import { useCallback, useLayoutEffect, useRef, useState, type RefObject } from 'react';
import { flushSync } from 'react-dom';
import type { RowRange } from './row_heights';
import { MAX_ROWS, Viewport } from './viewport';

/** Rendered before the first measurement: more than a tall screen holds. */
const FIRST_ROWS = 50;

// The range by keys, because older pages are inserted above it. Without `lastKey` it reaches to the end, also when rows
// are added.
interface Span {
  readonly start: number;
  readonly firstKey?: string | undefined;
  readonly end: number;
  readonly lastKey?: string | undefined;
}

function indexIn(keys: readonly string[], key: string, guess: number): number {
  if (keys[guess] === key) return guess;
  const found = keys.indexOf(key);
  // The row was discarded: its neighbour.
  return found >= 0 ? found : Math.min(guess, keys.length - 1);
}

function rangeOf(span: Span | null, keys: readonly string[]): RowRange {
  const count = keys.length;
  if (count === 0) return { start: 0, end: 0 };
  if (!span || span.firstKey === undefined) return { start: Math.max(0, count - FIRST_ROWS), end: count };
  const start = indexIn(keys, span.firstKey, span.start);
  const end = span.lastKey === undefined ? count : indexIn(keys, span.lastKey, span.end - 1) + 1;
  if (end - start <= MAX_ROWS) return { start, end: Math.max(end, start + 1) };
  return span.lastKey === undefined ? { start: count - MAX_ROWS, end } : { start, end: start + MAX_ROWS };
}

export interface MessageWindowOptions {
  /** One per row, stable while the rows are. */
  keys: readonly string[];
  /** Of a row that was never rendered, in a list of this width. */
  estimate: (index: number, width: number) => number;
  /** Changes when something other than a row came or went at the end. */
  tail: string;
  onNearStart: () => void;
  /** Called before other rows are rendered, so that the focus can be moved from a row that will be removed. */
  onRange: (range: RowRange) => void;
}

export interface MessageWindow {
  readonly range: RowRange;
  readonly isNearEnd: boolean;
  readonly viewport: Viewport;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  readonly above: RefObject<HTMLDivElement | null>;
  readonly items: RefObject<HTMLDivElement | null>;
  readonly below: RefObject<HTMLDivElement | null>;
}

export function useMessageWindow(options: MessageWindowOptions): MessageWindow {
  const { keys, tail } = options;
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const above = useRef<HTMLDivElement>(null);
  const items = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLDivElement>(null);
  const [span, setSpan] = useState<Span | null>(null);
  const [isNearEnd, setNearEnd] = useState(true);
  const latest = useRef(options);

  const onRange = useCallback((range: RowRange, isUrgent: boolean) => {
    const now = latest.current;
    now.onRange(range);
    const next: Span = {
      start: range.start,
      firstKey: now.keys[range.start],
      end: range.end,
      lastKey: range.end >= now.keys.length ? undefined : now.keys[range.end - 1],
    };
    if (isUrgent) flushSync(() => setSpan(next));
    else setSpan(next);
  }, []);
  const [viewport] = useState(
    () => new Viewport({ onRange, onNearEnd: setNearEnd, onNearStart: () => latest.current.onNearStart() }),
  );

  const range = rangeOf(span, keys);
  const shown = useRef<{ keys: readonly string[]; tail: string } | null>(null);

  useLayoutEffect(() => {
    latest.current = options;
  });
  useLayoutEffect(
    () =>
      viewport.attach({
        scroller: scroller.current!,
        content: content.current!,
        above: above.current!,
        items: items.current!,
        below: below.current!,
      }),
    [viewport],
  );
  useLayoutEffect(() => {
    const before = shown.current;
    shown.current = { keys, tail };
    if (before?.keys !== keys) {
      viewport.heights.setRows(keys, (index) => latest.current.estimate(index, viewport.width));
    }
    const last = before?.keys.at(-1);
    const hasNewRow = last !== undefined && last !== keys.at(-1) && keys.includes(last);
    viewport.rendered(range, hasNewRow ? 'message' : before && before.tail !== tail ? 'other' : null);
  });

  return { range, isNearEnd, viewport, scroller, content, above, items, below };
}
