// Made by docs/types.mjs from docs/openapi.yaml and docs/asyncapi.yaml, which are the place to change something:
// `npm run types` in docs/ writes it anew.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * Format: uuid
         * @example 019ab3c4-7d10-7c3e-9b62-0f5a1c2d3e4f
         */
        Uuid: string;
        /**
         * @description An id that the host gave out.
         * @example client-7
         */
        HostId: string;
        /**
         * Format: date-time
         * @example 2026-11-23T06:51:47.120Z
         */
        Time: string;
        /** @enum {string} */
        Role: "advisor" | "client";
        /** @enum {string} */
        Emoji: "❤️" | "👍" | "😂" | "😮" | "😢" | "👎";
        /**
         * Format: int64
         * @description A conversation's counter, raised by one with every durable change.
         */
        Revision: number;
        Reaction: {
            id: components["schemas"]["Uuid"];
            messageId: components["schemas"]["Uuid"];
            conversationId: components["schemas"]["Uuid"];
            orgId: components["schemas"]["HostId"];
            reactorType: components["schemas"]["Role"];
            reactorId: components["schemas"]["HostId"];
            reactorName: string;
            emoji: components["schemas"]["Emoji"];
            createdAt: components["schemas"]["Time"];
        };
        MessageFields: {
            id: components["schemas"]["Uuid"];
            conversationId: components["schemas"]["Uuid"];
            orgId: components["schemas"]["HostId"];
            senderType: components["schemas"]["Role"];
            senderId: components["schemas"]["HostId"];
            senderName: string;
            /** @description Text as it was sent, trimmed; show it as text, never as HTML. */
            content: string;
            /** @description Of a client's message, whether an advisor has read it. */
            isRead: boolean;
            /** @description Of an advisor's message, when the client saw it. */
            seenAt: components["schemas"]["Time"] | null;
            createdAt: components["schemas"]["Time"];
            attachmentUrl: string | null;
            attachmentType: string | null;
            attachmentName: string | null;
            /**
             * Format: int64
             * @description 1, 2, 3 and so on within the conversation, without gaps. Sort by it.
             */
            seq: number;
            rev: components["schemas"]["Revision"];
            clientMessageId: string | null;
        };
        /**
         * @example {
         *       "id": "019ab3c4-7d10-7c3e-9b62-0f5a1c2d3e4f",
         *       "conversationId": "019ab3c4-0001-7aaa-8bbb-0123456789ab",
         *       "orgId": "org-1",
         *       "senderType": "client",
         *       "senderId": "client-7",
         *       "senderName": "Maya Chen",
         *       "content": "Is breakfast included?",
         *       "isRead": false,
         *       "seenAt": null,
         *       "createdAt": "2026-11-23T06:51:47.120Z",
         *       "attachmentUrl": null,
         *       "attachmentType": null,
         *       "attachmentName": null,
         *       "reactions": [],
         *       "seq": 12,
         *       "rev": 19,
         *       "clientMessageId": "9f2c-2"
         *     }
         */
        Message: components["schemas"]["MessageFields"] & {
            /** @description Oldest first; at most one for each person. */
            reactions: components["schemas"]["Reaction"][];
        };
        Conversation: {
            id: components["schemas"]["Uuid"];
            orgId: components["schemas"]["HostId"];
            clientId: components["schemas"]["HostId"];
            createdAt: components["schemas"]["Time"];
            lastMessageAt: components["schemas"]["Time"] | null;
        };
        /** @description A conversation as a list shows it. */
        ConversationRow: components["schemas"]["Conversation"] & {
            clientName: string | null;
            clientAvatarUrl: string | null;
            /** @description The newest message, without its reactions. */
            lastMessage: components["schemas"]["MessageFields"] | null;
            /** Format: int64 */
            unreadCount: number;
            activeTrip: components["schemas"]["ActiveTrip"];
            rev: components["schemas"]["Revision"];
        };
        Draft: {
            /** @description 1 to 10,000 code points after trimming; not only white space or zero-width characters; no NUL. Half a surrogate pair makes the body `malformed_json`. */
            content: string;
            /** @description Makes a repeat harmless; unique for the sender within the conversation. */
            clientMessageId?: string;
        };
        ReactionDraft: {
            /** @description One of the six. The heart is taken with or without U+FE0F; the others lose a trailing U+FE0F. Anything else is `invalid_emoji`. */
            emoji: string;
        };
        ChatTokenField: {
            /** @description Needed unless it is in the Authorization header. */
            chatToken?: string;
        };
        ChatTokenGrant: {
            chatToken: string;
            conversationId: components["schemas"]["Uuid"];
            clientId: components["schemas"]["HostId"];
            clientName: string | null;
            orgId: components["schemas"]["HostId"];
            advisorName: string | null;
            advisorAvatar: string | null;
            expiresAt: components["schemas"]["Time"];
        };
        ActiveTrip: {
            id: components["schemas"]["HostId"];
            title: string;
        } | null;
        /** @enum {string} */
        ErrorCode: "invalid_argument" | "missing_field" | "malformed_json" | "invalid_content" | "invalid_emoji" | "invalid_client_message_id" | "trip_without_client" | "unauthenticated" | "forbidden" | "cross_origin" | "sharing_disabled" | "not_found" | "method_not_allowed" | "request_timeout" | "idempotency_conflict" | "epoch_changed" | "payload_too_large" | "unsupported_media_type" | "rate_limited" | "headers_too_large" | "upgrade_required" | "too_slow" | "storage_failed" | "storage_full" | "storage_locked" | "storage_incompatible" | "overloaded" | "closed" | "internal" | "too_many_changes";
        Error: {
            /** @description For people. Never carries SQL, paths or another tenant's data. */
            message: string;
            code: components["schemas"]["ErrorCode"];
        };
        /** @description Who is typing. On open, and to all others when it changes. Carries no `rev` and is never replayed. */
        TypingEvent: {
            /** @constant */
            type: "typing";
            advisorTyping: boolean;
            clientTyping: boolean;
        };
        /** @description A message was stored. Also sent to the sender's own sockets; merge by `clientMessageId`. */
        NewMessageEvent: {
            /** @constant */
            type: "new_message";
            message: components["schemas"]["Message"];
            rev: components["schemas"]["Revision"];
        };
        /** @description More of a message changed than its reactions and marks. It takes the place of the message with its id; of a client that has none, only `rev` is raised. */
        MessageUpdateEvent: {
            /** @constant */
            type: "message_update";
            message: components["schemas"]["Message"];
            rev: components["schemas"]["Revision"];
        };
        /** @description A message's reactions changed */
        ReactionUpdateEvent: {
            /** @constant */
            type: "reaction_update";
            messageId: components["schemas"]["Uuid"];
            /** @description All of the message's, oldest first. */
            reactions: components["schemas"]["Reaction"][];
            rev: components["schemas"]["Revision"];
        };
        /** @description The client has seen the advisor's messages */
        SeenEvent: {
            /** @constant */
            type: "seen";
            seenAt: components["schemas"]["Time"];
            rev: components["schemas"]["Revision"];
        };
        /** @description An advisor has read the client's messages */
        ReadEvent: {
            /** @constant */
            type: "read";
            readAt: components["schemas"]["Time"];
            rev: components["schemas"]["Revision"];
        };
        /** @description The replay is complete */
        CaughtUpEvent: {
            /** @constant */
            type: "caught_up";
            rev: components["schemas"]["Revision"];
            epoch?: components["schemas"]["Uuid"];
        };
        /** @description Load the conversation again over HTTP. The socket is too far behind for a replay, or named a `rev` that does not exist, is no longer kept, or is of another epoch. */
        ResyncEvent: {
            /** @constant */
            type: "resync";
            rev: components["schemas"]["Revision"];
            epoch?: components["schemas"]["Uuid"];
        };
        /** @description The server is there. With each ping, which a browser shows to no page. Carries no `rev` and is never replayed. */
        AliveEvent: {
            /** @constant */
            type: "alive";
            /** @description The next one follows within this many milliseconds. */
            intervalMs: number;
        };
        /** @description A frame was refused. The fifth within ten seconds closes the socket with 1008. */
        ErrorEvent: {
            /** @constant */
            type: "error";
            code: components["schemas"]["ErrorCode"];
            message: string;
        };
        /** @description What the server tells everyone in a conversation */
        ConversationEvent: components["schemas"]["TypingEvent"] | components["schemas"]["NewMessageEvent"] | components["schemas"]["MessageUpdateEvent"] | components["schemas"]["ReactionUpdateEvent"] | components["schemas"]["SeenEvent"] | components["schemas"]["ReadEvent"] | components["schemas"]["CaughtUpEvent"] | components["schemas"]["ResyncEvent"] | components["schemas"]["AliveEvent"] | components["schemas"]["ErrorEvent"];
        /** @description I am typing, or have stopped. Repeat it while typing goes on; it expires after six seconds. */
        IsTypingFrame: {
            /** @constant */
            type: "typing";
            isTyping: boolean;
        };
        /** @description I have seen what there is. A client's sets `seenAt`, an advisor's marks as read. Durable, then broadcast. */
        HaveSeenFrame: {
            /** @constant */
            type: "seen";
        };
        /** @description What a client may say */
        Frame: components["schemas"]["IsTypingFrame"] | components["schemas"]["HaveSeenFrame"];
        /** @description A row of the list changed */
        ConversationUpdateEvent: {
            /** @constant */
            type: "conversation_update";
            conversation: components["schemas"]["ConversationRow"];
        };
        /** @description What the server tells an organization's advisors */
        InboxEvent: components["schemas"]["ConversationUpdateEvent"] | components["schemas"]["AliveEvent"];
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Uuid = components['schemas']['Uuid'];
export type HostId = components['schemas']['HostId'];
export type Time = components['schemas']['Time'];
export type Role = components['schemas']['Role'];
export type Emoji = components['schemas']['Emoji'];
export type Revision = components['schemas']['Revision'];
export type Reaction = components['schemas']['Reaction'];
export type MessageFields = components['schemas']['MessageFields'];
export type Message = components['schemas']['Message'];
export type Conversation = components['schemas']['Conversation'];
export type ConversationRow = components['schemas']['ConversationRow'];
export type Draft = components['schemas']['Draft'];
export type ReactionDraft = components['schemas']['ReactionDraft'];
export type ChatTokenField = components['schemas']['ChatTokenField'];
export type ChatTokenGrant = components['schemas']['ChatTokenGrant'];
export type ActiveTrip = components['schemas']['ActiveTrip'];
export type ErrorCode = components['schemas']['ErrorCode'];
export type Error = components['schemas']['Error'];
export type TypingEvent = components['schemas']['TypingEvent'];
export type NewMessageEvent = components['schemas']['NewMessageEvent'];
export type MessageUpdateEvent = components['schemas']['MessageUpdateEvent'];
export type ReactionUpdateEvent = components['schemas']['ReactionUpdateEvent'];
export type SeenEvent = components['schemas']['SeenEvent'];
export type ReadEvent = components['schemas']['ReadEvent'];
export type CaughtUpEvent = components['schemas']['CaughtUpEvent'];
export type ResyncEvent = components['schemas']['ResyncEvent'];
export type AliveEvent = components['schemas']['AliveEvent'];
export type ErrorEvent = components['schemas']['ErrorEvent'];
export type ConversationEvent = components['schemas']['ConversationEvent'];
export type IsTypingFrame = components['schemas']['IsTypingFrame'];
export type HaveSeenFrame = components['schemas']['HaveSeenFrame'];
export type Frame = components['schemas']['Frame'];
export type ConversationUpdateEvent = components['schemas']['ConversationUpdateEvent'];
export type InboxEvent = components['schemas']['InboxEvent'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
/** The members of Draft. */
export const draftMembers = {
  content: true,
  clientMessageId: true,
} as const satisfies Record<keyof Draft, true>;
