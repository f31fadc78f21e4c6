// A little world to try the chat in, with what its people have said so far.
import { randomBytes } from 'node:crypto';

import type { Express } from 'express';

import { Storage } from './storage.ts';
import { clients, organizations, profiles, trips, users } from '../shared/schema.ts';

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
export function loadDemo(storage: Storage, count: number): DemoConversation[] {
  const { db } = storage;
  if (db.select().from(organizations).get() !== undefined) return [];
  const spoken: DemoConversation[] = [];
  db.transaction((tx) => {
    const passwordHash = Storage.hashPassword(password);
    const staff = agencies.map(({ name, advisors }) => {
      const org = tx.insert(organizations).values({ name }).returning().get();
      return advisors.map(([fullName, email]) => {
        const user = tx.insert(users).values({ email, passwordHash }).returning().get();
        return tx.insert(profiles).values({ userId: user.id, orgId: org.id, fullName }).returning().get();
      });
    });
    for (let i = 0; i < count; ++i) {
      const advisors = staff[i % 2] as (typeof profiles.$inferSelect)[];
      const advisor = advisors[(i >> 1) % advisors.length] as typeof profiles.$inferSelect;
      const fullName = `${first[i % first.length]} ${last[Math.floor(i / first.length) % last.length]}${i < 50 ? '' : ` ${i}`}`;
      const place = places[i % places.length] as string;
      const client = tx.insert(clients)
        .values({ orgId: advisor.orgId, fullName, email: `traveller${i + 1}@clients.example` }).returning().get();
      tx.insert(trips).values({
        orgId: advisor.orgId, advisorId: advisor.userId, clientId: client.id, title: `A week in ${place}`,
        destination: place, startsOn: '2027-03-06', endsOn: '2027-03-13', summary: `Seven days in ${place}.`,
        shareEnabled: true, shareToken: randomBytes(16).toString('hex'),
      }).run();
      // The first one has much to say: a conversation that is worth paging through.
      const length = i === 0 ? 5_000 : 3 + ((i * 7) % 20);
      spoken.push({
        orgId: advisor.orgId, clientId: client.id, clientName: fullName, advisorId: advisor.userId,
        advisorName: advisor.fullName,
        lines: Array.from({ length }, (_, line) => `${line % 2 === 0 ? 'About' : 'Yes, about'} ${place}: ${line + 1}`),
      });
    }
  });
  return spoken;
}

/** Who may sign in, and the trips that are shared. */
export function registerDemo(app: Express, storage: Storage) {
  app.get('/api/demo', (_request, response) => {
    const advisors = storage.db.select({ userId: profiles.userId }).from(profiles).all()
      .map(({ userId }) => storage.getProfile(userId))
      .map((profile) => ({ email: profile?.email, password, id: profile?.id, orgId: profile?.orgId }));
    response.json({
      advisors,
      trips: storage.getTrips({}).flatMap(({ id, shareToken, clientId, orgId, shareEnabled }) =>
        clientId === null || !shareEnabled
          ? []
          : [{ id, shareToken, clientId, clientName: storage.getClient(clientId, orgId)?.fullName, orgId }]),
    });
  });
}
