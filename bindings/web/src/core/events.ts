// What travels over the sockets, both ways (docs/protocol.md, "Events from the server", "Frames from the client").
//
// tests/vectors/events.json tests this file and the C++ codec with the same texts. What is not understood gives null,
// never an exception. Later servers add events, members and values such as a further role. A client ignores what it
// does not know, but counts the `rev` of such an event as applied: otherwise the next event would look as if one had
// been lost.
import type { Message, Reaction } from './types';
import type * as wire from './wire';

export type AliveEvent = wire.AliveEvent;

/** A durable event of a type that is not known here, or about somebody in a role that is not. */
type UnknownEvent = { readonly type: 'unknown'; readonly rev: number };

export type ChatEvent = Exclude<wire.ConversationEvent, AliveEvent> | UnknownEvent;

export type InboxEvent = Exclude<wire.InboxEvent, AliveEvent>;

export type ServerEvent = ChatEvent | InboxEvent | AliveEvent;

export type ClientFrame = wire.Frame;

type Members = Record<string, unknown>;

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime = (value: unknown): value is string => isText(value) && !Number.isNaN(Date.parse(value));
const isKnownRole = (value: unknown): boolean => value === 'advisor' || value === 'client';

// Also by a reactor whose role is not known here: it is shown by its name and emoji.
const isReaction = (value: unknown): value is Reaction =>
  isMembers(value) && isText(value.reactorType) && isText(value.reactorId) && isText(value.emoji);

const isReactions = (value: unknown): value is Reaction[] => Array.isArray(value) && value.every(isReaction);

// Without its reactions, which the last message of a conversation's row does not have; by a sender of any role.
const isMessageRow = (value: unknown): value is Members =>
  isMembers(value) &&
  isText(value.id) &&
  isText(value.senderType) &&
  isText(value.senderId) &&
  isText(value.content) &&
  isTime(value.createdAt) &&
  isCount(value.seq) &&
  isCount(value.rev);

const isAnyMessage = (value: unknown): value is Members => isMessageRow(value) && isReactions(value.reactions);

/** What the rest of the core relies on; further members may be there or not. */
export const isMessage = (value: unknown): value is Message => isAnyMessage(value) && isKnownRole(value.senderType);

export const isConversation = (value: unknown): value is wire.ConversationRow =>
  isMembers(value) &&
  isText(value.id) &&
  isText(value.clientId) &&
  isCount(value.unreadCount ?? 0) &&
  (value.lastMessage == null || isMessageRow(value.lastMessage));

/** Null for a type that is not known, and for a message whose sender's role is not. */
function isWellFormed(event: Members): boolean | null {
  switch (event.type) {
    case 'typing':
      return isFlag(event.advisorTyping) && isFlag(event.clientTyping);
    case 'new_message':
    case 'message_update':
      return isCount(event.rev) && isAnyMessage(event.message) && (isKnownRole(event.message.senderType) || null);
    case 'reaction_update':
      return isCount(event.rev) && isText(event.messageId) && isReactions(event.reactions);
    case 'seen':
      return isCount(event.rev) && isTime(event.seenAt);
    case 'read':
      return isCount(event.rev) && isTime(event.readAt);
    case 'caught_up':
    case 'resync':
      // Without `epoch` on servers from before there were any.
      return isCount(event.rev) && (event.epoch === undefined || isText(event.epoch));
    case 'error':
      return isText(event.code) && isText(event.message);
    case 'conversation_update':
      return isConversation(event.conversation);
    case 'alive':
      return isCount(event.intervalMs);
    default:
      return null;
  }
}

/** Null for what is malformed, and for what is unknown and not durable. */
export function parseServerEvent(text: string): ServerEvent | null {
  try {
    const event: unknown = JSON.parse(text);
    if (!isMembers(event)) return null;
    const isGood = isWellFormed(event);
    if (isGood) return event as unknown as ServerEvent;
    return isGood === null && isText(event.type) && isCount(event.rev) ? { type: 'unknown', rev: event.rev } : null;
  } catch {
    return null;
  }
}

export const encodeFrame = (frame: ClientFrame): string => JSON.stringify(frame);
