import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChatError, fetchChatGrant } from '../../src/core';
import { Api } from '../../src/core/api';
import type { TokenCredential } from '../../src/core';
import { Clock, answer, fakeEnvironment, refusal, seeded, settle } from './world';

interface Call {
  readonly url: string;
  readonly init: RequestInit;
}

function make(
  reply: (call: Call) => Response | Promise<Response>,
  credential: ConstructorParameters<typeof Api>[2] = { kind: 'session' },
  baseUrl = '',
): { api: Api; calls: Call[]; clock: Clock } {
  const clock = new Clock();
  const calls: Call[] = [];
  const env = fakeEnvironment(clock, seeded(1), {
    fetch: async (url, init) => {
      const call = { url: url as string, init: init ?? {} };
      calls.push(call);
      return reply(call);
    },
  });
  return { api: new Api(env, baseUrl, credential), calls, clock };
}

const token = (renew: TokenCredential['renew'] = () => Promise.resolve('new')): TokenCredential => ({
  kind: 'chatToken',
  token: 'old',
  renew,
});

const body = ({ init }: Call): unknown => (init.body === undefined ? undefined : JSON.parse(init.body as string));
const authorization = ({ init }: Call): string | undefined => (init.headers as Record<string, string>).Authorization;

describe('requests', () => {
  it("of a session carry the cookie and no token, to the advisors' routes", async () => {
    const { api, calls } = make(() => answer(200, [1], { 'x-has-more': 'true', 'x-epoch': 'e1' }));
    expect(await api.request('GET', '/api/x')).toEqual({ data: [1], hasMore: true, epoch: 'e1' });
    await api.request('POST', '/api/x', { a: 1 });
    expect(calls.map(({ url }) => url)).toEqual(['/api/x', '/api/x']);
    expect(calls.map(({ init }) => init.credentials)).toEqual(['same-origin', 'same-origin']);
    expect(calls.map(authorization)).toEqual([undefined, undefined]);
    expect(calls.map(body)).toEqual([undefined, { a: 1 }]);
    expect(calls[1]!.init.headers).toEqual({ 'Content-Type': 'application/json' });
  });

  it("of a token read with a header and write with the body, to the clients' routes, without cookies", async () => {
    const { api, calls } = make(() => answer(200, []), token(), 'https://chat.example');
    await api.request('GET', '/api/x');
    await api.request('POST', '/api/x', { a: 1 });
    await api.request('DELETE', '/api/x');
    expect(calls.map(({ url }) => url)).toEqual([
      'https://chat.example/api/x',
      'https://chat.example/api/x/client',
      'https://chat.example/api/x/client',
    ]);
    expect(calls.map(authorization)).toEqual(['Bearer old', undefined, undefined]);
    expect(calls.map(body)).toEqual([undefined, { a: 1, chatToken: 'old' }, { chatToken: 'old' }]);
    expect(calls.every(({ init }) => init.credentials === 'same-origin')).toBe(true);
  });

  it('of a session on another origin ask for its cookie', async () => {
    const { api, calls } = make(() => answer(200, []), { kind: 'session' }, 'https://chat.example');
    await api.request('GET', '/api/x');
    expect(calls[0]!.init.credentials).toBe('include');
  });
});

describe('a refusal', () => {
  it('has the code, the status and the words of the server', async () => {
    const { api } = make(() => answer(409, { code: 'idempotency_conflict', message: 'Another text.' }));
    const error = await api.request('POST', '/api/x').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ChatError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      code: 'idempotency_conflict',
      status: 409,
      message: 'Another text.',
      name: 'ChatError',
    });
  });

  it.each([
    ['7', 7000],
    [' 7 ', 7000],
    // The clock says 2026-11-23T10:00:00Z.
    ['Mon, 23 Nov 2026 10:00:30 GMT', 30_000],
    // More than five minutes (days, or a point in time in place of seconds) counts as five minutes.
    ['2592000', 300_000],
    ['1795950000', 300_000],
    ['9'.repeat(400), 300_000],
    ['Fri, 01 Jan 2100 00:00:00 GMT', 300_000],
    // These count as no header.
    ['0', null],
    ['', null],
    ['-5', null],
    ['1e9', null],
    ['0x10', null],
    ['1.5', null],
    ['Infinity', null],
    ['soon', null],
    ['Wed, 21 Oct 2026 07:28:00 GMT', null],
    ['Someday GMT', null],
  ])('says when to come again: %j', async (header, retryAfter) => {
    const { api } = make(() => refusal(429, 'rate_limited', { 'retry-after': header }));
    await expect(api.request('POST', '/api/x')).rejects.toMatchObject({ code: 'rate_limited', retryAfter });
    const gateway = make(() => new Response('busy', { status: 503, headers: { 'retry-after': header } }));
    await expect(gateway.api.request('GET', '/api/x')).rejects.toMatchObject({ code: 'network', retryAfter });
  });
});

describe('no answer is a failure of the network', () => {
  const network = { code: 'network', status: 0 };

  it('when the request fails', async () => {
    const { api } = make(() => Promise.reject(new TypeError('Failed to fetch')));
    await expect(api.request('GET', '/api/x')).rejects.toMatchObject(network);
  });

  const statuses = [200, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504, 521];
  const pages = ['<html>Sign in to the hotel</html>', '404 page not found\n', ''];
  const others = ['{"message":"no Route matched"}', '{"code":404,"message":"x"}', '{"code":"NoRoute"}', 'null', '"x"'];
  describe.each(statuses)('when somebody between answers %i', (status) => {
    it.each(status === 200 ? pages : [...pages, ...others])('%s', async (page) => {
      const onExpired = vi.fn();
      const session = make(() => new Response(page, { status }), { kind: 'session', onExpired });
      await expect(session.api.request('GET', '/api/x')).rejects.toMatchObject(network);
      await settle();
      expect(onExpired).not.toHaveBeenCalled();
      const renew = vi.fn(() => Promise.resolve('new'));
      const client = make(() => new Response(page, { status }), token(renew));
      await expect(client.api.request('POST', '/api/x')).rejects.toMatchObject(network);
      expect(renew).not.toHaveBeenCalled();
    });
  });

  it('when nothing comes for 20 s', async () => {
    const { api, clock } = make(
      ({ init }) => new Promise((_, fail) => init.signal!.addEventListener('abort', () => fail(new Error('aborted')))),
    );
    let error: unknown = null;
    void api.request('GET', '/api/x').catch((e: unknown) => (error = e));
    await clock.advance(19_999);
    expect(error).toBeNull();
    await clock.advance(1);
    expect(error).toMatchObject(network);
  });

  it('and leaves no timer behind when it came', async () => {
    const { api, clock } = make(() => answer(200, {}));
    await api.request('GET', '/api/x');
    expect(clock.pending).toBe(0);
  });
});

describe('a chat token that is refused', () => {
  const old = (call: Call): boolean =>
    authorization(call) === 'Bearer old' || (body(call) as { chatToken?: string } | undefined)?.chatToken === 'old';

  it('is renewed once for all requests, and each is repeated with the new one', async () => {
    const renew = vi.fn(async () => {
      await settle();
      return 'new';
    });
    const { api, calls } = make(
      (call) => (old(call) ? refusal(401, 'unauthenticated') : answer(200, 'ok')),
      token(renew),
    );
    const [a, b, c] = await Promise.all([
      api.request('GET', '/api/a'),
      api.request('POST', '/api/b', { x: 1 }),
      api.request('DELETE', '/api/c'),
    ]);
    expect([a.data, b.data, c.data]).toEqual(['ok', 'ok', 'ok']);
    expect(renew).toHaveBeenCalledTimes(1);
    expect(calls).toHaveLength(6);
    expect(api.token).toBe('new');
    await api.renew('old');
    expect(renew).toHaveBeenCalledTimes(1);
  });

  it('and whose successor is refused too is a refusal', async () => {
    const renew = vi.fn(() => Promise.resolve('new'));
    const { api, calls } = make(() => refusal(401, 'unauthenticated'), token(renew));
    await expect(api.request('GET', '/api/x')).rejects.toMatchObject({ status: 401 });
    expect(renew).toHaveBeenCalledTimes(1);
    expect(calls).toHaveLength(2);
  });

  it('and cannot be renewed fails with the reason of that, and is renewed by the next request', async () => {
    const renew = vi.fn(() => Promise.reject(new ChatError('sharing_disabled', 403, 'No.')));
    const { api } = make(() => refusal(401, 'unauthenticated'), token(renew));
    await expect(api.request('GET', '/api/x')).rejects.toMatchObject({ code: 'sharing_disabled' });
    await expect(api.request('GET', '/api/x')).rejects.toMatchObject({ code: 'sharing_disabled' });
    expect(renew).toHaveBeenCalledTimes(2);
  });
});

describe('a session that is over', () => {
  it('is told once, until it works again', async () => {
    const onExpired = vi.fn();
    let isOver = true;
    const { api } = make(() => (isOver ? refusal(401, 'unauthenticated') : answer(200, {})), {
      kind: 'session',
      onExpired,
    });
    for (let i = 0; i < 3; i += 1) await expect(api.request('GET', '/api/x')).rejects.toMatchObject({ status: 401 });
    expect(onExpired).toHaveBeenCalledTimes(1);
    isOver = false;
    await api.request('GET', '/api/x');
    isOver = true;
    await expect(api.request('GET', '/api/x')).rejects.toMatchObject({ status: 401 });
    expect(onExpired).toHaveBeenCalledTimes(2);
  });
});

describe('a share link', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is exchanged for a grant, and a refusal is a ChatError', async () => {
    const calls: unknown[][] = [];
    vi.stubGlobal('fetch', async (url: string, { method, headers, body, credentials }: RequestInit) => {
      const given = JSON.parse(body as string) as Record<string, string>;
      calls.push([method, url, headers, given, credentials]);
      return given.shareToken === 'bad'
        ? refusal(403, 'sharing_disabled')
        : answer(200, { chatToken: 't', conversationId: 'c' });
    });
    const grant = await fetchChatGrant({ baseUrl: 'https://chat.example', tripId: 'a b', shareToken: 'x&y' });
    expect(grant.chatToken).toBe('t');
    // The secret is in no address, which would be logged on its way.
    expect(calls).toEqual([
      [
        'POST',
        'https://chat.example/api/chat-token',
        { 'Content-Type': 'application/json' },
        { tripId: 'a b', shareToken: 'x&y' },
        'same-origin',
      ],
    ]);
    await expect(fetchChatGrant({ tripId: 'a', shareToken: 'bad' })).rejects.toMatchObject({
      code: 'sharing_disabled',
      status: 403,
    });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('404 page not found', { status: 404 })));
    await expect(fetchChatGrant({ tripId: 'a', shareToken: 'b' })).rejects.toMatchObject({ code: 'network', status: 0 });
  });
});
