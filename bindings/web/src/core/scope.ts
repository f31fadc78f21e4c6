// The names under which a browser keeps each person's outbox, its journal and the draft of a conversation. Each contains
// a scope, which is the server, the person and the conversation.
import type { Participant } from './types';

/** Of the sockets, from that of the requests: '' is the page's own, '/chat' a path there. */
export const socketBaseOf = (baseUrl: string, origin: string): string => {
  const base = baseUrl.replace(/\/+$/, '');
  // Browsers of before 2024 take no relative URL for a socket.
  return (/^https?:/.test(base) ? base : origin + base).replace(/^http/, 'ws');
};

export const scopeOf = (socketBase: string, { type, id }: Participant, conversationId: string): string =>
  `${socketBase}/${type}/${id}/${conversationId}`;

/** The id of the person of this type whose scope it is; null for a scope of another server or type. */
export function personOf(scope: string, socketBase: string, type: Participant['type']): string | null {
  const prefix = `${socketBase}/${type}/`;
  // An id of the host's may hold a slash; one of a conversation does not.
  const end = scope.lastIndexOf('/');
  return scope.startsWith(prefix) && end >= prefix.length ? scope.slice(prefix.length, end) : null;
}

const DRAFT = 'travelchat:draft:';

export const draftKeyOf = (scope: string): string => DRAFT + scope;

/** Null for what is no draft. */
export const scopeOfDraft = (key: string): string | null => (key.startsWith(DRAFT) ? key.slice(DRAFT.length) : null);

const JOURNAL = 'travelchat:unsent:';

/** `key`: of an outbox's entry. It has no colon. */
export const journalKeyOf = (scope: string, key: string): string => `${JOURNAL}${scope}:${key}`;

/** Null for what is no entry of a journal. */
export const scopeOfJournal = (name: string): string | null =>
  name.startsWith(JOURNAL) ? name.slice(JOURNAL.length, name.lastIndexOf(':')) : null;

export const channelOf = (scope: string): string => `travelchat:${scope}`;
