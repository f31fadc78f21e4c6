"""Passes answers from the engine's threads to an event loop, or to a thread that waits."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol

from . import _core

if TYPE_CHECKING:
    from .errors import TravelchatError

P = ParamSpec("P")
Start = Callable[Concatenate[_core.ArrivalQueue, int, P], None]


class Listener(Protocol):
    def _on_arrival(self, value: Any) -> None: ...


class Bridge:
    """One for each event loop: the queue that the loop watches, and the calls and listeners that wait for answers.

    The loop's reader is what keeps a bridge alive, beside the calls and listeners that are under way: when the loop is
    closed, the bridge goes with it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue = _core.ArrivalQueue()
        self._tokens = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, weakref.ref[Listener]] = {}
        loop.add_reader(self.queue.fileno(), self._on_readable)

    def call(self, start: Start[P], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[Any]:
        """Starts one of the engine's operations. Whoever cancels the future is not told of the outcome."""
        token = next(self._tokens)
        start(self.queue, token, *args, **kwargs)
        future = self._calls[token] = self.loop.create_future()
        return future

    def listen(self, listener: Listener) -> int:
        """A token for values that come repeatedly: the listener gets each of them on the loop, as long as it lives."""
        token = next(self._tokens)
        self._listeners[token] = weakref.ref(listener, lambda _: self._listeners.pop(token, None))
        return token

    def unlisten(self, token: int) -> None:
        """Values that come for it from now on are dropped."""
        self._listeners.pop(token, None)

    def _on_readable(self) -> None:
        for token, value, error in self.queue.take():
            if (future := self._calls.pop(token, None)) is not None:
                if future.done():
                    continue
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)
            elif (known := self._listeners.get(token)) is not None and (listener := known()) is not None:
                listener._on_arrival(value)


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Bridge]] = weakref.WeakKeyDictionary()
_bridges_lock = threading.Lock()
# In a forked child: the loops of its parent that had a bridge.
_loops_of_parent: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def running_bridge() -> Bridge:
    """The bridge of the running loop. RuntimeError when no loop runs, or when the loop was the parent's before a fork:
    processes that wait at the same descriptors take each other's wake-ups, and one of them waits for ever.
    """
    loop = asyncio.get_running_loop()
    with _bridges_lock:
        if loop in _loops_of_parent:
            raise RuntimeError("this event loop was made before a fork, and is its parent's: run one in each process")
        known = _bridges.get(loop)
        bridge = None if known is None else known()
        if bridge is None:
            bridge = Bridge(loop)
            _bridges[loop] = weakref.ref(bridge)
    return bridge


class Waiter:
    """The same as `Bridge`, for a thread that waits for one answer at a time."""

    def __init__(self) -> None:
        self.queue = _core.ArrivalQueue()
        self._tokens = itertools.count(1)
        # Answers that a call took while it waited for its own. A signal's handler, or the destructor of an object that is
        # collected meanwhile, may make a call while another one of this thread waits.
        self._kept: dict[int, tuple[int, Any, TravelchatError | None]] = {}
        # Calls that a signal handler has ended by an exception; their answers are dropped.
        self._interrupted: set[int] = set()

    def call(self, start: Start[P], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Runs one of the engine's operations to its end. A signal's handler may raise out of it."""
        token = next(self._tokens)
        start(self.queue, token, *args, **kwargs)
        own = None
        try:
            while own is None:
                self.queue.wait()
                for arrival in self.queue.take():
                    if arrival[0] == token:
                        own = arrival
                    elif arrival[0] in self._interrupted:
                        self._interrupted.remove(arrival[0])
                    else:
                        self._kept[arrival[0]] = arrival
                if own is None:
                    own = self._kept.pop(token, None)
        except BaseException:
            if self._kept.pop(token, None) is None:
                self._interrupted.add(token)
            raise
        _, value, error = own
        if error is not None:
            raise error
        return value


_threads = threading.local()


def thread_waiter() -> Waiter:
    """The waiter of the calling thread, made by its first call."""
    try:
        return _threads.waiter  # type: ignore[no-any-return]
    except AttributeError:
        made = _threads.waiter = Waiter()
        return made


def _reset_in_child() -> None:
    """In a forked child, which has its parent's thread, with the waiter and the loop that are the parent's, and its locks as
    other threads held them.
    """
    global _threads, _bridges_lock
    _threads = threading.local()
    _bridges_lock = threading.Lock()
    _loops_of_parent.update(_bridges)
    _bridges.clear()


os.register_at_fork(after_in_child=_reset_in_child)
