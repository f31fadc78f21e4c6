// The chat as it was: the pages ask for new messages every 5 seconds, and only advisors can write.
import { and, asc, desc, eq, sql } from 'drizzle-orm';
import type { Express, Request, Response } from 'express';

import { fail, orgOf, type Authentication } from '../server/auth.ts';
import type { Database } from '../server/database.ts';
import type { DemoConversation } from '../server/demo.ts';
import type { Storage } from '../server/storage.ts';
import * as sqliteTables from '../shared/schema_sqlite.ts';
import * as chatTables from './schema.ts';

const tablesIn = (database: Database) =>
  database.isSqlite ? (sqliteTables as unknown as typeof chatTables) : chatTables;

export async function registerConversations(app: Express, storage: Storage,
  { isAuthenticated, orgMiddleware }: Authentication): Promise<void> {
  const { database } = storage;
  const { db } = database;
  const { conversations, messages } = tablesIn(database);
  await database.define(({ id, time }) => `
    CREATE TABLE IF NOT EXISTS conversations (id ${id}, org_id varchar NOT NULL REFERENCES organizations (id),
      client_id varchar NOT NULL REFERENCES clients (id) ON DELETE CASCADE, last_message_at ${time}, created_at ${time});
    CREATE TABLE IF NOT EXISTS messages (id ${id},
      conversation_id varchar NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
      org_id varchar NOT NULL REFERENCES organizations (id), sender_type text NOT NULL, sender_id varchar NOT NULL,
      sender_name text NOT NULL, content text NOT NULL, is_read boolean DEFAULT false, created_at ${time});
  `);

  const signedIn = [isAuthenticated, orgMiddleware];
  const unread = and(eq(messages.senderType, 'client'), eq(messages.isRead, false));
  const find = async (request: Request) => {
    const [found] = await db.select().from(conversations)
      .where(and(eq(conversations.id, request.params['id'] as string), eq(conversations.orgId, orgOf(request))));
    return found;
  };
  const notFound = (response: Response) => fail(response, 404, 'not_found', 'Not found.');

  app.get('/api/conversations', signedIn, async (request: Request, response: Response) => {
    const rows = await db.select().from(conversations).where(eq(conversations.orgId, orgOf(request)))
      .orderBy(desc(conversations.lastMessageAt));
    response.json(await Promise.all(rows.map(async (row) => {
      const ofThis = eq(messages.conversationId, row.id);
      const [client, activeTrip, [lastMessage], [count]] = await Promise.all([
        storage.getClient(row.clientId, row.orgId),
        storage.getActiveTrip(row.clientId),
        db.select().from(messages).where(ofThis).orderBy(desc(messages.createdAt)).limit(1),
        db.select({ unread: sql<number>`count(*)`.mapWith(Number) }).from(messages).where(and(ofThis, unread)),
      ]);
      return {
        ...row, clientName: client?.fullName ?? '', clientAvatarUrl: client?.avatarUrl ?? null, activeTrip,
        lastMessage: lastMessage ?? null, unreadCount: count?.unread ?? 0,
      };
    })));
  });
  app.post('/api/conversations', signedIn, async (request: Request, response: Response) => {
    const clientId = String(request.body?.clientId ?? '');
    const orgId = orgOf(request);
    if ((await storage.getClient(clientId, orgId)) === undefined) {
      notFound(response);
      return;
    }
    const [found] = await db.select().from(conversations)
      .where(and(eq(conversations.orgId, orgId), eq(conversations.clientId, clientId)));
    response.json(found ?? (await db.insert(conversations).values({ orgId, clientId }).returning())[0]);
  });
  app.get('/api/conversations/:id/messages', signedIn, async (request: Request, response: Response) => {
    const conversation = await find(request);
    if (conversation === undefined) notFound(response);
    else {
      response.json(await db.select().from(messages).where(eq(messages.conversationId, conversation.id))
        .orderBy(asc(messages.createdAt)));
    }
  });
  app.post('/api/conversations/:id/messages', signedIn, async (request: Request, response: Response) => {
    const conversation = await find(request);
    const content = request.body?.content;
    if (conversation === undefined) notFound(response);
    else if (typeof content !== 'string' || content.trim() === '') {
      fail(response, 400, 'missing_field', 'A required field is missing.');
    } else {
      const { id: senderId = '', fullName: senderName = '', orgId = '' } = request.profile ?? {};
      const [message] = await db.insert(messages).values({ conversationId: conversation.id, orgId, senderType: 'advisor',
        senderId, senderName, content }).returning();
      await db.update(conversations).set({ lastMessageAt: new Date() }).where(eq(conversations.id, conversation.id));
      response.status(201).json(message);
    }
  });
  app.post('/api/conversations/:id/read', signedIn, async (request: Request, response: Response) => {
    const conversation = await find(request);
    if (conversation === undefined) notFound(response);
    else {
      await db.update(messages).set({ isRead: true })
        .where(and(eq(messages.conversationId, conversation.id), eq(messages.senderType, 'client')));
      response.json({ ok: true });
    }
  });
  app.get('/api/messages/unread-count', signedIn, async (request: Request, response: Response) => {
    const [row] = await db.select({ count: sql<number>`count(*)`.mapWith(Number) }).from(messages)
      .where(and(eq(messages.orgId, orgOf(request)), unread));
    response.json(row);
  });
}

/** Has the people of the demonstration say what they have said, a minute between two messages. */
export async function loadConversations(database: Database, spoken: DemoConversation[]): Promise<void> {
  const { db } = database;
  const { conversations, messages } = tablesIn(database);
  for (const { orgId, clientId, clientName, advisorId, advisorName, lines } of spoken) {
    const start = Date.now() - lines.length * 60_000;
    const [conversation] = await db.insert(conversations).values({ orgId, clientId }).returning();
    const rows = lines.map((content, i): typeof messages.$inferInsert => {
      const [senderType, senderId, senderName] =
        i % 2 === 0 ? ['client', clientId, clientName] : ['advisor', advisorId, advisorName];
      return { conversationId: conversation?.id as string, orgId, senderType: senderType as string,
        senderId: senderId as string, senderName: senderName as string, content, createdAt: new Date(start + i * 60_000) };
    });
    // As many as fit into the parameters of one statement.
    for (let i = 0; i < rows.length; i += 500) await db.insert(messages).values(rows.slice(i, i + 500));
  }
}
