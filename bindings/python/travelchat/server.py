"""The chat over HTTP and WebSocket: a server inside the process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, get_args
from urllib.parse import unquote_to_bytes

from . import _core, _options
from ._core import default_max_body_bytes
from ._asgi import App, Message, Scope
from ._base import EngineBase
from ._bridge import Bridge, running_bridge
from .errors import by_code
from .host import Host, HostCaller

__all__ = ["RateLimit", "RateLimits", "Server"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many times something may happen within a window; 0 times means no limit."""

    count: int
    window: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        _options.count("the count of a RateLimit", self.count)
        _options.duration("the window of a RateLimit", self.window)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a server allows; beyond it HTTP answers 429 and sockets are closed with 4429."""

    messages: RateLimit = RateLimit(20, timedelta(seconds=10))
    """Of one participant."""
    typing_frames: RateLimit = RateLimit(4, timedelta(seconds=1))
    """Of one socket; beyond it a frame is dropped."""
    sockets_per_participant: int = 5
    """For each conversation. 0: no limit."""
    chat_tokens: RateLimit = RateLimit(10, timedelta(minutes=1))
    """Of one remote address."""
    connections_per_address: int = 1_000
    """That `Server` accepts; a further one is closed. Those of ``trusted_proxies`` are not counted. 0: no limit."""
    reactions: RateLimit = RateLimit(30, timedelta(seconds=10))
    """Set and removed, of one participant."""
    marks: RateLimit = RateLimit(60, timedelta(seconds=10))
    """"Read" and "seen" of one participant, by request and by frame. Frames beyond it become one."""
    pages: RateLimit = RateLimit(100, timedelta(seconds=10))
    """Pages of messages, lists and counts, of one participant."""
    openings: RateLimit = RateLimit(60, timedelta(seconds=10))
    """Conversations and sockets opened, of one participant."""
    unknown_tokens: RateLimit = RateLimit(30, timedelta(minutes=1))
    """Chat tokens that are not known, of one remote address."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            limit = getattr(self, field.name)
            if field.type == "int":
                _options.count(field.name, limit)
            elif not isinstance(limit, RateLimit):
                raise _options.refuse_type(field.name, "a RateLimit, of which RateLimit(0) is no limit", limit)

    @classmethod
    def off(cls) -> RateLimits:
        """Every limit off: for load tests."""
        off = RateLimit(0)
        return cls(off, off, 0, off, 0, off, off, off, off, off)


MetricsAccess: TypeAlias = Literal["everyone", "loopback", "token", "nobody"]

# The options that may be zero, and what zero stands for.
_MAY_BE_ZERO = {"session_check_interval": "never", "share_check_interval": "not asking again"}


class ServerWithHost:
    """A `_core.Server` and the loop on which its host answers; used by `Server` and by the ASGI app."""

    def __init__(
        self,
        engine: EngineBase,
        host: Host,
        *,
        app: App | None,
        max_host_calls: int,
        host_timeout: timedelta,
        rate_limits: RateLimits,
        metrics: MetricsAccess,
        metrics_token: str | None,
        **options: Any,
    ) -> None:
        if not isinstance(engine, EngineBase):
            raise _options.refuse_type("engine", "a travelchat.ChatEngine or travelchat.sync.ChatEngine", engine)
        _options.methods("host", host, _options.HOST_METHODS, "an object of a class below travelchat.Host")
        if not isinstance(rate_limits, RateLimits):
            raise _options.refuse_type("rate_limits", "a RateLimits, of which RateLimits.off() is none", rate_limits)
        for name, value in options.items():
            if name.startswith("max_"):
                _options.count(name, value, 1)
            elif name.endswith(("_timeout", "_interval")):
                _options.duration(name, value, zero=_MAY_BE_ZERO.get(name))
        options["metrics"] = _options.one_of("metrics", metrics, get_args(MetricsAccess))
        if metrics_token is not None:
            options["metrics_token"] = _options.text("metrics_token", metrics_token)
        elif metrics == "token":
            raise _options.refuse_type("metrics_token", 'a str with metrics="token"', metrics_token)
        options["base_path"] = _options.text(
            "base_path", options["base_path"], wanted='a path like "/chat"', may_be_empty=True
        )
        options["allowed_origins"] = _options.origins("allowed_origins", options["allowed_origins"])
        limits = {
            name: (limit.count, limit.window)
            for name in (field.name for field in dataclasses.fields(rate_limits))
            if isinstance(limit := getattr(rate_limits, name), RateLimit)
        }
        self.core = _core.Server(
            engine._core,
            max_host_calls=_options.count("max_host_calls", max_host_calls, 1),
            calls_application=_options.application("app", app) is not None,
            host_timeout=_options.duration("host_timeout", host_timeout, zero="no deadline"),
            sockets_per_participant=rate_limits.sockets_per_participant,
            connections_per_address=rate_limits.connections_per_address,
            **limits,
            **options,
        )
        self.scopes: dict[int, Scope] = {}
        """Of each request that is being answered, by its number: for `RequestCredentials.scope`."""
        self._host = host
        self._host_timeout = host_timeout.total_seconds() or None
        self._app = app
        self._bridge: weakref.ref[Bridge] | None = None
        # A bridge refers to its listeners weakly, so they are kept alive here.
        self._host_caller: HostCaller | None = None
        self._application_runner: _ApplicationRunner | None = None
        self.on_ended: Callable[[], None] | None = None
        """Called when it has ended, by whichever thread ended it."""
        engine._servers.add(self)
        if engine.closed:
            # Another thread may have closed the engine and ended its servers before this one was added to them.
            self.end(timedelta(0))
            raise by_code["closed"]("the engine is closed")

    def use_running_loop(self) -> Bridge:
        """From now on, the host answers on the running loop."""
        bridge = running_bridge()
        if self._bridge is None or self._bridge() is not bridge:
            self._host_caller = HostCaller(self._host, bridge.loop, self.scopes, self._host_timeout)
            http_token = 0
            if self._app is not None:
                self._application_runner = _ApplicationRunner(self._app, bridge.loop, self._host_timeout)
                http_token = bridge.listen(self._application_runner)
            self.core.answer_at(bridge.queue, bridge.listen(self._host_caller), http_token)
            self._bridge = weakref.ref(bridge)
        return bridge

    def end(self, grace: timedelta = timedelta(seconds=4)) -> None:
        """Blocks until its connections are gone. Any thread but the loop's."""
        self.core.end(grace)
        if self.on_ended is not None:
            self.on_ended()


class Server:
    """The chat's HTTP and WebSocket server, on the engine's own threads.

    ::

        async with ChatEngine(sqlite("chat.db")) as engine, Server(engine, host, port=8080) as server:
            print(server.url)
            await server.wait_closed()

    Between a message and its sockets there is no Python: the GIL is not taken. The host answers on the event loop on which
    the server was started; so does ``app``, an ASGI application for every path that is not the chat's.
    """

    @_options.check_arguments
    def __init__(
        self,
        engine: EngineBase,
        host: Host,
        *,
        app: App | None = None,
        address: str = "127.0.0.1",
        port: int = 8080,
        base_path: str = "",
        tls_certificate: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        hsts_max_age: timedelta = timedelta(days=365),
        allowed_origins: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        rate_limits: RateLimits = RateLimits(),
        max_host_calls: int = 16_384,
        max_header_bytes: int = 8 * 1024,
        max_body_bytes: int = default_max_body_bytes,
        max_frame_bytes: int = 64 * 1024,
        max_fragments: int = 1_000,
        max_outbox_bytes: int = 1024 * 1024,
        max_connections: int = 100_000,
        host_timeout: timedelta = timedelta(seconds=30),
        handshake_timeout: timedelta = timedelta(seconds=10),
        header_timeout: timedelta = timedelta(seconds=10),
        body_timeout: timedelta = timedelta(seconds=30),
        idle_timeout: timedelta = timedelta(seconds=60),
        write_timeout: timedelta = timedelta(seconds=30),
        ping_interval: timedelta = timedelta(seconds=25),
        silence_timeout: timedelta = timedelta(seconds=35),
        close_timeout: timedelta = timedelta(seconds=2),
        session_check_interval: timedelta = timedelta(seconds=2),
        share_check_interval: timedelta = timedelta(seconds=20),
        metrics: MetricsAccess = "everyone",
        metrics_token: str | None = None,
    ) -> None:
        """Does not listen yet.

        Args:
            engine: Of either kind. It is closed after the server, and ends a server that still runs.
            host: Who signs in, and who the clients are.
            app: An ASGI application for the other paths.
            address: Of the interface to listen on; ``"0.0.0.0"`` or ``"::"`` for all of them.
            port: 0: any free one; see `port`.
            base_path: A prefix of all of the chat's own paths, sockets and probes included, like ``"/chat"``; a client's base
                URL ends with it. ``app`` gets the others whole.
            tls_certificate, tls_key: PEM files of the certificate chain and its key, for https.
            hsts_max_age: With these, how long browsers shall come over https only. 0: they are not told.
            allowed_origins: Origins that may open sockets or write with a cookie, besides the server's own.
            trusted_proxies: Addresses or networks (``"10.0.0.0/8"``) whose X-Forwarded-For counts as the remote address, and
                X-Forwarded-Proto as the scheme.
            max_host_calls: Questions to the host that may wait; one more is answered 503.
            max_header_bytes, max_body_bytes, max_frame_bytes: More is 431, 413, and closes with 1009.
            max_fragments: Of one message to a socket; more close it with 1008.
            max_outbox_bytes: For each socket; a peer that is slower is closed with 4408.
            rate_limits: What a participant, a socket or a remote address may do in a while.
            max_connections: Further ones wait in the kernel's queue; for each, the one that has waited longest for a request
                is closed.
            host_timeout: For each answer of the host and of ``app``: then it is cancelled and the answer is 503, for a socket
                1013. 0: for ever.
            handshake_timeout: For a TLS handshake.
            header_timeout, body_timeout: For what a client sends; 408.
            idle_timeout: Between two requests.
            write_timeout: An answer that nobody takes.
            ping_interval, silence_timeout: The heartbeat of sockets.
            close_timeout: For the peer's half of a closing handshake.
            session_check_interval: How often the host is asked about the sessions of open sockets. Zero: never.
            share_check_interval: How long a trip counts as shared before the host is asked again. Zero: it is not asked again.
            metrics: Who is answered by GET /metrics: ``"everyone"``; ``"loopback"``, who asks from this machine itself and
                through no proxy; ``"token"``, who brings ``metrics_token`` as a Bearer credential; ``"nobody"``, which leaves
                the path to ``app``.
            metrics_token: At least 16 letters, digits or any of -._~+/=, for ``metrics="token"``.

        Raises:
            TypeError, ValueError: an option is wrong; the text names it.
            OSError: a TLS file cannot be read.
            Closed: the engine is.
        """
        if (tls_certificate is None) != (tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        hsts_max_age = _options.duration("hsts_max_age", hsts_max_age, zero="browsers not being told")
        # Only None means no TLS: a path that is empty by mistake must not.
        tls: dict[str, Any] = (
            {}
            if tls_certificate is None
            else {
                "tls_certificate": _options.readable_file("tls_certificate", tls_certificate),
                "tls_key": _options.readable_file("tls_key", tls_key),
                "hsts_max_age": hsts_max_age,
            }
        )
        self._server = ServerWithHost(
            engine,
            host,
            app=app,
            max_host_calls=max_host_calls,
            rate_limits=rate_limits,
            base_path=base_path,
            address=_options.address("address", address),
            port=_options.count("port", port, 0, 65_535),
            allowed_origins=allowed_origins,
            trusted_proxies=_options.networks("trusted_proxies", trusted_proxies),
            max_header_bytes=max_header_bytes,
            max_body_bytes=max_body_bytes,
            max_frame_bytes=max_frame_bytes,
            max_fragments=max_fragments,
            max_outbox_bytes=max_outbox_bytes,
            max_connections=max_connections,
            host_timeout=host_timeout,
            handshake_timeout=handshake_timeout,
            header_timeout=header_timeout,
            body_timeout=body_timeout,
            idle_timeout=idle_timeout,
            write_timeout=write_timeout,
            ping_interval=ping_interval,
            silence_timeout=silence_timeout,
            close_timeout=close_timeout,
            session_check_interval=session_check_interval,
            share_check_interval=share_check_interval,
            metrics=metrics,
            metrics_token=metrics_token,
            **tls,
        )
        self._address = f"[{address}]" if ":" in address else address
        self._wanted_port = port
        self._scheme = "http" if tls_certificate is None else "https"
        self._closed: asyncio.Event | None = None

    async def start(self) -> None:
        """Listens. The host answers on the running loop.

        Raises:
            OSError: the address is in use, or not allowed.
        """
        self._server.use_running_loop()
        loop = asyncio.get_running_loop()
        closed = self._closed = asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(closed.set)

        self._server.on_ended = tell
        try:
            self._server.core.start()
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: {self._address}:{self._wanted_port}") from None

    @property
    def port(self) -> int:
        """What it listens on; 0 before `start`."""
        return self._server.core.port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://{self._address}:{self.port}"

    def metrics(self) -> str:
        """What GET /metrics answers: Prometheus text."""
        return self._server.core.metrics()

    async def stop(self, grace: timedelta = timedelta(seconds=4)) -> None:
        """Stops accepting, lets requests that were read finish, closes sockets with 1012. What is left after ``grace`` is
        cut. Idempotent.
        """
        # In a thread: requests that finish may need this loop.
        running_bridge()  # the loop of a parent might never hear that the thread below has ended
        await asyncio.to_thread(self._server.end, grace)

    async def wait_closed(self) -> None:
        """Until `stop`, or until the engine closes."""
        if self._closed is None:
            raise RuntimeError("the server was not started")
        await self._closed.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.stop()


class _ApplicationRunner:
    """Runs an ASGI application for the requests that the server passes on."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop, timeout: float | None) -> None:
        self._app = app
        self._loop = loop
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()

    def _on_arrival(self, request: tuple[str, bytes, list[tuple[bytes, bytes]], bytes, str, bool, _core.HttpReply]) -> None:
        task = self._loop.create_task(self._answer(*request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        remote_address: str,
        is_secure: bool,
        reply: _core.HttpReply,
    ) -> None:
        path, _, query = target.partition(b"?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https" if is_secure else "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": (remote_address, 0),
            "state": {},
        }
        status = 500
        answer_headers: list[tuple[str, str]] = []
        parts: list[bytes] = []
        is_read = False
        ended = asyncio.Event()

        async def receive() -> Message:
            nonlocal is_read
            if is_read:
                await ended.wait()
                return {"type": "http.disconnect"}
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer_headers.extend(
                    (name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())
                )
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    reply.respond(status, answer_headers, b"".join(parts))
                    ended.set()
                    # After its answer, the application may go on for as long as it likes.
                    if not limit.expired():
                        limit.reschedule(None)

        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                await self._app(scope, receive, send)
        except Exception as error:
            self._loop.call_exception_handler({"message": "the application failed", "exception": error})
        if not ended.is_set():
            failed = (503, b"Service Unavailable") if limit.expired() else (500, b"Internal Server Error")
            reply.respond(failed[0], [("content-type", "text/plain")], failed[1])
