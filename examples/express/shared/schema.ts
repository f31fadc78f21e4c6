// The application's tables in PostgreSQL, but for those of the chat: these are in before/schema.ts and after/schema.ts.
import { sql } from 'drizzle-orm';
import { boolean, pgTable, text, timestamp, varchar } from 'drizzle-orm/pg-core';

const id = () => varchar('id').primaryKey().default(sql`gen_random_uuid()`);

export const organizations = pgTable('organizations', { id: id(), name: text('name').notNull() });

export const users = pgTable('users', {
  id: id(),
  email: varchar('email').notNull().unique(),
  passwordHash: text('password_hash').notNull(),
});

export const profiles = pgTable('profiles', {
  userId: varchar('user_id').primaryKey().references(() => users.id),
  orgId: varchar('org_id').notNull().references(() => organizations.id),
  fullName: text('full_name').notNull(),
  avatarUrl: text('avatar_url'),
});

export const sessions = pgTable('sessions', {
  sid: varchar('sid').primaryKey(),
  data: text('data').notNull(),
  expiresAt: timestamp('expires_at').notNull(),
});

export const clients = pgTable('clients', {
  id: id(),
  orgId: varchar('org_id').notNull().references(() => organizations.id),
  fullName: text('full_name').notNull(),
  email: text('email'),
  avatarUrl: text('avatar_url'),
});

export const trips = pgTable('trips', {
  id: id(),
  orgId: varchar('org_id').notNull().references(() => organizations.id),
  advisorId: varchar('advisor_id').notNull().references(() => users.id),
  clientId: varchar('client_id').references(() => clients.id),
  title: text('title').notNull(),
  destination: text('destination').notNull(),
  startsOn: text('starts_on').notNull(),
  endsOn: text('ends_on').notNull(),
  summary: text('summary').notNull(),
  shareEnabled: boolean('share_enabled').notNull(),
  shareToken: text('share_token').notNull(),
});

export type Profile = typeof profiles.$inferSelect;
export type Client = typeof clients.$inferSelect;
export type Trip = typeof trips.$inferSelect;
