"""A storage in Python: dictionaries under one lock. What the conformance suite and the tests hold the interface with."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from travelchat import (
    Change,
    ChangeList,
    Conversation,
    ConversationQuery,
    ConversationRow,
    ConversationSummary,
    DeleteToken,
    Effects,
    Facts,
    Internal,
    Mark,
    MarkRow,
    Member,
    MemberRow,
    Message,
    MessagePage,
    MessageQuery,
    NotFound,
    PruneChanges,
    Pruned,
    Questions,
    Reaction,
    RemovedTokens,
    RevisionQuery,
    Revisions,
    RevokeTokens,
    Role,
    Storage,
    StorageUpkeep,
    SweepTokens,
    TokenClaims,
    TokenRemoval,
    TokenRow,
    TooManyChanges,
    fold_text,
)


@dataclass
class Row:
    kept: ConversationRow
    messages: list[Message] = field(default_factory=list)  # messages[n] has seq n + 1
    born: list[int] = field(default_factory=list)  # the rev that brought each
    changes: list[tuple[int, int | Mark, datetime]] = field(default_factory=list)  # rev, of what seq, when
    content_revs: dict[int, int] = field(default_factory=dict)  # by seq
    pruned_rev: int = 0  # the newest of the changes that were deleted

    @property
    def conversation(self) -> Conversation:
        return self.kept.conversation

    def last_message(self) -> Message | None:
        return replace(self.messages[-1], reactions=()) if self.messages else None


class PythonMemoryStorage(Storage, StorageUpkeep):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._of_client: dict[tuple[str, str], Row] = {}
        self._messages: dict[str, tuple[Row, int]] = {}  # its conversation and seq
        self._members: dict[tuple[str, Role, str], MemberRow] = {}
        self._tokens: dict[bytes, TokenRow] = {}  # in the order in which they came
        self._epoch = str(uuid.uuid4())

    def transact(self, questions: Questions, decide: Callable[[Facts], Effects]) -> None:
        with self._lock:
            self._store(decide(self._load(questions)))

    def _load(self, questions: Questions) -> Facts:
        named = [self._rows.get(id) for id in questions.conversations]
        opened = [self._of_client.get((q.org_id, q.client_id)) for q in questions.openings]
        newest = [row for row in (*opened, *(self._rows.get(id) for id in questions.newest_of)) if row]
        places = [self._messages[id] for id in questions.messages if id in self._messages]
        trips = {(q.conversation_id, q.trip_id) for q in questions.tokens}

        wanted = [(q.conversation_id, q.type, q.id) for q in (*questions.viewers, *questions.clients)]

        def repeated() -> Iterator[Message]:
            for q in questions.repeatable:
                row = self._rows.get(q.conversation_id)
                wanted = (q.client_message_id, q.sender_type, q.sender_id)
                for message in row.messages if row else ():
                    if (message.client_message_id, message.sender_type, message.sender_id) == wanted:
                        yield message

        return Facts(
            conversations=[row.kept for row in (*named, *opened) if row],
            messages=[
                *(row.messages[-1] for row in newest if row.messages),
                *(row.messages[seq - 1] for row, seq in places),
                *repeated(),
            ],
            members=[m for m in map(self._members.get, wanted) if m],
            tokens=[t for t in self._tokens.values() if (t.claims.conversation_id, t.claims.trip_id) in trips],
        )

    def _store(self, effects: Effects) -> None:
        if (
            any(row.conversation.id in self._rows for row in effects.opened)
            or any(new.message.id in self._messages for new in effects.messages)
            or any(token.digest in self._tokens for token in effects.tokens)
        ):
            raise Internal
        for kept in effects.opened:
            made = self._rows[kept.conversation.id] = Row(kept)
            self._of_client[kept.conversation.org_id, kept.conversation.client_id] = made
        for kept in effects.conversations:
            self._rows[kept.conversation.id].kept = kept
        for mark in effects.marks:
            self._mark(mark)
        for new in effects.messages:
            row = self._rows[new.message.conversation_id]
            row.messages.append(replace(new.message, reactions=()))
            row.born.append(new.created_rev)
            self._messages[new.message.id] = (row, new.message.seq)
        for touched in effects.touched:
            messages = self._rows[touched.conversation_id].messages
            message = messages[touched.seq - 1]
            messages[touched.seq - 1] = replace(message, rev=max(message.rev, touched.rev))
        for rewritten in effects.rewritten:
            row, seq = self._rows[rewritten.message.conversation_id], rewritten.message.seq
            row.messages[seq - 1] = replace(rewritten.message, reactions=row.messages[seq - 1].reactions)
            row.content_revs[seq] = rewritten.content_rev
        for removed in effects.removed_reactions:
            self._react(removed.conversation_id, removed.seq, (removed.reactor_type, removed.reactor_id))
        for put in sorted(effects.reactions, key=lambda put: put.rev):
            who = (put.reaction.reactor_type, put.reaction.reactor_id)
            self._react(put.reaction.conversation_id, put.seq, who, put.reaction)
        for change in effects.changes:
            self._rows[change.conversation_id].changes.append((change.rev, change.seq, change.at))
        for mark in effects.marks:
            self._rows[mark.conversation_id].changes.append((mark.rev, Mark(mark.viewer, mark.at), mark.at))
        for row in self._rows.values():
            row.changes.sort(key=lambda change: change[0])
        for put in effects.members:
            self._members[put.conversation_id, put.member.type, put.member.id] = put
        for digest in effects.removed_tokens:
            del self._tokens[digest]
        for token in effects.tokens:
            self._tokens[token.digest] = token

    def _mark(self, mark: MarkRow) -> None:
        messages = self._rows[mark.conversation_id].messages
        for at in range(mark.after_seq, min(mark.up_to_seq, len(messages))):
            message = messages[at]
            if message.sender_type == mark.viewer:
                continue
            if mark.viewer == Role.CLIENT and message.seen_at is None:
                messages[at] = replace(message, seen_at=mark.at, rev=mark.rev)
            elif mark.viewer == Role.ADVISOR and not message.is_read:
                messages[at] = replace(message, is_read=True, rev=mark.rev)

    def _react(self, conversation_id: str, seq: int, who: tuple[Role, str], new: Reaction | None = None) -> None:
        messages = self._rows[conversation_id].messages
        message = messages[seq - 1]
        others = tuple(r for r in message.reactions if (r.reactor_type, r.reactor_id) != who)
        messages[seq - 1] = replace(message, reactions=(*others, new) if new else others)

    def remove_tokens(self, removal: TokenRemoval) -> RemovedTokens:
        def is_meant(token: TokenRow) -> bool:
            match removal:
                case DeleteToken(digest):
                    return token.digest == digest
                case SweepTokens(now):
                    return token.claims.expires_at <= now
                case RevokeTokens(org_id, client_id, trip_id):
                    return (
                        token.claims.org_id == org_id
                        and client_id in (None, token.claims.client_id)
                        and trip_id in (None, token.claims.trip_id)
                    )

        with self._lock:
            digests = [token.digest for token in self._tokens.values() if is_meant(token)]
            for digest in digests:
                del self._tokens[digest]
        return RemovedTokens(len(digests), digests)

    def find_conversation(self, conversation_id: str) -> Conversation | None:
        with self._lock:
            row = self._rows.get(conversation_id)
            return row.conversation if row else None

    def list_conversations(self, query: ConversationQuery) -> list[ConversationSummary]:
        def matches(row: Row) -> bool:
            if query.text is None or row.conversation.client_id in query.client_ids:
                return True
            wanted = fold_text(query.text)
            return any(wanted in fold_text(message.content) for message in row.messages)

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
            epoch = self._epoch
        if query.since_rev is not None:
            changed = sorted((m for m in messages if m.rev > query.since_rev), key=lambda m: (m.rev, m.seq))
            end = query.limit
            while end < len(changed) and changed[end].rev == changed[end - 1].rev:
                end += 1
            if min(end, len(changed)) > 1_000:
                raise TooManyChanges
            return MessagePage(tuple(sorted(changed[:end], key=lambda m: m.seq)), end < len(changed), epoch)
        if query.before_seq is not None:
            messages = [m for m in messages if m.seq < query.before_seq]
        return MessagePage(tuple(messages[-query.limit :]), len(messages) > query.limit, epoch)

    def list_changes(self, conversation_id: str, since_rev: int, limit: int) -> ChangeList:
        with self._lock:
            row = self._rows.get(conversation_id)
            if row is None:
                raise NotFound
            current = row.conversation.rev
            epoch = self._epoch
            if since_rev > current or current - since_rev > limit or since_rev < row.pruned_rev:
                return ChangeList(current, too_many=True, epoch=epoch)
            changes = [Change(born, m, born, row.content_revs.get(m.seq, 0)) for m, born in zip(row.messages, row.born) if born > since_rev]
            for rev, of, _ in row.changes:
                if rev <= since_rev:
                    continue
                if isinstance(of, Mark):
                    changes.append(Change(rev, mark=of))
                else:
                    changes.append(Change(rev, row.messages[of - 1], row.born[of - 1], row.content_revs.get(of, 0)))
        return ChangeList(current, changes=tuple(sorted(changes, key=lambda change: change.rev)), epoch=epoch)

    def list_members(self, conversation_id: str) -> list[Member]:
        with self._lock:
            row = self._rows.get(conversation_id)
            if row is None:
                return []
            rows = [put.member for put in self._members.values() if put.conversation_id == conversation_id]
        own = row.conversation.client_id
        client = next((m for m in rows if (m.type, m.id) == (Role.CLIENT, own)), Member(Role.CLIENT, own, "", 0, 0))
        others = sorted((m for m in rows if (m.type, m.id) != (Role.CLIENT, own)), key=lambda m: (m.type == Role.ADVISOR, m.id))
        return [client, *others]

    def list_revisions(self, query: RevisionQuery) -> Revisions:
        with self._lock:
            conversations = tuple(
                row.conversation.rev if (row := self._rows.get(id)) else 0 for id in query.conversation_ids
            )
            organizations = tuple(
                sum(1 + row.conversation.rev for row in self._rows.values() if row.conversation.org_id == org_id)
                for org_id in query.org_ids
            )
            return Revisions(conversations, organizations, self._epoch)

    def prune_changes(self, step: PruneChanges) -> Pruned:
        with self._lock:
            ids = sorted(id for id in self._rows if step.after is None or id > step.after)
            count, done = 0, step.after
            for id in ids[: step.max_conversations]:
                row = self._rows[id]
                current = row.conversation.rev
                old = [
                    change
                    for change in row.changes
                    if (step.keep_revisions and current - change[0] >= step.keep_revisions)
                    or (step.older_than is not None and change[2] < step.older_than)
                ][: step.max_changes - count]
                for change in old:
                    row.changes.remove(change)
                    row.pruned_rev = max(row.pruned_rev, change[0])
                count += len(old)
                if count == step.max_changes:
                    return Pruned(count, done or str(uuid.UUID(int=0)), self._epoch)
                done = id
            return Pruned(count, done if len(ids) > step.max_conversations else None, self._epoch)

    def begin_epoch(self, epoch: str) -> None:
        with self._lock:
            self._epoch = epoch

    def count_unread(self, org_id: str) -> int:
        with self._lock:
            return sum(r.conversation.unread_count for r in self._rows.values() if r.conversation.org_id == org_id)

    def find_token(self, digest: bytes, now: datetime) -> TokenClaims | None:
        with self._lock:
            token = self._tokens.get(digest)
        return token.claims if token and token.claims.expires_at > now else None

    def ping(self) -> None:
        pass
