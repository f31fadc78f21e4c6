// The log of messages: the rendered part of it, dividers, receipt, typing dots, and the keys that move in it.
import {
  memo,
  useCallback,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type FocusEvent,
  type KeyboardEvent,
  type Ref,
} from 'react';
import { dividerLabel, layOut, timeLabel, type RowLayout } from '../core/grouping';
import type { Thread, ThreadRow, ThreadSnapshot } from '../core/model';
import type { Emoji } from '../core/types';
import { Avatar } from './avatar';
import { useChatText } from './context';
import { matches } from './media';
import { exactTime, MessageBubble, type MessageActions } from './message_bubble';
import { estimatedHeight, type RowRange } from './row_heights';
import { useToday } from './today';
import { TypingIndicator } from './typing_indicator';
import { useMessageWindow } from './use_message_window';
import { useReactionPicker } from './use_reaction_picker';

export interface MessageListHandle {
  toEnd(): void;
}

export interface MessageListProps {
  thread: Thread;
  snapshot: ThreadSnapshot;
  otherName: string;
  otherAvatarUrl: string | null;
  baseUrl: string;
  /** Where the unread began when the thread was opened. */
  newSeq: number | null;
  onNearEnd: (isNearEnd: boolean) => void;
  onRetry: (key: string) => void;
  onDiscard: (key: string) => void;
  /** Escape, or the row with the focus went away. */
  onLeave: () => void;
  handle: Ref<MessageListHandle>;
}

export const MessageList = memo(function MessageList(props: MessageListProps) {
  const { thread, snapshot, otherName, otherAvatarUrl, newSeq, onNearEnd } = props;
  const { rows, otherTyping, sideTyping } = snapshot;
  const { locale, strings } = useChatText();
  const today = useToday();
  const keys = useMemo(() => rows.map((row) => row.key), [rows]);
  const layout = useMemo(() => layOut(rows.map((row) => row.message)), [rows]);
  /** The row that has the focus, or had it last: the Tab stop. */
  const [active, setActive] = useState<{ key: string; hasFocus: boolean } | null>(null);
  const wantsOlder = useRef(false);

  const list = useMessageWindow({
    keys,
    estimate: (index, width) => estimatedHeight(shapeOf(rows[index]!, layout[index]!), width),
    tail: `${otherTyping} ${sideTyping}`,
    onNearStart: () => {
      const now = thread.snapshot();
      if (now.hasOlder && now.loading === null && now.loadFailure === null) void thread.loadOlder();
    },
    onRange: (range: RowRange) => {
      const focused = focusedRow(list.scroller.current!);
      const index = focused ? list.viewport.heights.indexOf(focused.dataset.messageKey!) : -1;
      if (index >= 0 && (index < range.start || index >= range.end)) list.scroller.current!.focus({ preventScroll: true });
    },
  });
  const { viewport, range, scroller, items, isNearEnd } = list;

  useLayoutEffect(() => onNearEnd(isNearEnd), [isNearEnd, onNearEnd]);
  useImperativeHandle(props.handle, () => ({ toEnd: () => viewport.toEnd() }), [viewport]);

  const rowElement = useCallback(
    (key: string) =>
      [...(items.current?.querySelectorAll<HTMLElement>('[data-message-key]') ?? [])].find(
        (element) => element.dataset.messageKey === key,
      ),
    [items],
  );
  const focusIndex = (index: number) => {
    const item = viewport.reveal(index);
    item?.querySelector<HTMLElement>('[data-message-key]')?.focus({ preventScroll: true });
  };

  const onDismiss = useCallback(
    (key: string) => {
      const row = rowElement(key);
      if (row && focusedRow(row)) row.focus({ preventScroll: true });
      // After that: the focus itself shows the picker.
      picker.current.show(null);
    },
    [rowElement],
  );
  const pickerState = useReactionPicker(scroller, onDismiss);
  const picker = useRef(pickerState);
  const latest = useRef(props);
  useLayoutEffect(() => {
    picker.current = pickerState;
    latest.current = props;
  });

  // The same object for ever: a row is rendered again only when something of it changed.
  const actions = useMemo<MessageActions>(
    () => ({
      onReact: (row: ThreadRow, emoji: Emoji) => {
        latest.current.thread.toggleReaction(row.message.id, emoji);
        // Under a mouse it stays, as long as the mouse does.
        const by = picker.current.open?.by;
        if (by === 'press') picker.current.show(null);
        else if (by === 'key') onDismiss(row.key);
      },
      onRetry: (key) => {
        const row = rowElement(key);
        if (row && focusedRow(row)) row.focus({ preventScroll: true });
        latest.current.onRetry(key);
      },
      onDiscard: (key) => {
        const row = rowElement(key);
        const hadFocus = row !== undefined && focusedRow(row) !== null;
        latest.current.onDiscard(key);
        if (!hadFocus) return;
        // On a phone the input would raise the keyboard.
        if (matches('(pointer: coarse)')) scroller.current?.focus({ preventScroll: true });
        else latest.current.onLeave();
      },
      onHover: (row, event) => picker.current.onHover(row, event),
      onLeave: (row) => picker.current.onLeave(row),
      onTouch: (row, event) => picker.current.onTouch(row, event),
      onFocus: (row, event) => {
        setActive((now) => (now?.hasFocus && now.key === row.key ? now : { key: row.key, hasFocus: true }));
        const element = event.currentTarget;
        if (event.target !== element) return;
        const isByKey = element.matches(':focus-visible');
        if (isByKey && row.status === 'sent') picker.current.show({ key: row.key, by: 'focus' });
        // The end of a long press gives the focus to its row: what it opened stays.
        else if (picker.current.open?.key !== row.key) picker.current.show(null);
      },
      onClosePicker: (row) => onDismiss(row.key),
    }),
    [onDismiss, rowElement, scroller],
  );

  const onBlur = (event: FocusEvent<HTMLElement>) => {
    if (event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget)) return;
    setActive((now) => now && { ...now, hasFocus: false });
    const by = pickerState.open?.by;
    if (by === 'focus' || by === 'key') pickerState.show(null);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    const target = event.target as HTMLElement;
    const row = target.closest<HTMLElement>('[data-message-key]');
    if (event.key === 'Escape') {
      event.stopPropagation();
      props.onLeave();
      return;
    }
    if ((event.key === 'Enter' || event.key === ' ') && target === row) {
      event.preventDefault();
      const key = row.dataset.messageKey!;
      if (row.dataset.status === 'sent') pickerState.show({ key, by: 'key' });
      return;
    }
    if (target !== row && event.key === ' ') return;
    const from = active ? viewport.heights.indexOf(active.key) : -1;
    const to = rowAfterKey(event.key, from, viewport);
    if (to === null) return;
    event.preventDefault();
    if (to < 0 && snapshot.hasOlder) {
      wantsOlder.current = true;
      void thread.loadOlder();
    }
    if (keys.length > 0) focusIndex(Math.min(Math.max(to, 0), keys.length - 1));
  };

  // Up on the first row: it moves on when the page above has come.
  useLayoutEffect(() => {
    if (!wantsOlder.current) return;
    const index = active ? viewport.heights.indexOf(active.key) : -1;
    if (index <= 0) return;
    wantsOlder.current = false;
    if (active?.hasFocus) focusIndex(index - 1);
  }, [keys]);

  useAppearing(keys, rows, range, items);

  const receiptKey = newestOwnKey(rows);
  const tabKey = active?.key ?? keys.at(-1);
  // The list itself is the Tab stop while that row is not rendered.
  const isTabStopRendered = tabKey !== undefined && keys.slice(range.start, range.end).includes(tabKey);

  return (
    <div
      ref={scroller}
      className="tc-scroller"
      role="log"
      aria-live="off"
      aria-label={strings.messages}
      aria-busy={snapshot.loading !== null}
      tabIndex={isTabStopRendered ? -1 : 0}
      onBlur={onBlur}
      onKeyDown={onKeyDown}
    >
      <div ref={list.content} className="tc-content">
        <div className="tc-slide">
          <div ref={list.above} aria-hidden="true" />
          <div ref={items}>
            {rows.slice(range.start, range.end).map((row, i) => {
              const { hasDivider, isFirstInGroup, isLastInGroup } = layout[range.start + i]!;
              const { message } = row;
              const isOther = !row.isOwn && message.senderName !== otherName;
              const isColleague = row.isOwn && message.senderId !== snapshot.me.id;
              return (
                <div key={row.key} className="tc-item" data-first={isFirstInGroup}>
                  {hasDivider && (
                    <div className="tc-divider">
                      <time dateTime={message.createdAt} title={exactTime(new Date(message.createdAt), locale)}>
                        {dividerLabel(new Date(message.createdAt), today, locale, strings)}
                      </time>
                    </div>
                  )}
                  {newSeq !== null && message.seq === newSeq && (
                    <div className="tc-new-line">
                      <span>{strings.newLine}</span>
                    </div>
                  )}
                  <MessageBubble
                    row={row}
                    me={snapshot.me}
                    isFirstInGroup={isFirstInGroup}
                    isLastInGroup={isLastInGroup}
                    avatarUrl={isOther ? null : otherAvatarUrl}
                    senderLabel={isOther || isColleague ? message.senderName : null}
                    picker={
                      pickerState.open?.key !== row.key ? 'closed' : pickerState.open.by === 'key' ? 'entered' : 'open'
                    }
                    isTabStop={row.key === tabKey}
                    isActive={active !== null && active.hasFocus && active.key === row.key}
                    baseUrl={props.baseUrl}
                    actions={actions}
                  />
                  {row.key === receiptKey && <Receipt row={row} seen={snapshot.seen} />}
                </div>
              );
            })}
          </div>
          <div ref={list.below} aria-hidden="true" />
          {otherTyping && (
            <div className="tc-typing-row">
              <span className="tc-avatar-place">
                {rows.at(-1)?.isOwn !== false && (
                  <Avatar className="tc-thread-avatar" name={otherName} url={otherAvatarUrl} />
                )}
              </span>
              <TypingIndicator />
            </div>
          )}
          {sideTyping && (
            <div className="tc-typing-row" data-own="true">
              <TypingIndicator isOwn />
            </div>
          )}
        </div>
      </div>
    </div>
  );
});

function Receipt({ row, seen }: { row: ThreadRow; seen: ThreadSnapshot['seen'] }) {
  const { locale, strings } = useChatText();
  const isSeen = seen?.key === row.key;
  const words = isSeen
    ? seen.at === null
      ? strings.seen
      : strings.seenAt(timeLabel(new Date(seen.at), locale))
    : row.status === 'sending'
      ? strings.sending
      : strings.sent;
  return (
    <div className="tc-receipt" data-status={isSeen ? 'seen' : row.status}>
      {words}
    </div>
  );
}

function shapeOf({ message }: ThreadRow, { hasDivider, isFirstInGroup }: RowLayout) {
  return {
    content: message.content,
    hasImage: message.attachmentUrl !== null,
    hasReactions: message.reactions.length > 0,
    hasDivider,
    isFirstInGroup,
  };
}

function newestOwnKey(rows: readonly ThreadRow[]): string | null {
  return rows.findLast((row) => row.isOwn && row.status !== 'failed')?.key ?? null;
}

/** The row in or around this element that has the focus, also in a shadow root. */
function focusedRow(element: HTMLElement): HTMLElement | null {
  const { activeElement } = element.getRootNode() as Document | ShadowRoot;
  return activeElement && element.contains(activeElement) ? activeElement.closest('[data-message-key]') : null;
}

/** Where a key leads; below zero for older rows than are loaded, null for a key that does not move. */
function rowAfterKey(key: string, from: number, viewport: ReturnType<typeof useMessageWindow>['viewport']): number | null {
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

// A new message grows out of its side's corner, once, when it comes to the end of what was there.
function useAppearing(
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
    // Not there any more (the thread was loaded anew), or a whole page of missed ones: nothing to celebrate.
    if (from === 0 || keys.length - from > 5) return;
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
