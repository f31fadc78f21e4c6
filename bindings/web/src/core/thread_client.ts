// Conversations for one person: everything that a client with a share link needs. client.ts adds what advisors need.
import { Api } from './api';
import type { SessionCredential, TokenCredential } from './credential';
import type { Environment } from './environment';
import { browserEnvironment } from './environment';
import type { Thread } from './model';
import type { OutboxStore } from './outbox_store';
import { openOutboxStore } from './outbox_store';
import { socketBaseOf } from './scope';
import { LiveThread } from './thread';
import type { Participant } from './types';

export interface ChatClientOptions {
  /** Origin of the server, e.g. 'https://chat.example'; '' (the default) is the page's own. */
  readonly baseUrl?: string;
  readonly me: Participant & { readonly name: string };
  readonly credential: SessionCredential | TokenCredential;
  /** For tests, and for hosts without a browser. */
  readonly environment?: Partial<Environment>;
}

/** This many of the conversations that were closed last are kept, so that they open at once again. */
const MAX_IDLE_THREADS = 20;

export class ThreadClient {
  readonly me: Participant & { readonly name: string };
  protected readonly env: Environment;
  protected readonly api: Api;
  protected readonly socketBase: string;
  readonly #store: OutboxStore;
  /** The one that was asked for last is at the end. */
  readonly #threads = new Map<string, LiveThread>();
  readonly #openThreads = new Set<LiveThread>();

  constructor(options: ChatClientOptions) {
    const baseUrl = (options.baseUrl ?? '').replace(/\/+$/, '');
    this.me = options.me;
    this.env = browserEnvironment(options.environment);
    this.api = new Api(this.env, baseUrl, options.credential);
    this.#store = openOutboxStore(this.env);
    this.socketBase = socketBaseOf(baseUrl, this.env.origin);
  }

  /** The same object for the same id, as long as it is open or somebody subscribes to it, and for some time after. It does
   * nothing until it is opened. */
  thread(conversationId: string): Thread {
    const { env, api, socketBase, me } = this;
    const thread =
      this.#threads.get(conversationId) ??
      [...this.#openThreads].find((open) => open.conversationId === conversationId) ??
      new LiveThread(env, api, this.#store, socketBase, conversationId, me, this.#openThreads);
    this.#threads.delete(conversationId);
    this.#threads.set(conversationId, thread);
    const idle = [...this.#threads.values()].filter(({ isIdle }) => isIdle);
    for (const old of idle.slice(0, -MAX_IDLE_THREADS)) this.#threads.delete(old.conversationId);
    return thread;
  }

  /** Closes everything, the connection to this browser's database, too. What is unsent stays in the outbox for the next
   * client of this person; `forgetUnsent` removes it. */
  dispose(): void {
    for (const thread of [...this.#openThreads]) thread.dispose();
    this.#store.close();
  }
}
