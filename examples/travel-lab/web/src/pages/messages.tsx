// The advisor's messages: the list on the left, the conversation of ?id= on the right; on phones one at a time.
import { ChevronLeft, ChevronRight, MessagesSquare, Plane } from 'lucide-react';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Link, useLocation, useNavigate, useSearchParams } from 'react-router';
import type { ConnectionStatus, Conversation, Inbox, InboxSnapshot } from 'travelchat-web';
import { ChatThread, ConversationList, useInbox, useStore } from 'travelchat-web/react';
import { Avatar } from '../parts/avatar';
import { useDashboard, useShownThread } from '../parts/dashboard_context';
import { PushBanner } from '../parts/push_banner';
import { useTitle } from '../parts/title';
import { Spinner } from '../parts/whole_page';
import { home } from '../return_path';

const pathOf = (id: string) => `${home}?id=${encodeURIComponent(id)}`;

export function MessagesPage() {
  useTitle('Messages');
  const { client } = useDashboard();
  const inbox = useInbox(client);
  const snapshot = useStore(inbox);
  const [params] = useSearchParams();
  const id = params.get('id');
  const selected = useSelected(inbox, snapshot, id);
  const navigate = useNavigate();
  const { state } = useLocation();

  const select = (chosen: string) => {
    if (chosen !== id) void navigate(pathOf(chosen), { state: { isFromList: id === null } });
  };
  const showList = () => {
    // One step back in the history, where the list is that: else "back" would later lead into the conversation again.
    if ((state as { isFromList?: boolean } | null)?.isFromList === true) void navigate(-1);
    else void navigate(home, { replace: true });
  };
  const list = useRef<HTMLElement>(null);
  useFocusOnRowAfter(id, list);

  return (
    <main className="flex h-full">
      {/* The visible heading is hidden with the list while a phone shows a conversation. */}
      <h1 className="sr-only">Messages</h1>
      <section
        ref={list}
        aria-label="All conversations"
        className={`flex w-full min-w-0 flex-col border-line bg-ground md:w-[360px] md:shrink-0 md:border-r md:bg-side
          ${id !== null ? 'max-md:hidden' : ''}`}
      >
        <p
          aria-hidden="true"
          className="px-4 pt-[max(1rem,env(safe-area-inset-top))] pb-2 text-[28px] font-bold tracking-tight"
        >
          Messages
        </p>
        <PushBanner />
        <InboxConnection connection={snapshot.connection} hasFailed={snapshot.failure !== null} />
        <div className="min-h-0 flex-1">
          <ConversationList
            conversations={snapshot.conversations}
            selectedId={id}
            onSelect={select}
            query={snapshot.query}
            onSearch={(query) => inbox.search(query)}
            isLoading={snapshot.isLoading}
            failure={snapshot.failure}
            onRetry={() => inbox.reconnect()}
            me={client.me}
          />
        </div>
      </section>
      <section
        aria-label="Conversation"
        className={`min-w-0 flex-1 flex-col bg-ground ${id === null ? 'hidden md:flex' : 'flex'}`}
      >
        {selected === 'none' ? (
          <NothingSelected />
        ) : selected === 'loading' || selected === 'unknown' ? (
          <>
            <Header onBack={showList} />
            {selected === 'loading' ? <Spinner /> : <UnknownConversation />}
          </>
        ) : (
          <OpenConversation
            key={selected.id}
            conversation={selected}
            unreadElsewhere={Math.max(0, snapshot.unreadCount - selected.unreadCount)}
            onBack={showList}
          />
        )}
      </section>
    </main>
  );
}

/** The row of the selected conversation, kept while a search hides it. */
function useSelected(
  inbox: Inbox,
  { conversations, isLoading, query }: InboxSnapshot,
  id: string | null,
): Conversation | 'none' | 'loading' | 'unknown' {
  const listed = conversations?.find((conversation) => conversation.id === id);
  const [kept, setKept] = useState<Conversation | null>(null);
  if (listed !== undefined && listed !== kept) setKept(listed);
  const found = listed ?? (kept?.id === id ? kept : null);
  // Something outside the list asked for it (a notification, the address bar): only the whole list can tell.
  const mustEndSearch = id !== null && found === null && query !== '';
  useEffect(() => {
    if (mustEndSearch) inbox.search('');
  }, [mustEndSearch, inbox]);
  if (id === null) return 'none';
  if (found !== null) return found;
  return conversations === null || isLoading || mustEndSearch ? 'loading' : 'unknown';
}

/** Back on the list, the keyboard goes on from the row that was open. */
function useFocusOnRowAfter(id: string | null, list: { readonly current: HTMLElement | null }) {
  const before = useRef(id);
  useEffect(() => {
    const left = before.current;
    before.current = id;
    if (id !== null || left === null || document.activeElement !== document.body) return;
    list.current?.querySelector<HTMLElement>(`[data-conversation-id="${CSS.escape(left)}"]`)?.focus();
  }, [id, list]);
}

function Header({ onBack, unread = 0, children }: { onBack: () => void; unread?: number; children?: ReactNode }) {
  return (
    <header
      className="flex min-h-16 shrink-0 items-center gap-2 border-b border-line bg-side px-2
        pt-[max(0.5rem,env(safe-area-inset-top))] pb-2 md:bg-ground md:px-5"
    >
      <button
        type="button"
        aria-label="Back"
        onClick={onBack}
        className="flex h-11 min-w-11 items-center rounded-lg pr-1.5 text-tint hover:bg-hover md:hidden"
      >
        <ChevronLeft aria-hidden="true" className="size-7" />
        {unread > 0 && (
          <span aria-hidden="true" className="rounded-full bg-button px-2 text-[13px] leading-5 font-medium text-white">
            {unread > 99 ? '99+' : unread}
          </span>
        )}
      </button>
      {children}
    </header>
  );
}

interface OpenConversationProps {
  conversation: Conversation;
  unreadElsewhere: number;
  onBack: () => void;
}

// On a touch screen the focus would raise the keyboard, which covers half of the messages.
const hasRealKeyboard = window.matchMedia('(min-width: 768px) and (pointer: fine)');

function OpenConversation({ conversation, unreadElsewhere, onBack }: OpenConversationProps) {
  const thread = useShownThread(conversation.id);
  const { clientId, clientName, clientAvatarUrl, activeTrip } = conversation;
  const [takesFocus] = useState(() => hasRealKeyboard.matches);
  const name = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!takesFocus) name.current?.focus({ preventScroll: true });
  }, [takesFocus]);

  return (
    <>
      <Header onBack={onBack} unread={unreadElsewhere}>
        <Link
          to={`/clients/${encodeURIComponent(clientId)}`}
          className="flex min-w-0 items-center gap-3 rounded-xl p-1 pr-3 hover:bg-hover"
        >
          <Avatar url={clientAvatarUrl} size={40} />
          <h2
            ref={name}
            tabIndex={-1}
            dir="auto"
            className="truncate text-[17px] font-semibold tracking-tight outline-none"
          >
            {clientName}
          </h2>
        </Link>
      </Header>
      {activeTrip !== null && (
        <Link
          to={`/trip/${encodeURIComponent(activeTrip.id)}`}
          data-testid="active-trip"
          className="group flex shrink-0 items-center gap-2.5 border-b border-line bg-side px-5 py-2 text-[13px]
            -outline-offset-2 hover:bg-hover"
        >
          <Plane aria-hidden="true" strokeWidth={1.75} className="size-4 shrink-0 text-soft" />
          <span className="shrink-0 text-soft">Active trip</span>
          <span dir="auto" className="min-w-0 truncate font-medium">
            {activeTrip.title}
          </span>
          <ChevronRight aria-hidden="true" className="ml-auto size-4 shrink-0 text-soft" />
        </Link>
      )}
      <div className="min-h-0 flex-1">
        <ChatThread
          thread={thread}
          otherName={clientName}
          otherAvatarUrl={clientAvatarUrl}
          autoFocus={takesFocus}
          emptyText={`Say hello to ${clientName}.`}
        />
      </div>
    </>
  );
}

function NothingSelected() {
  return (
    <div className="grid flex-1 place-items-center p-8 text-center">
      <div>
        <MessagesSquare aria-hidden="true" strokeWidth={1.25} className="mx-auto size-14 text-soft opacity-60" />
        <p className="mt-4 text-[17px] font-semibold tracking-tight">No conversation selected</p>
        <p className="mt-1 text-[15px] text-soft">Choose one from the list to read and answer.</p>
      </div>
    </div>
  );
}

function UnknownConversation() {
  return (
    <div className="grid flex-1 place-items-center p-8 text-center">
      <div className="max-w-sm">
        <div role="alert">
          <p className="text-[17px] font-semibold tracking-tight">There is no such conversation</p>
          <p className="mt-1 text-[15px] text-pretty text-soft">
            The link may be incomplete, or the conversation belongs to another agency.
          </p>
        </div>
        <Link to={home} replace className="mt-5 inline-block text-[15px] text-tint hover:underline">
          To all conversations
        </Link>
      </div>
    </div>
  );
}

// Most lost connections are back within this time, and need no notice.
const patience_ms = 2_000;

/** Says that the list is not live at the moment. While the list itself shows a failure, that is enough. */
function InboxConnection({ connection, hasFailed }: { connection: ConnectionStatus; hasFailed: boolean }) {
  const { downSince } = connection;
  const [isDown, setIsDown] = useState(false);
  useEffect(() => {
    if (downSince === null) return;
    const timer = setTimeout(() => setIsDown(true), Math.max(0, downSince + patience_ms - Date.now()));
    return () => {
      clearTimeout(timer);
      setIsDown(false);
    };
  }, [downSince]);
  return (
    <p role="status" className="px-4 pb-2 text-[13px] text-soft empty:hidden">
      {isDown && !hasFailed && 'No connection. The list is brought up to date as soon as there is one.'}
    </p>
  );
}
