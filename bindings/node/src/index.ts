/**
 * The travelchat engine for Node.
 *
 * @packageDocumentation
 */
export { broadcasts, type Broadcasts } from './broadcast';
export { ChatEngine, Subscription, type InboxSubscribeOptions, type SubscribeOptions } from './engine';
export { ChatError, errorTable, type ErrorCode, type ErrorInfo } from './errors';
export {
  memory,
  postgres,
  sqlite,
  type BuiltInStorage,
  type ChatStorage,
  type ConversationRow,
  type Effects,
  type Facts,
  type MemberKey,
  type MemberRow,
  type PostgresOptions,
  type PruneChanges,
  type Pruned,
  type Questions,
  type SqliteOptions,
  type StoredChange,
  type StoredConversation,
  type StoredMessage,
  type StoredReaction,
  type Time,
  type TokenClaimsRow,
  type TokenRemoval,
  type TokenRow,
} from './storage';
export { foldText } from './text';
export type * from './types';
export { expressHost, type ExpressHost } from './express_host';
export type {
  Advisor,
  ChatHost,
  ClientCard,
  Credentials,
  Middleware,
  PushNotification,
  RateLimit,
  ServerOptions,
  SharedTrip,
} from './host';
export { attachChat, chatRoutes } from './http';
export { setupWebSocket, type WebSocketOptions } from './websocket';
