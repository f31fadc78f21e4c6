// The requests about one conversation.
import type { Api } from './api';
import { ChatError } from './api';
import { isMessage } from './events';
import type { Emoji, Message } from './types';

const PAGE = 100;

export interface MessagePage {
  readonly page: readonly Message[];
  /** There are more beyond it. */
  readonly hasMore: boolean;
  /** Of the storage that it was read from; null where the server tells none. */
  readonly epoch: string | null;
}

/** Each function rejects with a ChatError. */
export class ConversationApi {
  readonly #path: string;

  constructor(
    private readonly api: Api,
    conversationId: string,
  ) {
    this.#path = `/api/conversations/${encodeURIComponent(conversationId)}`;
  }

  /** `query` is empty for the newest page, and begins with "&" otherwise. Messages of a later version are left out. */
  async list(query: string): Promise<MessagePage> {
    const { data, hasMore, epoch } = await this.api.request('GET', `${this.#path}/messages?limit=${PAGE}${query}`);
    if (!Array.isArray(data)) throw new ChatError('network', 0, 'The answer is no list of messages.');
    return { page: data.filter(isMessage), hasMore, epoch };
  }

  async send(content: string, clientMessageId: string): Promise<Message> {
    const { data } = await this.api.request('POST', `${this.#path}/messages`, { content, clientMessageId });
    if (!isMessage(data)) throw new ChatError('network', 0, 'The answer is no message.');
    return data;
  }

  /** Sets this person's reaction, or removes it. */
  async react(messageId: string, emoji: Emoji, isWanted: boolean): Promise<void> {
    const path = `${this.#path}/messages/${encodeURIComponent(messageId)}/reactions`;
    await this.api.request(isWanted ? 'POST' : 'DELETE', path, { emoji });
  }

  /** Marks what is unseen as seen. */
  async read(): Promise<void> {
    await this.api.request('POST', `${this.#path}/read`);
  }
}
