// The objects of the wire (docs/protocol.md, "Objects"). Times are RFC 3339 UTC with milliseconds.

export type ParticipantType = 'advisor' | 'client';

/** A person in a conversation. `id` is the host's: an advisor's or a client's. */
export interface Participant {
  readonly type: ParticipantType;
  readonly id: string;
}

/** In the order in which a picker shows them. */
export const EMOJI = ['❤️', '👍', '😂', '😮', '😢', '👎'] as const;
export type Emoji = (typeof EMOJI)[number];

export interface Reaction {
  readonly id: string;
  readonly messageId: string;
  readonly conversationId: string;
  readonly orgId: string;
  readonly reactorType: ParticipantType;
  readonly reactorId: string;
  readonly reactorName: string;
  readonly emoji: Emoji;
  readonly createdAt: string;
}

export interface Message {
  readonly id: string;
  readonly conversationId: string;
  readonly orgId: string;
  readonly senderType: ParticipantType;
  readonly senderId: string;
  readonly senderName: string;
  readonly content: string;
  /** An advisor has read a client's message. */
  readonly isRead: boolean;
  /** When the client saw an advisor's message. */
  readonly seenAt: string | null;
  readonly createdAt: string;
  readonly attachmentUrl: string | null;
  readonly attachmentType: string | null;
  readonly attachmentName: string | null;
  /** Oldest first. */
  readonly reactions: readonly Reaction[];
  /** 1, 2, 3 … in the conversation, without gaps. */
  readonly seq: number;
  /** The conversation's revision that last changed this message. */
  readonly rev: number;
  readonly clientMessageId: string | null;
}

export interface ActiveTrip {
  readonly id: string;
  readonly title: string;
}

/** A row of the advisor's list. */
export interface Conversation {
  readonly id: string;
  readonly orgId: string;
  readonly clientId: string;
  readonly createdAt: string;
  readonly lastMessageAt: string | null;
  readonly clientName: string;
  readonly clientAvatarUrl: string | null;
  readonly lastMessage: Omit<Message, 'reactions'> | null;
  readonly unreadCount: number;
  readonly activeTrip: ActiveTrip | null;
  readonly rev: number;
}

/** What a share link gives: `GET /api/chat-token`. */
export interface ChatGrant {
  readonly chatToken: string;
  readonly conversationId: string;
  readonly clientId: string;
  readonly clientName: string | null;
  readonly orgId: string;
  readonly advisorName: string | null;
  readonly advisorAvatar: string | null;
  readonly expiresAt: string;
}
