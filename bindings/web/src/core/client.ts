// The entry point of the core: one client for each person who is signed in, or has a share link.
import { ChatError } from './api';
import { isConversation } from './events';
import { LiveInbox, toConversation } from './inbox';
import type { Inbox } from './model';
import { ThreadClient } from './thread_client';
import type { Conversation } from './types';

export class ChatClient extends ThreadClient {
  #inbox: LiveInbox | null = null;

  /** For advisors. It does nothing until it is opened. */
  inbox(): Inbox {
    this.#inbox ??= new LiveInbox(this.env, this.api, this.socketBase);
    return this.#inbox;
  }

  /** An advisor's conversation with a client, made when there is none. Throws a ChatError. */
  async openConversation(clientId: string): Promise<Conversation> {
    const { data } = await this.api.request('POST', '/api/conversations', { clientId });
    if (!isConversation(data)) throw new ChatError('network', 0, 'The answer is no conversation.');
    return toConversation(data);
  }

  override dispose(): void {
    super.dispose();
    this.#inbox?.dispose();
  }
}
