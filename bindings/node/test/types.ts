// What the compiler must accept and refuse; `npm run check` reads it.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

import {
  attachChat,
  ChatEngine,
  ChatError,
  chatRoutes,
  memory,
  setupWebSocket,
  type ChatEvent,
  type ChatHost,
  type ChatStorage,
  type ConversationSummary,
  type Message,
} from '../src/index';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(equal: Equal<A, B>) => equal;

export function serving(engine: ChatEngine, host: ChatHost) {
  same<ReturnType<typeof attachChat>, () => void>(true);
  attachChat(createServer(), engine, host, { trustedProxies: ['10.0.0.0/8'], probes: false, rateLimits: false });
  attachChat(createTlsServer(), engine);
  setupWebSocket(createTlsServer(), engine, { host, pingInterval: 1_000 });
  chatRoutes(engine, host, { rateLimits: { messages: { count: 1 } } });
  // @ts-expect-error A host that cannot say who is signed in.
  attachChat(createServer(), engine, { findTrip: () => null, findClients: () => [] });
  // @ts-expect-error An option that there is not.
  chatRoutes(engine, host, { trustProxy: true });
  // @ts-expect-error The host is an option of setupWebSocket's.
  setupWebSocket(createServer(), engine, host);
}

export async function types(engine: ChatEngine, storage: ChatStorage) {
  const conversation = await engine.openConversation('org', 'client');
  const sent = await engine.send({ orgId: 'org', role: 'client', id: 'c' }, { conversationId: conversation.id, content: '' });
  same<typeof sent.message, Message>(true);
  for await (const event of engine.subscribe(conversation.id, { since: 0 })) {
    same<typeof event, ChatEvent>(true);
    if (event.type === 'new_message') same<typeof event.message, Message>(true);
    // @ts-expect-error Only some events have a message.
    event.message;
  }
  for await (const event of engine.subscribeInbox('org')) {
    same<typeof event.type, 'conversation_update' | 'resync'>(true);
    if (event.type === 'conversation_update') same<typeof event.conversation, ConversationSummary>(true);
  }
  same<Awaited<ReturnType<typeof engine.countUnread>>, number>(true);

  new ChatEngine(storage);
  new ChatEngine(memory(), { shards: 2 });
  // @ts-expect-error An option that there is not.
  new ChatEngine(memory(), { shard: 2 });
  // @ts-expect-error A role that there is not.
  void engine.mark({ orgId: 'org', role: 'admin', id: 'a' }, conversation.id);
  // @ts-expect-error An emoji that is none of the six.
  void engine.react({ orgId: 'org', role: 'client', id: 'c' }, { conversationId: '', messageId: '' }, '🎉');
  // @ts-expect-error A draft without content.
  void engine.send({ orgId: 'org', role: 'client', id: 'c' }, { conversationId: conversation.id });
  // @ts-expect-error A code that there is not.
  new ChatError('nonsense');
}
