// A storage in JavaScript: maps, and answers that come as values or as promises. What the conformance suite and the tests
// hold the interface with.
import { randomUUID } from 'node:crypto';

import { travelchat } from './package.mjs';

const { ChatError, foldText } = travelchat;

const memberKey = ({ conversationId, type, id }) => JSON.stringify([conversationId, type, id]);
const laterTurn = () => new Promise(setImmediate);

export class JsMemoryStorage {
  #rows = new Map(); // by id of the conversation
  #ofClient = new Map(); // by organization and client
  #messages = new Map(); // the conversation's row and the seq, by id of the message
  #members = new Map(); // by `memberKey`
  #tokens = new Map(); // by digest, in the order in which they came
  #epoch = randomUUID();

  async transact(questions, decide) {
    // As a database would: no part of it is seen before, and it takes a while.
    await laterTurn();
    this.#store(decide(this.#load(questions)));
  }

  #load({ conversations, openings, repeatable, messages, newestOf, viewers, clients, tokens }) {
    const opened = openings.map(({ orgId, clientId }) => this.#ofClient.get(JSON.stringify([orgId, clientId])));
    const newest = [...newestOf.map((id) => this.#rows.get(id)), ...opened].map((row) => row?.messages.at(-1));
    const repeats = repeatable.map((wanted) => this.#rows.get(wanted.conversationId)?.messages.find((message) =>
      ['clientMessageId', 'senderType', 'senderId'].every((name) => message[name] === wanted[name])));
    const named = messages.map((id) => this.#messages.get(id)).map((place) => place?.row.messages[place.seq - 1]);
    const isThere = (fact) => fact !== undefined;
    return {
      conversations: [...conversations.map((id) => this.#rows.get(id)), ...opened].filter(isThere)
        .map(({ conversation }) => conversation),
      messages: [...newest, ...repeats, ...named].filter(isThere),
      members: [...viewers, ...clients].map((wanted) => this.#members.get(memberKey(wanted))).filter(isThere),
      tokens: [...this.#tokens.values()].filter(({ claims }) => tokens.some((wanted) =>
        wanted.conversationId === claims.conversationId && wanted.tripId === claims.tripId)),
    };
  }

  #store(effects) {
    const isTaken = [
      ...effects.opened.map(({ id }) => this.#rows.has(id)),
      ...effects.messages.map(({ message }) => this.#messages.has(message.id)),
      ...effects.tokens.map(({ digest }) => this.#tokens.has(digest)),
    ];
    if (isTaken.includes(true)) throw new ChatError('internal');
    for (const conversation of effects.opened) {
      const row = { conversation, messages: [], born: [], contentRevs: [], changes: [], prunedRev: 0 };
      this.#rows.set(conversation.id, row);
      this.#ofClient.set(JSON.stringify([conversation.orgId, conversation.clientId]), row);
    }
    for (const conversation of effects.conversations) this.#rows.get(conversation.id).conversation = conversation;
    for (const { conversationId, viewer, afterSeq, upToSeq, rev, at } of effects.marks) {
      const mark = viewer === 'client' ? { seenAt: at, rev } : { isRead: true, rev };
      const isNew = ({ senderType, seenAt, isRead }) => senderType !== viewer && (viewer === 'client' ? seenAt === null : !isRead);
      const row = this.#rows.get(conversationId);
      row.messages = row.messages.map((message) =>
        message.seq > afterSeq && message.seq <= upToSeq && isNew(message) ? { ...message, ...mark } : message);
    }
    for (const { message, createdRev } of effects.messages) {
      const row = this.#rows.get(message.conversationId);
      row.messages.push({ ...message, reactions: [] });
      row.born.push(createdRev);
      this.#messages.set(message.id, { row, seq: message.seq });
    }
    for (const { conversationId, seq, rev } of effects.touched) {
      this.#change(conversationId, seq, (message) => ({ rev: Math.max(message.rev, rev) }));
    }
    for (const { message, contentRev } of effects.rewritten) {
      this.#change(message.conversationId, message.seq, ({ reactions }) => ({ ...message, reactions }));
      this.#rows.get(message.conversationId).contentRevs[message.seq - 1] = contentRev;
    }
    const othersThan = (message, { reactorType, reactorId }) => message.reactions.filter((reaction) =>
      reaction.reactorType !== reactorType || reaction.reactorId !== reactorId);
    for (const removed of effects.removedReactions) {
      this.#change(removed.conversationId, removed.seq, (message) => ({ reactions: othersThan(message, removed) }));
    }
    for (const { reaction, seq } of effects.reactions.sort((a, b) => a.rev - b.rev)) {
      this.#change(reaction.conversationId, seq, (message) => ({ reactions: [...othersThan(message, reaction), reaction] }));
    }
    for (const { conversationId, rev, seq, at } of effects.changes) this.#rows.get(conversationId).changes.push({ rev, seq, at });
    for (const { conversationId, rev, viewer, at } of effects.marks) {
      this.#rows.get(conversationId).changes.push({ rev, at, mark: { viewer, at } });
    }
    for (const { changes } of this.#rows.values()) changes.sort((a, b) => a.rev - b.rev);
    for (const { conversationId, member } of effects.members) {
      this.#members.set(memberKey({ conversationId, ...member }), { conversationId, member });
    }
    for (const digest of effects.removedTokens) this.#tokens.delete(digest);
    for (const token of effects.tokens) this.#tokens.set(token.digest, token);
  }

  #change(conversationId, seq, change) {
    const { messages } = this.#rows.get(conversationId);
    messages[seq - 1] = { ...messages[seq - 1], ...change(messages[seq - 1]) };
  }

  removeTokens({ kind, digest, now, orgId, clientId, tripId }) {
    const isMeant = {
      deleteToken: (token) => token.digest === digest,
      sweepTokens: ({ claims }) => claims.expiresAt <= now,
      revokeTokens: ({ claims }) => claims.orgId === orgId && (clientId ?? claims.clientId) === claims.clientId &&
        (tripId ?? claims.tripId) === claims.tripId,
    }[kind];
    const digests = [...this.#tokens.values()].filter(isMeant).map((token) => token.digest);
    for (const gone of digests) this.#tokens.delete(gone);
    return { count: digests.length, digests };
  }

  findConversation(id) {
    return this.#rows.get(id)?.conversation;
  }

  async listConversations({ orgId, text, clientIds }) {
    const wanted = text === null ? null : foldText(text);
    const activity = ({ lastMessageAt, createdAt }) => lastMessageAt ?? createdAt;
    return [...this.#rows.values()]
      .filter(({ conversation }) => conversation.orgId === orgId)
      .filter(({ conversation, messages }) => wanted === null || clientIds.includes(conversation.clientId) ||
        messages.some(({ content }) => foldText(content).includes(wanted)))
      .map((row) => ({ ...row.conversation, lastMessage: lastMessage(row) }))
      .sort((a, b) => compare(activity(b), activity(a)) || compare(b.id, a.id));
  }

  listMessages({ conversationId, beforeSeq = Infinity, sinceRev, limit }) {
    const messages = this.#rows.get(conversationId)?.messages ?? [];
    if (sinceRev === undefined) {
      const older = messages.filter(({ seq }) => seq < beforeSeq);
      return { messages: older.slice(-limit), hasMore: older.length > limit, epoch: this.#epoch };
    }
    const changed = messages.filter(({ rev }) => rev > sinceRev).sort((a, b) => a.rev - b.rev || a.seq - b.seq);
    let end = limit;
    while (end < changed.length && changed[end].rev === changed[end - 1].rev) ++end;
    if (Math.min(end, changed.length) > 1_000) throw new ChatError('too_many_changes');
    return {
      messages: changed.slice(0, end).sort((a, b) => a.seq - b.seq), hasMore: end < changed.length, epoch: this.#epoch,
    };
  }

  listChanges({ conversationId, sinceRev, limit }) {
    const row = this.#rows.get(conversationId);
    if (row === undefined) throw new ChatError('not_found');
    const currentRev = row.conversation.rev;
    const epoch = this.#epoch;
    if (sinceRev > currentRev || currentRev - sinceRev > limit || sinceRev < row.prunedRev) {
      return { currentRev, tooMany: true, changes: [], epoch };
    }
    const asItIs = (seq) =>
      ({ message: row.messages[seq - 1], createdRev: row.born[seq - 1], contentRev: row.contentRevs[seq - 1] });
    const changes = [
      ...row.messages.map((message) => ({ rev: row.born[message.seq - 1], ...asItIs(message.seq) })),
      ...row.changes.map(({ rev, seq, mark }) => (mark === undefined ? { rev, ...asItIs(seq) } : { rev, mark })),
    ];
    return {
      currentRev, tooMany: false, epoch,
      changes: changes.filter(({ rev }) => rev > sinceRev).sort((a, b) => a.rev - b.rev),
    };
  }

  listMembers(conversationId) {
    const conversation = this.#rows.get(conversationId)?.conversation;
    if (conversation === undefined) return [];
    const rows = [...this.#members.values()].filter((row) => row.conversationId === conversationId).map(({ member }) => member);
    const isClient = ({ type, id }) => type === 'client' && id === conversation.clientId;
    const client = rows.find(isClient) ?? { type: 'client', id: conversation.clientId, name: '', deliveredSeq: 0, seenSeq: 0 };
    const others = rows.filter((member) => !isClient(member));
    return [client, ...others.sort((a, b) => compare(b.type, a.type) || compare(a.id, b.id))];
  }

  listRevisions({ conversationIds, orgIds }) {
    const all = [...this.#rows.values()].map(({ conversation }) => conversation);
    return {
      conversations: conversationIds.map((id) => this.#rows.get(id)?.conversation.rev ?? 0),
      organizations: orgIds.map((id) =>
        all.filter(({ orgId }) => orgId === id).reduce((sum, { rev }) => sum + 1 + rev, 0)),
      epoch: this.#epoch,
    };
  }

  pruneChanges({ after, keepRevisions, olderThan, maxConversations, maxChanges }) {
    const rows = [...this.#rows.values()]
      .filter(({ conversation }) => after === null || conversation.id > after)
      .sort((a, b) => compare(a.conversation.id, b.conversation.id));
    let count = 0;
    let done = after;
    for (const row of rows.slice(0, maxConversations)) {
      const { id, rev } = row.conversation;
      const old = row.changes.filter((change) =>
        (keepRevisions > 0 && rev - change.rev >= keepRevisions) || (olderThan !== null && change.at < olderThan));
      const gone = old.slice(0, maxChanges - count);
      row.changes = row.changes.filter((change) => !gone.includes(change));
      row.prunedRev = Math.max(row.prunedRev, ...gone.map((change) => change.rev));
      count += gone.length;
      if (count === maxChanges) return { count, next: done ?? '00000000-0000-0000-0000-000000000000', epoch: this.#epoch };
      done = id;
    }
    return { count, next: rows.length > maxConversations ? done : null, epoch: this.#epoch };
  }

  async beginEpoch(epoch) {
    await laterTurn();
    this.#epoch = epoch;
  }

  async countUnread(id) {
    return [...this.#rows.values()]
      .filter(({ conversation }) => conversation.orgId === id)
      .reduce((sum, { conversation }) => sum + conversation.unreadCount, 0);
  }

  findToken(digest, now) {
    const claims = this.#tokens.get(digest)?.claims;
    return claims !== undefined && claims.expiresAt > now ? claims : null;
  }
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function lastMessage({ messages }) {
  return messages.length > 0 ? { ...messages.at(-1), reactions: [] } : null;
}
