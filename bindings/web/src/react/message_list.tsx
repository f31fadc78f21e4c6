// The log of messages: the rendered part of it, and typing dots at its end.
import { memo, useImperativeHandle, useLayoutEffect, useMemo, useState, type Ref } from 'react';
import { layOut, type RowLayout } from '../core/grouping';
import type { Thread, ThreadRow, ThreadSnapshot } from '../core/model';
import { Avatar } from './avatar';
import { useChatText } from './context';
import { MessageItem } from './message_item';
import { estimatedHeight, type RowRange } from './row_heights';
import { useToday } from './today';
import { TypingIndicator } from './typing_indicator';
import { useAppearing } from './use_appearing';
import { useMessageActions } from './use_message_actions';
import { useMessageWindow } from './use_message_window';
import { focusedRow, useRowFocus, type ActiveRow } from './use_row_focus';

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
  const { thread, snapshot, otherName, otherAvatarUrl, baseUrl, newSeq, onNearEnd, onRetry, onDiscard, onLeave } = props;
  const { rows, me, otherTyping, sideTyping } = snapshot;
  const { strings } = useChatText();
  const today = useToday();
  const keys = useMemo(() => rows.map((row) => row.key), [rows]);
  const layout = useMemo(() => layOut(rows.map((row) => row.message)), [rows]);
  const [active, setActive] = useState<ActiveRow | null>(null);

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
  const { picker, actions } = useMessageActions({ thread, onRetry, onDiscard, onLeave, scroller, items, setActive });
  const { onBlur, onKeyDown } = useRowFocus({ thread, keys, viewport, picker, active, setActive, onLeave });
  useAppearing(keys, rows, range, items);

  const receiptKey = newestOwnKey(rows);
  const tabKey = active?.key ?? keys.at(-1);
  // While that row is not rendered, the list itself is the Tab stop.
  const isTabStopRendered = tabKey !== undefined && keys.slice(range.start, range.end).includes(tabKey);
  const pickerOf = (key: string) =>
    picker.open?.key !== key ? 'closed' : picker.open.by === 'key' ? 'entered' : 'open';

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
            {rows.slice(range.start, range.end).map((row, i) => (
              <MessageItem
                key={row.key}
                row={row}
                me={me}
                layout={layout[range.start + i]!}
                today={today}
                isFirstNew={newSeq !== null && row.message.seq === newSeq}
                otherName={otherName}
                otherAvatarUrl={otherAvatarUrl}
                seen={row.key === receiptKey ? snapshot.seen : undefined}
                picker={pickerOf(row.key)}
                isTabStop={row.key === tabKey}
                isActive={active !== null && active.hasFocus && active.key === row.key}
                baseUrl={baseUrl}
                actions={actions}
              />
            ))}
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
