"""What the chat asks of the application around it."""

from __future__ import annotations

import abc
import asyncio
import inspect
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from . import _core
from .errors import Internal, Overloaded, TravelchatError
from .types import Advisor, ClientCard, PushNotification, RequestCredentials, SharedTrip

__all__ = ["Host"]

T = TypeVar("T")
MaybeAwaitable: TypeAlias = T | Awaitable[T]


class Host(abc.ABC):
    """Who is this advisor, what is this trip, who are these clients: answered by the application.

    The methods are called on the event loop on which the server was started (or the ASGI app runs). Each may be a plain
    method, which must not block, or a coroutine. A `TravelchatError` that one raises is the answer to the request; any
    other exception goes to the loop's exception handler, and the request is answered 500.
    """

    @abc.abstractmethod
    def authenticate(self, credentials: RequestCredentials) -> MaybeAwaitable[Advisor | None]:
        """Who has signed in. None: no credential for an advisor, a bad one, or an expired one."""

    @abc.abstractmethod
    def find_trip(self, trip_id: str) -> MaybeAwaitable[SharedTrip | None]:
        """None: no such trip.

        Asked when a chat token is wanted, and again every ``share_check_interval`` while tokens of the trip are in use: they
        end with the link that they were issued for. What it raises ends nothing.
        """

    @abc.abstractmethod
    def find_clients(self, org_id: str, client_ids: Sequence[str]) -> MaybeAwaitable[Sequence[ClientCard]]:
        """Those of ``client_ids`` that belong to the organization, in any order."""

    @abc.abstractmethod
    def search_clients(self, org_id: str, text: str) -> MaybeAwaitable[Sequence[str]]:
        """The ids of the organization's clients whose name contains ``text``, without regard to case (see `fold_text`)."""

    def check_sessions(self, session_ids: Sequence[str]) -> MaybeAwaitable[Sequence[str]]:
        """Those of ``session_ids`` (see `Advisor`) that have not ended; the sockets of the others are closed with 4401.

        Asked every ``session_check_interval`` about the sessions of open sockets, all at once. What it raises ends nothing.
        Unless it is overridden, sessions end by `ChatEngine.end_session` alone.
        """
        return session_ids

    def notify(self, notification: PushNotification) -> MaybeAwaitable[None]:
        """A client wrote. Nobody waits for the outcome; unless it is overridden, nothing happens."""


class HostCaller:
    """Calls the host's methods on one event loop, and gives the server their answers."""

    def __init__(
        self, host: Host, loop: asyncio.AbstractEventLoop, scopes: Mapping[int, Any], timeout: float | None
    ) -> None:
        self._host = host
        # The server waits no longer than this. What takes longer is cancelled, because it counts among `max_host_calls`.
        self._timeout = timeout
        self._loop = loop
        self._scopes = scopes
        self._tasks: set[asyncio.Task[None]] = set()

    def _on_arrival(self, question: tuple[str, tuple[Any, ...], _core.HostReply]) -> None:
        """Asks the host, and replies with what it says or will say."""
        method, arguments, reply = question
        if method == "authenticate":
            cookie, authorization, context = arguments
            arguments = (RequestCredentials(cookie, authorization, self._scopes.get(context)),)
        try:
            outcome = getattr(self._host, method)(*arguments)
        except Exception as error:
            self._fail(method, reply, error)
            return
        if inspect.isawaitable(outcome):
            task = self._loop.create_task(self._wait(method, outcome, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._succeed(method, reply, outcome)

    async def _wait(self, method: str, outcome: Awaitable[Any], reply: _core.HostReply) -> None:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                value = await outcome
        except Exception as error:
            if limit.expired():
                reply.fail(Overloaded())
            self._fail(method, reply, error)
        else:
            self._succeed(method, reply, value)

    def _succeed(self, method: str, reply: _core.HostReply, value: Any) -> None:
        try:
            reply.succeed(value)
        except Exception as error:
            self._fail(method, reply, error)

    def _fail(self, method: str, reply: _core.HostReply, error: Exception) -> None:
        if isinstance(error, TravelchatError):
            reply.fail(error)
            return
        reply.fail(Internal())
        self._loop.call_exception_handler(
            {"message": f"{type(self._host).__name__}.{method} failed", "exception": error}
        )
