"""What the asynchronous and the blocking engine share."""

from __future__ import annotations

import atexit
import enum
import warnings
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar, Protocol, TypeVar

from . import _core, _options
from .backplane import NativeBackplane
from .storage import AnyStorage, require_storage
from .types import EngineStats, Participant

S = TypeVar("S")


class Everything(enum.Enum):
    """The type of `EVERYTHING`, which stands in place of a listener for a program that reads every conversation."""

    EVERYTHING = "a program that reads everything"


EVERYTHING = Everything.EVERYTHING

# This many events are turned into Python objects at a time; after them, other tasks or threads run.
BATCH_SIZE = 256


def checked_listener(listener: Participant | Everything) -> Participant | None:
    """The listener as the engine takes it. TypeError for None, so that a look-up that found nobody does not read everything."""
    if listener is EVERYTHING:
        return None
    if not isinstance(listener, Participant):
        raise _options.refuse_type(
            "listener", "a travelchat.Participant, or left out by a program that reads everything", listener
        )
    return listener


class Endable(Protocol):
    """An object that must end before its engine: a server on it, or the application that serves it."""

    def end(self) -> None:
        """Blocks until nothing of it is left."""


class EngineBase:
    """Makes and closes an engine of the library's."""

    _open: ClassVar[weakref.WeakSet[EngineBase]] = weakref.WeakSet()

    @_options.check_arguments
    def __init__(
        self,
        storage: AnyStorage,
        *,
        shards: int = 0,
        readers: int = 2,
        max_queued_writes: int = 65_536,
        max_queued_reads: int = 16_384,
        max_batch: int = 512,
        max_replay: int = 1_000,
        max_replay_backlog: int = 10_000,
        typing_timeout: timedelta = timedelta(seconds=6),
        token_lifetime: timedelta = timedelta(hours=24),
        max_live_tokens: int = 100,
        token_cache_entries: int = 65_536,
        token_cache_lifetime: timedelta = timedelta(seconds=30),
        sweep_interval: timedelta = timedelta(minutes=10),
        max_kept_changes: int = 1_000,
        max_change_age: timedelta = timedelta(days=30),
        backplane: NativeBackplane | None = None,
        credential_check_interval: timedelta = timedelta(seconds=3),
        poll_interval: timedelta = timedelta(seconds=5),
        poll_interval_down: timedelta = timedelta(seconds=1),
    ) -> None:
        """Starts the engine's threads, which own ``storage`` and ``backplane`` from now on.

        Args:
            storage: `sqlite`, `postgres`, `memory`, or a `Storage` of one's own.
            shards: I/O threads. 0: one for each processor.
            readers: Threads that read from the storage. 0 is taken as 1.
            max_queued_writes: Writes that may wait; one more raises `Overloaded`.
            max_queued_reads: Reads that may wait; one more raises `Overloaded`.
            max_batch: Writes in one transaction. 0 is taken as 1.
            max_replay: Changes that a resuming subscriber is sent; further behind it gets a `Resync`.
            max_replay_backlog: Live events kept for a subscriber while its history is read.
            typing_timeout: A typing state that is not refreshed ends after this.
            token_lifetime: How long a chat token lives. 0: it has expired when it is made.
            max_live_tokens: Of one client and trip; a further one replaces the oldest.
            token_cache_entries: Authenticated tokens that are remembered. 0: none.
            token_cache_lifetime: For how long: a revocation by another process is noticed within this. 0: not at all.
            sweep_interval: How often expired tokens, and changes beyond the next two, are deleted. 0: never.
            max_kept_changes: Changes of a conversation's newest revisions that are kept for resuming subscribers. 0: all.
            max_change_age: How long they are kept at the most, in whole hours; who resumes from before gets a `Resync`.
                0: for ever.
            backplane: `nats`, where other processes write to the same storage: its listeners hear of that, too.
            credential_check_interval: How often the credentials that listeners rest on are looked at: those that have expired
                end, and, unless the storage is this engine's alone (SQLite, memory), chat tokens that are no longer in it.
            poll_interval: Unless the storage is this engine's alone: how often what listeners were told is compared with it,
                in case a hint was lost or another program wrote. At least 1 ms.
            poll_interval_down: The same while the backplane is down; and without one, how often a storage that failed is
                asked what became of the writes in question.

        Raises:
            TypeError, ValueError: an option is wrong; the text names it. Nothing was started, and the storage can be used.
        """
        options: dict[str, int | timedelta] = {
            "shards": _options.count("shards", shards, 0, 1024),
            "readers": _options.count("readers", readers, 0, 1024),
            "max_queued_writes": _options.count("max_queued_writes", max_queued_writes, 1),
            "max_queued_reads": _options.count("max_queued_reads", max_queued_reads, 1),
            "max_batch": _options.count("max_batch", max_batch),
            "max_replay": _options.count("max_replay", max_replay),
            "max_replay_backlog": _options.count("max_replay_backlog", max_replay_backlog),
            "typing_timeout": _options.duration("typing_timeout", typing_timeout),
            "token_lifetime": _options.duration("token_lifetime", token_lifetime, zero="expired when made"),
            "max_live_tokens": _options.count("max_live_tokens", max_live_tokens, 1),
            "token_cache_entries": _options.count("token_cache_entries", token_cache_entries),
            "token_cache_lifetime": _options.duration("token_cache_lifetime", token_cache_lifetime, zero="no memory"),
            # The engine counts whole seconds: half of one would become 0, which means never.
            "sweep_interval": _options.duration("sweep_interval", sweep_interval, timedelta(seconds=1), zero="never"),
            "max_kept_changes": _options.count("max_kept_changes", max_kept_changes),
            "max_change_age": _options.duration("max_change_age", max_change_age, zero="for ever"),
            "credential_check_interval": _options.duration("credential_check_interval", credential_check_interval),
            "poll_interval": _options.duration("poll_interval", poll_interval),
            "poll_interval_down": _options.duration("poll_interval_down", poll_interval_down),
        }
        if backplane is not None and not isinstance(backplane, NativeBackplane):
            raise _options.refuse_type("backplane", "what travelchat.nats() gives, or None", backplane)
        require_storage(storage)
        self._core = _core.Engine(storage, backplane, **options)
        # Ended before the engine.
        self._servers: weakref.WeakSet[Endable] = weakref.WeakSet()
        self._storage_name = type(storage).__name__
        self._closed = False
        EngineBase._open.add(self)

    def end_session(self, session_id: str) -> None:
        """Says that a session of the application's has ended (``Advisor.session_id``): its open sockets are closed with 4401,
        here at once and on other nodes as soon as they hear of it. Returns at once; any thread."""
        self._core.end_session(session_id)

    def stats(self) -> EngineStats:
        """Counts and gauges. `Closed` after the end."""
        return self._core.stats()

    def _subscribe(
        self,
        make: Callable[..., S],
        conversation_id: str,
        since: int | None,
        epoch: str | None,
        listener: Participant | Everything,
        max_pending: int,
    ) -> S:
        who = checked_listener(listener)
        args = (conversation_id, who, since, epoch)
        return make(self._core.subscribe, args, max_pending, reports_typing=who is not None)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _close(self) -> None:
        """Blocks until the engine's threads are gone. Any thread; idempotent."""
        self._closed = True
        EngineBase._open.discard(self)
        for server in list(self._servers):
            server.end()
        self._core.close()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} on {self._storage_name}, {'closed' if self._closed else 'open'}>"

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)


def _close_all() -> None:
    """Runs before the interpreter shuts down: afterwards an engine's threads could not call Python any more."""
    for engine in list(EngineBase._open):
        try:
            engine._close()
        except RuntimeError:  # made before a fork, in its child
            continue


atexit.register(_close_all)
