// Who is signed in. One query holds it; signing in and out, and every 401, write it, and the pages follow.
import { QueryCache, QueryClient, queryOptions, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api, ApiError, type Account } from './api';

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

function setSession(queries: QueryClient, session: Session) {
  if (session.account === null) queries.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionKey[0] });
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
        // A refusal stays one; only what may pass by itself is tried again.
        retry: (failures, failure) => failures < 2 && !(statusOf(failure) >= 400 && statusOf(failure) < 500),
        // A try that fails says more than one that waits for navigator.onLine, which is often wrong.
        networkMode: 'always',
        staleTime: 30_000,
      },
      mutations: { networkMode: 'always' },
    },
  });
  return queries;
}
