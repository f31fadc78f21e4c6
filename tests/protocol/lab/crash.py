"""kill -9 under load, again and again: nothing that was answered may be lost, nothing may be there twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

from lab import process
from lab.load import under_load
from lab.process import PATIENCE, SLOWNESS, Options, cluster
from lab.traffic import open_chat

# Typing ends 6 s after it was last heard of; the second is the slack of a timer that looks for it.
TYPING_ENDS_S = 6.0 + 1.0


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


@dataclass
class NodeCrashResult(CrashResult):
    moved: int  # sockets of killed nodes that resumed at another
    typing_ended: float  # the longest time until nobody saw a dead node's typing any more

    def __str__(self) -> str:
        return (f"{super().__str__()}; {self.moved} sockets resumed at another node, "
                f"typing of a dead node ended within {self.typing_ended:.1f} s")


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


async def kill_again_and_again(options: Options, kills: int, writers: int = 16, seed: int = 1) -> CrashResult:
    """Everything that is the server at once. Leaves no server and no files behind."""
    started = time.monotonic()
    chance = random.Random(seed)
    server = process.start(options)
    try:
        async with under_load(server, writers) as site:
            for _ in range(kills):
                # Somewhere in the middle of the work: after so many answers, not after some time.
                await site.more_answers(chance.randrange(20, 400))
                site.running = [None for _ in site.running]
                await asyncio.to_thread(server.kill)
                server = await asyncio.to_thread(process.start, options, server.data_dir, server.log_file)
                site.came_up(server)
        assert server.stop() == 0, server.logs[-4000:]
        assert check_files(server.data_dir) >= 1 or server.database_url, "no database file was found"
        return CrashResult(kills, site.answers, site.repeated, site.heard, time.monotonic() - started)
    finally:
        server.discard()
        process.remove_data(server)


async def kill_nodes(options: Options, kills: int, nodes: int = 3, writers: int = 16, seed: int = 1) -> NodeCrashResult:
    """One of several nodes at a time, while somebody types there."""
    started = time.monotonic()
    chance = random.Random(seed)
    server = process.start(replace(options, command=cluster(nodes, respawn=True)))
    try:
        moved, typing_ended = 0, 0.0
        async with under_load(server, writers) as site:
            for _ in range(kills):
                await site.more_answers(chance.randrange(20, 400))
                # A node at which somebody listens, and the room of that somebody.
                chosen = chance.choice([listener for listener in site.listeners if listener.node])
                victim, promised = chosen.node, chosen.promised
                audience = [listener for listener in site.listeners if listener.promised is promised]
                room = promised.room
                # The colleague writes nothing, which would end the typing.
                async with open_chat(room, victim.address, side="advisor", advisor=room.colleague) as typist:
                    await typist.send(json.dumps({"type": "typing", "isTyping": True}))
                    await site.until(lambda: all(listener.sees_typing for listener in audience), "everybody sees the typing")
                    pid = server.node_pids[victim.index]
                    moved += sum(listener.node is victim for listener in site.listeners)
                    site.running[victim.index] = None
                    os.kill(pid, signal.SIGKILL)
                    killed = time.monotonic()
                await site.until(lambda: all(listener.node not in (None, victim) for listener in site.listeners),
                                 "every socket has resumed at another node")
                await site.until(lambda: not any(listener.sees_typing for listener in audience), "nobody sees typing")
                typing_ended = max(typing_ended, time.monotonic() - killed)
                assert typing_ended <= TYPING_ENDS_S * SLOWNESS, f"a dead node typed for {typing_ended:.1f} s"
                async with asyncio.timeout(PATIENCE * 3):
                    while server.node_pids[victim.index] == pid:
                        await site.more_answers(1)
                site.node_came_up(victim.index)
        assert server.stop() == 0, server.logs[-4000:]
        return NodeCrashResult(kills, site.answers, site.repeated, site.heard, time.monotonic() - started, moved,
                               typing_ended)
    finally:
        server.discard()
        process.remove_data(server)
