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
export {
  chatRoutes,
  expressHost,
  setupWebSocket,
  type Advisor,
  type ChatHost,
  type ClientCard,
  type Credentials,
  type ExpressHost,
  type Middleware,
  type PushNotification,
  type RateLimit,
  type ServerOptions,
  type SharedTrip,
  type WebSocketOptions,
} from './server';
