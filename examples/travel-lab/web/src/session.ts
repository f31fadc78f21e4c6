// Who is signed in. One query holds it; signing in and out, and every 401, write it, and the pages render by it. What this
// browser keeps is removed with it: the next person at a shared computer finds nothing of the one before.
import { QueryCache, QueryClient, queryOptions, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api, ApiError, type Account } from './api';
import { turnOffPush } from './push';

/** `why` there is nobody: never signed in here, the server no longer accepts the session, or signed out just now. */
export type Session =
  | { readonly account: Account }
  | { readonly account: null; readonly why: 'absent' | 'expired' | 'left' };

const sessionKey = ['session'] as const;

export const sessionQuery = queryOptions({
  queryKey: sessionKey,
  queryFn: async (context): Promise<Session> => {
    try {
      return { account: await api.account(context) };
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 401) return { account: null, why: 'absent' };
      throw failure;
    }
  },
  staleTime: Infinity,
});

// The tabs of a browser share the cookie, so they must agree on who is signed in.
const otherTabs = new BroadcastChannel('travel-lab-session');

/** Removes what every advisor, or all but one, wrote and did not send. The module is loaded when it is needed: the trip
 * page never needs it. */
async function forgetWords(except?: string) {
  const { forgetUnsent } = await import('travelchat-web');
  await forgetUnsent({ type: 'advisor', ...(except !== undefined && { except }) });
}

const isOfSession = (queryKey: readonly unknown[]) => queryKey[0] === sessionKey[0];

/** Cleans up after each change of the session, made here, in another tab, or by the server's refusal. */
function followSession(queries: QueryClient) {
  let before: string | null | undefined;
  let seen: Session | undefined;
  queries.getQueryCache().subscribe(({ type, query }) => {
    if (type !== 'updated' || !isOfSession(query.queryKey)) return;
    const session = query.state.data as Session | undefined;
    if (session === undefined || session === seen) return;
    seen = session;
    // After every sign-out, also where the session counts as over already: the server closes the sockets before it answers
    // the sign-out, which looks as if the session had expired. After an expiry the same person may come back to their words.
    if (session.account === null && session.why === 'left') void forgetWords().catch(() => {});
    const now = session.account?.id ?? null;
    if (now === before) return;
    // With the first answer there is nothing to remove: the page has loaded nothing for anybody else.
    if (before !== undefined) queries.removeQueries({ predicate: ({ queryKey }) => !isOfSession(queryKey) });
    before = now;
    // Neither is awaited: where the browser refuses there is nothing else to be done.
    if (session.account !== null) {
      void forgetWords(session.account.id).catch(() => {});
    } else {
      void turnOffPush().catch(() => {});
    }
  });
}

function setSession(queries: QueryClient, session: Session) {
  queries.setQueryData(sessionKey, session);
}

export function enterSession(queries: QueryClient, account: Account) {
  setSession(queries, { account });
  otherTabs.postMessage('changed');
}

export function leaveSession(queries: QueryClient) {
  setSession(queries, { account: null, why: 'left' });
  otherTabs.postMessage('changed');
}

export function expireSession(queries: QueryClient) {
  if (queries.getQueryData<Session>(sessionKey)?.account) setSession(queries, { account: null, why: 'expired' });
}

/** Asks the server again who is signed in when another tab signed in or out. */
export function useOtherTabs() {
  const queries = useQueryClient();
  useEffect(() => {
    const onChange = () => void queries.invalidateQueries({ queryKey: sessionKey });
    otherTabs.addEventListener('message', onChange);
    return () => otherTabs.removeEventListener('message', onChange);
  }, [queries]);
}

/** 0: no answer came. Both ApiError and the chat's ChatError carry it. */
const statusOf = (failure: Error & { status?: unknown }) => (typeof failure.status === 'number' ? failure.status : 0);

export function createQueryClient(): QueryClient {
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (failure) => {
        if (statusOf(failure) === 401) expireSession(queries);
      },
    }),
    defaultOptions: {
      queries: {
        // A request that was refused would be refused again; other failures may pass.
        retry: (failures, failure) => failures < 2 && !(statusOf(failure) >= 400 && statusOf(failure) < 500),
        // A try that fails says more than one that waits for navigator.onLine, which is often wrong.
        networkMode: 'always',
        // A page that opens while the server restarts goes on by itself when that is back.
        refetchInterval: ({ state }) => (state.error !== null && statusOf(state.error) === 0 ? 5_000 : false),
        staleTime: 30_000,
      },
      mutations: { networkMode: 'always' },
    },
  });
  followSession(queries);
  return queries;
}
