// What counts as an answer of the server.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { api } from '../src/api';
import { createQueryClient, sessionQuery } from '../src/session';

vi.mock('travelchat-web', () => ({ forgetUnsent: () => Promise.resolve() }));
vi.mock('../src/push', () => ({ turnOffPush: () => Promise.resolve() }));

const answer = (status: number, body: string) =>
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status })));

afterEach(() => vi.unstubAllGlobals());

describe('signing in', () => {
  test('that the server refuses says why', async () => {
    answer(401, '{"code":"unauthenticated","message":"The email or the password is wrong."}');
    await expect(api.signIn('a', 'b')).rejects.toMatchObject({
      status: 401,
      code: 'unauthenticated',
      message: 'The email or the password is wrong.',
    });
  });

  test.each([
    [200, '<html>Sign in to the hotel</html>'],
    [401, '<html>Proxy authentication</html>'],
    [401, '{"message":"Unauthorized"}'],
    [403, '{"message":"Forbidden","code":403}'],
    [404, '404 page not found'],
    [502, ''],
    [521, 'null'],
  ])('that somebody between answers (%i %s) was not answered', async (status, body) => {
    answer(status, body);
    await expect(api.signIn('a', 'b')).rejects.toMatchObject({ status: 0, code: 'network' });
  });
});

describe('the session', () => {
  test('does not end because a proxy says 401, and is asked for again', async () => {
    answer(401, 'Unauthorized');
    await expect(createQueryClient().fetchQuery({ ...sessionQuery, retry: false })).rejects.toMatchObject({ status: 0 });
    answer(401, '{"code":"unauthenticated","message":"Sign in."}');
    await expect(createQueryClient().fetchQuery(sessionQuery)).resolves.toEqual({ account: null, why: 'absent' });
  });
});
