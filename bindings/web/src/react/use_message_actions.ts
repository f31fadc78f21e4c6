// What people do with the messages of a list: react, retry, delete, and open the picker by mouse, finger, focus or key.
import { useCallback, useLayoutEffect, useMemo, useRef, type RefObject } from 'react';
import type { Thread, ThreadRow } from '../core/model';
import type { Emoji } from '../core/types';
import { matches } from './media';
import type { MessageActions } from './message_bubble';
import { focusedRow, type ActiveRow } from './use_row_focus';
import { useReactionPicker, type ReactionPickerState } from './use_reaction_picker';

export interface MessageActionsOptions {
  thread: Thread;
  onRetry: (key: string) => void;
  onDiscard: (key: string) => void;
  /** The row with the focus went away. */
  onLeave: () => void;
  scroller: RefObject<HTMLElement | null>;
  /** Its children have the rows. */
  items: RefObject<HTMLElement | null>;
  setActive: (change: (now: ActiveRow | null) => ActiveRow | null) => void;
}

interface Messages {
  readonly picker: ReactionPickerState;
  readonly actions: MessageActions;
}

export function useMessageActions(options: MessageActionsOptions): Messages {
  const { scroller, items, setActive } = options;
  const rowElement = useCallback(
    (key: string) =>
      [...(items.current?.querySelectorAll<HTMLElement>('[data-message-key]') ?? [])].find(
        (element) => element.dataset.messageKey === key,
      ),
    [items],
  );
  const onDismiss = useCallback(
    (key: string) => {
      const row = rowElement(key);
      if (row && focusedRow(row)) row.focus({ preventScroll: true });
      // After the focus has moved, which itself opens the picker.
      latest.current.picker.show(null);
    },
    [rowElement],
  );
  const picker = useReactionPicker(scroller, onDismiss);
  const latest = useRef({ options, picker });
  useLayoutEffect(() => {
    latest.current = { options, picker };
  });

  // The same object at every render: a row is rendered again only when something of it changed.
  const actions = useMemo<MessageActions>(
    () => ({
      onReact: (row: ThreadRow, emoji: Emoji) => {
        const { options, picker } = latest.current;
        options.thread.toggleReaction(row.message.id, emoji);
        // Opened by the mouse, it stays until the mouse leaves.
        const by = picker.open?.by;
        if (by === 'press') picker.show(null);
        else if (by === 'key') onDismiss(row.key);
      },
      onRetry: (key) => {
        const row = rowElement(key);
        if (row && focusedRow(row)) row.focus({ preventScroll: true });
        latest.current.options.onRetry(key);
      },
      onDiscard: (key) => {
        const row = rowElement(key);
        const hadFocus = row !== undefined && focusedRow(row) !== null;
        latest.current.options.onDiscard(key);
        if (!hadFocus) return;
        // On a phone the input would raise the keyboard.
        if (matches('(pointer: coarse)')) scroller.current?.focus({ preventScroll: true });
        else latest.current.options.onLeave();
      },
      onHover: (row, event) => latest.current.picker.onHover(row, event),
      onLeave: (row) => latest.current.picker.onLeave(row),
      onTouch: (row, event) => latest.current.picker.onTouch(row, event),
      onFocus: (row, event) => {
        setActive((now) => (now?.hasFocus && now.key === row.key ? now : { key: row.key, hasFocus: true }));
        const element = event.currentTarget;
        if (event.target !== element) return;
        const { picker } = latest.current;
        const isByKey = element.matches(':focus-visible');
        if (isByKey && row.status === 'sent') picker.show({ key: row.key, by: 'focus' });
        // The end of a long press gives the focus to its row: what it opened stays.
        else if (picker.open?.key !== row.key) picker.show(null);
      },
      onClosePicker: (row) => onDismiss(row.key),
    }),
    [onDismiss, rowElement, scroller, setActive],
  );
  return { picker, actions };
}
