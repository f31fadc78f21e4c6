/**
 * The travelchat engine for Node.
 *
 * @packageDocumentation
 */
export { broadcasts, type Broadcasts } from './broadcast';
export { ChatEngine, Subscription, type SubscribeOptions } from './engine';
export { ChatError, errorTable, type ErrorCode, type ErrorInfo } from './errors';
export {
  memory,
  postgres,
  sqlite,
  type BuiltInStorage,
  type ChatStorage,
  type PostgresOptions,
  type SqliteOptions,
  type StoredChange,
  type StoredConversation,
  type StoredMessage,
  type StoredReaction,
  type Time,
  type TokenClaimsRow,
  type Write,
  type Written,
} from './storage';
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
