// The specification's storage layer on SQLite, for one process: text UUID keys, one prepared statement per query, and
// a transaction where a request writes twice, so that it pays for one fsync. A commit is durable before it returns.
import Database from 'better-sqlite3';
import { randomBytes, randomUUID } from 'node:crypto';

const schema = `
  CREATE TABLE IF NOT EXISTS organizations (id TEXT PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, password_hash BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS profiles (
    user_id TEXT PRIMARY KEY REFERENCES users(id), org_id TEXT NOT NULL REFERENCES organizations(id),
    full_name TEXT NOT NULL, avatar_url TEXT);
  CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, sess TEXT NOT NULL, expire INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS clients (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations(id), full_name TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS trips (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations(id), client_id TEXT REFERENCES clients(id),
    advisor_id TEXT NOT NULL REFERENCES users(id), title TEXT NOT NULL, share_enabled INTEGER NOT NULL,
    share_token TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations(id),
    client_id TEXT NOT NULL REFERENCES clients(id) ON DELETE CASCADE, created_at TEXT NOT NULL, last_message_at TEXT,
    UNIQUE (org_id, client_id));
  CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES organizations(id), sender_type TEXT NOT NULL, sender_id TEXT NOT NULL,
    sender_name TEXT NOT NULL, content TEXT NOT NULL, is_read INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL,
    seen_at TEXT, attachment_url TEXT, attachment_type TEXT, attachment_name TEXT);
  CREATE INDEX IF NOT EXISTS messages_by_conversation ON messages (conversation_id, created_at);
  CREATE TABLE IF NOT EXISTS message_reactions (
    id TEXT PRIMARY KEY, message_id TEXT NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
    conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES organizations(id), reactor_type TEXT NOT NULL, reactor_id TEXT NOT NULL,
    reactor_name TEXT NOT NULL, emoji TEXT NOT NULL, created_at TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS reactions_by_message ON message_reactions (message_id);
  CREATE INDEX IF NOT EXISTS reactions_by_conversation ON message_reactions (conversation_id);
  CREATE TABLE IF NOT EXISTS client_chat_tokens (
    id TEXT PRIMARY KEY, client_id TEXT NOT NULL REFERENCES clients(id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES organizations(id), trip_id TEXT NOT NULL, token TEXT NOT NULL UNIQUE,
    expires_at TEXT NOT NULL, created_at TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS push_subscriptions (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations(id), endpoint TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS push_by_org ON push_subscriptions (org_id);
`;

const conversationColumns =
  'id, org_id AS orgId, client_id AS clientId, created_at AS createdAt, last_message_at AS lastMessageAt';

const now = () => new Date().toISOString();

export class SqliteStorage {
  constructor(file) {
    const db = new Database(file);
    this.db = db;
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.exec(schema);

    this.statements = {
      user: db.prepare('SELECT id, salt, password_hash AS passwordHash FROM users WHERE email = ?'),
      profile: db.prepare('SELECT org_id AS orgId, full_name AS fullName FROM profiles WHERE user_id = ?'),
      session: db.prepare('SELECT sess FROM sessions WHERE sid = ? AND expire > ?'),
      insertSession: db.prepare('INSERT INTO sessions (sid, sess, expire) VALUES (?, ?, ?)'),
      tripFullView: db.prepare(
        `SELECT t.id, t.org_id AS orgId, t.client_id AS clientId, t.title, t.share_enabled AS shareEnabled,
                t.share_token AS shareToken, c.full_name AS clientName, p.full_name AS advisorName,
                p.avatar_url AS advisorAvatar
           FROM trips t LEFT JOIN clients c ON c.id = t.client_id LEFT JOIN profiles p ON p.user_id = t.advisor_id
          WHERE t.id = ?`),
      client: db.prepare('SELECT id, full_name AS fullName FROM clients WHERE id = ? AND org_id = ?'),
      conversation: db.prepare(`SELECT ${conversationColumns} FROM conversations WHERE id = ?`),
      conversationOfClient: db.prepare(
        `SELECT ${conversationColumns} FROM conversations WHERE org_id = ? AND client_id = ?`),
      insertConversation: db.prepare(
        'INSERT INTO conversations (id, org_id, client_id, created_at) VALUES (?, ?, ?, ?)'),
      touchConversation: db.prepare('UPDATE conversations SET last_message_at = ? WHERE id = ?'),
      insertMessage: db.prepare(
        `INSERT INTO messages (id, conversation_id, org_id, sender_type, sender_id, sender_name, content, created_at)
         VALUES (@id, @conversationId, @orgId, @senderType, @senderId, @senderName, @content, @createdAt)`),
      token: db.prepare(
        `SELECT client_id AS clientId, org_id AS orgId, trip_id AS tripId FROM client_chat_tokens
          WHERE token = ? AND expires_at > ?`),
      insertToken: db.prepare(
        `INSERT INTO client_chat_tokens (id, client_id, org_id, trip_id, token, expires_at, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`),
      markSeen: db.prepare(
        `UPDATE messages SET seen_at = ? WHERE conversation_id = ? AND sender_type = 'advisor' AND seen_at IS NULL`),
      reactions: db.prepare(
        `SELECT id, message_id AS messageId, conversation_id AS conversationId, org_id AS orgId,
                reactor_type AS reactorType, reactor_id AS reactorId, reactor_name AS reactorName, emoji,
                created_at AS createdAt FROM message_reactions WHERE message_id = ?`),
      deleteReaction: db.prepare(
        'DELETE FROM message_reactions WHERE message_id = ? AND reactor_id = ? AND reactor_type = ?'),
      insertReaction: db.prepare(
        `INSERT INTO message_reactions (id, message_id, conversation_id, org_id, reactor_type, reactor_id,
                                        reactor_name, emoji, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
      pushSubscriptions: db.prepare('SELECT endpoint FROM push_subscriptions WHERE org_id = ?'),
    };

    this.createMessage = db.transaction((draft) => {
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
      this.statements.insertMessage.run(message);
      this.statements.touchConversation.run(message.createdAt, message.conversationId);
      return message;
    });

    this.addReaction = db.transaction((messageId, conversationId, orgId, reactor, emoji) => {
      this.statements.deleteReaction.run(messageId, reactor.id, reactor.type);
      this.statements.insertReaction.run(
        randomUUID(), messageId, conversationId, orgId, reactor.type, reactor.id, reactor.name, emoji, now());
    });
  }

  getUserByEmail(email) { return this.statements.user.get(email); }

  createSession(userId) {
    const sid = randomBytes(32).toString('base64url');
    const expire = Date.now() + 7 * 24 * 3600 * 1000;
    this.statements.insertSession.run(sid, JSON.stringify({ userId }), expire);
    return sid;
  }

  getSession(sid) {
    const row = this.statements.session.get(sid, Date.now());
    return row ? JSON.parse(row.sess) : null;
  }

  getProfile(userId) { return this.statements.profile.get(userId); }
  getTripFullView(tripId) { return this.statements.tripFullView.get(tripId); }
  getClient(clientId, orgId) { return this.statements.client.get(clientId, orgId); }
  getConversationById(id) { return this.statements.conversation.get(id); }

  getOrCreateConversation(orgId, clientId) {
    const found = this.statements.conversationOfClient.get(orgId, clientId);
    if (found) return found;
    this.statements.insertConversation.run(randomUUID(), orgId, clientId, now());
    return this.statements.conversationOfClient.get(orgId, clientId);
  }

  createClientChatToken(clientId, orgId, tripId) {
    const token = randomBytes(32).toString('hex');
    const expiresAt = new Date(Date.now() + 24 * 3600 * 1000).toISOString();
    this.statements.insertToken.run(randomUUID(), clientId, orgId, tripId, token, expiresAt, now());
    return token;
  }

  validateClientChatToken(token) { return this.statements.token.get(token, now()) ?? null; }
  markConversationSeenByClient(conversationId) { this.statements.markSeen.run(now(), conversationId); }
  getReactionsForMessage(messageId) { return this.statements.reactions.all(messageId); }
  removeReaction(messageId, reactorId, reactorType) {
    this.statements.deleteReaction.run(messageId, reactorId, reactorType);
  }
  getPushSubscriptions(orgId) { return this.statements.pushSubscriptions.all(orgId); }

  seed({ organizations, advisors, trips }) {
    const { db } = this;
    const insertOrganization = db.prepare('INSERT INTO organizations (id, name) VALUES (@id, @name)');
    const insertUser = db.prepare(
      'INSERT INTO users (id, email, salt, password_hash) VALUES (@id, @email, @salt, @passwordHash)');
    const insertProfile = db.prepare('INSERT INTO profiles (user_id, org_id, full_name) VALUES (@id, @orgId, @fullName)');
    const insertClient = db.prepare('INSERT INTO clients (id, org_id, full_name) VALUES (@clientId, @orgId, @clientName)');
    const insertTrip = db.prepare(
      `INSERT INTO trips (id, org_id, client_id, advisor_id, title, share_enabled, share_token)
       VALUES (@id, @orgId, @clientId, @advisorId, @title, 1, @shareToken)`);
    db.transaction(() => {
      for (const organization of organizations) insertOrganization.run(organization);
      for (const advisor of advisors) {
        insertUser.run(advisor);
        insertProfile.run(advisor);
      }
      for (const trip of trips) {
        insertClient.run(trip);
        insertTrip.run(trip);
        this.statements.insertConversation.run(trip.conversationId, trip.orgId, trip.clientId, now());
      }
    })();
  }

  close() { this.db.close(); }
}
