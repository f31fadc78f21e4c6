"""Many writers and readers in one event loop, for the tests that need a crowd."""

from __future__ import annotations

import asyncio
import json as jsonlib
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

from lab.people import Advisor, Room
from lab.process import PATIENCE
from lab.sockets import SUBPROTOCOL


class Disconnected(Exception):
    """The connection ended before the whole answer was there; whether the request was carried out is unknown."""


class HttpConnection:
    """One kept-alive HTTP connection, opened when needed. One request at a time."""

    def __init__(self) -> None:
        self._address: tuple[str, int] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, address: tuple[str, int], method: str, path: str, *, json: Any = None,
                      headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], Any]:
        """Status, headers (names in lower case) and the JSON of the answer. Raises Disconnected."""
        body = b"" if json is None else jsonlib.dumps(json).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", f"Content-Length: {len(body)}",
                 "Content-Type: application/json", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        try:
            if self._writer is None or self._address != address or self._writer.is_closing():
                self.close()
                self._reader, self._writer = await asyncio.open_connection(*address)
                self._address = address
            self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            async with asyncio.timeout(PATIENCE * 3):
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                answered = {name.lower(): value.strip()
                            for name, value in (line.split(":", 1) for line in head[1:] if line)}
                content = await self._reader.readexactly(int(answered["content-length"]))
        except (OSError, EOFError) as end:  # IncompleteReadError is an EOFError
            self.close()
            raise Disconnected from end
        if answered.get("connection") == "close":
            self.close()
        return int(head[0].split(" ")[1]), answered, jsonlib.loads(content)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = self._address = None


def open_chat(room: Room, address: tuple[str, int], since: int | None = None, side: str = "client",
              advisor: Advisor | None = None) -> connect:
    """To be awaited, or entered with `async with`. `advisor` is another one than the room's."""
    advisor = advisor or room.advisor
    query: dict[str, Any] = {"conversationId": room.id, "userType": side,
                             "userId": room.client.id if side == "client" else advisor.id}
    if since is not None:
        query["since"] = since
    headers = {"Cookie": advisor.cookie} if side == "advisor" else {}
    subprotocols = [SUBPROTOCOL] + ([f"auth.{room.client.token}"] if side == "client" else [])
    return connect(f"ws://{address[0]}:{address[1]}/ws/chat?{urlencode(query)}", additional_headers=headers,
                   subprotocols=subprotocols, proxy=None, open_timeout=PATIENCE * 3, close_timeout=PATIENCE,
                   ping_interval=None, max_size=None, max_queue=None, compression=None)


def cut(connection: ClientConnection) -> None:
    """Ends the TCP connection without a word."""
    connection.transport.abort()
