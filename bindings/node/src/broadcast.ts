import { nativeOf, type ChatEngine } from './engine';
import { ChatError } from './errors';

/** The three functions that an application calls after it has written to the chat's tables itself. */
export interface Broadcasts {
  /** A row was inserted into `messages`. */
  broadcastNewMessage(conversationId: string, message?: unknown): void;
  /** A row of `message_reactions` was inserted, changed or deleted. */
  broadcastReactionUpdate(conversationId: string, messageId?: string, reactions?: unknown): void;
  /** `seen_at` was set on messages. */
  broadcastSeen(conversationId: string, seenAt?: Date | string): void;
}

/**
 * For an application whose own code goes on writing to the PostgreSQL tables: after its transaction has committed, it
 * says so with one of these, and every listener and socket of the conversation gets what has changed. What they get is
 * read from the database, where triggers have numbered it; the arguments behind the id are those of the functions that
 * such applications have, and are not looked at. Without a call they get it within `pollInterval`. Each returns at once
 * and may be called with a closed engine. One for which `conversationId` is no id throws `not_found`.
 *
 * `export const { broadcastNewMessage, broadcastReactionUpdate, broadcastSeen } = broadcasts(engine);`
 */
export function broadcasts(engine: ChatEngine): Broadcasts {
  nativeOf(engine);
  const tell = (conversationId: string) => {
    try {
      engine.refresh(conversationId);
    } catch (error) {
      // The sockets of a closed engine are closed too, and read what changed when they reconnect.
      if (!(error instanceof ChatError && error.code === 'closed')) throw error;
    }
  };
  return { broadcastNewMessage: tell, broadcastReactionUpdate: tell, broadcastSeen: tell };
}
