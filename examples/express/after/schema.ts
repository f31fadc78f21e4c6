// The chat's tables.
import { sql } from 'drizzle-orm';
import { type AnyPgColumn, bigint, boolean, foreignKey, index, pgTable, text, timestamp, uniqueIndex, varchar } from 'drizzle-orm/pg-core';

import { clients, organizations } from '../shared/schema.ts';

// What travelchat counts: kept by the database, whoever writes.
const counter = (name: string) => bigint(name, { mode: 'number' });

// PostgreSQL's own names of foreign keys are not Drizzle's.
const reference = (column: AnyPgColumn, to: { id: AnyPgColumn }, name: string) =>
  foreignKey({ columns: [column], foreignColumns: [to.id], name });

export const conversations = pgTable('conversations', {
  id: varchar('id').primaryKey().default(sql`gen_random_uuid()`),
  orgId: varchar('org_id').notNull().references(() => organizations.id),
  clientId: varchar('client_id').notNull().references(() => clients.id, { onDelete: 'cascade' }),
  lastMessageAt: timestamp('last_message_at').defaultNow(),
  createdAt: timestamp('created_at').defaultNow(),
  lastSeq: counter('last_seq').default(0),
  rev: counter('rev').default(0),
  unreadCount: counter('unread_count').default(0),
  unseenCount: counter('unseen_count').default(0),
  readSeq: counter('read_seq').default(0),
  seenSeq: counter('seen_seq').default(0),
}, (table) => [
  uniqueIndex('travelchat_conversations_by_client').on(table.orgId, table.clientId),
]);

export const messages = pgTable('messages', {
  id: varchar('id').primaryKey().default(sql`gen_random_uuid()`),
  conversationId: varchar('conversation_id').notNull().references(() => conversations.id, { onDelete: 'cascade' }),
  orgId: varchar('org_id').notNull().references(() => organizations.id),
  senderType: text('sender_type').notNull(),
  senderId: varchar('sender_id').notNull(),
  senderName: text('sender_name').notNull(),
  content: text('content').notNull(),
  isRead: boolean('is_read').default(false),
  createdAt: timestamp('created_at').defaultNow(),
  seenAt: timestamp('seen_at'),
  attachmentUrl: text('attachment_url'),
  attachmentType: text('attachment_type'),
  attachmentName: text('attachment_name'),
  clientMessageId: varchar('client_message_id'),
  seq: counter('seq'),
  rev: counter('rev'),
  createdRev: counter('created_rev'),
  contentRev: counter('content_rev'),
}, (table) => [
  uniqueIndex('travelchat_messages_by_seq').on(table.conversationId, table.seq),
  uniqueIndex('travelchat_messages_by_client_message_id')
    .on(table.conversationId, table.clientMessageId, table.senderType, table.senderId)
    .where(sql`client_message_id IS NOT NULL`),
]);

export const messageReactions = pgTable('message_reactions', {
  id: varchar('id').primaryKey().default(sql`gen_random_uuid()`),
  messageId: varchar('message_id').notNull(),
  conversationId: varchar('conversation_id').notNull(),
  orgId: varchar('org_id').notNull(),
  reactorType: text('reactor_type').notNull(),
  reactorId: varchar('reactor_id').notNull(),
  reactorName: text('reactor_name').notNull(),
  emoji: text('emoji').notNull(),
  createdAt: timestamp('created_at').defaultNow(),
  rev: counter('rev'),
}, (table) => [
  reference(table.messageId, messages, 'message_reactions_message_id_fkey').onDelete('cascade'),
  reference(table.conversationId, conversations, 'message_reactions_conversation_id_fkey').onDelete('cascade'),
  reference(table.orgId, organizations, 'message_reactions_org_id_fkey'),
  uniqueIndex('travelchat_reactions_by_reactor').on(table.messageId, table.reactorType, table.reactorId),
  index('travelchat_reactions_by_conversation').on(table.conversationId),
]);

export const clientChatTokens = pgTable('client_chat_tokens', {
  id: varchar('id').primaryKey().default(sql`gen_random_uuid()`),
  clientId: varchar('client_id').notNull(),
  orgId: varchar('org_id').notNull(),
  tripId: varchar('trip_id').notNull(),
  // Its SHA-256: nobody who reads the table can use one.
  token: varchar('token').notNull().unique('client_chat_tokens_token_key'),
  expiresAt: timestamp('expires_at').notNull(),
  createdAt: timestamp('created_at').defaultNow(),
  conversationId: varchar('conversation_id'),
}, (table) => [
  reference(table.clientId, clients, 'client_chat_tokens_client_id_fkey').onDelete('cascade'),
  reference(table.orgId, organizations, 'client_chat_tokens_org_id_fkey'),
  reference(table.conversationId, conversations, 'client_chat_tokens_conversation_id_fkey').onDelete('cascade'),
  uniqueIndex('travelchat_tokens_by_token').on(table.token),
  index('travelchat_tokens_by_trip').on(table.conversationId, table.tripId),
  index('travelchat_tokens_by_expiry').on(table.expiresAt),
]);

export type Conversation = typeof conversations.$inferSelect;
export type Message = typeof messages.$inferSelect;
export type MessageReaction = typeof messageReactions.$inferSelect;
export type ClientChatToken = typeof clientChatTokens.$inferSelect;
