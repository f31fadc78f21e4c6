// The door to the core: one client for each person who is signed in, or has a share link.
import { Api, ChatError } from './api';
import type { Environment } from './environment';
import { browserEnvironment } from './environment';
import { isConversation } from './events';
import { LiveInbox, toConversation } from './inbox';
import type { Inbox, Thread } from './model';
import type { OutboxStore } from './outbox_store';
import { openOutboxStore } from './outbox_store';
import { LiveThread } from './thread';
import type { Conversation, Participant } from './types';

/** The host's cookie. `onExpired` is told once when the server no longer accepts it. */
export interface SessionCredential {
  readonly kind: 'session';
  readonly onExpired?: () => void;
}

/** `renew` gets a new token when the old one is refused; it rejects with a ChatError when there is none to be had. */
export interface TokenCredential {
  readonly kind: 'chatToken';
  readonly token: string;
  readonly renew: () => Promise<string>;
}

export interface ChatClientOptions {
  /** Origin of the server, e.g. 'https://chat.example'; '' (the default) is the page's own. */
  readonly baseUrl?: string;
  readonly me: Participant & { readonly name: string };
  readonly credential: SessionCredential | TokenCredential;
  /** For tests, and for hosts without a browser. */
  readonly environment?: Partial<Environment>;
}

export class ChatClient {
  readonly me: Participant & { readonly name: string };
  readonly #env: Environment;
  readonly #api: Api;
  readonly #store: OutboxStore;
  readonly #socketBase: string;
  readonly #threads = new Map<string, LiveThread>();
  #inbox: LiveInbox | null = null;

  constructor(options: ChatClientOptions) {
    const baseUrl = (options.baseUrl ?? '').replace(/\/+$/, '');
    this.me = options.me;
    this.#env = browserEnvironment(options.environment);
    this.#api = new Api(this.#env, baseUrl, options.credential);
    this.#store = openOutboxStore(this.#env);
    this.#socketBase = (baseUrl || this.#env.origin).replace(/^http/, 'ws');
  }

  /** The same object for the same id. It does nothing until it is opened. */
  thread(conversationId: string): Thread {
    let thread = this.#threads.get(conversationId);
    if (!thread) {
      thread = new LiveThread(this.#env, this.#api, this.#store, this.#socketBase, conversationId, this.me);
      this.#threads.set(conversationId, thread);
    }
    return thread;
  }

  /** For advisors. It does nothing until it is opened. */
  inbox(): Inbox {
    this.#inbox ??= new LiveInbox(this.#env, this.#api, this.#socketBase);
    return this.#inbox;
  }

  /** An advisor's conversation with a client, made when there is none. Throws a ChatError. */
  async openConversation(clientId: string): Promise<Conversation> {
    const { data } = await this.#api.request('POST', '/api/conversations', { clientId });
    if (!isConversation(data)) throw new ChatError('network', 0, 'The answer is no conversation.');
    return toConversation(data);
  }

  /** Closes everything. What is unsent stays in the outbox for the next client of this person. */
  dispose(): void {
    for (const thread of this.#threads.values()) thread.dispose();
    this.#inbox?.dispose();
  }
}
