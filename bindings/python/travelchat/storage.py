"""The library's own storages, and the base class for one written in Python."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from . import _core, _options
from .types import (
    ChangeList,
    Conversation,
    ConversationQuery,
    ConversationSummary,
    Effects,
    Facts,
    Member,
    MessagePage,
    MessageQuery,
    PruneChanges,
    Pruned,
    Questions,
    RemovedTokens,
    RevisionQuery,
    Revisions,
    Role,
    TokenClaims,
    TokenRemoval,
)

__all__ = ["AnyStorage", "NativeStorage", "Storage", "StorageUpkeep", "memory", "postgres", "sqlite"]

NativeStorage = _core.NativeStorage


def sqlite(
    path: str | os.PathLike[str], *, max_readers: int = 4, checkpoint_bytes: int = 64 * 1024 * 1024
) -> NativeStorage:
    """Opens one SQLite file (WAL, every commit fsynced), made with its schema when absent. Its folder must exist.

    A new file, and what SQLite keeps beside it, is for its owner alone (0600), whatever the umask; one that is there keeps
    its mode. One process owns a file at a time. A checkpoint is tried, between commits, when the write-ahead log has grown past
    ``checkpoint_bytes``; the next commit waits for it. Several workers of a web server are several
    processes: for them there is `postgres`.

    Why a transaction or a read failed goes to the logger ``travelchat``.

    Raises:
        StorageLocked: another process, or another engine of this one, has the file.
        StorageIncompatible: made by a newer version, or not such a database.
        StorageFull, StorageFailed: the disk. The exception's text says what is wrong.
    """
    return _core.open_sqlite(
        _options.path("path", path),
        _options.count("max_readers", max_readers),
        _options.count("checkpoint_bytes", checkpoint_bytes, 1),
    )


def postgres(
    url: str,
    *,
    lanes: int = 4,
    max_readers: int = 4,
    patience: timedelta = timedelta(seconds=2),
    connect_timeout: timedelta = timedelta(seconds=5),
) -> NativeStorage:
    """Connects to a PostgreSQL database (13 or newer), which any number of processes may share, and makes or migrates its
    tables. It waits for the database, so a coroutine calls it as ``await asyncio.to_thread(postgres, url)``: else its event
    loop waits, too. For their listeners to hear of each other's messages, give each engine a backplane (`nats`).

    Why a connection was lost, or a transaction failed, goes to the logger ``travelchat``.

    Args:
        url: ``postgres://user:password@host:port/database``, or ``host=... dbname=...``; what is not in it comes from libpq's
            environment (PGHOST, PGPASSFILE ...). A pooler in between must pool sessions, not transactions.
        lanes: Connections that commit at once; a conversation's writes always share one.
        max_readers: Reading connections, opened when first needed.
        patience: How long a commit waits for a database that has gone away, or for others' locks, before it fails.
        connect_timeout: How long this call waits for the database.

    Raises:
        InvalidArgument: not a connection URL.
        StorageIncompatible: made by a newer version, tables of another shape, a server that is too old or not durable.
        StorageFull, StorageFailed: the database, or the way to it. The exception's text says what is wrong.
    """
    return _core.open_postgres(
        # With an empty URL libpq would connect to the database that its environment names.
        _options.text("url", url, wanted="a connection URL, like 'postgres://user@host/database'"),
        _options.count("lanes", lanes, 1, 1024),
        _options.count("max_readers", max_readers, 0, 1024),
        _options.duration("patience", patience),
        _options.duration("connect_timeout", connect_timeout),
    )


def memory() -> NativeStorage:
    """In this process's memory: for tests, and for conversations that need not outlive it."""
    return _core.memory_storage()


class Storage(abc.ABC):
    """A storage of one's own: it loads rows and stores rows, and knows no rule of a conversation.

    The engine owns it and calls it on threads of its own, which may block. `transact` and `remove_tokens` are called by one
    thread, never twice at once; the reads by several, also while a transaction runs. A method that fails raises
    `StorageFull`, `StorageFailed` or what its text says; any other exception goes to ``sys.unraisablehook`` and counts as
    `StorageFailed`. The suite in tests/conformance says in tests what these methods must do.
    """

    @abc.abstractmethod
    def transact(self, questions: Questions, decide: Callable[[Facts], Effects]) -> None:
        """One transaction: loads what ``questions`` asks for, gives it to ``decide``, stores what that returns, and returns
        once it is durable.

        Where others write to the same rows, the conversations that are loaded are locked until the end. ``decide`` may be
        called again, with new facts, when the database asks for the transaction to be begun anew.

        What it raises undoes the transaction: `Internal` says that the key of a row to insert is taken, and the others are
        then stored without it.
        """

    @abc.abstractmethod
    def remove_tokens(self, removal: TokenRemoval) -> RemovedTokens:
        """Deletes tokens; durable when it returns."""

    @abc.abstractmethod
    def find_conversation(self, conversation_id: str) -> Conversation | None:
        """None: no such conversation."""

    @abc.abstractmethod
    def list_conversations(self, query: ConversationQuery) -> Sequence[ConversationSummary]:
        """Newest activity first (``last_message_at``, else ``created_at``; then by id, descending)."""

    @abc.abstractmethod
    def list_messages(self, query: MessageQuery) -> MessagePage:
        """By ``seq``, with their reactions. Empty when there is no such conversation.

        `TooManyChanges` when a page by ``since_rev`` would have more than 1,000 messages. An answer of more than that
        counts as the same; who raises it need not read them all.
        """

    @abc.abstractmethod
    def list_changes(self, conversation_id: str, since_rev: int, limit: int) -> ChangeList:
        """What changed after ``since_rev``. `NotFound` when there is no such conversation."""

    def list_members(self, conversation_id: str) -> Sequence[Member]:
        """The conversation's client first, then the others in a fixed order; empty when there is no such conversation.

        Unless overridden, the client alone.
        """
        found = self.find_conversation(conversation_id)
        return [] if found is None else [Member(Role.CLIENT, found.client_id, "", 0, 0)]

    @abc.abstractmethod
    def list_revisions(self, query: RevisionQuery) -> Revisions:
        """Where the conversations and organizations stand."""

    @abc.abstractmethod
    def count_unread(self, org_id: str) -> int:
        """The sum of ``unread_count`` over the organization."""

    @abc.abstractmethod
    def find_token(self, digest: bytes, now: datetime) -> TokenClaims | None:
        """None: unknown, or ``expires_at <= now``."""

    def list_live_tokens(self, digests: Sequence[bytes], now: datetime) -> Sequence[bytes]:
        """Those of ``digests`` that `find_token` would find, in any order.

        With a backplane it is asked every few seconds about all tokens that somebody listens by, 500 at a time. Unless
        overridden, `find_token` is called for each.
        """
        return [digest for digest in digests if self.find_token(digest, now) is not None]

    @abc.abstractmethod
    def ping(self) -> None:
        """A cheap check that reads work; raises when they do not."""


class StorageUpkeep(abc.ABC):
    """What a storage that keeps an epoch, and not every change for ever, derives from besides `Storage`.

    Its ``epoch`` then stands in each `MessagePage`, `ChangeList` and `Revisions`. Both methods are called one at a time,
    also while a commit or reads run.
    """

    @abc.abstractmethod
    def prune_changes(self, step: PruneChanges) -> Pruned:
        """Deletes changes that are kept no longer. Afterwards `Storage.list_changes` from before what is kept answers
        ``too_many``; a page by ``since_rev`` stays complete."""

    @abc.abstractmethod
    def begin_epoch(self, epoch: str) -> None:
        """Whatever is read from now on is of this epoch; durable."""


AnyStorage: TypeAlias = NativeStorage | Storage

_METHODS = tuple(sorted(Storage.__abstractmethods__))


def require_storage(value: object) -> None:
    """TypeError unless it is a storage."""
    if not isinstance(value, NativeStorage):
        _options.methods("storage", value, _METHODS, "what sqlite(), postgres() or memory() gives, or a travelchat.Storage")
