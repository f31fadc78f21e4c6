"""Where conversations live: the library's own storages, and the base class for one written in Python."""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from . import _core
from .errors import TravelchatError
from .types import (
    ChangeList,
    Conversation,
    ConversationQuery,
    ConversationSummary,
    MessagePage,
    MessageQuery,
    RevisionQuery,
    Revisions,
    TokenClaims,
    Write,
    Written,
)

__all__ = ["AnyStorage", "NativeStorage", "Storage", "memory", "postgres", "sqlite"]

NativeStorage = _core.NativeStorage


def sqlite(
    path: str | os.PathLike[str], *, max_readers: int = 4, checkpoint_bytes: int = 64 * 1024 * 1024
) -> NativeStorage:
    """Opens one SQLite file (WAL, every commit fsynced), made with its schema when absent. Its folder must exist.

    One process owns a file at a time. A checkpoint is tried, outside of commits, when the write-ahead log has grown past
    ``checkpoint_bytes``.

    Raises:
        StorageLocked: another process, or another engine of this one, has the file.
        StorageIncompatible: made by a newer version, or not such a database.
        StorageFull, StorageFailed: the disk.
    """
    return _core.open_sqlite(os.fspath(path), max_readers, checkpoint_bytes)


def postgres(
    url: str,
    *,
    lanes: int = 4,
    max_readers: int = 4,
    patience: timedelta = timedelta(seconds=2),
    connect_timeout: timedelta = timedelta(seconds=5),
) -> NativeStorage:
    """Connects to a PostgreSQL database (13 or newer), which any number of processes may share, and makes or migrates its
    tables. For their listeners to hear of each other's messages, give each engine a backplane (`nats`).

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
    return _core.open_postgres(url, lanes, max_readers, patience, connect_timeout)


def memory() -> NativeStorage:
    """In this process's memory: for tests, and for conversations that need not outlive it."""
    return _core.memory_storage()


class Storage(abc.ABC):
    """A storage of one's own. The engine owns it and calls it on threads of its own, which may block.

    `commit` is called by one thread, never twice at once; the reads by several, also while a commit runs. A method that
    fails raises `StorageFull`, `StorageFailed` or what its text says; any other exception goes to ``sys.unraisablehook``
    and counts as `StorageFailed`. The suite in tests/conformance says in tests what these methods must do.
    """

    @abc.abstractmethod
    def commit(self, writes: Sequence[Write]) -> Sequence[Written | TravelchatError]:
        """Runs all writes in one transaction, in order, and returns once it is durable, with one entry for each.

        A write that fails alone has its exception in its entry, and leaves the others untouched: `NotFound`,
        `IdempotencyConflict`, or `Internal` when its new id is taken. When this raises, the whole transaction is undone.
        """

    @abc.abstractmethod
    def find_conversation(self, conversation_id: str) -> Conversation | None:
        """None: no such conversation."""

    @abc.abstractmethod
    def list_conversations(self, query: ConversationQuery) -> Sequence[ConversationSummary]:
        """Newest activity first (``last_message_at``, else ``created_at``; then by id, descending)."""

    @abc.abstractmethod
    def list_messages(self, query: MessageQuery) -> MessagePage:
        """By ``seq``, with their reactions. Empty when there is no such conversation."""

    @abc.abstractmethod
    def list_changes(self, conversation_id: str, since_rev: int, limit: int) -> ChangeList:
        """What changed after ``since_rev``. `NotFound` when there is no such conversation."""

    @abc.abstractmethod
    def list_revisions(self, query: RevisionQuery) -> Revisions:
        """Where the conversations and organizations stand."""

    @abc.abstractmethod
    def count_unread(self, org_id: str) -> int:
        """The sum of ``unread_count`` over the organization."""

    @abc.abstractmethod
    def find_token(self, digest: bytes, now: datetime) -> TokenClaims | None:
        """None: unknown, or ``expires_at <= now``."""

    @abc.abstractmethod
    def ping(self) -> None:
        """A cheap check that reads work; raises when they do not."""


AnyStorage: TypeAlias = NativeStorage | Storage
