"""A storage in Python: dictionaries under one lock. What the conformance suite and the tests hold the interface with."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from travelchat import (
    AppendMessage,
    Change,
    ChangeKind,
    ChangeList,
    Conversation,
    ConversationQuery,
    ConversationSummary,
    DeleteToken,
    IdempotencyConflict,
    Internal,
    MarkConversation,
    Message,
    MessagePage,
    MessageQuery,
    NotFound,
    OpenConversation,
    Participant,
    PutReaction,
    PutToken,
    Reaction,
    RevisionQuery,
    Revisions,
    Role,
    Storage,
    SweepTokens,
    TokenClaims,
    TravelchatError,
    Write,
    Written,
)


def ascii_lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


@dataclass
class Row:
    conversation: Conversation
    messages: list[Message] = field(default_factory=list)  # messages[n] has seq n + 1
    born: list[int] = field(default_factory=list)  # the rev that brought each
    changes: list[tuple[int, ChangeKind, str | None, datetime | None]] = field(default_factory=list)
    repeats: dict[tuple[str, Role, str], int] = field(default_factory=dict)

    def last_message(self) -> Message | None:
        return replace(self.messages[-1], reactions=()) if self.messages else None


class PythonMemoryStorage(Storage):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._of_client: dict[tuple[str, str], Row] = {}
        self._message_ids: set[str] = set()
        self._reaction_ids: set[str] = set()
        self._tokens: dict[bytes, TokenClaims] = {}

    def commit(self, writes: Sequence[Write]) -> list[Written | TravelchatError]:
        entries: list[Written | TravelchatError] = []
        with self._lock:
            for write in writes:
                try:
                    entries.append(self._run(write))
                except TravelchatError as refused:
                    entries.append(refused)
        return entries

    def _run(self, write: Write) -> Written:
        match write:
            case OpenConversation():
                return self._open(write)
            case AppendMessage():
                return self._append(write)
            case PutReaction():
                return self._react(write)
            case MarkConversation():
                return self._mark(write)
            case PutToken():
                return self._put_token(write)
            case DeleteToken(digest):
                gone = self._tokens.pop(digest, None) is not None
                return Written(changed=gone, count=int(gone))
            case SweepTokens(now):
                expired = [digest for digest, claims in self._tokens.items() if claims.expires_at <= now]
                for digest in expired:
                    del self._tokens[digest]
                return Written(changed=bool(expired), count=len(expired))

    def _reach(self, who: Participant, conversation_id: str) -> Row:
        row = self._rows.get(conversation_id)
        if row is None or who.org_id != row.conversation.org_id:
            raise NotFound
        if who.role == Role.CLIENT and who.id != row.conversation.client_id:
            raise NotFound
        return row

    def _open(self, write: OpenConversation) -> Written:
        row = self._of_client.get((write.org_id, write.client_id))
        if row is not None:
            return Written(conversation=row.conversation, last_message=row.last_message())
        if write.conversation_id in self._rows:
            raise Internal
        row = Row(Conversation(write.conversation_id, write.org_id, write.client_id, write.now, None, 0, 0, 0))
        self._rows[write.conversation_id] = self._of_client[write.org_id, write.client_id] = row
        return Written(changed=True, conversation=row.conversation)

    def _append(self, write: AppendMessage) -> Written:
        row = self._reach(write.sender, write.conversation_id)
        key = None
        if write.client_message_id is not None:
            key = (write.client_message_id, write.sender.role, write.sender.id)
            if (seq := row.repeats.get(key)) is not None:
                first = row.messages[seq - 1]
                said = (first.content, first.attachment_url, first.attachment_type, first.attachment_name)
                if said != (write.content, write.attachment_url, write.attachment_type, write.attachment_name):
                    raise IdempotencyConflict
                return Written(conversation=row.conversation, message=first)
        if write.message_id in self._message_ids:
            raise Internal
        before = row.conversation
        message = Message(
            id=write.message_id,
            conversation_id=before.id,
            org_id=before.org_id,
            sender_type=write.sender.role,
            sender_id=write.sender.id,
            sender_name=write.sender.name,
            content=write.content,
            is_read=False,
            seen_at=None,
            created_at=write.now,
            attachment_url=write.attachment_url,
            attachment_type=write.attachment_type,
            attachment_name=write.attachment_name,
            reactions=(),
            seq=before.last_seq + 1,
            rev=before.rev + 1,
            client_message_id=write.client_message_id,
        )
        row.conversation = replace(
            before,
            last_message_at=write.now,
            last_seq=message.seq,
            rev=message.rev,
            unread_count=before.unread_count + (write.sender.role == Role.CLIENT),
        )
        row.messages.append(message)
        row.born.append(message.rev)
        self._message_ids.add(message.id)
        if key is not None:
            row.repeats[key] = message.seq
        return Written(changed=True, conversation=row.conversation, message=message)

    def _react(self, write: PutReaction) -> Written:
        row = self._reach(write.reactor, write.conversation_id)
        message = next((m for m in row.messages if m.id == write.message_id), None)
        if message is None:
            raise NotFound
        who = (write.reactor.role, write.reactor.id)
        own = next((r for r in message.reactions if (r.reactor_type, r.reactor_id) == who), None)
        others = tuple(r for r in message.reactions if r is not own)
        if (own.emoji if own else None) == write.emoji:
            return Written(conversation=row.conversation, reactions=message.reactions)
        if write.emoji is None:
            reactions = others
        else:
            if own is None and write.reaction_id in self._reaction_ids:
                raise Internal
            made = Reaction(
                id=own.id if own else write.reaction_id,
                message_id=message.id,
                conversation_id=message.conversation_id,
                org_id=message.org_id,
                reactor_type=write.reactor.role,
                reactor_id=write.reactor.id,
                reactor_name=write.reactor.name,
                emoji=write.emoji,
                created_at=write.now,
            )
            self._reaction_ids.add(made.id)
            reactions = (*others, made)
        row.conversation = replace(row.conversation, rev=row.conversation.rev + 1)
        row.messages[message.seq - 1] = replace(message, reactions=reactions, rev=row.conversation.rev)
        row.changes.append((row.conversation.rev, ChangeKind.REACTION, message.id, None))
        return Written(changed=True, conversation=row.conversation, reactions=reactions)

    def _mark(self, write: MarkConversation) -> Written:
        row = self._reach(write.viewer, write.conversation_id)
        by_client = write.viewer.role == Role.CLIENT
        rev = row.conversation.rev + 1
        count = 0
        for at, message in enumerate(row.messages):
            if by_client and message.sender_type == Role.ADVISOR and message.seen_at is None:
                row.messages[at] = replace(message, seen_at=write.now, rev=rev)
            elif not by_client and message.sender_type == Role.CLIENT and not message.is_read:
                row.messages[at] = replace(message, is_read=True, rev=rev)
            else:
                continue
            count += 1
        if count:
            unread = row.conversation.unread_count if by_client else 0
            row.conversation = replace(row.conversation, rev=rev, unread_count=unread)
            row.changes.append((rev, ChangeKind.SEEN if by_client else ChangeKind.READ, None, write.now))
        return Written(
            changed=bool(count),
            conversation=row.conversation,
            last_message=None if by_client else row.last_message(),
            count=count,
        )

    def _put_token(self, write: PutToken) -> Written:
        claims = write.claims
        row = self._of_client.get((claims.org_id, claims.client_id))
        if row is None or row.conversation.id != claims.conversation_id:
            raise NotFound
        if write.digest in self._tokens:
            raise Internal
        self._tokens[write.digest] = claims
        live = [
            digest
            for digest, other in self._tokens.items()
            if (other.org_id, other.client_id, other.trip_id) == (claims.org_id, claims.client_id, claims.trip_id)
            and other.expires_at > write.now
        ]
        evicted = tuple(live[: max(0, len(live) - write.max_live)])
        for digest in evicted:
            del self._tokens[digest]
        return Written(changed=True, evicted=evicted)

    def find_conversation(self, conversation_id: str) -> Conversation | None:
        with self._lock:
            row = self._rows.get(conversation_id)
            return row.conversation if row else None

    def list_conversations(self, query: ConversationQuery) -> list[ConversationSummary]:
        def matches(row: Row) -> bool:
            if query.text is None or row.conversation.client_id in query.client_ids:
                return True
            wanted = ascii_lower(query.text)
            return any(wanted in ascii_lower(message.content) for message in row.messages)

        with self._lock:
            rows = [row for row in self._rows.values() if row.conversation.org_id == query.org_id and matches(row)]
            found = [ConversationSummary(row.conversation, row.last_message()) for row in rows]
        return sorted(
            found,
            key=lambda s: (s.conversation.last_message_at or s.conversation.created_at, s.conversation.id),
            reverse=True,
        )

    def list_messages(self, query: MessageQuery) -> MessagePage:
        with self._lock:
            row = self._rows.get(query.conversation_id)
            messages = list(row.messages) if row else []
        if query.since_rev is not None:
            changed = sorted((m for m in messages if m.rev > query.since_rev), key=lambda m: (m.rev, m.seq))
            end = query.limit
            while end < len(changed) and changed[end].rev == changed[end - 1].rev:
                end += 1
            return MessagePage(tuple(sorted(changed[:end], key=lambda m: m.seq)), end < len(changed))
        if query.before_seq is not None:
            messages = [m for m in messages if m.seq < query.before_seq]
        return MessagePage(tuple(messages[-query.limit :]), len(messages) > query.limit)

    def list_changes(self, conversation_id: str, since_rev: int, limit: int) -> ChangeList:
        with self._lock:
            row = self._rows.get(conversation_id)
            if row is None:
                raise NotFound
            current = row.conversation.rev
            if since_rev > current or current - since_rev > limit:
                return ChangeList(current, too_many=True)
            by_id = {m.id: m for m in row.messages}
            changes = [
                Change(ChangeKind.MESSAGE, born, message=m)
                for m, born in zip(row.messages, row.born)
                if born > since_rev
            ]
            for rev, kind, message_id, at in row.changes:
                if rev > since_rev:
                    reactions = by_id[message_id].reactions if message_id else ()
                    changes.append(Change(kind, rev, message_id=message_id, reactions=reactions, at=at))
        return ChangeList(current, changes=tuple(sorted(changes, key=lambda change: change.rev)))

    def list_revisions(self, query: RevisionQuery) -> Revisions:
        with self._lock:
            conversations = tuple(
                row.conversation.rev if (row := self._rows.get(id)) else 0 for id in query.conversation_ids
            )
            organizations = tuple(
                sum(1 + row.conversation.rev for row in self._rows.values() if row.conversation.org_id == org_id)
                for org_id in query.org_ids
            )
        return Revisions(conversations, organizations)

    def count_unread(self, org_id: str) -> int:
        with self._lock:
            return sum(r.conversation.unread_count for r in self._rows.values() if r.conversation.org_id == org_id)

    def find_token(self, digest: bytes, now: datetime) -> TokenClaims | None:
        with self._lock:
            claims = self._tokens.get(digest)
        return claims if claims and claims.expires_at > now else None

    def ping(self) -> None:
        pass
