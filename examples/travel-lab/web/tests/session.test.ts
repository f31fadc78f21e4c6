// What a browser keeps of the person before, when the session becomes another one in whatever way.
import type { QueryClient } from '@tanstack/react-query';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Account } from '../src/api';
import { createQueryClient, enterSession, expireSession, leaveSession, sessionQuery } from '../src/session';

const { forgetUnsent, turnOffPush } = vi.hoisted(() => ({
  forgetUnsent: vi.fn((_: object) => Promise.resolve()),
  turnOffPush: vi.fn(() => Promise.reject(new Error('the browser refuses'))),
}));
vi.mock('travelchat-web', () => ({ forgetUnsent }));
vi.mock('../src/push', () => ({ turnOffPush }));

const account = (id: string): Account => ({ id, orgId: 'org', orgName: 'Org', email: id, fullName: id, avatarUrl: '' });

let queries: QueryClient;
const forgotten = (...calls: object[]) =>
  vi.waitFor(() => expect(forgetUnsent.mock.calls).toEqual(calls.map((call) => [call])));
const clients = () => queries.getQueryData(['clients']);

beforeEach(async () => {
  vi.clearAllMocks();
  queries = createQueryClient();
  enterSession(queries, account('ann'));
  await forgotten({ type: 'advisor', except: 'ann' });
  queries.setQueryData(['clients'], ["Ann's clients"]);
  vi.clearAllMocks();
});

describe('a shared computer', () => {
  test('keeps nothing of who signs out: no lists, no notifications, nothing unsent', async () => {
    leaveSession(queries);
    expect(clients()).toBeUndefined();
    expect(turnOffPush).toHaveBeenCalledTimes(1);
    await forgotten({ type: 'advisor' });
  });

  test('keeps nothing either where the sockets end before the sign-out is answered', async () => {
    expireSession(queries);
    leaveSession(queries);
    expect(turnOffPush).toHaveBeenCalledTimes(1);
    await forgotten({ type: 'advisor' });
  });

  test('shows no notifications once the session has run out; what was written waits for the same person', async () => {
    expireSession(queries);
    expect(clients()).toBeUndefined();
    expect(turnOffPush).toHaveBeenCalledTimes(1);
    enterSession(queries, account('ann'));
    // Nothing before that.
    await forgotten({ type: 'advisor', except: 'ann' });
  });

  test('shows none either where the session had run out before the page was opened', async () => {
    queries = createQueryClient();
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('{"code":"unauthenticated"}', { status: 401 })));
    await queries.fetchQuery(sessionQuery);
    vi.unstubAllGlobals();
    expect(turnOffPush).toHaveBeenCalledTimes(1);
  });

  test("has nobody's lists for who signs in in another tab", async () => {
    // As `useOtherTabs` has it: the session is asked for again, and is Ben's.
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify(account('ben')))));
    await queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
    await queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
    vi.unstubAllGlobals();
    expect(queries.getQueryData(sessionQuery.queryKey)?.account?.id).toBe('ben');
    expect(clients()).toBeUndefined();
    await forgotten({ type: 'advisor', except: 'ben' });
    expect(turnOffPush).not.toHaveBeenCalled();
  });

  test('loads nothing anew while the same person stays', () => {
    enterSession(queries, { ...account('ann'), fullName: 'Ann B.' });
    expect(clients()).toEqual(["Ann's clients"]);
    expect(turnOffPush).not.toHaveBeenCalled();
    expect(forgetUnsent).not.toHaveBeenCalled();
  });
});
