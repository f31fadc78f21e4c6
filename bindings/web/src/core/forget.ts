// Removes unsent text and drafts from a browser that several people use.
import type { Environment } from './environment';
import { browserEnvironment } from './environment';
import { openOutboxStore } from './outbox_store';
import { channelOf, personOf, scopeOfDraft, socketBaseOf } from './scope';
import type { Participant } from './types';

export interface ForgetOptions {
  /** As `ChatClient` was given it. */
  readonly baseUrl?: string;
  /** Advisors' or clients': an advisor who signs out does not remove what a client wrote in the same browser. */
  readonly type: Participant['type'];
  /** The id of the one person who is not meant: who has just signed in. */
  readonly except?: string;
  /** For tests. */
  readonly environment?: Partial<Environment>;
}

/** Removes the drafts and outboxes of these people from this browser, also what open pages of theirs still show of them.
 * For signing out, and for signing in after somebody else. Dispose the `ChatClient` as well: it goes on writing. */
export async function forgetUnsent({ baseUrl = '', type, except, environment }: ForgetOptions): Promise<void> {
  const env = browserEnvironment(environment);
  const socketBase = socketBaseOf(baseUrl, env.origin);
  const isMeant = (scope: string): boolean => {
    const person = personOf(scope, socketBase, type);
    return person !== null && person !== except;
  };
  forgetDrafts(env, isMeant);
  const store = openOutboxStore(env);
  const scopes = await store.clear(isMeant);
  store.close();
  for (const scope of scopes) {
    const channel = env.openChannel(channelOf(scope));
    channel?.postMessage({ type: 'changed' });
    channel?.close();
  }
}

function forgetDrafts({ localStorage }: Environment, isMeant: (scope: string) => boolean): void {
  try {
    const keys = Array.from({ length: localStorage?.length ?? 0 }, (_, at) => localStorage?.key(at) ?? '');
    for (const key of keys) {
      const scope = scopeOfDraft(key);
      if (scope !== null && isMeant(scope)) localStorage?.removeItem(key);
    }
  } catch {
    // The page may not use localStorage, so nothing is in it.
  }
}
