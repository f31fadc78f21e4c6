// The objects of the wire (docs/protocol.md, "Objects") under the names that this package gives them. Times are RFC 3339 UTC
// with milliseconds.
import type * as wire from './wire';

export type ParticipantType = wire.Role;

/** A person in a conversation. `id` is the host's: an advisor's or a client's. */
export interface Participant {
  readonly type: ParticipantType;
  readonly id: string;
}

/** In the order in which a picker shows them. */
export const EMOJI = ['❤️', '👍', '😂', '😮', '😢', '👎'] as const satisfies readonly wire.Emoji[];
export type Emoji = wire.Emoji;

export type Reaction = wire.Reaction;

export type Message = wire.Message;

export type ActiveTrip = NonNullable<wire.ActiveTrip>;

/** A row of the advisor's list. A client whom the host does not know is called by their id. */
export type Conversation = Omit<wire.ConversationRow, 'clientName'> & { readonly clientName: string };

/** What a share link gives: `GET /api/chat-token`. */
export type ChatGrant = wire.ChatTokenGrant;
