"""The chat as an ASGI application, to be mounted in FastAPI, Starlette or whatever else speaks ASGI.

There is no second implementation of the routes: each request and each frame passes the checks, limits and handlers of the
library's own server, which does not listen here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from . import _core, _options
from ._core import default_max_body_bytes
from ._asgi import App, Receive, Scope, Send
from ._base import EngineBase
from ._bridge import running_bridge
from .errors import TravelchatError, by_code
from .host import Host
from .server import MetricsAccess, RateLimits, ServerWithHost

__all__ = ["ChatApp"]


class ChatApp:
    """The chat's routes (``/api/conversations`` ...) and sockets (``/ws/chat``, ``/ws/inbox``).

    ::

        app = FastAPI()
        chat = ChatApp(engine, host, app=app)  # for the ASGI server, in place of ``app``

    The application gets what is not the chat's. Without ``app`` it may be mounted at ``"/"``, behind all other routes of the
    application: a mount there takes every path that no route before it has. The host answers
    on the loop that runs the application, and finds the request's scope in `RequestCredentials.scope`: what middleware has
    found out about a session need not be looked up again.
    """

    @_options.check_arguments
    def __init__(
        self,
        engine: EngineBase,
        host: Host,
        *,
        app: App | None = None,
        base_path: str = "",
        allowed_origins: Iterable[str] = (),
        rate_limits: RateLimits = RateLimits(),
        max_host_calls: int = 16_384,
        max_body_bytes: int = default_max_body_bytes,
        max_frame_bytes: int = 64 * 1024,
        max_fragments: int = 1_000,
        max_outbox_bytes: int = 1024 * 1024,
        max_connections: int = 100_000,
        host_timeout: timedelta = timedelta(seconds=30),
        session_check_interval: timedelta = timedelta(seconds=2),
        share_check_interval: timedelta = timedelta(seconds=20),
        metrics: MetricsAccess = "everyone",
        metrics_token: str | None = None,
    ) -> None:
        """Serves with the first request.

        Args:
            engine: Of either kind. Closing it ends the sockets; then the chat is answered 503, and ``app`` goes on.
            host: Who signs in, and who the clients are.
            app: An ASGI application for the other paths; without one they are answered 404.
            base_path: A prefix of all of the chat's own paths, sockets and probes included, like ``"/chat"``; a client's base
                URL ends with it. An application that is mounted at ``"/chat"`` has this prefix already, and needs no other:
                with the same one here it is found there just so.
            allowed_origins: Origins that may open sockets or write with a cookie, besides the server's own.
            rate_limits: What a participant, a socket or a remote address may do in a while.
            max_host_calls: Questions to the host that may wait; one more is answered 503.
            max_body_bytes, max_frame_bytes: More is 413, and closes with 1009.
            max_fragments: Of one message to a socket; more close it with 1008.
            max_outbox_bytes: For each socket; a peer that is slower is closed with 4408.
            max_connections: Requests and sockets at once; further ones are refused.
            session_check_interval: How often the host is asked about the sessions of open sockets. Zero: never.
            share_check_interval: How long a trip counts as shared before the host is asked again. Zero: it is not asked again.
            metrics: Who is answered by GET /metrics: ``"everyone"``; ``"loopback"``, who asks from this machine itself and
                through no proxy; ``"token"``, who brings ``metrics_token`` as a Bearer credential; ``"nobody"``, which leaves
                the path to ``app``.
            metrics_token: At least 16 letters, digits or any of -._~+/=, for ``metrics="token"``.
            host_timeout: For each answer of the host: then it is cancelled and the answer is 503, for a socket 1013. 0: for
                ever.

        Raises:
            TypeError, ValueError: an option is wrong; the text names it.
            Closed: the engine is.
        """
        # The options are those of `Server`, written out in both: type checkers and `help` read them where they stand, and
        # tests/test_options.py compares them.
        self._app = _options.application("app", app)
        self._base_path = base_path
        self._max_body_bytes = max_body_bytes
        self._server = ServerWithHost(
            engine,
            host,
            app=None,
            base_path=base_path,
            max_host_calls=max_host_calls,
            rate_limits=rate_limits,
            listens=False,
            allowed_origins=allowed_origins,
            max_body_bytes=max_body_bytes,
            max_frame_bytes=max_frame_bytes,
            max_fragments=max_fragments,
            max_outbox_bytes=max_outbox_bytes,
            max_connections=max_connections,
            host_timeout=host_timeout,
            session_check_interval=session_check_interval,
            share_check_interval=share_check_interval,
            metrics=metrics,
            metrics_token=metrics_token,
        )
        self._server.core.start()
        self._context_numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's one call."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        target = _request_target(scope, self._base_path)
        if self._app is not None and not self._server.core.serves(target):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, target, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, target, receive, send)
        else:
            raise NotImplementedError(f"ASGI's {scope['type']!r}")

    async def aclose(self, grace: timedelta = timedelta(seconds=4)) -> None:
        """Answers what was asked and closes the sockets with 1012. Closing the engine does the same."""
        running_bridge()  # the loop of a parent might never hear that the thread below has ended
        await asyncio.to_thread(self._server.end, grace)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, target: bytes, receive: Receive, send: Send) -> None:
        # As they are now: some servers (uvicorn with httptools) add the trailers of a chunked body to this very list.
        received_headers = list(scope["headers"])
        body = b""
        too_long = self._max_body_bytes + 1
        # One byte more than allowed, or a Content-Length that announces it, is enough to refuse the request.
        if _content_length(scope) >= too_long:
            body = bytes(too_long)
        while len(body) < too_long:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        bridge = self._server.use_running_loop()
        context = next(self._context_numbers)
        self._server.scopes[context] = scope
        try:
            status, headers, content = await bridge.call(
                self._server.core.handle, scope["method"], target, received_headers, body, *_peer(scope), context
            )
        except by_code["closed"] as error:
            status, headers, content = error.http_status, [(b"content-type", b"application/json")], _error_body(error)
        finally:
            del self._server.scopes[context]
        if status not in (204, 304):
            # The length of the body that GET would have had (RFC 9110 section 9.3.2).
            headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})

    async def _websocket(self, scope: Scope, target: bytes, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        context = next(self._context_numbers)
        self._server.scopes[context] = scope
        try:
            try:
                opened = _Socket(self._server, scope, target, context)
            except by_code["closed"] as error:
                await _refuse_socket(error, scope, send)
                return
            await opened.run(receive, send)
        finally:
            del self._server.scopes[context]


class _Socket:
    """One WebSocket between an ASGI server, which has its frames, and the chat."""

    def __init__(self, server: ServerWithHost, scope: Scope, target: bytes, context: int) -> None:
        bridge = server.use_running_loop()
        self._loop = bridge.loop
        self._bridge = bridge
        self._token = bridge.listen(self)
        self._task = asyncio.current_task()
        self._wakeup: asyncio.Future[None] | None = None
        self._has_disconnected = False
        self._is_sending = False
        self._is_send_cancelled = False
        self._core = server.core.open_socket(
            bridge.queue, self._token, target, scope["headers"], *_peer(scope), context
        )

    async def run(self, receive: Receive, send: Send) -> None:
        reading: asyncio.Task[None] | None = None
        sent = 0
        try:
            while not self._has_disconnected:
                taken = self._core.take(sent)
                sent = 0
                if taken is None:
                    self._wakeup = self._loop.create_future()
                    await self._wakeup
                    continue
                accepted, texts, batches, closed = taken
                if accepted is not None:
                    await send({"type": "websocket.accept", "subprotocol": accepted or None})
                    reading = self._loop.create_task(self._read(receive))
                if texts:
                    await self._send(texts, send)
                    sent = batches
                if closed is not None:
                    code, reason = closed
                    await send({"type": "websocket.close", "code": code, "reason": reason})
                    return
        except OSError:
            # The peer has gone while something was being sent: what ASGI servers raise then.
            return
        finally:
            self._core.closed()
            self._bridge.unlisten(self._token)
            if reading is not None:
                reading.cancel()

    async def _send(self, texts: list[str], send: Send) -> None:
        self._is_sending = True
        try:
            for text in texts:
                await send({"type": "websocket.send", "text": text})
        except asyncio.CancelledError:
            if not self._is_send_cancelled or self._task is None:
                raise
            self._task.uncancel()
        finally:
            self._is_sending = False

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                # After this message ASGI allows nothing to be sent, not even a close.
                self._has_disconnected = True
                self._on_arrival(None)
                return
            text = message.get("text")
            if text is None:
                self._core.receive_binary()
            else:
                self._core.receive_text(text)

    def _on_arrival(self, _: object) -> None:
        if self._is_sending and self._task is not None and not self._has_disconnected:
            # The chat has given up a peer that reads nothing: what is being sent to it is cancelled.
            self._is_send_cancelled = True
            self._task.cancel()
        elif self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)


def _error_body(error: TravelchatError) -> bytes:
    return json.dumps({"message": error.message, "code": error.code}).encode()


async def _refuse_socket(error: TravelchatError, scope: Scope, send: Send) -> None:
    """Accepts the socket first: a browser does not tell a page the status of a refused handshake."""
    subprotocol = "travelchat.v1" if "travelchat.v1" in scope.get("subprotocols", ()) else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    await send({"type": "websocket.close", "code": error.close_code, "reason": error.code})


def _request_target(scope: Scope, base_path: str) -> bytes:
    """Path and query as they came, without the prefix under which the application is mounted, but with ``base_path``."""
    raw: bytes | None = scope.get("raw_path")
    path = scope["path"].encode() if raw is None else raw.partition(b"?")[0]
    mount: str = scope.get("root_path", "")
    root = mount.encode()
    if root and path.startswith(root):
        path = path[len(root) :]
    # Mounted at its own base path, which is a part of both or, where the server has cut it off, of `root_path` alone.
    if base_path and mount.endswith(base_path):
        path = base_path.encode() + path
    query: bytes = scope.get("query_string", b"")
    return (path or b"/") + (b"?" + query if query else b"")


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _peer(scope: Scope) -> tuple[str, bool]:
    """The remote address, and whether the connection is encrypted."""
    client: Any = scope.get("client")
    return (client[0] if client else "", scope.get("scheme") in ("https", "wss"))
