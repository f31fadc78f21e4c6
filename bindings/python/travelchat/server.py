"""The chat over HTTP and WebSocket: a server inside the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from . import _core
from ._asgi import App, Message, Scope
from ._base import EngineBase
from ._bridge import Bridge, running_bridge
from .host import Host, HostDesk

__all__ = ["RateLimit", "RateLimits", "Server"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many times something may happen within a window; 0 times means no limit."""

    count: int
    window: timedelta = timedelta(seconds=1)


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

    @classmethod
    def off(cls) -> RateLimits:
        """Every limit off: for load tests."""
        return cls(RateLimit(0), RateLimit(0), 0, RateLimit(0))


class Transport:
    """A `_core.Server` and the loop on which its host answers: what `Server` and the ASGI app share."""

    def __init__(
        self,
        engine: EngineBase,
        host: Host,
        *,
        app: App | None,
        max_host_calls: int,
        rate_limits: RateLimits,
        **options: Any,
    ) -> None:
        limits = {
            name: (limit.count, limit.window)
            for name in ("messages", "typing_frames", "chat_tokens")
            for limit in (getattr(rate_limits, name),)
        }
        self.core = _core.Server(
            engine._core,
            max_host_calls=max_host_calls,
            calls_application=app is not None,
            sockets_per_participant=rate_limits.sockets_per_participant,
            **limits,
            **options,
        )
        self.scopes: dict[int, Scope] = {}
        """What came with the requests that are under way, for `RequestCredentials.scope`."""
        self._host = host
        self._app = app
        self._bridge: weakref.ref[Bridge] | None = None
        # Kept here: a bridge keeps nobody who listens.
        self._desk: HostDesk | None = None
        self._runner: _Runner | None = None
        self.when_ended: Callable[[], None] | None = None
        """Called by whatever thread has ended it."""
        engine._transports.add(self)

    def answer_here(self) -> Bridge:
        """From now on, the host answers on the running loop."""
        bridge = running_bridge()
        if self._bridge is None or self._bridge() is not bridge:
            self._desk = HostDesk(self._host, bridge.loop, self.scopes)
            http_token = 0
            if self._app is not None:
                self._runner = _Runner(self._app, bridge.loop)
                http_token = bridge.listen(self._runner)
            self.core.answer_at(bridge.bell, bridge.listen(self._desk), http_token)
            self._bridge = weakref.ref(bridge)
        return bridge

    def end(self, grace: timedelta = timedelta(seconds=4)) -> None:
        """Blocks until its connections are gone. Any thread but the loop's."""
        self.core.end(grace)
        if self.when_ended is not None:
            self.when_ended()


class Server:
    """The chat's HTTP and WebSocket server, on the engine's own threads.

    ::

        async with ChatEngine(sqlite("chat.db")) as engine, Server(engine, host, port=8080) as server:
            print(server.url)
            await server.wait_closed()

    Between a message and its sockets there is no Python: the GIL is not taken. The host answers on the event loop on which
    the server was started; so does ``app``, an ASGI application for every path that is not the chat's.
    """

    def __init__(
        self,
        engine: EngineBase,
        host: Host,
        *,
        app: App | None = None,
        address: str = "127.0.0.1",
        port: int = 8080,
        tls_certificate: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        allowed_origins: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        rate_limits: RateLimits = RateLimits(),
        max_host_calls: int = 16_384,
        max_header_bytes: int = 8 * 1024,
        max_body_bytes: int = 64 * 1024,
        max_frame_bytes: int = 64 * 1024,
        max_outbox_bytes: int = 1024 * 1024,
        max_connections: int = 100_000,
        header_timeout: timedelta = timedelta(seconds=10),
        body_timeout: timedelta = timedelta(seconds=30),
        idle_timeout: timedelta = timedelta(seconds=60),
        write_timeout: timedelta = timedelta(seconds=30),
        ping_interval: timedelta = timedelta(seconds=25),
        silence_timeout: timedelta = timedelta(seconds=35),
        close_timeout: timedelta = timedelta(seconds=2),
    ) -> None:
        """Does not listen yet.

        Args:
            engine: Of either kind. It is closed after the server, and ends a server that still runs.
            host: Who signs in, and who the clients are.
            app: An ASGI application for the other paths.
            address: Of the interface to listen on; ``"0.0.0.0"`` or ``"::"`` for all of them.
            port: 0: any free one; see `port`.
            tls_certificate, tls_key: PEM files of the certificate chain and its key, for https.
            allowed_origins: Origins that may open sockets or write with a cookie, besides the server's own.
            trusted_proxies: Addresses or networks (``"10.0.0.0/8"``) whose X-Forwarded-For counts as the remote address.
            max_host_calls: Questions to the host that may wait; one more is answered 503.
            max_header_bytes, max_body_bytes, max_frame_bytes: More is 431, 413, and closes with 1009.
            max_outbox_bytes: For each socket; a peer that is slower is closed with 4408.
            rate_limits: What a participant, a socket or a remote address may do in a while.
            max_connections: Further ones wait in the kernel's queue.
            header_timeout, body_timeout: For what a client sends; 408.
            idle_timeout: Between two requests.
            write_timeout: An answer that nobody takes.
            ping_interval, silence_timeout: The heartbeat of sockets.
            close_timeout: For the peer's half of a closing handshake.
        """
        if (tls_certificate is None) != (tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        tls = {} if tls_certificate is None else {"tls_certificate": tls_certificate, "tls_key": tls_key}
        self._transport = Transport(
            engine,
            host,
            app=app,
            max_host_calls=max_host_calls,
            rate_limits=rate_limits,
            address=address,
            port=port,
            allowed_origins=list(allowed_origins),
            trusted_proxies=list(trusted_proxies),
            max_header_bytes=max_header_bytes,
            max_body_bytes=max_body_bytes,
            max_frame_bytes=max_frame_bytes,
            max_outbox_bytes=max_outbox_bytes,
            max_connections=max_connections,
            header_timeout=header_timeout,
            body_timeout=body_timeout,
            idle_timeout=idle_timeout,
            write_timeout=write_timeout,
            ping_interval=ping_interval,
            silence_timeout=silence_timeout,
            close_timeout=close_timeout,
            **tls,
        )
        self._address = f"[{address}]" if ":" in address else address
        self._scheme = "http" if tls_certificate is None else "https"
        self._closed: asyncio.Event | None = None

    async def start(self) -> None:
        """Listens. The host answers on the running loop.

        Raises:
            OSError: the address is in use, or not allowed.
        """
        self._transport.answer_here()
        loop = asyncio.get_running_loop()
        closed = self._closed = asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before
                loop.call_soon_threadsafe(closed.set)

        self._transport.when_ended = tell
        self._transport.core.start()

    @property
    def port(self) -> int:
        """What it listens on; 0 before `start`."""
        return self._transport.core.port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://{self._address}:{self.port}"

    def metrics(self) -> str:
        """What GET /metrics answers: Prometheus text."""
        return self._transport.core.metrics()

    async def stop(self, grace: timedelta = timedelta(seconds=4)) -> None:
        """Stops accepting, lets requests that were read finish, closes sockets with 1012. What is left after ``grace`` is
        cut. Idempotent.
        """
        # Not here: requests that finish may need this loop.
        await asyncio.to_thread(self._transport.end, grace)

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


class _Runner:
    """Runs an ASGI application for the requests that the server passes on."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop
        self._under_way: set[asyncio.Task[None]] = set()

    def _heard(self, request: tuple[str, bytes, list[tuple[bytes, bytes]], bytes, str, bool, _core.HttpReply]) -> None:
        task = self._loop.create_task(self._answer(*request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

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

        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self._loop.call_exception_handler({"message": "the application failed", "exception": error})
        if not ended.is_set():
            reply.respond(500, [("content-type", "text/plain")], b"Internal Server Error")
