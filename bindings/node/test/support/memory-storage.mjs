// A storage in JavaScript: maps, and answers that come as values or as promises. What the conformance suite and the tests
// hold the interface with.
import { travelchat } from './package.mjs';

const { ChatError } = travelchat;

const lowerCase = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const laterTurn = () => new Promise(setImmediate);

export class JsMemoryStorage {
  #rows = new Map(); // by id of the conversation
  #ofClient = new Map(); // by organization and client
  #messageIds = new Set();
  #reactionIds = new Set();
  #tokens = new Map(); // by digest, in the order in which they came

  async commit(writes) {
    // As a database would: no part of it is seen before, and it takes a while.
    await laterTurn();
    return writes.map((write) => {
      try {
        return this[write.kind](write);
      } catch (error) {
        if (error instanceof ChatError) return { error: error.code };
        throw error;
      }
    });
  }

  #reach(who, conversationId) {
    const row = this.#rows.get(conversationId);
    const mine = row?.conversation.orgId === who.orgId && (who.role === 'advisor' || who.id === row.conversation.clientId);
    if (!mine) throw new ChatError('not_found');
    return row;
  }

  openConversation({ conversationId, orgId, clientId, now }) {
    const key = JSON.stringify([orgId, clientId]);
    const present = this.#ofClient.get(key);
    if (present !== undefined) {
      return { changed: false, conversation: present.conversation, lastMessage: lastMessage(present) };
    }
    if (this.#rows.has(conversationId)) throw new ChatError('internal');
    const conversation = {
      id: conversationId, orgId, clientId, createdAt: now, lastMessageAt: null, lastSeq: 0, rev: 0, unreadCount: 0,
    };
    const row = { conversation, messages: [], born: [], changes: [], repeats: new Map() };
    this.#rows.set(conversationId, row);
    this.#ofClient.set(key, row);
    return { changed: true, conversation };
  }

  appendMessage({ messageId, conversationId, sender, clientMessageId, now, ...said }) {
    const row = this.#reach(sender, conversationId);
    const fields = ['content', 'attachmentUrl', 'attachmentType', 'attachmentName'];
    const key = clientMessageId === null ? null : JSON.stringify([clientMessageId, sender.role, sender.id]);
    if (row.repeats.has(key)) {
      const first = row.messages[row.repeats.get(key) - 1];
      if (fields.some((field) => first[field] !== said[field])) throw new ChatError('idempotency_conflict');
      return { changed: false, conversation: row.conversation, message: first };
    }
    if (this.#messageIds.has(messageId)) throw new ChatError('internal');
    const { conversation: before } = row;
    const message = {
      id: messageId, conversationId, orgId: before.orgId, senderType: sender.role, senderId: sender.id,
      senderName: sender.name, isRead: false, seenAt: null, createdAt: now, reactions: [], seq: before.lastSeq + 1,
      rev: before.rev + 1, clientMessageId, ...Object.fromEntries(fields.map((field) => [field, said[field]])),
    };
    row.conversation = {
      ...before, lastMessageAt: now, lastSeq: message.seq, rev: message.rev,
      unreadCount: before.unreadCount + (sender.role === 'client' ? 1 : 0),
    };
    row.messages.push(message);
    row.born.push(message.rev);
    this.#messageIds.add(messageId);
    if (key !== null) row.repeats.set(key, message.seq);
    return { changed: true, conversation: row.conversation, message };
  }

  putReaction({ reactionId, conversationId, messageId, reactor, emoji, now }) {
    const row = this.#reach(reactor, conversationId);
    const message = row.messages.find(({ id }) => id === messageId);
    if (message === undefined) throw new ChatError('not_found');
    const own = message.reactions.find(({ reactorType, reactorId }) => reactorType === reactor.role && reactorId === reactor.id);
    if ((own?.emoji ?? null) === emoji) {
      return { changed: false, conversation: row.conversation, reactions: message.reactions };
    }
    const reactions = message.reactions.filter((reaction) => reaction !== own);
    if (emoji !== null) {
      if (own === undefined && this.#reactionIds.has(reactionId)) throw new ChatError('internal');
      const id = own?.id ?? reactionId;
      this.#reactionIds.add(id);
      reactions.push({
        id, messageId, conversationId, orgId: message.orgId, reactorType: reactor.role, reactorId: reactor.id,
        reactorName: reactor.name, emoji, createdAt: now,
      });
    }
    const rev = this.#raise(row);
    row.messages[message.seq - 1] = { ...message, reactions, rev };
    row.changes.push({ kind: 'reaction', rev, messageId });
    return { changed: true, conversation: row.conversation, reactions };
  }

  markConversation({ conversationId, viewer, now }) {
    const row = this.#reach(viewer, conversationId);
    const byClient = viewer.role === 'client';
    const isNew = ({ senderType, seenAt, isRead }) =>
      byClient ? senderType === 'advisor' && seenAt === null : senderType === 'client' && !isRead;
    const count = row.messages.filter(isNew).length;
    if (count > 0) {
      const rev = this.#raise(row, byClient ? {} : { unreadCount: 0 });
      const mark = byClient ? { seenAt: now, rev } : { isRead: true, rev };
      row.messages = row.messages.map((message) => (isNew(message) ? { ...message, ...mark } : message));
      row.changes.push({ kind: byClient ? 'seen' : 'read', rev, at: now });
    }
    const { conversation } = row;
    return { changed: count > 0, conversation, count, lastMessage: byClient ? null : lastMessage(row) };
  }

  putToken({ digest, claims, now, maxLive }) {
    const row = this.#ofClient.get(JSON.stringify([claims.orgId, claims.clientId]));
    if (row?.conversation.id !== claims.conversationId) throw new ChatError('not_found');
    if (this.#tokens.has(digest)) throw new ChatError('internal');
    this.#tokens.set(digest, claims);
    const live = [...this.#tokens].filter(([, other]) =>
      ['orgId', 'clientId', 'tripId'].every((name) => other[name] === claims[name]) && other.expiresAt > now);
    const evicted = live.slice(0, Math.max(0, live.length - maxLive)).map(([old]) => old);
    for (const old of evicted) this.#tokens.delete(old);
    return { changed: true, evicted };
  }

  deleteToken({ digest }) {
    const changed = this.#tokens.delete(digest);
    return { changed, count: changed ? 1 : 0 };
  }

  sweepTokens({ now }) {
    const expired = [...this.#tokens].filter(([, { expiresAt }]) => expiresAt <= now);
    for (const [digest] of expired) this.#tokens.delete(digest);
    return { changed: expired.length > 0, count: expired.length };
  }

  #raise(row, changed = {}) {
    row.conversation = { ...row.conversation, ...changed, rev: row.conversation.rev + 1 };
    return row.conversation.rev;
  }

  findConversation(id) {
    return this.#rows.get(id)?.conversation;
  }

  async listConversations({ orgId, text, clientIds }) {
    const wanted = text === null ? null : lowerCase(text);
    const activity = ({ lastMessageAt, createdAt }) => lastMessageAt ?? createdAt;
    return [...this.#rows.values()]
      .filter(({ conversation }) => conversation.orgId === orgId)
      .filter(({ conversation, messages }) => wanted === null || clientIds.includes(conversation.clientId) ||
        messages.some(({ content }) => lowerCase(content).includes(wanted)))
      .map((row) => ({ ...row.conversation, lastMessage: lastMessage(row) }))
      .sort((a, b) => compare(activity(b), activity(a)) || compare(b.id, a.id));
  }

  listMessages({ conversationId, beforeSeq = Infinity, sinceRev, limit }) {
    const messages = this.#rows.get(conversationId)?.messages ?? [];
    if (sinceRev === undefined) {
      const older = messages.filter(({ seq }) => seq < beforeSeq);
      return { messages: older.slice(-limit), hasMore: older.length > limit };
    }
    const changed = messages.filter(({ rev }) => rev > sinceRev).sort((a, b) => a.rev - b.rev || a.seq - b.seq);
    let end = limit;
    while (end < changed.length && changed[end].rev === changed[end - 1].rev) ++end;
    return { messages: changed.slice(0, end).sort((a, b) => a.seq - b.seq), hasMore: end < changed.length };
  }

  listChanges({ conversationId, sinceRev, limit }) {
    const row = this.#rows.get(conversationId);
    if (row === undefined) throw new ChatError('not_found');
    const currentRev = row.conversation.rev;
    if (sinceRev > currentRev || currentRev - sinceRev > limit) return { currentRev, tooMany: true, changes: [] };
    const reactionsOf = (id) => row.messages.find((message) => message.id === id).reactions;
    const changes = [
      ...row.messages.map((message, i) => ({ kind: 'message', rev: row.born[i], message })),
      ...row.changes.map((change) =>
        change.kind === 'reaction' ? { ...change, reactions: reactionsOf(change.messageId) } : change),
    ];
    return {
      currentRev, tooMany: false, changes: changes.filter(({ rev }) => rev > sinceRev).sort((a, b) => a.rev - b.rev),
    };
  }

  listRevisions({ conversationIds, orgIds }) {
    const all = [...this.#rows.values()].map(({ conversation }) => conversation);
    return {
      conversations: conversationIds.map((id) => this.#rows.get(id)?.conversation.rev ?? 0),
      organizations: orgIds.map((id) =>
        all.filter(({ orgId }) => orgId === id).reduce((sum, { rev }) => sum + 1 + rev, 0)),
    };
  }

  async countUnread(id) {
    return [...this.#rows.values()]
      .filter(({ conversation }) => conversation.orgId === id)
      .reduce((sum, { conversation }) => sum + conversation.unreadCount, 0);
  }

  findToken(digest, now) {
    const claims = this.#tokens.get(digest);
    return claims !== undefined && claims.expiresAt > now ? claims : null;
  }
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function lastMessage({ messages }) {
  return messages.length > 0 ? { ...messages.at(-1), reactions: [] } : null;
}
