"""WebSockets through a third-party client (the `websockets` package). One thread per socket."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lab.process import PATIENCE
from lab.web import strict_json

SUBPROTOCOL = "travelchat.v1"


class Socket:
    """One open WebSocket. Events are taken in the order in which the server sent them; nothing is skipped but `alive`,
    which comes whenever its time has come. Those are in `alive`."""

    def __init__(self, connection: ClientConnection):
        self.connection = connection
        self.alive: list[dict[str, Any]] = []

    @classmethod
    def open(cls, address: tuple[str, int], path: str, query: dict[str, Any] | str, *, cookie: str | None = None,
             bearer: str | None = None, token: str | None = None, origin: str | None = None,
             headers: dict[str, str] | None = None) -> Socket:
        """`cookie` and `bearer` go as headers, `token` as the subprotocol `auth.<token>`."""
        extra = dict(headers or {})
        if cookie:
            extra["Cookie"] = cookie
        if bearer:
            extra["Authorization"] = f"Bearer {bearer}"
        subprotocols = [SUBPROTOCOL] + ([f"auth.{token}"] if token else [])
        if not isinstance(query, str):
            query = urlencode(query)
        # No keep-alive of the client's own: the server's is what is tested. Every event may wait as long as it likes in
        # the queue, so a test that looks away does not become a slow reader.
        return cls(connect(
            f"ws://{address[0]}:{address[1]}{path}" + (f"?{query}" if query else ""), origin=origin,
            subprotocols=subprotocols, additional_headers=extra, proxy=None, open_timeout=PATIENCE,
            close_timeout=PATIENCE, ping_interval=None, max_size=None, max_queue=None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self) -> dict[str, Any]:
        """The next event."""
        try:
            return self._receive(PATIENCE)
        except TimeoutError:
            raise AssertionError(f"no event within {PATIENCE} s") from None
        except ConnectionClosed as closed:
            raise AssertionError(f"closed instead of an event: {closed}") from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        """The next event but `alive`. Raises TimeoutError, or ConnectionClosed."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.connection.recv(max(0, deadline - time.monotonic()))
            assert isinstance(text, str), "the server sent a binary frame"
            event = strict_json(text)
            assert isinstance(event.get("type"), str), event
            if event["type"] != "alive":
                return event
            self.alive.append(event)

    def next_within(self, seconds: float) -> dict[str, Any] | None:
        """The next event, or None when there is none so soon. A pace for what a test does meanwhile; it proves nothing."""
        try:
            return self._receive(seconds)
        except TimeoutError:
            return None

    def expect(self, event: dict[str, Any]) -> None:
        """The next event, which has to be this one exactly."""
        heard = self.next()
        assert heard == event

    def expect_type(self, kind: str) -> dict[str, Any]:
        event = self.next()
        assert event["type"] == kind, event
        return event

    def until(self, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All events up to and with the first that is `last`."""
        events = [self.next()]
        while not last(events[-1]):
            events.append(self.next())
        return events

    def typing(self, is_typing: bool) -> None:
        self.send({"type": "typing", "isTyping": is_typing})

    def seen(self) -> None:
        self.send({"type": "seen"})

    def send(self, frame: Any) -> None:
        self.connection.send(frame if isinstance(frame, (str, bytes)) else jsonlib.dumps(frame))

    def next_or_close(self) -> dict[str, Any] | int:
        """The next event, or the code with which the server closed. 1006: it ended without one."""
        try:
            return self._receive(PATIENCE)
        except TimeoutError:
            raise AssertionError(f"neither an event nor a close within {PATIENCE} s") from None
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    def close_code(self) -> int:
        """Waits until the server has closed, and says with which code. No event may come before."""
        code = self.next_or_close()
        assert isinstance(code, int), f"an event instead of a close: {code}"
        return code

    def drain(self) -> tuple[list[dict[str, Any]], int]:
        """Every event until the server closes, and the code with which it does."""
        events = []
        while not isinstance(event := self.next_or_close(), int):
            events.append(event)
        return events, event

    def close(self) -> None:
        """The closing handshake; returns when the server has answered it."""
        self.connection.close()

    def cut(self) -> None:
        """Ends the TCP connection without a word, as a lost network does."""
        self.connection.socket.shutdown(2)
        self.connection.close()
