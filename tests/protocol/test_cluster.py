"""The balancer in front of several nodes: whom it sends where, and that nothing is lost or made up on the way."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lab.process import PATIENCE

pytestmark = [pytest.mark.one_server, pytest.mark.unsanitized]


def load() -> Any:
    path = Path(__file__).parent / "cluster"
    spec = importlib.util.spec_from_loader("cluster", SourceFileLoader("cluster", str(path)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cluster = load()


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: chat", *headers, "", ""]).encode()


def by_the_client(conversation: str) -> list[bytes]:
    token = os.urandom(32).hex()
    path = f"/api/conversations/{conversation}"
    return [
        head(f"GET /ws/chat?conversationId={conversation}&userType=client&userId=c HTTP/1.1", "Upgrade: websocket"),
        head(f"GET /ws/chat?userId=c&userType=x&conversationId={conversation}&chatToken={token} HTTP/1.1"),
        head(f"GET /ws/chat?conversationId={conversation} HTTP/1.1",
             f"Sec-WebSocket-Protocol: travelchat.v1, auth.{token}"),
        head(f"POST {path}/messages/client HTTP/1.1", "Content-Length: 2") + b"{}",
        head(f"POST {path}/read/client HTTP/1.1"),
        head(f"DELETE {path}/messages/1/reactions/client HTTP/1.1"),
        head(f"GET {path}/messages?limit=1 HTTP/1.1", f"Authorization: Bearer {token}"),
    ]


def by_the_advisor(conversation: str) -> list[bytes]:
    path = f"/api/conversations/{conversation}"
    return [
        head(f"GET /ws/chat?conversationId={conversation}&userType=advisor&userId=a HTTP/1.1", "Cookie: session=1"),
        head(f"GET {path}/messages?since=3 HTTP/1.1", "Cookie: session=1"),
        head(f"POST {path}/messages HTTP/1.1", "Cookie: session=1", "Content-Length: 2") + b"{}",
        head(f"POST {path}/read HTTP/1.1", "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
    ]


@pytest.mark.parametrize("nodes", [2, 3])
def test_an_advisor_and_a_client_of_one_conversation_are_never_on_the_same_node(nodes: int):
    choose = cluster.Choice(nodes)
    used = set()
    for _ in range(50):
        conversation = str(uuid4())
        clients = {choose(first) for first in by_the_client(conversation)}
        advisors = {choose(first) for first in by_the_advisor(conversation)}
        assert len(clients) == len(advisors) == 1
        assert clients != advisors
        used |= clients
    assert used == set(range(nodes))


def test_whatever_names_no_conversation_takes_turns():
    choose = cluster.Choice(3)
    for first in (b"", b"\x16\x03\x01", b"GET", b"nonsense\r\n\r\n", head("GET /api/conversations HTTP/1.1")):
        assert {choose(first) for _ in range(3)} == {0, 1, 2}


def test_what_is_limited_by_address_is_counted_by_one_node():
    choose = cluster.Choice(3)
    for line in ("GET /api/chat-token?tripId=1&shareToken=2 HTTP/1.1", "POST /api/login HTTP/1.1"):
        assert len({choose(head(line)) for _ in range(9)}) == 1


# ---- Bytes ----


def through(talk: Callable[[socket.socket, socket.socket], Awaitable[None]], first: bytes = b"") -> None:
    """Runs `talk` with both ends of a connection through a balancer: the client's, which has said `first`, and the
    node's."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        node_listener = socket.create_server(("127.0.0.1", 0))
        node_listener.setblocking(False)
        balancer = cluster.Balancer("127.0.0.1", 0)
        serving = asyncio.create_task(balancer.serve([SimpleNamespace(address=node_listener.getsockname())]))
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            await loop.sock_connect(client, balancer.listener.getsockname())
            await loop.sock_sendall(client, first)
            node, _ = await loop.sock_accept(node_listener)
            node.setblocking(False)
            await talk(client, node)
            client.close()
            node.close()
            # Nothing stays behind.
            await asyncio.gather(*balancer.connections)
        serving.cancel()
        balancer.listener.close()
        node_listener.close()

    asyncio.run(run())


async def take(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        assert part, f"an end after {len(data)} of {size} bytes"
        data += part
    return data


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("first", [b"", b"G", b"\0\xff\r\n", b"GET / HTTP/1.1\r\n\r\nand more", b"x" * 20_000])
def test_bytes_pass_in_both_directions_as_they_are(first: bytes):
    async def talk(client: socket.socket, node: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        assert await take(node, len(first)) == first
        for source, target in ((client, node), (node, client)):
            data = os.urandom(3_000_000)
            sending = asyncio.create_task(loop.sock_sendall(source, data))
            assert await take(target, len(data)) == data
            await sending

    through(talk, first)


@pytest.mark.parametrize("ends", ["client", "node"])
def test_one_who_has_said_all_still_hears_the_other(ends: str):
    async def talk(client: socket.socket, node: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        one, other = (client, node) if ends == "client" else (node, client)
        await loop.sock_sendall(one, b"last words")
        one.shutdown(socket.SHUT_WR)
        assert await take(other, 10) == b"last words"
        assert await loop.sock_recv(other, 1) == b""
        await loop.sock_sendall(other, b"heard")
        assert await take(one, 5) == b"heard"

    through(talk)


@pytest.mark.parametrize("resets", ["client", "node"])
def test_a_reset_arrives_as_a_reset_behind_what_was_said(resets: str):
    async def talk(client: socket.socket, node: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        one, other = (client, node) if resets == "client" else (node, client)
        await loop.sock_sendall(one, b"said")
        assert await take(other, 4) == b"said"
        reset(one)
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(other, 1)

    through(talk)


def test_one_who_does_not_listen_stops_the_other_soon():
    async def talk(client: socket.socket, node: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 8 << 20:
                async with asyncio.timeout(1):
                    await loop.sock_sendall(node, b"\0" * 4096)
                    sent += 4096
        assert sent < 1 << 20
        reset(client)

    through(talk)
