"""What the asynchronous and the blocking engine share."""

from __future__ import annotations

import atexit
import warnings
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from . import _core
from .backplane import NativeBackplane
from .storage import AnyStorage
from .types import EngineStats

if TYPE_CHECKING:
    from .server import Transport


class EngineBase:
    """An engine of the library's, and its end."""

    _open: ClassVar[weakref.WeakSet[EngineBase]] = weakref.WeakSet()

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
        max_live_tokens: int = 10,
        token_cache_entries: int = 65_536,
        token_cache_lifetime: timedelta = timedelta(seconds=30),
        sweep_interval: timedelta = timedelta(minutes=10),
        backplane: NativeBackplane | None = None,
        poll_interval: timedelta = timedelta(seconds=5),
        poll_interval_down: timedelta = timedelta(seconds=1),
    ) -> None:
        """Starts the engine's threads, which own ``storage`` and ``backplane`` from now on.

        Args:
            storage: `sqlite`, `postgres`, `memory`, or a `Storage` of one's own.
            shards: I/O threads. 0: one for each processor.
            readers: Threads that read from the storage.
            max_queued_writes: Writes that may wait; one more raises `Overloaded`.
            max_queued_reads: Reads that may wait; one more raises `Overloaded`.
            max_batch: Writes in one transaction.
            max_replay: Changes that a resuming subscriber is sent; further behind it gets a `Resync`.
            max_replay_backlog: Live events kept for a subscriber while its history is read.
            typing_timeout: A typing state that is not refreshed ends after this.
            token_lifetime: How long a chat token lives.
            max_live_tokens: Of one client and trip; a further one replaces the oldest.
            token_cache_entries: Authenticated tokens that are remembered. 0: none.
            token_cache_lifetime: For how long: a revocation by another process is noticed within this.
            sweep_interval: How often expired tokens are deleted. 0: never.
            backplane: `nats`, where other processes write to the same storage: its listeners hear of that, too.
            poll_interval: With a backplane: how often what listeners were told is compared with the storage, in case a hint
                was lost. At least 1 ms.
            poll_interval_down: The same while the backplane is down; and without one, how often a storage that failed is
                asked what became of the writes in question.
        """
        self._core = _core.Engine(
            storage,
            backplane,
            shards=shards,
            readers=readers,
            max_queued_writes=max_queued_writes,
            max_queued_reads=max_queued_reads,
            max_batch=max_batch,
            max_replay=max_replay,
            max_replay_backlog=max_replay_backlog,
            typing_timeout=typing_timeout,
            token_lifetime=token_lifetime,
            max_live_tokens=max_live_tokens,
            token_cache_entries=token_cache_entries,
            token_cache_lifetime=token_cache_lifetime,
            sweep_interval=sweep_interval,
            poll_interval=poll_interval,
            poll_interval_down=poll_interval_down,
        )
        # Ended before the engine.
        self._transports: weakref.WeakSet[Transport] = weakref.WeakSet()
        self._storage_name = type(storage).__name__
        self._closed = False
        EngineBase._open.add(self)

    def stats(self) -> EngineStats:
        """Counts and gauges. `Closed` after the end."""
        return self._core.stats()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _close(self) -> None:
        """Blocks until the engine's threads are gone. Any thread; idempotent."""
        self._closed = True
        EngineBase._open.discard(self)
        for transport in list(self._transports):
            transport.end()
        self._core.close()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} on {self._storage_name}, {'closed' if self._closed else 'open'}>"

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)


def _close_all() -> None:
    """Before the interpreter takes itself apart: afterwards an engine's threads could not call Python any more."""
    for engine in list(EngineBase._open):
        try:
            engine._close()
        except RuntimeError:  # made before a fork, in its child
            continue


atexit.register(_close_all)
