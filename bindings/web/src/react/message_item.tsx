// One message of the log: the divider and the line above it, the bubble, and the receipt below it.
import type { RowLayout } from '../core/grouping';
import { dividerLabel, timeLabel } from '../core/grouping';
import type { ThreadRow, ThreadSnapshot } from '../core/model';
import { useChatText } from './context';
import { exactTime, MessageBubble, type MessageBubbleProps } from './message_bubble';

type BubbleProps = Pick<MessageBubbleProps, 'row' | 'me' | 'picker' | 'isTabStop' | 'isActive' | 'baseUrl' | 'actions'>;

export interface MessageItemProps extends BubbleProps {
  layout: RowLayout;
  /** Of the divider's labels. */
  today: Date;
  /** The unread began here when the thread was opened. */
  isFirstNew: boolean;
  otherName: string;
  otherAvatarUrl: string | null;
  /** Has the receipt, which says of this what the other side has seen; undefined for rows without one. */
  seen: ThreadSnapshot['seen'] | undefined;
}

export function MessageItem(props: MessageItemProps) {
  const { layout, today, isFirstNew, otherName, otherAvatarUrl, seen, ...bubble } = props;
  const { locale, strings } = useChatText();
  const { row } = bubble;
  const { message } = row;
  const { hasDivider, isFirstInGroup, isLastInGroup } = layout;
  // Somebody else than the person in the thread's header: on the other side, and on this one.
  const isOther = !row.isOwn && message.senderName !== otherName;
  const isColleague = row.isOwn && message.senderId !== bubble.me.id;
  return (
    <div className="tc-item" data-first={isFirstInGroup}>
      {hasDivider && (
        <div className="tc-divider">
          <time dateTime={message.createdAt} title={exactTime(new Date(message.createdAt), locale)}>
            {dividerLabel(new Date(message.createdAt), today, locale, strings)}
          </time>
        </div>
      )}
      {isFirstNew && (
        <div className="tc-new-line">
          <span>{strings.newLine}</span>
        </div>
      )}
      <MessageBubble
        {...bubble}
        isFirstInGroup={isFirstInGroup}
        isLastInGroup={isLastInGroup}
        avatarUrl={isOther ? null : otherAvatarUrl}
        senderLabel={isOther || isColleague ? message.senderName : null}
      />
      {seen !== undefined && <Receipt row={row} seen={seen} />}
    </div>
  );
}

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
