// The application's storage: Drizzle on SQLite.
import { mkdirSync } from 'node:fs';
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { and, asc, eq, like } from 'drizzle-orm';
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import session from 'express-session';

import * as schema from '../shared/schema.ts';
import { clients, organizations, profiles, sessions, trips, users, type Client, type Trip } from '../shared/schema.ts';

const tables = `
  CREATE TABLE IF NOT EXISTS organizations (id TEXT PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS profiles (user_id TEXT PRIMARY KEY REFERENCES users (id),
    org_id TEXT NOT NULL REFERENCES organizations (id), full_name TEXT NOT NULL, avatar_url TEXT);
  CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS clients (id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations (id),
    full_name TEXT NOT NULL, email TEXT, avatar_url TEXT);
  CREATE TABLE IF NOT EXISTS trips (id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations (id),
    advisor_id TEXT NOT NULL REFERENCES users (id), client_id TEXT REFERENCES clients (id), title TEXT NOT NULL,
    destination TEXT NOT NULL, starts_on TEXT NOT NULL, ends_on TEXT NOT NULL, summary TEXT NOT NULL,
    share_enabled INTEGER NOT NULL, share_token TEXT NOT NULL);
`;

export class Storage {
  readonly db: BetterSQLite3Database<typeof schema>;
  readonly #file: Database.Database;

  constructor(dataDir: string) {
    mkdirSync(dataDir, { recursive: true });
    this.#file = new Database(join(dataDir, 'app.db'));
    this.#file.pragma('journal_mode = WAL');
    this.#file.exec(tables);
    this.db = drizzle(this.#file, { schema });
  }

  close() {
    this.#file.close();
  }

  // ---- Accounts ----

  getProfile(userId: string) {
    return this.db
      .select({ id: profiles.userId, orgId: profiles.orgId, fullName: profiles.fullName, avatarUrl: profiles.avatarUrl,
        email: users.email, orgName: organizations.name })
      .from(profiles)
      .innerJoin(users, eq(users.id, profiles.userId))
      .innerJoin(organizations, eq(organizations.id, profiles.orgId))
      .where(eq(profiles.userId, userId))
      .get();
  }

  checkPassword(email: string, password: string): string | undefined {
    const user = this.db.select().from(users).where(eq(users.email, email.toLowerCase())).get();
    const [salt = '', hash = ''] = user?.passwordHash.split(':') ?? [];
    const given = scryptSync(password, salt, 32);
    const stored = Buffer.alloc(32);
    stored.write(hash, 'hex');
    return timingSafeEqual(given, stored) ? user?.id : undefined;
  }

  static hashPassword(password: string): string {
    const salt = randomBytes(16).toString('hex');
    return `${salt}:${scryptSync(password, salt, 32).toString('hex')}`;
  }

  // ---- Clients and trips ----

  getClients(orgId: string): Client[] {
    return this.db.select().from(clients).where(eq(clients.orgId, orgId)).orderBy(asc(clients.fullName)).all();
  }

  getClient(clientId: string, orgId: string): Client | undefined {
    return this.db.select().from(clients).where(and(eq(clients.id, clientId), eq(clients.orgId, orgId))).get();
  }

  searchClients(orgId: string, text: string): string[] {
    const pattern = `%${text}%`;
    return this.db.select({ id: clients.id }).from(clients)
      .where(and(eq(clients.orgId, orgId), like(clients.fullName, pattern))).all().map(({ id }) => id);
  }

  getTrips(where: { orgId?: string; clientId?: string }): Trip[] {
    return this.db.select().from(trips).where(and(
      where.orgId === undefined ? undefined : eq(trips.orgId, where.orgId),
      where.clientId === undefined ? undefined : eq(trips.clientId, where.clientId),
    )).all();
  }

  getTripFullView(tripId: string) {
    const trip = this.db.select().from(trips).where(eq(trips.id, tripId)).get();
    if (trip === undefined) return undefined;
    return {
      trip,
      client: trip.clientId === null ? null : (this.getClient(trip.clientId, trip.orgId) ?? null),
      advisor: this.getProfile(trip.advisorId) ?? null,
    };
  }
}

/** Sessions in the application's database, so that they outlive a restart. */
export class SessionStore extends session.Store {
  constructor(readonly storage: Storage) {
    super();
  }

  override get(sid: string, done: (error: unknown, data?: session.SessionData | null) => void) {
    const row = this.storage.db.select().from(sessions).where(eq(sessions.sid, sid)).get();
    done(null, row !== undefined && row.expiresAt > Date.now() ? JSON.parse(row.data) : null);
  }

  override set(sid: string, data: session.SessionData, done?: (error?: unknown) => void) {
    const row = { sid, data: JSON.stringify(data), expiresAt: Date.now() + (data.cookie.originalMaxAge ?? 0) };
    this.storage.db.insert(sessions).values(row).onConflictDoUpdate({ target: sessions.sid, set: row }).run();
    done?.();
  }

  override destroy(sid: string, done?: (error?: unknown) => void) {
    this.storage.db.delete(sessions).where(eq(sessions.sid, sid)).run();
    done?.();
  }
}
