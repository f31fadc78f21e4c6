"""From the engine's threads into Python: into an event loop, or to a thread that waits."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol

from . import _core

P = ParamSpec("P")
Start = Callable[Concatenate[_core.Doorbell, int, P], None]


class Listener(Protocol):
    def _heard(self, value: Any) -> None: ...


class Bridge:
    """One for each event loop: a doorbell that the loop watches, and who waits for what.

    The loop's reader is what keeps a bridge alive, beside the calls and listeners that are under way: when the loop is
    closed, the bridge goes with it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.bell = _core.Doorbell()
        self._tokens = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, weakref.ref[Listener]] = {}
        loop.add_reader(self.bell.fileno(), self._answer_bell)

    def call(self, start: Start[P], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[Any]:
        """Starts one of the engine's operations. Whoever cancels the future is not told of the outcome."""
        token = next(self._tokens)
        start(self.bell, token, *args, **kwargs)
        future = self._calls[token] = self.loop.create_future()
        return future

    def listen(self, listener: Listener) -> int:
        """A token for what comes more than once: the listener hears each on the loop, as long as it lives."""
        token = next(self._tokens)
        self._listeners[token] = weakref.ref(listener, lambda _: self._listeners.pop(token, None))
        return token

    def unlisten(self, token: int) -> None:
        """What comes for it from now on is dropped."""
        self._listeners.pop(token, None)

    def _answer_bell(self) -> None:
        for token, value, error in self.bell.take():
            if (future := self._calls.pop(token, None)) is not None:
                if future.done():
                    continue
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)
            elif (known := self._listeners.get(token)) is not None and (listener := known()) is not None:
                listener._heard(value)


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Bridge]] = weakref.WeakKeyDictionary()
_bridges_lock = threading.Lock()


def running_bridge() -> Bridge:
    """That of the running loop. RuntimeError when there is none."""
    loop = asyncio.get_running_loop()
    with _bridges_lock:
        known = _bridges.get(loop)
        bridge = None if known is None else known()
        if bridge is None:
            bridge = Bridge(loop)
            _bridges[loop] = weakref.ref(bridge)
    return bridge


class Waiter:
    """The same for a thread that waits for one thing at a time."""

    def __init__(self) -> None:
        self.bell = _core.Doorbell()
        self._tokens = itertools.count(1)

    def call(self, start: Start[P], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Runs one of the engine's operations to its end. A signal's handler may raise out of it."""
        token = next(self._tokens)
        start(self.bell, token, *args, **kwargs)
        while True:
            self.bell.wait()
            # What does not belong to this call was left by one that a signal broke off.
            for arrived, value, error in self.bell.take():
                if arrived != token:
                    continue
                if error is not None:
                    raise error
                return value


class _Threads(threading.local):
    def __init__(self) -> None:
        self.waiter = Waiter()


_threads = _Threads()


def own_waiter() -> Waiter:
    """That of the calling thread."""
    return _threads.waiter
