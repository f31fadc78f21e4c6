// The specification's storage layer on PostgreSQL through `pg`, in the tables that its Drizzle schema makes. Written for
// speed: a pool, a named statement for each query (parsed once for each connection), and one statement, so one round
// trip and one fsync, where a request writes twice.
import pg from 'pg';
import { randomBytes, randomUUID } from 'node:crypto';

const schema = `
  CREATE TABLE organizations (id varchar PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
  CREATE TABLE users (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(), email varchar NOT NULL UNIQUE, salt bytea NOT NULL,
    password_hash bytea NOT NULL);
  CREATE TABLE profiles (
    user_id varchar PRIMARY KEY REFERENCES users(id), org_id varchar NOT NULL REFERENCES organizations(id),
    full_name text NOT NULL, avatar_url text);
  CREATE TABLE sessions (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp NOT NULL);
  CREATE TABLE clients (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(), org_id varchar NOT NULL REFERENCES organizations(id),
    full_name text NOT NULL);
  CREATE TABLE trips (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(), org_id varchar NOT NULL REFERENCES organizations(id),
    client_id varchar REFERENCES clients(id), advisor_id varchar NOT NULL REFERENCES users(id), title text NOT NULL,
    share_enabled boolean NOT NULL, share_token varchar NOT NULL);
  CREATE TABLE conversations (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(), org_id varchar NOT NULL REFERENCES organizations(id),
    client_id varchar NOT NULL REFERENCES clients(id) ON DELETE CASCADE, created_at timestamp DEFAULT now(),
    last_message_at timestamp, UNIQUE (org_id, client_id));
  CREATE TABLE messages (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id varchar NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    org_id varchar NOT NULL REFERENCES organizations(id), sender_type text NOT NULL, sender_id varchar NOT NULL,
    sender_name text NOT NULL, content text NOT NULL, is_read boolean DEFAULT false, created_at timestamp DEFAULT now(),
    seen_at timestamp, attachment_url text, attachment_type text, attachment_name text);
  CREATE INDEX ON messages (conversation_id, created_at);
  CREATE TABLE message_reactions (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
    message_id varchar NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
    conversation_id varchar NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    org_id varchar NOT NULL REFERENCES organizations(id), reactor_type text NOT NULL, reactor_id varchar NOT NULL,
    reactor_name text NOT NULL, emoji text NOT NULL, created_at timestamp DEFAULT now());
  CREATE INDEX ON message_reactions (message_id);
  CREATE INDEX ON message_reactions (conversation_id);
  CREATE TABLE client_chat_tokens (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
    client_id varchar NOT NULL REFERENCES clients(id) ON DELETE CASCADE,
    org_id varchar NOT NULL REFERENCES organizations(id), trip_id varchar NOT NULL, token varchar NOT NULL UNIQUE,
    expires_at timestamp NOT NULL, created_at timestamp DEFAULT now());
  CREATE TABLE push_subscriptions (
    id varchar PRIMARY KEY DEFAULT gen_random_uuid(), org_id varchar NOT NULL, endpoint text NOT NULL);
  CREATE INDEX ON push_subscriptions (org_id);
`;

const conversationColumns =
  'id, org_id AS "orgId", client_id AS "clientId", created_at AS "createdAt", last_message_at AS "lastMessageAt"';

const queries = {
  user: 'SELECT id, salt, password_hash AS "passwordHash" FROM users WHERE email = $1',
  profile: 'SELECT org_id AS "orgId", full_name AS "fullName" FROM profiles WHERE user_id = $1',
  session: 'SELECT sess FROM sessions WHERE sid = $1 AND expire > $2',
  insertSession: 'INSERT INTO sessions (sid, sess, expire) VALUES ($1, $2, $3)',
  tripFullView:
    `SELECT t.id, t.org_id AS "orgId", t.client_id AS "clientId", t.title, t.share_enabled AS "shareEnabled",
            t.share_token AS "shareToken", c.full_name AS "clientName", p.full_name AS "advisorName",
            p.avatar_url AS "advisorAvatar"
       FROM trips t LEFT JOIN clients c ON c.id = t.client_id LEFT JOIN profiles p ON p.user_id = t.advisor_id
      WHERE t.id = $1`,
  client: 'SELECT id, full_name AS "fullName" FROM clients WHERE id = $1 AND org_id = $2',
  conversation: `SELECT ${conversationColumns} FROM conversations WHERE id = $1`,
  conversationOfClient: `SELECT ${conversationColumns} FROM conversations WHERE org_id = $1 AND client_id = $2`,
  insertConversation:
    `INSERT INTO conversations (org_id, client_id) VALUES ($1, $2)
     ON CONFLICT (org_id, client_id) DO UPDATE SET client_id = excluded.client_id RETURNING ${conversationColumns}`,
  insertMessage:
    `WITH touched AS (UPDATE conversations SET last_message_at = $8 WHERE id = $2)
     INSERT INTO messages (id, conversation_id, org_id, sender_type, sender_id, sender_name, content, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
  token:
    `SELECT client_id AS "clientId", org_id AS "orgId", trip_id AS "tripId" FROM client_chat_tokens
      WHERE token = $1 AND expires_at > $2`,
  insertToken:
    'INSERT INTO client_chat_tokens (client_id, org_id, trip_id, token, expires_at) VALUES ($1, $2, $3, $4, $5)',
  markSeen:
    `UPDATE messages SET seen_at = $1 WHERE conversation_id = $2 AND sender_type = 'advisor' AND seen_at IS NULL`,
  reactions:
    `SELECT id, message_id AS "messageId", conversation_id AS "conversationId", org_id AS "orgId",
            reactor_type AS "reactorType", reactor_id AS "reactorId", reactor_name AS "reactorName", emoji,
            created_at AS "createdAt" FROM message_reactions WHERE message_id = $1`,
  deleteReaction: 'DELETE FROM message_reactions WHERE message_id = $1 AND reactor_id = $2 AND reactor_type = $3',
  insertReaction:
    `INSERT INTO message_reactions (message_id, conversation_id, org_id, reactor_type, reactor_id, reactor_name, emoji)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
  pushSubscriptions: 'SELECT endpoint FROM push_subscriptions WHERE org_id = $1',
};

const now = () => new Date().toISOString();
const ahead = (hours) => new Date(Date.now() + hours * 3600 * 1000).toISOString();

export class PostgresStorage {
  constructor(url) {
    this.pool = new pg.Pool({ connectionString: url, max: 10 });
  }

  async run(name, values, on = this.pool) {
    return (await on.query({ name, text: queries[name], values })).rows;
  }

  // `work` gets a connection with a transaction that commits when it returns and rolls back when it throws.
  async transaction(work) {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }

  async createMessage(draft) {
    const message = {
      id: randomUUID(),
      conversationId: draft.conversationId,
      orgId: draft.orgId,
      senderType: draft.senderType,
      senderId: draft.senderId,
      senderName: draft.senderName,
      content: draft.content,
      isRead: false,
      createdAt: now(),
      seenAt: null,
      attachmentUrl: null,
      attachmentType: null,
      attachmentName: null,
      reactions: [],
    };
    await this.run('insertMessage', [
      message.id, message.conversationId, message.orgId, message.senderType, message.senderId, message.senderName,
      message.content, message.createdAt]);
    return message;
  }

  addReaction(messageId, conversationId, orgId, reactor, emoji) {
    return this.transaction(async (client) => {
      await this.run('deleteReaction', [messageId, reactor.id, reactor.type], client);
      await this.run(
        'insertReaction', [messageId, conversationId, orgId, reactor.type, reactor.id, reactor.name, emoji], client);
    });
  }

  async getUserByEmail(email) { return (await this.run('user', [email]))[0]; }

  async createSession(userId) {
    const sid = randomBytes(32).toString('base64url');
    await this.run('insertSession', [sid, { userId }, ahead(7 * 24)]);
    return sid;
  }

  async getSession(sid) { return (await this.run('session', [sid, now()]))[0]?.sess ?? null; }
  async getProfile(userId) { return (await this.run('profile', [userId]))[0]; }
  async getTripFullView(tripId) { return (await this.run('tripFullView', [tripId]))[0]; }
  async getClient(clientId, orgId) { return (await this.run('client', [clientId, orgId]))[0]; }
  async getConversationById(id) { return (await this.run('conversation', [id]))[0]; }

  async getOrCreateConversation(orgId, clientId) {
    const [found] = await this.run('conversationOfClient', [orgId, clientId]);
    return found ?? (await this.run('insertConversation', [orgId, clientId]))[0];
  }

  async createClientChatToken(clientId, orgId, tripId) {
    const token = randomBytes(32).toString('hex');
    await this.run('insertToken', [clientId, orgId, tripId, token, ahead(24)]);
    return token;
  }

  async validateClientChatToken(token) { return (await this.run('token', [token, now()]))[0] ?? null; }
  markConversationSeenByClient(conversationId) { return this.run('markSeen', [now(), conversationId]); }
  getReactionsForMessage(messageId) { return this.run('reactions', [messageId]); }
  removeReaction(messageId, reactorId, reactorType) {
    return this.run('deleteReaction', [messageId, reactorId, reactorType]);
  }
  getPushSubscriptions(orgId) { return this.run('pushSubscriptions', [orgId]); }

  async seed({ organizations, advisors, trips }) {
    await this.transaction(async (client) => {
      await client.query(schema);
      const insert = (table, columns, rows) => client.query(
        `INSERT INTO ${table} (${Object.keys(columns).join(', ')})
         SELECT * FROM unnest(${Object.values(columns).map(([type], i) => `$${i + 1}::${type}[]`).join(', ')})`,
        Object.values(columns).map(([, key]) => rows.map((row) => row[key])));
      const id = ['varchar', 'id'];
      const orgId = ['varchar', 'orgId'];
      const clientId = ['varchar', 'clientId'];
      await insert('organizations', { id, name: ['text', 'name'] }, organizations);
      await insert('users', { id, email: ['varchar', 'email'], salt: ['bytea', 'salt'],
        password_hash: ['bytea', 'passwordHash'] }, advisors);
      await insert('profiles', { user_id: id, org_id: orgId, full_name: ['text', 'fullName'] }, advisors);
      await insert('clients', { id: clientId, org_id: orgId, full_name: ['text', 'clientName'] }, trips);
      await insert('trips', { id, org_id: orgId, client_id: clientId, advisor_id: ['varchar', 'advisorId'],
        title: ['text', 'title'], share_enabled: ['boolean', 'shareEnabled'], share_token: ['varchar', 'shareToken'] },
      trips.map((trip) => ({ ...trip, shareEnabled: true })));
      await insert('conversations', { id: ['varchar', 'conversationId'], org_id: orgId, client_id: clientId }, trips);
    });
    // As after any import: without statistics the planner would guess.
    await this.pool.query('ANALYZE');
  }

  close() { return this.pool.end(); }
}
