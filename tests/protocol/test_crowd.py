"""A thousand sockets in one room, one of them stalled."""

from __future__ import annotations

import asyncio
import json

import pytest

from lab.people import SILENT, Room
from lab.process import PATIENCE, Options
from lab.raw import RawSocket
from lab.traffic import open_chat

# Alone: a balancer written in Python takes longer for so many bytes than a server waits for a stalled reader.
pytestmark = [pytest.mark.concurrent, pytest.mark.alone, pytest.mark.carried]

# Whoever reads nothing answers no ping either; this one is to be cut for its queue, however long the others take. And
# what all hear is compared, so nothing else is told in between.
OPTIONS = Options(extra=("--ping-interval", "300", "--silence-timeout", "600"))
READERS = 999
# 40 KB each; with a peer of small buffers 40 of them pass the bound of 1 MiB and whatever the kernel holds.
MESSAGES = 40
CONTENT = "\U0001f30d" * 10_000


async def next_text(socket) -> str:
    """The next message but `alive`, which a host tells when its own options say so."""
    while (text := await socket.recv()).startswith('{"type":"alive"'):
        pass
    return text


async def hear(socket, count: int, first: asyncio.Future[list[str]]) -> None:
    """This socket hears exactly what the first one heard; the texts are the same bytes for everybody."""
    heard = []
    async with asyncio.timeout(PATIENCE * 6):
        for i in range(count):
            text = await next_text(socket)
            if first.done():
                assert text == first.result()[i]
            else:
                heard.append(text)
    if not first.done():
        first.set_result(heard)
    elif heard:
        assert heard == first.result()[:len(heard)]


async def crowd(room: Room) -> list[str]:
    first: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    # A few at a time: what is tested is the room, not the server's backlog.
    gate = asyncio.Semaphore(50)

    async def enter():
        async with gate:
            socket = await open_chat(room, room.server.address)
            assert json.loads(await next_text(socket)) == SILENT
            return socket

    sockets = await asyncio.gather(*(enter() for _ in range(READERS)))

    def write() -> None:
        for _ in range(MESSAGES):
            room.advisor.post(f"{room.path}/messages", body=f'{{"content":"{CONTENT}"}}').ok(201)

    writing = asyncio.create_task(asyncio.to_thread(write))
    await asyncio.gather(*(hear(socket, MESSAGES, first) for socket in sockets))
    await writing
    for socket in sockets:
        socket.transport.abort()
    return first.result()


@pytest.mark.long
def test_a_stalled_reader_among_a_thousand_is_cut_with_4408_and_nobody_else_misses_anything(room: Room):
    rev = room.rev
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    with RawSocket(room.server.address, "/ws/chat", query, receive_buffer=4096, segment_bytes=536) as stalled:
        assert json.loads(stalled.next_text()) == SILENT
        heard = [json.loads(text) for text in asyncio.run(crowd(room))]
        assert [event["rev"] for event in heard] == list(range(rev + 1, rev + MESSAGES + 1))
        assert {event["message"]["content"] for event in heard} == {CONTENT}
        assert stalled.close_code() == 4408
    with room.client_socket(since=rev) as again:
        again.expect(SILENT)
        assert again.until(lambda event: event["type"] == "caught_up")[:-1] == heard
