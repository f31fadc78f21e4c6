// People who speak to the server without a browser: what a test needs said, but is not about.
import type { Advisor, Client, Organization } from './organizations.ts';
import { PASSWORD } from './organizations.ts';

export interface Cookie {
  readonly name: string;
  readonly value: string;
}

export interface WireReaction {
  readonly emoji: string;
  readonly reactorType: string;
  readonly reactorId: string;
}

export interface WireMessage {
  readonly id: string;
  readonly seq: number;
  readonly content: string;
  readonly senderType: 'advisor' | 'client';
  readonly seenAt: string | null;
  readonly isRead: boolean;
  readonly clientMessageId: string | null;
  readonly reactions: readonly WireReaction[];
}

async function call<T>(url: string, init: RequestInit): Promise<{ body: T; headers: Headers }> {
  const response = await fetch(url, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${new URL(url).pathname}: ${response.status} ${text}`);
  return { body: JSON.parse(text) as T, headers: response.headers };
}

const json = { 'content-type': 'application/json' };

export async function signIn(url: string, email: string, password = PASSWORD): Promise<Cookie> {
  const { headers } = await call(`${url}/api/login`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ email, password }),
  });
  const [pair] = headers.getSetCookie()[0]!.split(';');
  const cut = pair!.indexOf('=');
  return { name: pair!.slice(0, cut), value: pair!.slice(cut + 1) };
}

/** An advisor and a client in one conversation. */
export class Room {
  private constructor(
    readonly url: string,
    readonly organization: Organization,
    readonly client: Client,
    readonly conversationId: string,
    private readonly cookie: Cookie,
    private readonly token: string,
  ) {}

  static async open(url: string, organization: Organization, index = 0): Promise<Room> {
    const client = organization.clients[index]!;
    const cookie = await signIn(url, organization.advisors[0].email);
    const query = new URLSearchParams({ tripId: client.trip.id, shareToken: client.trip.shareToken });
    const { body } = await call<{ chatToken: string; conversationId: string }>(`${url}/api/chat-token?${query}`, {});
    return new Room(url, organization, client, body.conversationId, cookie, body.chatToken);
  }

  get advisor(): Advisor {
    return this.organization.advisors[0];
  }

  get tripPath(): string {
    return `/trip/${this.client.trip.id}?token=${this.client.trip.shareToken}`;
  }

  get threadPath(): string {
    return `/dashboard/messages?id=${this.conversationId}`;
  }

  async advisorSays(content: string): Promise<WireMessage> {
    const { body } = await call<WireMessage>(`${this.base}/messages`, {
      method: 'POST',
      headers: { ...json, ...this.asAdvisor },
      body: JSON.stringify({ content }),
    });
    return body;
  }

  async clientSays(content: string): Promise<WireMessage> {
    const { body } = await call<WireMessage>(`${this.base}/messages/client`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ content, chatToken: this.token }),
    });
    return body;
  }

  async clientReacts(messageId: string, emoji: string): Promise<void> {
    await call(`${this.base}/messages/${messageId}/reactions/client`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ emoji, chatToken: this.token }),
    });
  }

  async advisorReads(): Promise<void> {
    await call(`${this.base}/read`, { method: 'POST', headers: { ...json, ...this.asAdvisor }, body: '{}' });
  }

  async clientReads(): Promise<void> {
    await call(`${this.base}/read/client`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ chatToken: this.token }),
    });
  }

  /** "line 1" to "line N", by the two in turn, all read and seen. */
  async converse(count: number): Promise<void> {
    for (let i = 1; i <= count; ++i) await (i % 2 ? this.clientSays(`line ${i}`) : this.advisorSays(`line ${i}`));
    await this.advisorReads();
    await this.clientReads();
  }

  /** The newest 200 as the server tells them. */
  async messages(): Promise<WireMessage[]> {
    const { body } = await call<WireMessage[]>(`${this.base}/messages?limit=200`, { headers: this.asAdvisor });
    return body;
  }

  async contents(): Promise<string[]> {
    return (await this.messages()).map((message) => message.content);
  }

  async unreadCount(): Promise<number> {
    const { body } = await call<{ count: number }>(`${this.url}/api/messages/unread-count`, { headers: this.asAdvisor });
    return body.count;
  }

  private get base(): string {
    return `${this.url}/api/conversations/${this.conversationId}`;
  }

  private get asAdvisor(): Record<string, string> {
    return { cookie: `${this.cookie.name}=${this.cookie.value}` };
  }
}
