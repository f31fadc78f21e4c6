// The keys that move from row to row in the log, which is one Tab stop.
import { useLayoutEffect, useRef, type FocusEvent, type KeyboardEvent } from 'react';
import type { Thread } from '../core/model';
import type { ReactionPickerState } from './use_reaction_picker';
import type { Viewport } from './viewport';

/** The row that has the focus, or had it last: the Tab stop. */
export interface ActiveRow {
  readonly key: string;
  readonly hasFocus: boolean;
}

export interface RowFocusOptions {
  thread: Thread;
  keys: readonly string[];
  viewport: Viewport;
  picker: ReactionPickerState;
  active: ActiveRow | null;
  setActive: (change: (now: ActiveRow | null) => ActiveRow | null) => void;
  /** Escape. */
  onLeave: () => void;
}

export interface RowFocus {
  onBlur(event: FocusEvent<HTMLElement>): void;
  onKeyDown(event: KeyboardEvent<HTMLElement>): void;
}

export function useRowFocus({ thread, keys, viewport, picker, active, setActive, onLeave }: RowFocusOptions): RowFocus {
  const wantsOlder = useRef(false);
  const focusIndex = (index: number) => {
    const item = viewport.reveal(index);
    item?.querySelector<HTMLElement>('[data-message-key]')?.focus({ preventScroll: true });
  };

  // Up on the first row: it moves on when the page above has come.
  useLayoutEffect(() => {
    if (!wantsOlder.current) return;
    const index = active ? viewport.heights.indexOf(active.key) : -1;
    if (index <= 0) return;
    wantsOlder.current = false;
    if (active?.hasFocus) focusIndex(index - 1);
  }, [keys]);

  return {
    onBlur(event) {
      if (event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget)) return;
      setActive((now) => now && { ...now, hasFocus: false });
      const by = picker.open?.by;
      if (by === 'focus' || by === 'key') picker.show(null);
    },
    onKeyDown(event) {
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
      const target = event.target as HTMLElement;
      const row = target.closest<HTMLElement>('[data-message-key]');
      if (event.key === 'Escape') {
        event.stopPropagation();
        onLeave();
        return;
      }
      if ((event.key === 'Enter' || event.key === ' ') && target === row) {
        event.preventDefault();
        const key = row.dataset.messageKey!;
        if (row.dataset.status === 'sent') picker.show({ key, by: 'key' });
        return;
      }
      if (target !== row && event.key === ' ') return;
      const from = active ? viewport.heights.indexOf(active.key) : -1;
      const to = rowAfterKey(event.key, from, viewport);
      if (to === null) return;
      event.preventDefault();
      if (to < 0 && thread.snapshot().hasOlder) {
        wantsOlder.current = true;
        void thread.loadOlder();
      }
      if (keys.length > 0) focusIndex(Math.min(Math.max(to, 0), keys.length - 1));
    },
  };
}

/** The row in or around this element that has the focus, also in a shadow root. */
export function focusedRow(element: HTMLElement): HTMLElement | null {
  const { activeElement } = element.getRootNode() as Document | ShadowRoot;
  return activeElement && element.contains(activeElement) ? activeElement.closest('[data-message-key]') : null;
}

/** Where a key leads; below zero for older rows than are loaded, null for a key that does not move. */
function rowAfterKey(key: string, from: number, viewport: Viewport): number | null {
  const { heights } = viewport;
  const last = heights.count - 1;
  const start = from >= 0 ? from : viewport.firstInView();
  const page = viewport.viewHeight() * 0.9;
  switch (key) {
    case 'ArrowUp':
      return start - 1;
    case 'ArrowDown':
      return Math.min(start + 1, last);
    case 'Home':
      return 0;
    case 'End':
      return last;
    case 'PageUp':
      return Math.min(heights.at(heights.top(start) - page), start - 1);
    case 'PageDown':
      return Math.min(Math.max(heights.at(heights.top(start) + page), start + 1), last);
    default:
      return null;
  }
}
