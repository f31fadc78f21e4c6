// How a client proves to the server who it is.

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
