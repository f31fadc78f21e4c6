// One conversation, without a header: the messages, the connection's banner and the input. Fills its parent.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { createChime } from '../core/sound';
import type { Thread, ThreadRow, ThreadSnapshot } from '../core/model';
import { Composer, type ComposerHandle } from './composer';
import { ConnectionBanner } from './connection_banner';
import { useChatText } from './context';
import { useStore } from './hooks';
import { MessageList, type MessageListHandle } from './message_list';
import { useKeyboardInset } from './use_keyboard_inset';

export interface ChatThreadProps {
  /** Open: the owner calls `open()` and `close()`, or uses `useThread`. */
  thread: Thread;
  otherName: string;
  otherAvatarUrl: string | null;
  autoFocus?: boolean;
  /** Shown while there are no messages. */
  emptyText?: string;
  /** Escape in the input. */
  onEscape?: () => void;
  /** The server's origin, where that is not the page's own: attachments may be paths. */
  baseUrl?: string;
  /** False: it makes none. Otherwise the person's own `soundSwitch` says. */
  hasSound?: boolean;
}

export function ChatThread(props: ChatThreadProps) {
  // With a key, because nothing of another conversation may stay, neither the text in the input nor the place in the list.
  return <ThreadView key={props.thread.snapshot().conversationId} {...props} />;
}

function ThreadView(props: ChatThreadProps) {
  const { thread, otherName, otherAvatarUrl, autoFocus, emptyText, onEscape, baseUrl = '', hasSound = true } = props;
  const { strings } = useChatText();
  const snapshot = useStore(thread);
  const { rows } = snapshot;
  const root = useRef<HTMLDivElement>(null);
  const list = useRef<MessageListHandle>(null);
  const composer = useRef<ComposerHandle>(null);
  const [isNearEnd, setNearEnd] = useState(true);
  const newSeq = useNewSeq(snapshot);
  const isReading = useReading(thread, newSeq !== undefined && isNearEnd);
  const draft = useDraft(thread, rows);
  const announcements = useIncoming(thread, snapshot, otherName, isReading, hasSound);
  useKeyboardInset(root);

  const onSend = (text: string) => {
    draft.send(text);
    list.current?.toEnd();
  };
  const focusComposer = useCallback(() => composer.current?.focus(), []);
  const jumpToEnd = () => {
    list.current?.toEnd();
    // The button that had the focus disappears. The focus goes to the list: on a phone, the input would raise the
    // keyboard.
    root.current?.querySelector<HTMLElement>('.tc-scroller')?.focus({ preventScroll: true });
  };

  return (
    <div ref={root} className="tc-thread">
      <div className="tc-view">
        <MessageList
          thread={thread}
          snapshot={snapshot}
          otherName={otherName}
          otherAvatarUrl={otherAvatarUrl}
          baseUrl={baseUrl}
          newSeq={newSeq ?? null}
          onNearEnd={setNearEnd}
          onRetry={draft.retry}
          onDiscard={draft.discard}
          onLeave={focusComposer}
          handle={list}
        />
        <LoadState thread={thread} snapshot={snapshot} emptyText={emptyText ?? strings.emptyThread} />
        <ConnectionBanner connection={snapshot.connection} onReconnect={() => thread.reconnect()} />
        {!isNearEnd && rows.length > 0 && <JumpButton unseenCount={snapshot.unseenCount} onClick={jumpToEnd} />}
      </div>
      <Composer
        text={draft.text}
        onText={draft.setText}
        onSend={onSend}
        onTyped={() => thread.typed()}
        onLeave={() => thread.stopTyping()}
        onEscape={onEscape}
        autoFocus={autoFocus ?? false}
        handle={composer}
      />
      <div className="tc-announcer" aria-live="polite" aria-relevant="additions">
        {announcements.map(({ id, text }) => (
          <p key={id}>{text}</p>
        ))}
      </div>
    </div>
  );
}

interface LoadStateProps {
  thread: Thread;
  snapshot: ThreadSnapshot;
  emptyText: string;
}

// In place of the messages while there are none, and above them while older ones are loaded or could not be.
function LoadState({ thread, snapshot, emptyText }: LoadStateProps) {
  const { strings } = useChatText();
  const { rows, loading, loadFailure, connection } = snapshot;
  if (rows.length > 0) {
    if (loading !== 'older' && (loading !== null || loadFailure === null)) return null;
    return (
      <div className="tc-older">
        {loading === 'older' ? (
          <span className="tc-spinner" role="img" aria-label={strings.loadingOlder} />
        ) : (
          <>
            <span>{strings.messagesNotLoaded}</span>
            <button type="button" className="tc-link-button" onClick={() => void thread.loadOlder()}>
              {strings.retry}
            </button>
          </>
        )}
      </div>
    );
  }
  return (
    <div className="tc-empty">
      {loadFailure !== null ? (
        <>
          <p>{strings.messagesNotLoaded}</p>
          <button type="button" className="tc-link-button" onClick={() => thread.reconnect()}>
            {strings.retry}
          </button>
        </>
      ) : loading === 'opening' ? (
        <span className="tc-spinner" role="img" aria-label={strings.loadingMessages} />
      ) : connection.phase === 'idle' ? null : (
        <p>{emptyText}</p>
      )}
    </div>
  );
}

function JumpButton({ unseenCount, onClick }: { unseenCount: number; onClick: () => void }) {
  const { strings } = useChatText();
  return (
    <button
      type="button"
      className="tc-jump"
      aria-label={unseenCount > 0 ? undefined : strings.scrollToEnd}
      data-count={unseenCount}
      onClick={onClick}
    >
      {unseenCount > 0 ? (
        strings.newMessages(unseenCount)
      ) : (
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="m3.5 6 4.5 4.5L12.5 6" />
        </svg>
      )}
    </button>
  );
}

// The seq of the first unread message when the thread was opened, fixed once everything missed has come. Undefined
// until then; null when nothing was unread.
function useNewSeq({ loading, connection, firstUnseenSeq, rows }: ThreadSnapshot): number | null | undefined {
  const [newSeq, setNewSeq] = useState<number | null | undefined>(undefined);
  const isKnown = loading !== 'opening' && (connection.phase === 'open' || (firstUnseenSeq !== null && rows.length > 0));
  if (newSeq === undefined && isKnown) setNewSeq(firstUnseenSeq);
  return newSeq;
}

// Whether somebody reads: the page is visible and has the focus, and the list is near its end.
function useReading(thread: Thread, isInView: boolean): boolean {
  const [isAttending, setAttending] = useState(false);
  useEffect(() => {
    const check = () => setAttending(document.visibilityState === 'visible' && document.hasFocus());
    check();
    window.addEventListener('focus', check);
    window.addEventListener('blur', check);
    document.addEventListener('visibilitychange', check);
    return () => {
      window.removeEventListener('focus', check);
      window.removeEventListener('blur', check);
      document.removeEventListener('visibilitychange', check);
    };
  }, []);
  const isReading = isInView && isAttending;
  useEffect(() => {
    thread.setReading(isReading);
    return () => thread.setReading(false);
  }, [thread, isReading]);
  return isReading;
}

interface Draft {
  readonly text: string;
  setText(text: string): void;
  send(text: string): void;
  retry(key: string): void;
  discard(key: string): void;
}

// The text in the input. A message that is refused while the input is empty is put back into it. When it is sent from
// there unchanged, its failed row is replaced, so that it is not there twice; when it was changed, the row stays, as
// the only copy of the old text.
function useDraft(thread: Thread, rows: readonly ThreadRow[]): Draft {
  const [text, setText] = useState(() => thread.draft());
  const [restored, setRestored] = useState<string | null>(null);
  const sending = useRef(new Set<string>());
  const latest = useRef({ text, restored, rows });
  useLayoutEffect(() => {
    latest.current = { text, restored, rows };
  });

  useEffect(() => {
    // Unsent rows are at the end.
    for (let i = rows.length - 1; i >= 0 && rows[i]!.status !== 'sent'; --i) {
      const row = rows[i]!;
      if (row.status === 'sending') sending.current.add(row.key);
      else if (sending.current.delete(row.key) && latest.current.text === '') {
        latest.current.text = row.message.content;
        setText(row.message.content);
        setRestored(row.key);
      }
    }
  }, [rows]);

  const change = useCallback(
    (next: string) => {
      setText(next);
      thread.setDraft(next);
      if (next === '') {
        setRestored(null);
        thread.stopTyping();
      }
    },
    [thread],
  );
  const send = useCallback(
    (next: string) => {
      // Looked up now: another tab may have discarded the row meanwhile.
      const failed = thread
        .snapshot()
        .rows.findLast((row) => row.status === 'failed' && row.message.content.trim() === next.trim());
      if (failed) thread.retry(failed.key);
      if (failed || thread.send(next) !== null) change('');
    },
    [thread, change],
  );
  const retry = useCallback(
    (key: string) => {
      const { rows, text, restored } = latest.current;
      if (restored === key) {
        setRestored(null);
        if (rows.find((row) => row.key === key)?.message.content === text) change('');
      }
      thread.retry(key);
    },
    [thread, change],
  );
  const discard = useCallback(
    (key: string) => {
      const { text, restored } = latest.current;
      if (restored === key) {
        setRestored(null);
        // Kept as the draft, because the row was the only copy.
        thread.setDraft(text);
      }
      thread.discard(key);
    },
    [thread],
  );
  return { text, setText: change, send, retry, discard };
}

interface Announcement {
  readonly id: number;
  readonly text: string;
}

// Announcements for screen readers, and the sound of a message while nobody reads.
function useIncoming(
  thread: Thread,
  { otherTyping }: ThreadSnapshot,
  otherName: string,
  isReading: boolean,
  hasSound: boolean,
): Announcement[] {
  const { strings } = useChatText();
  const [announcements, setAnnouncements] = useState<Announcement[]>([]);
  const nextId = useRef(0);
  const latest = useRef({ strings, isReading });
  useLayoutEffect(() => {
    latest.current = { strings, isReading };
  });
  const announce = useCallback((text: string) => {
    const announcement = { id: nextId.current++, text };
    setAnnouncements((before) => [...before.slice(-4), announcement]);
  }, []);
  useEffect(() => {
    const chime = hasSound ? createChime() : null;
    const end = thread.onIncoming((message) => {
      const words = message.content || message.attachmentName || latest.current.strings.fileAttachment;
      announce(latest.current.strings.personSaid(message.senderName, words));
      if (!latest.current.isReading) chime?.play();
    });
    return () => {
      end();
      chime?.dispose();
    };
  }, [thread, announce, hasSound]);
  useEffect(() => {
    if (otherTyping) announce(latest.current.strings.isTyping(otherName));
  }, [otherTyping, otherName, announce]);
  return announcements;
}
