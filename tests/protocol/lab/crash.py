"""kill -9 under load, again and again: nothing that was answered may be lost, nothing may be there twice.

Writers give every message a `clientMessageId` and send it until it is answered, as a client's outbox does. What the
first answer said is what has to be stored when all is over, and so is everything that a socket was told.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from lab import process
from lab.people import Lab, Room
from lab.process import Options, Server
from lab.traffic import Disconnected, Line, open_chat


@dataclass
class CrashResult:
    kills: int
    answered: int
    repeated: int  # answered with 200: stored by a server that was killed before it could say so
    heard: int  # events that the listeners were told
    seconds: float

    def __str__(self) -> str:
        return (f"{self.kills} kills, {self.answered} messages answered ({self.repeated} of them by a repeat), "
                f"{self.heard} events heard, 0 lost, 0 doubled, {self.seconds:.1f} s")


class Site:
    """The server that runs now, if any; everybody waits here while there is none."""

    def __init__(self, server: Server):
        self.server = server
        self.up = asyncio.Event()
        self.up.set()
        self.answers = asyncio.Semaphore(0)  # one release for each answer
        self.is_over = False

    def fell(self, server: Server) -> None:
        """Somebody lost the connection to `server`: that has to be the one that was killed."""
        assert not self.up.is_set() or server is not self.server, (
            f"a connection was lost, and nobody killed the server:\n{server.logs[-4000:]}")


@dataclass
class Witnessed:
    """What was promised about one room."""

    room: Room
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)  # answered messages by clientMessageId
    repeated: int = 0
    heard: dict[str, int] = field(default_factory=dict)  # seq by id of the messages that a socket was told


async def _write(site: Site, seen: Witnessed, number: int) -> None:
    room, line = seen.room, Line()
    i = 0
    while not site.is_over:
        key = f"w{number}-{i}"
        fields = {"content": f"writer {number}, message {i}", "clientMessageId": key}
        while True:
            await site.up.wait()
            server = site.server
            try:
                if number % 2:
                    status, _, message = await line.request(
                        server.address, "POST", f"{room.path}/messages/client",
                        json={**fields, "chatToken": room.client.token})
                else:
                    status, _, message = await line.request(
                        server.address, "POST", f"{room.path}/messages", json=fields,
                        headers={"Cookie": room.advisor.cookie})
                break
            except Disconnected:
                # Unknown whether it was stored: the same again, once there is a server.
                site.fell(server)
        assert status in (200, 201), (status, message)
        assert message["content"] == fields["content"]
        seen.stored[key] = message
        seen.repeated += status == 200
        site.answers.release()
        i += 1
    line.close()


async def _listen(site: Site, seen: Witnessed) -> None:
    rev = seen.room.rev
    while True:
        await site.up.wait()
        server = site.server
        try:
            async with open_chat(seen.room, server.address, rev) as socket:
                while True:
                    event = json.loads(await socket.recv())
                    # A rev that the server does not know after its restart would have been told too early.
                    assert event["type"] != "resync", f"told rev {rev}, which is gone: {event}"
                    if event["type"] == "new_message":
                        assert event["rev"] == rev + 1
                        rev = event["rev"]
                        seen.heard[event["message"]["id"]] = event["message"]["seq"]
        except (OSError, EOFError, ConnectionClosed, InvalidHandshake):
            site.fell(server)


def check_files(data_dir: Path) -> int:
    """Every database of a server that has ended is sound. How many there are."""
    databases = [path for path in data_dir.rglob("*")
                 if path.is_file() and path.read_bytes()[:16] == b"SQLite format 3\0"]
    for path in databases:
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == [], path
        finally:
            connection.close()
    return len(databases)


def check_history(seen: Witnessed) -> None:
    """What was answered is there, once, as it was answered, in a dense order; what was told is there, too."""
    history = seen.room.history()
    assert [message["seq"] for message in history] == list(range(1, len(history) + 1)), "seq is not dense"
    assert len({message["id"] for message in history}) == len(history)
    keyed = [message for message in history if message["clientMessageId"]]
    twice = [key for key, count in Counter((message["senderId"], message["clientMessageId"]) for message in keyed).items()
             if count > 1]
    assert not twice, f"stored twice: {twice[:5]}"
    by_key = {message["clientMessageId"]: message for message in keyed}
    lost = [key for key in seen.stored if key not in by_key]
    assert not lost, f"{len(lost)} answered messages are lost: {lost[:5]}"
    for key, message in seen.stored.items():
        assert by_key[key] == message
    seqs = {message["id"]: message["seq"] for message in history}
    for message_id, seq in seen.heard.items():
        assert seqs.get(message_id) == seq, "a socket was told a message that is not stored"


async def kill_again_and_again(options: Options, kills: int, writers: int = 16, seed: int = 1) -> CrashResult:
    """Leaves no server and no files behind."""
    started = time.monotonic()
    chance = random.Random(seed)
    server = process.start(options)
    try:
        lab = Lab(server)
        rooms = [Witnessed(lab.room()) for _ in range(4)]
        site = Site(server)
        async with asyncio.TaskGroup() as group:
            listeners = [group.create_task(_listen(site, room)) for room in rooms]
            # Both sides write in every room.
            for number in range(writers):
                group.create_task(_write(site, rooms[number // 2 % len(rooms)], number))
            for _ in range(kills):
                # Somewhere in the middle of the work: after so many answers, not after some time.
                for _ in range(chance.randrange(20, 400)):
                    await site.answers.acquire()
                site.up.clear()
                await asyncio.to_thread(server.kill)
                server = await asyncio.to_thread(process.start, options, server.data_dir, server.log_file)
                site.server = server
                site.up.set()
            for _ in range(200):
                await site.answers.acquire()
            site.is_over = True
            for listener in listeners:
                listener.cancel()
        for person in (*lab.advisors, *(room.room.client for room in rooms)):
            person.server = server
        for room in rooms:
            room.room.server = server
            check_history(room)
        assert server.stop() == 0, server.logs[-4000:]
        # Several nodes share a database elsewhere.
        assert check_files(server.data_dir) >= 1 or server.nodes, "no database file was found"
        return CrashResult(kills, sum(len(room.stored) for room in rooms), sum(room.repeated for room in rooms),
                           sum(len(room.heard) for room in rooms), time.monotonic() - started)
    finally:
        server.discard()
        process.remove_data(server)
