// Invented agencies, clients and trips to try the chat with, and what they have said so far.
import { randomBytes, randomUUID } from 'node:crypto';

import { eq, inArray, sql } from 'drizzle-orm';
import type { Express } from 'express';

import type { Profile } from '../shared/schema.ts';
import type { Database } from './database.ts';
import { Storage } from './storage.ts';

const password = 'demo-travel';
const agencies = [
  { name: 'Meridian Travel', advisors: [['Maya Okafor', 'maya@meridian.example'], ['Daniel Reyes', 'daniel@meridian.example']] },
  { name: 'Blue Atlas Journeys', advisors: [['Sophie Lindqvist', 'sophie@blueatlas.example'], ['Tom Becker', 'tom@blueatlas.example']] },
] as const;
const places = ['Lisbon', 'Kyoto', 'Marrakesh', 'Reykjavík', 'Oaxaca', 'Hanoi'];
const first = ['Ana', 'Ben', 'Chiara', 'Dmitri', 'Elif', 'Farah', 'Goran', 'Hana', 'Ivo', 'Jun'];
const last = ['Almeida', 'Brandt', 'Conti', 'Dahl', 'Evans'];

export interface DemoConversation {
  orgId: string;
  clientId: string;
  clientName: string;
  advisorId: string;
  advisorName: string;
  lines: string[];
}

/** Fills an empty database; what is to be said in the conversations is the caller's to store. */
export async function loadDemo({ db, tables }: Database, count: number): Promise<DemoConversation[]> {
  const { clients, organizations, profiles, trips, users } = tables;
  if ((await db.select().from(organizations).limit(1)).length > 0) return [];
  const passwordHash = await Storage.hashPassword(password);
  const staff: Profile[][] = [];
  for (const { name, advisors } of agencies) {
    const [org] = await db.insert(organizations).values({ name }).returning();
    const accounts = await db.insert(users).values(advisors.map(([, email]) => ({ email, passwordHash }))).returning();
    staff.push(await db.insert(profiles).values(accounts.map(({ id }, i) =>
      ({ userId: id, orgId: org?.id as string, fullName: advisors[i]?.[0] as string }))).returning());
  }
  const spoken: DemoConversation[] = [];
  const shared: (typeof trips.$inferInsert)[] = [];
  for (let i = 0; i < count; ++i) {
    const advisors = staff[i % 2] as Profile[];
    const { orgId, userId: advisorId, fullName: advisorName } = advisors[(i >> 1) % advisors.length] as Profile;
    const clientId = randomUUID();
    const clientName = `${first[i % first.length]} ${last[Math.floor(i / first.length) % last.length]}${i < 50 ? '' : ` ${i}`}`;
    const place = places[i % places.length] as string;
    shared.push({
      orgId, advisorId, clientId, title: `A week in ${place}`, destination: place, startsOn: '2027-03-06',
      endsOn: '2027-03-13', summary: `Seven days in ${place}.`, shareEnabled: true,
      shareToken: randomBytes(16).toString('hex'),
    });
    // The first conversation is a long one, to page through.
    const length = i === 0 ? 5_000 : 3 + ((i * 7) % 20);
    spoken.push({
      orgId, clientId, clientName, advisorId, advisorName,
      lines: Array.from({ length }, (_, line) => `${line % 2 === 0 ? 'About' : 'Yes, about'} ${place}: ${line + 1}`),
    });
  }
  // As many as fit into the parameters of one statement.
  for (let i = 0; i < count; i += 500) {
    await db.insert(clients).values(spoken.slice(i, i + 500).map(({ orgId, clientId, clientName }, j) =>
      ({ id: clientId, orgId, fullName: clientName, email: `traveller${i + j + 1}@clients.example` })));
    await db.insert(trips).values(shared.slice(i, i + 500));
  }
  return spoken;
}

/** Throws when the database holds the demonstration, whose passwords everybody knows. */
export async function refuseDemo({ db, tables: { users } }: Database) {
  const emails = agencies.flatMap(({ advisors }) => advisors.map(([, email]) => email));
  if ((await db.select().from(users).where(inArray(users.email, emails)).limit(1)).length > 0) {
    throw new Error('the database holds the demonstration, whose passwords everybody knows: start with --demo, or take another one');
  }
}

/** Who may sign in, and the trips that are shared. */
export function registerDemo(app: Express, { db, tables: { clients, profiles, trips, users } }: Database) {
  app.get('/api/demo', async (_request, response) => {
    response.json({
      advisors: await db
        .select({ email: users.email, password: sql<string>`'${sql.raw(password)}'`, id: users.id, orgId: profiles.orgId })
        .from(profiles).innerJoin(users, eq(users.id, profiles.userId)),
      trips: await db
        .select({ id: trips.id, shareToken: trips.shareToken, clientId: clients.id, clientName: clients.fullName,
          orgId: trips.orgId })
        .from(trips).innerJoin(clients, eq(clients.id, trips.clientId)).where(eq(trips.shareEnabled, true)),
    });
  });
}
