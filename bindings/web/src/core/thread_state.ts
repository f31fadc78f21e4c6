// One conversation as this side knows it: what the server has told, what is written and not sent yet, who types. Pure
// functions from one state to the next; thread.ts does the I/O.
//
// Events, answers and pages may tell of the same messages in any order, and repeatedly. By two rules the result does
// not depend on the order: a whole message replaces one of the same or a smaller `rev`, and an event that tells a part
// of a message (reactions, seen, read) applies to messages of a smaller `rev` only. The second is sound because events
// come in the order of `rev` with none left out: whoever has a message of rev n has every part up to n. What comes
// during the load of a page is kept and applied once more on the page, since the page may be older than it.
import type { ChatEvent } from './events';
import type { ChatFailure, ConnectionStatus, ThreadRow, ThreadSnapshot } from './model';
import type { OutboxEntry } from './outbox_store';
import type { Emoji, Message, Participant, Reaction } from './types';
import { nullsOfMessage } from './wire';

/** A reaction that this person wants, shown over what the server has told. */
export interface WantedReaction {
  /** As the server has told it. */
  readonly confirmed: Message;
  readonly emoji: Emoji | null;
  readonly since: string;
  /** The server has answered the request for it; its event is still to come. */
  readonly isAnswered: boolean;
  /** The last request, if there was one, asked for `emoji`. */
  readonly isAsked: boolean;
}

export interface ThreadState {
  readonly conversationId: string;
  readonly me: Participant & { readonly name: string };
  /** By seq. */
  readonly rows: readonly ThreadRow[];
  /** Not sent yet, or failed. */
  readonly pending: readonly ThreadRow[];
  /** By message id. */
  readonly wanted: ReadonlyMap<string, WantedReaction>;
  readonly hasPage: boolean;
  readonly hasOlder: boolean;
  readonly isLoadingOlder: boolean;
  readonly loadFailure: ChatFailure | null;
  /** Every event up to here is applied. */
  readonly rev: number;
  /** Those that came since a page was asked for; null when no page is on its way. */
  readonly eventsDuringLoad: readonly ChatEvent[] | null;
  readonly typing: { readonly advisor: boolean; readonly client: boolean };
  /** When an advisor read the message `seq`, where an event told it. */
  readonly readAt: { readonly seq: number; readonly at: string } | null;
}

export const initialThread = (conversationId: string, me: Participant & { readonly name: string }): ThreadState => ({
  conversationId,
  me,
  rows: [],
  pending: [],
  wanted: new Map(),
  hasPage: false,
  hasOlder: false,
  isLoadingOlder: false,
  loadFailure: null,
  rev: 0,
  eventsDuringLoad: null,
  typing: { advisor: false, client: false },
  readAt: null,
});

const isMe = (me: Participant, type: string, id: string): boolean => type === me.type && id === me.id;

/** The key of a stored message: for one's own, the id that it was sent under. */
const keyOf = (state: ThreadState, message: Message): string =>
  (isMe(state.me, message.senderType, message.senderId) && message.clientMessageId) || message.id;

function toRow(state: ThreadState, message: Message): ThreadRow {
  const isOwn = message.senderType === state.me.type;
  return { key: keyOf(state, message), message, isOwn, status: 'sent', failure: null };
}

/** Where `seq` is, or would be. */
function positionOf(rows: readonly ThreadRow[], seq: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.message.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

const find = (state: ThreadState, messageId: string): number =>
  state.rows.findLastIndex(({ message }) => message.id === messageId);

const ownEmoji = (me: Participant, reactions: readonly Reaction[]): Emoji | null =>
  reactions.find((reaction) => isMe(me, reaction.reactorType, reaction.reactorId))?.emoji ?? null;

function withWanted(state: ThreadState, { confirmed, emoji, since }: WantedReaction): Message {
  const { me } = state;
  if (ownEmoji(me, confirmed.reactions) === emoji) return confirmed;
  const others = confirmed.reactions.filter((reaction) => !isMe(me, reaction.reactorType, reaction.reactorId));
  if (emoji === null) return { ...confirmed, reactions: others };
  const own: Reaction = {
    id: `${confirmed.id}-${me.id}`,
    messageId: confirmed.id,
    conversationId: confirmed.conversationId,
    orgId: confirmed.orgId,
    reactorType: me.type,
    reactorId: me.id,
    reactorName: me.name,
    emoji,
    createdAt: since,
  };
  return { ...confirmed, reactions: [...others, own] };
}

function setWanted(state: ThreadState, id: string, next: WantedReaction | null): ThreadState {
  const wanted = new Map(state.wanted);
  if (next) wanted.set(id, next);
  else wanted.delete(id);
  return { ...state, wanted };
}

function setMessage(state: ThreadState, at: number, message: Message): ThreadState {
  const rows = state.rows.slice();
  rows[at] = { ...rows[at]!, message };
  return { ...state, rows };
}

/** The server has told the message of the row `at` anew; what this person wants is shown over it. */
function setConfirmed(state: ThreadState, at: number, confirmed: Message): ThreadState {
  const wanted = state.wanted.get(confirmed.id);
  if (!wanted) return setMessage(state, at, confirmed);
  // Its own event came, or that of a later change elsewhere after it.
  if (wanted.isAsked && ownEmoji(state.me, confirmed.reactions) === wanted.emoji) {
    return setMessage(setWanted(state, confirmed.id, null), at, confirmed);
  }
  const next = { ...wanted, confirmed };
  return setMessage(setWanted(state, confirmed.id, next), at, withWanted(state, next));
}

const confirmedOf = (state: ThreadState, { message }: ThreadRow): Message =>
  state.wanted.get(message.id)?.confirmed ?? message;

/** Whether the stored message `seq` is shown. */
export function hasStored({ rows }: ThreadState, seq: number): boolean {
  return rows[positionOf(rows, seq)]?.message.seq === seq;
}

/** Removes a message that turned out to be stored from those that wait. */
function withoutStored(state: ThreadState, key: string): ThreadState {
  const pending = state.pending.filter((row) => row.key !== key);
  return pending.length === state.pending.length ? state : { ...state, pending };
}

function setStored(state: ThreadState, message: Message): ThreadState {
  const { rows } = state;
  const at = positionOf(rows, message.seq);
  const row = rows[at];
  if (row?.message.seq === message.seq) {
    return message.rev > confirmedOf(state, row).rev ? setConfirmed(state, at, message) : state;
  }
  // It is older than the loaded pages, and will come with an older page.
  if (at === 0 && state.hasOlder) return withoutStored(state, keyOf(state, message));
  const added = toRow(state, message);
  return withoutStored({ ...state, rows: [...rows.slice(0, at), added, ...rows.slice(at)] }, added.key);
}

/** Every stored message before `rev`: `change` gives the new one, or null for no change. */
function changeAll(state: ThreadState, rev: number, change: (message: Message) => Message | null): ThreadState {
  const changed = (message: Message): Message | null => (message.rev < rev ? change(message) : null);
  let isSame = true;
  const rows = state.rows.map((row) => {
    const message = state.wanted.has(row.message.id) ? null : changed(row.message);
    if (!message) return row;
    isSame = false;
    return { ...row, message };
  });
  let next = isSame ? state : { ...state, rows };
  for (const [id, { confirmed }] of state.wanted) {
    const message = changed(confirmed);
    if (message) next = setConfirmed(next, find(next, id), message);
  }
  return next;
}

function applyConfirmed(state: ThreadState, event: ChatEvent): ThreadState {
  switch (event.type) {
    case 'new_message':
      return setStored(state, event.message);
    case 'message_update': {
      const at = find(state, event.message.id);
      return at < 0 ? state : setStored(state, event.message);
    }
    case 'reaction_update': {
      const at = find(state, event.messageId);
      const confirmed = at < 0 ? null : confirmedOf(state, state.rows[at]!);
      if (!confirmed || confirmed.rev >= event.rev) return state;
      return setConfirmed(state, at, { ...confirmed, reactions: event.reactions, rev: event.rev });
    }
    case 'seen':
      return changeAll(state, event.rev, (message) =>
        message.senderType === 'advisor' && message.seenAt === null
          ? { ...message, seenAt: event.seenAt, rev: event.rev }
          : null,
      );
    case 'read': {
      const next = changeAll(state, event.rev, (message) =>
        message.senderType === 'client' && !message.isRead ? { ...message, isRead: true, rev: event.rev } : null,
      );
      // Also for what was replayed as read already: its `rev` is that of this event.
      const newest = next.rows.findLast(({ message }) => message.senderType === 'client' && message.isRead);
      return newest && confirmedOf(next, newest).rev === event.rev
        ? { ...next, readAt: { seq: newest.message.seq, at: event.readAt } }
        : next;
    }
    case 'typing':
      return { ...state, typing: { advisor: event.advisorTyping, client: event.clientTyping } };
    default:
      return state;
  }
}

/** Applies an event of a socket; they come in order. */
export function applyEvent(state: ThreadState, event: ChatEvent): ThreadState {
  const next = applyConfirmed(state, event);
  if (event.type === 'typing' || event.type === 'error') return next;
  const eventsDuringLoad = next.eventsDuringLoad && [...next.eventsDuringLoad, event];
  return { ...next, eventsDuringLoad, rev: Math.max(next.rev, event.rev) };
}

/** Whether a live event does not follow on what is applied: something between got lost. */
export const isGap = (state: ThreadState, event: ChatEvent): boolean => 'rev' in event && event.rev > state.rev + 1;

/** Applies a message from an answer. `rev` is not raised, since earlier events may not have come yet. */
export function applyStored(state: ThreadState, message: Message): ThreadState {
  const next = setStored(state, message);
  const { eventsDuringLoad } = next;
  if (!eventsDuringLoad) return next;
  return { ...next, eventsDuringLoad: [...eventsDuringLoad, { type: 'new_message', message, rev: 0 }] };
}

export const awaitPage = (state: ThreadState, isOlder: boolean): ThreadState => ({
  ...state,
  eventsDuringLoad: state.eventsDuringLoad ?? [],
  isLoadingOlder: isOlder,
});

/** The newest page, loaded again: it replaces what there was. `rev` is at least that of the conversation when it was
 * asked for, or null where only the page itself tells. */
export function applyNewest(
  state: ThreadState,
  page: readonly Message[],
  hasOlder: boolean,
  rev: number | null,
): ThreadState {
  const before = new Map(state.rows.map((row) => [row.message.id, row]));
  const rows = page.map((message) => {
    const row = before.get(message.id);
    return row && row.message.rev === message.rev && !state.wanted.has(message.id) ? row : toRow(state, message);
  });
  let next: ThreadState = {
    ...state,
    rows,
    wanted: new Map(),
    hasPage: true,
    hasOlder,
    isLoadingOlder: false,
    loadFailure: null,
    eventsDuringLoad: null,
    rev: rev ?? page.reduce((most, message) => Math.max(most, message.rev), 0),
  };
  for (const [id, wanted] of state.wanted) {
    const at = find(next, id);
    if (at >= 0) next = setConfirmed(setWanted(next, id, wanted), at, rows[at]!.message);
  }
  return applyEventsDuringLoad(
    state,
    rows.reduce((all, { key }) => withoutStored(all, key), next),
  );
}

/** Forgets what another storage has told, which a backup has replaced: the same `rev` may mean another change there.
 *  Unsent messages and wanted reactions stay. */
export const forgetStorage = (state: ThreadState): ThreadState => ({
  ...state,
  rows: [],
  eventsDuringLoad: null,
  rev: 0,
  readAt: null,
});

/** A page above the ones that are loaded. */
export function applyOlder(state: ThreadState, page: readonly Message[], hasOlder: boolean): ThreadState {
  const first = state.rows[0]?.message.seq ?? Infinity;
  const above = page.filter(({ seq }) => seq < first).map((message) => toRow(state, message));
  const next: ThreadState = {
    ...state,
    rows: [...above, ...state.rows],
    hasOlder,
    isLoadingOlder: false,
    loadFailure: null,
    eventsDuringLoad: null,
  };
  return applyEventsDuringLoad(
    state,
    above.reduce((before, { key }) => withoutStored(before, key), next),
  );
}

// Applies the events to the loaded page. Some of its rows contain them already, which does no harm.
const applyEventsDuringLoad = (state: ThreadState, next: ThreadState): ThreadState =>
  (state.eventsDuringLoad ?? []).reduce(applyConfirmed, next);

export const failPage = (state: ThreadState, loadFailure: ChatFailure): ThreadState => ({
  ...state,
  loadFailure,
  isLoadingOlder: false,
  eventsDuringLoad: null,
});

/** The outbox changed. Gives also the keys of entries that turn out to be stored already. */
export function setPending(
  state: ThreadState,
  entries: readonly OutboxEntry[],
): readonly [ThreadState, readonly string[]] {
  const before = new Map(state.pending.map((row) => [row.key, row]));
  const stored: string[] = [];
  const pending: ThreadRow[] = [];
  for (const entry of entries) {
    const row = before.get(entry.key);
    if (state.rows.some(({ key, isOwn }) => isOwn && key === entry.key)) stored.push(entry.key);
    else if (row && row.failure === entry.failure) pending.push(row);
    else pending.push({ ...(row ?? toPending(state, entry)), ...statusOf(entry) });
  }
  return [{ ...state, pending }, stored];
}

const statusOf = ({ failure }: OutboxEntry): Pick<ThreadRow, 'status' | 'failure'> => ({
  status: failure ? 'failed' : 'sending',
  failure,
});

function toPending({ conversationId, me }: ThreadState, entry: OutboxEntry): ThreadRow {
  const { key, content, createdAt } = entry;
  const message: Message = {
    ...nullsOfMessage,
    id: key,
    conversationId,
    orgId: '',
    senderType: me.type,
    senderId: me.id,
    senderName: me.name,
    content,
    isRead: false,
    createdAt,
    reactions: [],
    seq: 0,
    rev: 0,
    clientMessageId: key,
  };
  return { key, message, isOwn: true, ...statusOf(entry) };
}

/** Null when there is no such stored message. Otherwise also whether the person wants `emoji` now, or none. */
export function toggleReaction(
  state: ThreadState,
  messageId: string,
  emoji: Emoji,
  since: string,
): readonly [ThreadState, boolean] | null {
  const at = find(state, messageId);
  if (at < 0) return null;
  const row = state.rows[at]!;
  const isWanted = ownEmoji(state.me, row.message.reactions) !== emoji;
  const confirmed = confirmedOf(state, row);
  const wanted = { confirmed, emoji: isWanted ? emoji : null, since, isAnswered: false, isAsked: false };
  return [setMessage(setWanted(state, messageId, wanted), at, withWanted(state, wanted)), isWanted];
}

/** A request for the wanted reaction is on its way, or was answered. */
export function askReaction(state: ThreadState, messageId: string, isAnswered: boolean): ThreadState {
  const wanted = state.wanted.get(messageId);
  if (!wanted) return state;
  if (isAnswered && ownEmoji(state.me, wanted.confirmed.reactions) === wanted.emoji) {
    return undoReaction(state, messageId);
  }
  return setWanted(state, messageId, { ...wanted, isAsked: true, isAnswered });
}

/** Back to what the server has told. */
export function undoReaction(state: ThreadState, messageId: string): ThreadState {
  const wanted = state.wanted.get(messageId);
  if (!wanted) return state;
  const next = setWanted(state, messageId, null);
  const at = find(state, messageId);
  return at < 0 ? next : setMessage(next, at, wanted.confirmed);
}

/** Called when the replay is over: it contained the events of all requests that had been answered before. */
export function settleReactions(state: ThreadState): ThreadState {
  let next = state;
  for (const [id, { isAnswered }] of state.wanted) if (isAnswered) next = undoReaction(next, id);
  return next;
}

/** Of the other side, and not seen by this one. */
const isUnseen = ({ me }: ThreadState, { isOwn, message }: ThreadRow): boolean =>
  !isOwn && (me.type === 'advisor' ? !message.isRead : message.seenAt === null);

/** The seq of the newest unseen message; 0 when there is none. */
export const newestUnseen = (state: ThreadState): number =>
  state.rows.findLast((row) => isUnseen(state, row))?.message.seq ?? 0;

function seenOf(state: ThreadState, before: ThreadSnapshot['seen']): ThreadSnapshot['seen'] {
  const newest = state.rows.findLast(({ isOwn }) => isOwn);
  if (!newest) return null;
  const { key, message } = newest;
  if (state.me.type === 'advisor' ? message.seenAt === null : !message.isRead) return null;
  const at = message.seenAt ?? (state.readAt?.seq === message.seq ? state.readAt.at : null);
  return before?.key === key && before.at === at ? before : { key, at };
}

export function toSnapshot(
  state: ThreadState,
  connection: ConnectionStatus,
  isTyping: boolean,
  before: ThreadSnapshot | null,
): ThreadSnapshot {
  const { conversationId, me, pending, hasPage, hasOlder, isLoadingOlder, loadFailure, typing } = state;
  const unseen = state.rows.filter((row) => isUnseen(state, row));
  return {
    conversationId,
    me,
    rows: pending.length === 0 ? state.rows : [...state.rows, ...pending],
    loading: isLoadingOlder ? 'older' : hasPage ? null : 'opening',
    loadFailure,
    hasOlder,
    connection,
    otherTyping: me.type === 'advisor' ? typing.client : typing.advisor,
    sideTyping: !isTyping && typing[me.type],
    seen: seenOf(state, before?.seen ?? null),
    unseenCount: unseen.length,
    firstUnseenSeq: unseen[0]?.message.seq ?? null,
  };
}
