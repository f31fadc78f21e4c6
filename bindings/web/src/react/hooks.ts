// React on the core's stores.
import { useCallback, useEffect, useMemo, useSyncExternalStore } from 'react';
import type { ChatClient } from '../core/index';
import type { Inbox, Store, Thread } from '../core/model';

/** The store's snapshot; renders again after each change. */
export function useStore<Snapshot>(store: Store<Snapshot>): Snapshot {
  const subscribe = useCallback((onChange: () => void) => store.subscribe(onChange), [store]);
  const snapshot = useCallback(() => store.snapshot(), [store]);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** A conversation's thread, open while the component is mounted. */
export function useThread(client: ChatClient, conversationId: string): Thread {
  const thread = useMemo(() => client.thread(conversationId), [client, conversationId]);
  useEffect(() => {
    thread.open();
    return () => thread.close();
  }, [thread]);
  return thread;
}

/** The advisor's list, open while the component is mounted. */
export function useInbox(client: ChatClient): Inbox {
  const inbox = useMemo(() => client.inbox(), [client]);
  useEffect(() => {
    inbox.open();
    return () => inbox.close();
  }, [inbox]);
  return inbox;
}
