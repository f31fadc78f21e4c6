// The data that the bench works on: two organizations with two advisors each, and `clients` clients with one shared trip
// and one conversation each. A storage's seed() takes it into an empty database.
import { randomBytes, randomUUID } from 'node:crypto';
import { protect } from './passwords.js';

export function makeDemo(clients) {
  const organizations = ['north', 'south'].map((name) => ({ id: randomUUID(), name }));
  const advisors = organizations.flatMap(({ id: orgId, name }) =>
    [0, 1].map((i) => {
      const password = randomBytes(9).toString('base64url');
      const fullName = `Advisor ${name} ${i}`;
      return { id: randomUUID(), orgId, email: `advisor${i}@${name}.example`, fullName, password, ...protect(password) };
    }));
  const trips = Array.from({ length: clients }, (_, i) => {
    const orgId = organizations[i % organizations.length].id;
    return {
      id: randomUUID(),
      orgId,
      advisorId: advisors.find((advisor) => advisor.orgId === orgId).id,
      title: `Trip ${i}`,
      shareToken: randomBytes(16).toString('hex'),
      clientId: randomUUID(),
      clientName: `Client ${i}`,
      conversationId: randomUUID(),
    };
  });
  return { organizations, advisors, trips };
}

// What GET /api/demo answers.
export const publicPart = ({ advisors, trips }) => ({
  advisors: advisors.map(({ email, password, id, orgId }) => ({ email, password, id, orgId })),
  trips: trips.map(({ id, shareToken, clientId, clientName, orgId }) => ({ id, shareToken, clientId, clientName, orgId })),
});
