// What the application asks of its database.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

import { and, asc, eq, gt, inArray } from 'drizzle-orm';
import session from 'express-session';

import type { Client, Trip } from '../shared/schema.ts';
import type { Database } from './database.ts';

const derive = promisify(scrypt) as (password: string, salt: string, length: number) => Promise<Buffer>;

const first = <Row>(rows: Row[]): Row | undefined => rows[0];

export class Storage {
  constructor(readonly database: Database) {}

  // ---- Accounts ----

  async getProfile(userId: string) {
    const { db, tables: { organizations, profiles, users } } = this.database;
    return first(await db
      .select({ id: profiles.userId, orgId: profiles.orgId, fullName: profiles.fullName, avatarUrl: profiles.avatarUrl,
        email: users.email, orgName: organizations.name })
      .from(profiles)
      .innerJoin(users, eq(users.id, profiles.userId))
      .innerJoin(organizations, eq(organizations.id, profiles.orgId))
      .where(eq(profiles.userId, userId)));
  }

  async checkPassword(email: string, password: string): Promise<string | undefined> {
    const { db, tables: { users } } = this.database;
    const user = first(await db.select().from(users).where(eq(users.email, email.toLowerCase())));
    const [salt = '', hash = ''] = user?.passwordHash.split(':') ?? [];
    const given = await derive(password, salt, 32);
    const stored = Buffer.alloc(32);
    stored.write(hash, 'hex');
    return timingSafeEqual(given, stored) ? user?.id : undefined;
  }

  static async hashPassword(password: string): Promise<string> {
    const salt = randomBytes(16).toString('hex');
    return `${salt}:${(await derive(password, salt, 32)).toString('hex')}`;
  }

  // ---- Clients and trips ----

  getClients(orgId: string): Promise<Client[]> {
    const { db, tables: { clients } } = this.database;
    return db.select().from(clients).where(eq(clients.orgId, orgId)).orderBy(asc(clients.fullName));
  }

  async getClient(clientId: string, orgId: string): Promise<Client | undefined> {
    const { db, tables: { clients } } = this.database;
    return first(await db.select().from(clients).where(and(eq(clients.id, clientId), eq(clients.orgId, orgId))));
  }

  async searchClients(orgId: string, text: string, fold: (text: string) => string): Promise<string[]> {
    const { db, tables: { clients } } = this.database;
    // Not by the database: what it takes for the same letter depends on which one it is, and on its locale.
    const wanted = fold(text);
    const rows = await db.select({ id: clients.id, fullName: clients.fullName }).from(clients).where(eq(clients.orgId, orgId));
    return rows.filter(({ fullName }) => fold(fullName).includes(wanted)).map(({ id }) => id);
  }

  getTrips(where: { orgId: string } | { clientId: string }): Promise<Trip[]> {
    const { db, tables: { trips } } = this.database;
    return db.select().from(trips).where('orgId' in where ? eq(trips.orgId, where.orgId) : eq(trips.clientId, where.clientId));
  }

  async getActiveTrip(clientId: string) {
    const trip = (await this.getTrips({ clientId })).find(({ shareEnabled }) => shareEnabled);
    return trip === undefined ? null : { id: trip.id, title: trip.title };
  }

  async getTripFullView(tripId: string) {
    const { db, tables: { trips } } = this.database;
    const trip = first(await db.select().from(trips).where(eq(trips.id, tripId)));
    if (trip === undefined) return undefined;
    const [client, advisor] = await Promise.all([
      trip.clientId === null ? undefined : this.getClient(trip.clientId, trip.orgId),
      this.getProfile(trip.advisorId),
    ]);
    return { trip, client: client ?? null, advisor: advisor ?? null };
  }
}

/** Sessions in the application's database, so that they outlive a restart. */
export class SessionStore extends session.Store {
  constructor(readonly database: Database) {
    super();
  }

  override get(sid: string, done: (error: unknown, data?: session.SessionData | null) => void) {
    const { db, tables: { sessions } } = this.database;
    db.select().from(sessions).where(eq(sessions.sid, sid))
      .then(([row]) => (row !== undefined && row.expiresAt > new Date() ? JSON.parse(row.data) : null))
      .then((data) => done(null, data), done);
  }

  override set(sid: string, data: session.SessionData, done?: (error?: unknown) => void) {
    const { db, tables: { sessions } } = this.database;
    const row = { sid, data: JSON.stringify(data), expiresAt: new Date(Date.now() + (data.cookie.originalMaxAge ?? 0)) };
    db.insert(sessions).values(row).onConflictDoUpdate({ target: sessions.sid, set: row }).then(() => done?.(), done);
  }

  override destroy(sid: string, done?: (error?: unknown) => void) {
    const { db, tables: { sessions } } = this.database;
    db.delete(sessions).where(eq(sessions.sid, sid)).then(() => {
      this.emit('ended', sid);
      done?.();
    }, done);
  }

  /** Those of `sids` that have not ended. */
  async findLive(sids: string[]): Promise<string[]> {
    const { db, tables: { sessions } } = this.database;
    const rows = await db.select({ sid: sessions.sid }).from(sessions)
      .where(and(inArray(sessions.sid, sids), gt(sessions.expiresAt, new Date())));
    return rows.map(({ sid }) => sid);
  }
}
