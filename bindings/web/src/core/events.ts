// What travels over the sockets, both ways (docs/protocol.md, "Events from the server", "Frames from the client").
//
// tests/vectors/events.json holds this file and the C++ codec to the same texts. What is not understood is null, never
// an exception: later servers add events and members, and a client ignores those.
import type { Conversation, Message, Reaction } from './types';

export type ChatEvent =
  | { readonly type: 'typing'; readonly advisorTyping: boolean; readonly clientTyping: boolean }
  | { readonly type: 'new_message'; readonly message: Message; readonly rev: number }
  | {
      readonly type: 'reaction_update';
      readonly messageId: string;
      readonly reactions: readonly Reaction[];
      readonly rev: number;
    }
  | { readonly type: 'seen'; readonly seenAt: string; readonly rev: number }
  | { readonly type: 'read'; readonly readAt: string; readonly rev: number }
  | { readonly type: 'caught_up'; readonly rev: number }
  | { readonly type: 'resync'; readonly rev: number }
  | { readonly type: 'error'; readonly code: string; readonly message: string };

export type InboxEvent = { readonly type: 'conversation_update'; readonly conversation: Conversation };

export type ServerEvent = ChatEvent | InboxEvent;

export type ClientFrame = { readonly type: 'typing'; readonly isTyping: boolean } | { readonly type: 'seen' };

type Members = Record<string, unknown>;

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime = (value: unknown): value is string => isText(value) && !Number.isNaN(Date.parse(value));
const isPerson = (value: unknown): boolean => value === 'advisor' || value === 'client';

const isReaction = (value: unknown): value is Reaction =>
  isMembers(value) && isPerson(value.reactorType) && isText(value.reactorId) && isText(value.emoji);

const isReactions = (value: unknown): value is Reaction[] => Array.isArray(value) && value.every(isReaction);

// Reactions apart: the last message of a list row has none.
const isLine = (value: unknown): value is Members =>
  isMembers(value) &&
  isText(value.id) &&
  isPerson(value.senderType) &&
  isText(value.senderId) &&
  isText(value.content) &&
  isTime(value.createdAt) &&
  isCount(value.seq) &&
  isCount(value.rev);

/** What the rest of the core relies on; further members may be there or not. */
export const isMessage = (value: unknown): value is Message => isLine(value) && isReactions(value.reactions);

export const isConversation = (value: unknown): value is Conversation =>
  isMembers(value) &&
  isText(value.id) &&
  isText(value.clientId) &&
  isCount(value.unreadCount ?? 0) &&
  (value.lastMessage == null || isLine(value.lastMessage));

function isServerEvent(event: Members): boolean {
  switch (event.type) {
    case 'typing':
      return isFlag(event.advisorTyping) && isFlag(event.clientTyping);
    case 'new_message':
      return isCount(event.rev) && isMessage(event.message);
    case 'reaction_update':
      return isCount(event.rev) && isText(event.messageId) && isReactions(event.reactions);
    case 'seen':
      return isCount(event.rev) && isTime(event.seenAt);
    case 'read':
      return isCount(event.rev) && isTime(event.readAt);
    case 'caught_up':
    case 'resync':
      return isCount(event.rev);
    case 'error':
      return isText(event.code) && isText(event.message);
    case 'conversation_update':
      return isConversation(event.conversation);
    default:
      return false;
  }
}

/** Null for what is malformed or unknown. */
export function parseServerEvent(text: string): ServerEvent | null {
  try {
    const event: unknown = JSON.parse(text);
    return isMembers(event) && isServerEvent(event) ? (event as unknown as ServerEvent) : null;
  } catch {
    return null;
  }
}

export const encodeFrame = (frame: ClientFrame): string => JSON.stringify(frame);
