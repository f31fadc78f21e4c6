// The application's tables.
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

const id = () => text('id').primaryKey().$defaultFn(() => crypto.randomUUID());

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
  expiresAt: integer('expires_at').notNull(),
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

export type Profile = typeof profiles.$inferSelect;
export type Client = typeof clients.$inferSelect;
export type Trip = typeof trips.$inferSelect;
