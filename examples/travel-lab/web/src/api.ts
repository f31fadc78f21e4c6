// The host's own routes: who is signed in, clients, trips. The chat's routes are travelchat-web's.

export interface Account {
  readonly id: string;
  readonly orgId: string;
  readonly orgName: string;
  readonly email: string;
  readonly fullName: string;
  readonly avatarUrl: string;
}

export interface ClientRow {
  readonly id: string;
  readonly fullName: string;
  readonly email: string | null;
  readonly avatarUrl: string;
  readonly activeTrip: { readonly id: string; readonly title: string } | null;
}

export interface Trip {
  readonly id: string;
  readonly clientId: string | null;
  readonly title: string;
  readonly destination: string;
  /** YYYY-MM-DD, as the next. */
  readonly startsOn: string;
  readonly endsOn: string;
  readonly summary: string;
}

export interface SharedTrip extends Trip {
  readonly shareEnabled: boolean;
  readonly shareToken: string;
}

export interface ClientDetail extends ClientRow {
  /** Newest first. */
  readonly trips: readonly SharedTrip[];
}

export interface TripView {
  readonly trip: Trip;
  readonly advisor: { readonly fullName: string; readonly avatarUrl: string } | null;
  readonly client: { readonly fullName: string } | null;
}

export interface Demo {
  readonly advisors: readonly { readonly email: string; readonly password: string; readonly orgId: string }[];
  readonly trips: readonly {
    readonly id: string;
    readonly shareToken: string;
    readonly clientName: string;
    readonly orgId: string;
  }[];
}

/** `code` is the wire's, or `network` with status 0 when no answer of the server came. `message` is for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

/** Throws an ApiError, or what `signal` was aborted with. */
export async function request<Answer>(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  { body, signal }: { body?: unknown; signal?: AbortSignal } = {},
): Promise<Answer> {
  const noAnswer = () => new ApiError(0, 'network', 'The server does not answer. Check the connection and try again.');
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(path, {
      method,
      signal: signal ?? null,
      ...(body !== undefined && {
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    answer = await response.json();
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw noAnswer();
  }
  if (response.ok) return answer as Answer;
  const { code, message } = (answer ?? {}) as { code?: unknown; message?: unknown };
  // What a proxy says in the server's place, while that restarts, refuses nothing.
  if (typeof code !== 'string') throw noAnswer();
  throw new ApiError(
    response.status,
    code,
    typeof message === 'string' ? message : `The server answered ${response.status}.`,
  );
}

const segment = encodeURIComponent;

type Signal = { signal: AbortSignal };

export const api = {
  account: ({ signal }: Signal) => request<Account>('GET', '/api/me', { signal }),
  signIn: (email: string, password: string) => request<Account>('POST', '/api/login', { body: { email, password } }),
  signOut: () => request<{ ok: true }>('POST', '/api/logout'),
  demo: ({ signal }: Signal) => request<Demo>('GET', '/api/demo', { signal }),
  clients: ({ signal }: Signal) => request<readonly ClientRow[]>('GET', '/api/clients', { signal }),
  client: (id: string, { signal }: Signal) => request<ClientDetail>('GET', `/api/clients/${segment(id)}`, { signal }),
  tripView: (id: string, token: string | null, { signal }: Signal) =>
    request<TripView>('GET', `/api/trip-view/${segment(id)}${token === null ? '' : `?token=${segment(token)}`}`, {
      signal,
    }),
};
