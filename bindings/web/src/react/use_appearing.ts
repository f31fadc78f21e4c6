// A new message grows out of its side's corner, once, when it comes to the end of what was there.
import { useLayoutEffect, useRef } from 'react';
import type { ThreadRow } from '../core/model';
import { matches } from './media';
import type { RowRange } from './row_heights';

/** More than these at once are a page of missed ones, which is not animated. */
const MOST = 5;

/** `items` has the rendered rows, those of `range`. */
export function useAppearing(
  keys: readonly string[],
  rows: readonly ThreadRow[],
  range: RowRange,
  items: { current: HTMLDivElement | null },
): void {
  const last = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    const before = last.current;
    last.current = keys.at(-1);
    if (before === undefined || before === last.current || matches('(prefers-reduced-motion: reduce)')) return;
    const from = keys.lastIndexOf(before) + 1;
    // 0: the row that was last is gone, since the thread was loaded anew.
    if (from === 0 || keys.length - from > MOST) return;
    for (let i = Math.max(from, range.start); i < range.end; ++i) {
      const body = items.current?.children[i - range.start]?.querySelector<HTMLElement>('.tc-body');
      const isAtRight = rows[i]!.isOwn !== (body !== null && body !== undefined && getComputedStyle(body).direction === 'rtl');
      body?.animate?.(
        [
          { transform: 'scale(0.82)', opacity: 0, transformOrigin: `${isAtRight ? '100%' : '0'} 100%` },
          { transform: 'none', opacity: 1, transformOrigin: `${isAtRight ? '100%' : '0'} 100%` },
        ],
        { duration: 240, easing: 'cubic-bezier(0.2, 0.9, 0.25, 1)' },
      );
    }
  }, [keys, range, rows, items]);
}
