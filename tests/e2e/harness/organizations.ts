// Organizations of the tests, written into the server's database before it starts: each test takes one that nobody has
// used, so no test sees another's unread counts, inbox or history.
import { randomBytes } from 'node:crypto';
import { execute, query, type Statement, uuidBytes, type Value } from './database.ts';
import { isExpress } from './server.ts';

export const PASSWORD = 'demo-travel';

export interface Advisor {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

export interface Trip {
  readonly id: string;
  readonly title: string;
  readonly shareToken: string;
  readonly destination?: string;
  readonly summary?: string;
}

export interface Client {
  readonly id: string;
  readonly name: string;
  readonly trip: Trip;
}

export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly advisors: readonly [Advisor, Advisor];
  readonly clients: readonly [Client, Client, ...Client[]];
}

/** One message that was written before the test. `at` is in ms since the epoch. */
export interface PastMessage {
  readonly by: 'advisor' | 'client';
  readonly text: string;
  readonly at: number;
  /** Which of the advisors; the first without it. */
  readonly advisor?: 0 | 1;
  readonly attachment?: { readonly url: string; readonly type: string; readonly name: string };
  /** The other side has not seen it. */
  readonly isNew?: boolean;
}

export interface Names {
  readonly advisor?: string;
  readonly client?: string;
  readonly trip?: string;
  /** Clients beside the two that every organization has. */
  readonly moreClients?: readonly { readonly name: string; readonly trip: string }[];
}

const ADVISORS = ['Nora Feld', 'Ivan Petrov'] as const;
const CLIENTS = ['Clara Winter', 'Emil Sander'] as const;

/** `number` makes its ids and its e-mail addresses. */
export function organization(number: number, names: Names = {}): Organization {
  const tag = number.toString().padStart(4, '0');
  const advisor = (letter: string, name: string): Advisor => ({
    id: `advisor-${tag}-${letter}`,
    name,
    email: `${letter}-${tag}@e2e.example`,
  });
  const client = (letter: string, name: string, title: string): Client => ({
    id: `client-${tag}-${letter}`,
    name,
    trip: { id: `trip-${tag}-${letter}`, title, shareToken: randomBytes(16).toString('hex') },
  });
  return {
    id: `org-${tag}`,
    name: `Agency ${tag}`,
    advisors: [advisor('a', names.advisor ?? ADVISORS[0]), advisor('b', ADVISORS[1])],
    clients: [
      client('a', names.client ?? CLIENTS[0], names.trip ?? 'Lisbon in Spring'),
      client('b', CLIENTS[1], 'Iceland Ring Road'),
      ...(names.moreClients ?? []).map((each, i) => client(`c${i}`, each.name, each.trip)),
    ],
  };
}

/** The rows of a host: organization, advisors (all with PASSWORD), clients and their shared trips. */
export function hostRows(each: Organization, passwordHash: string): Statement[] {
  const statements: Statement[] = [['INSERT INTO organizations (id, name) VALUES (?, ?)', each.id, each.name]];
  for (const advisor of each.advisors) {
    if (isExpress) {
      statements.push(
        ['INSERT INTO users (id, email, password_hash) VALUES (?, ?, ?)', advisor.id, advisor.email, passwordHash],
        ['INSERT INTO profiles (user_id, org_id, full_name) VALUES (?, ?, ?)', advisor.id, each.id, advisor.name],
      );
      continue;
    }
    statements.push([
      'INSERT INTO advisors (id, org_id, email, full_name, password_hash) VALUES (?, ?, ?, ?, ?)',
      ...[advisor.id, each.id, advisor.email, advisor.name, passwordHash],
    ]);
  }
  for (const client of each.clients) {
    const owner = each.advisors[0].id;
    const email = `${client.id}@e2e.example`;
    const about = [client.trip.title, client.trip.destination ?? 'Lisbon', client.trip.summary ?? 'A week by the river.'];
    if (isExpress) {
      statements.push(
        ['INSERT INTO clients (id, org_id, full_name, email) VALUES (?, ?, ?, ?)', client.id, each.id, client.name, email],
        [
          `INSERT INTO trips (id, org_id, advisor_id, client_id, title, destination, summary, starts_on, ends_on,
             share_enabled, share_token) VALUES (?, ?, ?, ?, ?, ?, ?, '2027-04-02', '2027-04-09', true, ?)`,
          ...[client.trip.id, each.id, owner, client.id, ...about, client.trip.shareToken],
        ],
      );
      continue;
    }
    statements.push(
      [
        'INSERT INTO clients (id, org_id, advisor_id, full_name, email) VALUES (?, ?, ?, ?, ?)',
        ...[client.id, each.id, owner, client.name, email],
      ],
      [
        `INSERT INTO trips (id, org_id, advisor_id, client_id, title, destination, summary, starts_on, ends_on,
           share_enabled, share_token, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, '2027-04-02', '2027-04-09', 1, ?,
           1790000000000)`,
        ...[client.trip.id, each.id, owner, client.id, ...about, client.trip.shareToken],
      ],
    );
  }
  return statements;
}

function uuidAt(at: number): string {
  const random = randomBytes(10);
  random[0] = 0x70 | (random[0]! & 0x0f);
  random[2] = 0x80 | (random[2]! & 0x3f);
  return at.toString(16).padStart(12, '0') + random.toString('hex');
}

/** A conversation with a history. `pk` must be unused. */
export function historyRows(pk: number, each: Organization, client: Client, lines: readonly PastMessage[]): Statement[] {
  const last = lines.length;
  const first = lines[0]!.at;
  const newOf = (by: PastMessage['by']) => lines.filter((line) => line.by === by && line.isNew).length;
  // Up to which message the other side had looked.
  const lookedAt = (by: PastMessage['by']) => {
    const index = lines.findIndex((line) => line.by === by && line.isNew);
    return index < 0 ? last : index;
  };
  const statements: Statement[] = [
    [
      `INSERT INTO travelchat_conversations (pk, last_seq, rev, unread_count, unseen_count, read_seq, seen_seq, created_at,
         last_message_at, id, org_id, client_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[pk, last, last, newOf('client'), newOf('advisor'), lookedAt('client'), lookedAt('advisor'), first],
      ...[lines.at(-1)!.at, uuidBytes(uuidAt(first)), each.id, client.id],
    ],
  ];
  lines.forEach((line, index) => {
    const isAdvisor = line.by === 'advisor';
    const sender = isAdvisor ? each.advisors[line.advisor ?? 0] : client;
    const parameters: Value[] = [
      ...[pk, index + 1, index + 1, index + 1, line.at, isAdvisor ? 0 : 1, isAdvisor || line.isNew ? 0 : 1],
      ...[isAdvisor && !line.isNew ? line.at + 60_000 : null, uuidBytes(uuidAt(line.at)), sender.id, sender.name],
      ...[line.attachment?.url ?? null, line.attachment?.type ?? null, line.attachment?.name ?? null, line.text],
    ];
    statements.push([
      `INSERT INTO travelchat_messages (conversation_pk, seq, created_rev, rev, created_at, sender_type, is_read, seen_at, id,
         sender_id, sender_name, client_message_id, attachment_url, attachment_type, attachment_name, content)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?)`,
      ...parameters,
    ]);
  });
  return statements;
}

/** The demonstration's password, as the server stores it. */
export function demoPasswordHash(database: string): string {
  return query(database, `SELECT password_hash FROM ${isExpress ? 'users' : 'advisors'} LIMIT 1`)[0]![0] as string;
}

export function addToDatabase(database: string, statements: readonly Statement[]): void {
  execute(database, statements);
}
