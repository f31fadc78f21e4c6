// One message: avatar column, bubble, reactions, and what can be done when it was not delivered.
import { memo, useMemo, useState, type FocusEvent, type PointerEvent } from 'react';
import type { ChatFailure, ThreadRow } from '../core/model';
import type { Emoji, Message, Participant, Reaction } from '../core/types';
import { timeLabel } from '../core/grouping';
import { Avatar } from './avatar';
import { useChatText, type ChatText } from './context';
import { ReactionPicker } from './reaction_picker';
import { localeOfWords, type ChatStrings } from './strings';
import { attachmentHref, isJumbo } from './text_parts';
import { useTextParts } from './use_text_parts';

/** The same object at every render, so that rows which did not change are not rendered again. */
export interface MessageActions {
  onReact: (row: ThreadRow, emoji: Emoji) => void;
  onRetry: (key: string) => void;
  onDiscard: (key: string) => void;
  /** A mouse or a pen moved over the bubble, or left it. */
  onHover?: (row: ThreadRow, event: PointerEvent<HTMLElement>) => void;
  onLeave?: (row: ThreadRow) => void;
  /** A finger went down on the bubble; the start of a long press, perhaps. */
  onTouch?: (row: ThreadRow, event: PointerEvent<HTMLElement>) => void;
  onFocus?: (row: ThreadRow, event: FocusEvent<HTMLElement>) => void;
  onClosePicker?: (row: ThreadRow) => void;
}

export interface MessageBubbleProps {
  row: ThreadRow;
  me: Participant;
  isFirstInGroup: boolean;
  isLastInGroup: boolean;
  /** Picture of the sender; initials for null. */
  avatarUrl: string | null;
  /** Shown above the first bubble of a group, where the thread has more than the two people of its header. */
  senderLabel?: string | null;
  /** open: shown. entered: it has the focus. */
  picker: 'closed' | 'open' | 'entered';
  /** The list's one Tab stop. */
  isTabStop: boolean;
  /** The focus is in this row: its links and buttons are reached by Tab. */
  isActive: boolean;
  /** Origin for attachments that are paths; '' is the page's own. */
  baseUrl?: string;
  actions: MessageActions;
}

export const MessageBubble = memo(function MessageBubble(props: MessageBubbleProps) {
  const { row, me, isFirstInGroup, isLastInGroup, picker, isActive, actions } = props;
  const { message, isOwn, status } = row;
  const text = useChatText();
  const { locale, strings } = text;
  const at = useMemo(() => new Date(message.createdAt), [message.createdAt]);
  const mine = message.reactions.find((reaction) => isBy(reaction, me))?.emoji ?? null;
  const innerTab = isActive ? 0 : -1;

  return (
    <div
      className="tc-row"
      role="article"
      aria-label={rowLabel(row, me, at, text)}
      tabIndex={props.isTabStop ? 0 : -1}
      data-message-key={row.key}
      data-seq={message.seq}
      data-own={isOwn}
      data-status={status}
      data-first={isFirstInGroup}
      data-last={isLastInGroup}
      onFocus={actions.onFocus && ((event) => actions.onFocus!(row, event))}
    >
      {!isOwn && (
        <span className="tc-avatar-place" data-beside-name={Boolean(isFirstInGroup && props.senderLabel) || undefined}>
          {isFirstInGroup && <Avatar className="tc-thread-avatar" name={message.senderName} url={props.avatarUrl} />}
        </span>
      )}
      <div className="tc-stack">
        {isFirstInGroup && props.senderLabel && (
          <span className="tc-sender" dir="auto">
            {props.senderLabel}
          </span>
        )}
        <div
          className="tc-body"
          data-picker={picker !== 'closed' || undefined}
          onPointerMove={actions.onHover && ((event) => actions.onHover!(row, event))}
          onPointerLeave={actions.onLeave && (() => actions.onLeave!(row))}
          onPointerDown={actions.onTouch && ((event) => actions.onTouch!(row, event))}
        >
          <Content message={message} innerTab={innerTab} baseUrl={props.baseUrl ?? ''} />
          <time className="tc-time" dateTime={message.createdAt} title={exactTime(at, locale)} aria-hidden="true">
            {timeLabel(at, locale)}
          </time>
          {picker !== 'closed' && (
            <ReactionPicker
              selected={mine}
              autoFocus={picker === 'entered'}
              onPick={(emoji) => actions.onReact(row, emoji)}
              onClose={() => actions.onClosePicker?.(row)}
            />
          )}
        </div>
        {message.reactions.length > 0 && (
          <div className="tc-pills">
            {byEmoji(message.reactions).map(([emoji, reactions]) => {
              const people = peopleLabel(reactions, me, text);
              return (
                <button
                  key={emoji}
                  type="button"
                  className="tc-pill"
                  aria-pressed={emoji === mine}
                  aria-label={reactedBy(emoji, people, strings)}
                  title={people}
                  tabIndex={innerTab}
                  onClick={() => actions.onReact(row, emoji)}
                >
                  <span className="tc-pill-emoji">{emoji}</span>
                  {reactions.length > 1 && <span className="tc-pill-count">{reactions.length}</span>}
                </button>
              );
            })}
          </div>
        )}
        {status === 'failed' && (
          <div className="tc-failure">
            <span>{failureWords(row.failure, strings)}</span>
            <div>
              <button type="button" className="tc-link-button" tabIndex={innerTab} onClick={() => actions.onRetry(row.key)}>
                {strings.retry}
              </button>
              <button type="button" className="tc-link-button" tabIndex={innerTab} onClick={() => actions.onDiscard(row.key)}>
                {strings.delete}
              </button>
            </div>
          </div>
        )}
      </div>
      {status === 'failed' && (
        <span className="tc-failed-mark" aria-hidden="true">
          !
        </span>
      )}
    </div>
  );
});

function Content({ message, innerTab, baseUrl }: { message: Message; innerTab: number; baseUrl: string }) {
  const { content, attachmentUrl } = message;
  const attachment = attachmentUrl === null ? null : <Attachment message={message} innerTab={innerTab} baseUrl={baseUrl} />;
  const isLarge = attachment === null && isJumbo(content);
  const parts = useTextParts(content);
  if (isLarge) {
    return (
      <div className="tc-jumbo" dir="auto">
        {content.trim()}
      </div>
    );
  }
  return (
    <div className="tc-bubble" data-attachment={attachment !== null || undefined}>
      {attachment}
      {content !== '' && (
        <div className="tc-text" dir="auto">
          {parts.map(({ text, href }, i) =>
            href === null ? (
              text
            ) : (
              <a key={i} href={href} target="_blank" rel="noopener nofollow ugc" tabIndex={innerTab}>
                {text}
              </a>
            ),
          )}
        </div>
      )}
    </div>
  );
}

function Attachment({ message, innerTab, baseUrl }: { message: Message; innerTab: number; baseUrl: string }) {
  const { strings } = useChatText();
  const [isBroken, setBroken] = useState(false);
  const href = attachmentHref(message.attachmentUrl, baseUrl);
  const isImage = /^image\//i.test(message.attachmentType ?? '');
  const name = message.attachmentName || (isImage ? strings.imageAttachment : strings.fileAttachment);
  const link = { target: '_blank', rel: 'noopener nofollow ugc', tabIndex: innerTab } as const;

  if (href !== null && isImage && !isBroken) {
    return (
      <a className="tc-image" href={href} {...link}>
        <img src={href} alt={name} loading="lazy" decoding="async" draggable={false} onError={() => setBroken(true)} />
      </a>
    );
  }
  const chip = (
    <>
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d="M5 2.5h6.5L15.5 6.5v11H5zM11.5 2.5v4h4" />
      </svg>
      <bdi>{name}</bdi>
    </>
  );
  // It has the size that the image would have, so that an image that cannot be loaded moves no row.
  const className = isBroken ? 'tc-file tc-image' : 'tc-file';
  return href === null ? (
    <span className={className}>{chip}</span>
  ) : (
    <a className={className} href={href} {...link}>
      {chip}
    </a>
  );
}

function failureWords(failure: ChatFailure | null, { notSent, notSentBecause }: ChatStrings): string {
  return failure && Object.hasOwn(notSentBecause, failure.code) ? notSentBecause[failure.code]! : notSent;
}

function isBy(reaction: Reaction, person: Participant): boolean {
  return reaction.reactorType === person.type && reaction.reactorId === person.id;
}

/** In the order in which each emoji came first. */
function byEmoji(reactions: readonly Reaction[]): [Emoji, Reaction[]][] {
  const groups = new Map<Emoji, Reaction[]>();
  for (const reaction of reactions) {
    const group = groups.get(reaction.emoji);
    if (group) group.push(reaction);
    else groups.set(reaction.emoji, [reaction]);
  }
  return [...groups];
}

// An emoji that a later version adds has no name here, and is shown as it is.
function reactedBy(emoji: Emoji, people: string, strings: ChatStrings): string {
  return strings.reactedBy(Object.hasOwn(strings.emoji, emoji) ? strings.emoji[emoji] : emoji, people);
}

/** "Ann and you". */
export function peopleLabel(reactions: readonly Reaction[], me: Participant, text: ChatText): string {
  const others = reactions.filter((reaction) => !isBy(reaction, me)).map((reaction) => reaction.reactorName);
  const names = others.length < reactions.length ? [...others, text.strings.you] : others;
  return new Intl.ListFormat(localeOfWords(text), { type: 'conjunction' }).format(names);
}

/** "Mon, Nov 23, 2026, 2:34:07 PM" */
export function exactTime(at: Date, locale: string): string {
  return at.toLocaleString(locale, { dateStyle: 'full', timeStyle: 'medium' });
}

// What a screen reader says at a row: who, what, when, and the reactions.
function rowLabel({ message, isOwn, status }: ThreadRow, me: Participant, at: Date, text: ChatText): string {
  const { locale, strings } = text;
  const body = [message.content, message.attachmentUrl && (message.attachmentName || strings.fileAttachment)]
    .filter(Boolean)
    .join(' ');
  const isMine = isOwn && message.senderId === me.id;
  return [
    isMine ? strings.youSaid(body) : strings.personSaid(message.senderName, body),
    status === 'failed' ? strings.notSent : timeLabel(at, locale),
    ...byEmoji(message.reactions).map(([emoji, by]) =>
      reactedBy(emoji, peopleLabel(by, me, text), strings),
    ),
  ].join(', ');
}

