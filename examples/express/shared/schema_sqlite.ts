// The same tables in SQLite, to try the application without a PostgreSQL.
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

const id = () => text('id').primaryKey().$defaultFn(() => crypto.randomUUID());
const now = () => integer('created_at', { mode: 'timestamp_ms' }).$defaultFn(() => new Date());

export const organizations = sqliteTable('organizations', { id: id(), name: text('name').notNull() });

export const users = sqliteTable('users', {
  id: id(),
  email: text('email').notNull().unique(),
  passwordHash: text('password_hash').notNull(),
});

export const profiles = sqliteTable('profiles', {
  userId: text('user_id').primaryKey().references(() => users.id),
  orgId: text('org_id').notNull().references(() => organizations.id),
  fullName: text('full_name').notNull(),
  avatarUrl: text('avatar_url'),
});

export const sessions = sqliteTable('sessions', {
  sid: text('sid').primaryKey(),
  data: text('data').notNull(),
  expiresAt: integer('expires_at', { mode: 'timestamp_ms' }).notNull(),
});

export const clients = sqliteTable('clients', {
  id: id(),
  orgId: text('org_id').notNull().references(() => organizations.id),
  fullName: text('full_name').notNull(),
  email: text('email'),
  avatarUrl: text('avatar_url'),
});

export const trips = sqliteTable('trips', {
  id: id(),
  orgId: text('org_id').notNull().references(() => organizations.id),
  advisorId: text('advisor_id').notNull().references(() => users.id),
  clientId: text('client_id').references(() => clients.id),
  title: text('title').notNull(),
  destination: text('destination').notNull(),
  startsOn: text('starts_on').notNull(),
  endsOn: text('ends_on').notNull(),
  summary: text('summary').notNull(),
  shareEnabled: integer('share_enabled', { mode: 'boolean' }).notNull(),
  shareToken: text('share_token').notNull(),
});

// Used by before/ only: with travelchat on SQLite, the chat has a file of its own.
export const conversations = sqliteTable('conversations', {
  id: id(),
  orgId: text('org_id').notNull().references(() => organizations.id),
  clientId: text('client_id').notNull().references(() => clients.id, { onDelete: 'cascade' }),
  lastMessageAt: integer('last_message_at', { mode: 'timestamp_ms' }).$defaultFn(() => new Date()),
  createdAt: now(),
});

export const messages = sqliteTable('messages', {
  id: id(),
  conversationId: text('conversation_id').notNull().references(() => conversations.id, { onDelete: 'cascade' }),
  orgId: text('org_id').notNull().references(() => organizations.id),
  senderType: text('sender_type').notNull(),
  senderId: text('sender_id').notNull(),
  senderName: text('sender_name').notNull(),
  content: text('content').notNull(),
  isRead: integer('is_read', { mode: 'boolean' }).default(false),
  createdAt: now(),
});
