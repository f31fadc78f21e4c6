// The advisor's list: a search box over the conversations, newest activity first. It renders what it is given and
// reports what is chosen and searched; loading, sorting and filtering are the inbox's.
//
// The list is one Tab stop (roving tabindex) and its rows are real DOM, so that thousands of them stay reachable for
// assistive tools and for the browser's own search; the style sheet leaves those out of sight unrendered.
import { memo, useEffect, useRef, useState, type KeyboardEvent, type MouseEvent } from 'react';
import type { ChatFailure } from '../core/model';
import type { Conversation, Participant } from '../core/types';
import { Avatar } from './avatar';
import { useChatText, type ChatText } from './context';
import { rowPreview, rowTime } from './conversation_labels';
import { useToday } from './today';

export interface ConversationListProps {
  /** null: not loaded yet, shown as a skeleton. */
  conversations: readonly Conversation[] | null;
  selectedId: string | null;
  onSelect: (conversationId: string) => void;
  query: string;
  onSearch: (query: string) => void;
  /** A search is on its way. */
  isLoading?: boolean;
  failure?: ChatFailure | null;
  /** Offered beside the failure. */
  onRetry?: () => void;
  /** The viewer, whose own last words are told from a colleague's. */
  me?: Participant;
}

export function ConversationList({
  conversations,
  selectedId,
  onSelect,
  query,
  onSearch,
  isLoading = false,
  failure = null,
  onRetry,
  me,
}: ConversationListProps) {
  const text = useChatText();
  const { strings } = text;
  const today = useToday();
  const list = useRef<HTMLDivElement>(null);
  const [focusedId, setFocusedId] = useState<string | null>(null);

  const has = (id: string | null) => id !== null && conversations?.some((conversation) => conversation.id === id);
  // The row that Tab reaches: where the focus was last, else the selected one, else the first.
  const tabStop = has(focusedId) ? focusedId : has(selectedId) ? selectedId : (conversations?.[0]?.id ?? null);

  const focusRow = (index: number) => {
    const rows = list.current?.children;
    const row = rows?.[Math.max(0, Math.min(rows.length - 1, index))];
    if (row instanceof HTMLElement) row.focus();
  };

  const onRowKey = (event: KeyboardEvent<HTMLDivElement>) => {
    const row = rowOf(event.target);
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const index = Array.prototype.indexOf.call(list.current!.children, row);
    const last = list.current!.children.length - 1;
    // As many rows as are to be seen, less one that stays in sight.
    const page = Math.max(1, Math.floor(list.current!.clientHeight / row.offsetHeight) - 1);
    if (event.key === 'ArrowDown') focusRow(index + 1);
    else if (event.key === 'ArrowUp') focusRow(index - 1);
    else if (event.key === 'PageDown') focusRow(index + page);
    else if (event.key === 'PageUp') focusRow(index - page);
    else if (event.key === 'Home') focusRow(0);
    else if (event.key === 'End') focusRow(last);
    else if (event.key === 'Enter' || event.key === ' ') onSelect(row.dataset.conversationId!);
    else return;
    event.preventDefault();
  };

  const onRowClick = (event: MouseEvent) => {
    const row = rowOf(event.target);
    if (row) onSelect(row.dataset.conversationId!);
  };

  return (
    <div className="tc-list">
      <SearchBox
        query={query}
        onSearch={onSearch}
        onDown={() => list.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus()}
      />
      {failure && (
        <div className="tc-list-failure" role="status">
          <span>{strings.conversationsNotLoaded}</span>
          {onRetry && (
            <button type="button" className="tc-list-retry" onClick={onRetry}>
              {strings.reconnect}
            </button>
          )}
        </div>
      )}
      {conversations === null ? (
        !failure && <Skeleton label={strings.loadingConversations} />
      ) : conversations.length === 0 ? (
        <p className="tc-list-empty" role="status" dir="auto">
          {query.trim() ? strings.noResults(query.trim()) : strings.emptyList}
        </p>
      ) : (
        <div
          ref={list}
          className="tc-list-rows"
          role="listbox"
          aria-label={strings.conversations}
          aria-busy={isLoading}
          onKeyDown={onRowKey}
          onClick={onRowClick}
          onFocus={(event) => setFocusedId(rowOf(event.target)?.dataset.conversationId ?? null)}
        >
          {conversations.map((conversation) => (
            <Row
              key={conversation.id}
              conversation={conversation}
              isSelected={conversation.id === selectedId}
              isTabStop={conversation.id === tabStop}
              today={today}
              text={text}
              me={me}
            />
          ))}
        </div>
      )}
    </div>
  );
}

function rowOf(target: EventTarget): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>('[data-conversation-id]') : null;
}

interface RowProps {
  conversation: Conversation;
  isSelected: boolean;
  isTabStop: boolean;
  today: Date;
  text: ChatText;
  me: Participant | undefined;
}

// Memoized: the store keeps the object of a conversation that did not change, so one message renders one row.
const Row = memo(function Row({ conversation, isSelected, isTabStop, today, text: { locale, strings }, me }: RowProps) {
  const { clientName, clientAvatarUrl, unreadCount, activeTrip } = conversation;
  const preview = rowPreview(conversation, me, strings);
  const at = conversation.lastMessageAt === null ? null : new Date(conversation.lastMessageAt);
  return (
    <div
      className="tc-list-row"
      role="option"
      aria-selected={isSelected}
      tabIndex={isTabStop ? 0 : -1}
      data-conversation-id={conversation.id}
      data-unread={unreadCount > 0}
    >
      <span className="tc-list-dot" aria-hidden="true" />
      <Avatar className="tc-list-avatar" name={clientName} url={clientAvatarUrl} />
      <span className="tc-list-text">
        <span className="tc-list-line">
          <span className="tc-list-name" dir="auto">
            {clientName}
          </span>
          {at && (
            <time className="tc-list-time" dir="auto" dateTime={conversation.lastMessageAt!}>
              {rowTime(at, today, locale, strings)}
            </time>
          )}
        </span>
        {activeTrip && (
          <span className="tc-list-trip" dir="auto">
            <bdi className="tc-hidden">{strings.activeTrip('')}</bdi>
            {activeTrip.title}
          </span>
        )}
        <span className="tc-list-line">
          <span className="tc-list-preview" dir="auto">
            {/* dir="auto" looks past a bdi: the words themselves decide. */}
            {preview.prefix && <bdi>{preview.prefix}</bdi>}
            {preview.text}
          </span>
          {unreadCount > 0 && (
            <span className="tc-unread">
              <span aria-hidden="true" dir="ltr">
                {unreadCount > 99 ? '99+' : unreadCount}
              </span>
              <span className="tc-hidden">{strings.unreadMessages(unreadCount)}</span>
            </span>
          )}
        </span>
      </span>
    </div>
  );
});

// The typed text is shown at once. The `query` of the owner may come late and must not undo newer typing, so the box
// takes it over only while it has no focus.
interface SearchBoxProps {
  query: string;
  onSearch: (query: string) => void;
  /** The down arrow. */
  onDown: () => void;
}

function SearchBox({ query, onSearch, onDown }: SearchBoxProps) {
  const { strings } = useChatText();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(query);
  useEffect(() => {
    if (!input.current?.matches(':focus')) setTyped(query);
  }, [query]);

  const change = (value: string) => {
    setTyped(value);
    onSearch(value);
  };
  const clear = () => {
    change('');
    input.current?.focus();
  };

  return (
    <div className="tc-list-search" role="search">
      <svg className="tc-list-lens" viewBox="0 0 16 16" aria-hidden="true">
        <path d="M11.2 11.2 14.5 14.5M12.5 7a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0Z" />
      </svg>
      <input
        ref={input}
        className="tc-list-input"
        type="search"
        enterKeyHint="search"
        autoComplete="off"
        spellCheck={false}
        dir="auto"
        aria-label={strings.search}
        placeholder={strings.search}
        value={typed}
        onChange={(event) => change(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === 'Escape' && typed !== '') {
            // Otherwise the same key would also close a dialog around the list.
            event.stopPropagation();
            clear();
          } else if (event.key === 'ArrowDown') {
            event.preventDefault();
            onDown();
          }
        }}
      />
      {typed !== '' && (
        <button type="button" className="tc-list-clear" aria-label={strings.clearSearch} onClick={clear}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="m5 5 6 6m0-6-6 6" />
          </svg>
        </button>
      )}
    </div>
  );
}

const SKELETON_ROWS = [62, 44, 71, 53, 66, 48, 58];

function Skeleton({ label }: { label: string }) {
  return (
    <div className="tc-list-skeleton" role="status">
      <span className="tc-hidden">{label}</span>
      {SKELETON_ROWS.map((width, index) => (
        <div key={index} className="tc-list-row" aria-hidden="true">
          <span className="tc-list-dot" />
          <span className="tc-list-avatar tc-list-bone" />
          <span className="tc-list-text">
            <span className="tc-list-bone" style={{ inlineSize: `${width}%` }} />
            <span className="tc-list-bone" style={{ inlineSize: `${width + 24}%` }} />
          </span>
        </div>
      ))}
    </div>
  );
}
