"""The resume storm: many writers in one conversation while its readers are cut again and again.

Every reader keeps the list that a client keeps: it resumes with the last `rev` that it has applied, and loads by HTTP
when it is told to. At the end every list has to be the conversation: dense, ordered, equal, nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed

from lab.people import Room
from lab.process import PATIENCE
from lab.traffic import HttpConnection, cut, open_chat


@dataclass
class StormResult:
    messages: int
    cuts: int
    resyncs: int
    seconds: float
    replayed: int  # events that came before a caught_up

    def __str__(self) -> str:
        return (f"{self.messages} messages, {self.cuts} cuts, {self.replayed} events replayed, {self.resyncs} resyncs, "
                f"{self.seconds:.1f} s, {self.messages / self.seconds:.0f} messages/s")


@dataclass
class Reader:
    room: Room
    side: str
    rev: int  # everything up to it has been applied
    end: asyncio.Future[int]  # the last rev of all, once it is known
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)  # by seq
    resyncs: int = 0
    replayed: int = 0
    # Set by the director: after how many more events this reader is cut. None: not now.
    cut_after: int | None = None
    was_cut: asyncio.Event = field(default_factory=asyncio.Event)

    def done(self) -> bool:
        return self.end.done() and self.rev >= self.end.result()

    def take(self, event: dict[str, Any]) -> None:
        assert event["type"] == "new_message", event
        assert event["rev"] == self.rev + 1, f"rev {event['rev']} after {self.rev}"
        self.rev = event["rev"]
        message = event["message"]
        assert message["seq"] not in self.messages, f"seq {message['seq']} twice"
        self.messages[message["seq"]] = message

    async def reload(self, http: HttpConnection, rev: int) -> None:
        """What a client does when it is told `resync`: everything that changed, page by page."""
        headers = {"Cookie": self.room.advisor.cookie}
        since = self.rev
        more = True
        while more:
            status, answered, page = await http.request(
                self.room.server.address, "GET", f"{self.room.path}/messages?since={since}&limit=200", headers=headers)
            assert status == 200, page
            more = answered["x-has-more"] == "true"
            for message in page:
                self.messages[message["seq"]] = message
                since = max(since, message["rev"])
        # The pages may hold what is newer than the resync; the socket will tell it again, and it is the same.
        self.rev = rev
        for seq in [seq for seq, message in self.messages.items() if message["rev"] > rev]:
            del self.messages[seq]

    async def run(self) -> None:
        http = HttpConnection()
        while not self.done():
            async with open_chat(self.room, self.room.server.address, self.rev, self.side) as socket:
                assert json.loads(await socket.recv())["type"] == "typing"
                caught_up = False
                try:
                    while not self.done():
                        async with asyncio.timeout(PATIENCE * 3):
                            event = json.loads(await socket.recv())
                        if event["type"] == "alive":
                            continue
                        if event["type"] == "caught_up":
                            assert event["rev"] == self.rev, f"caught_up {event['rev']} after {self.rev}"
                            caught_up = True
                        elif event["type"] == "resync":
                            self.resyncs += 1
                            await self.reload(http, event["rev"])
                            caught_up = True
                        else:
                            self.take(event)
                            self.replayed += not caught_up
                        if self.cut_after is not None:
                            self.cut_after -= 1
                            # In the middle of a replay or of live events, as it falls.
                            if self.cut_after <= 0:
                                cut(socket)
                                self.cut_after = None
                                self.was_cut.set()
                                break
                except ConnectionClosed as closed:
                    raise AssertionError(f"the server cut a reader: {closed}") from closed
        # Nobody waits for a cut of a reader that has everything.
        self.was_cut.set()
        http.close()


async def _write(room: Room, number: int, count: int) -> list[dict[str, Any]]:
    """One writer's messages, one after the other, every other writer being the client."""
    http = HttpConnection()
    written = []
    for i in range(count):
        content = {"content": f"writer {number}, message {i}", "clientMessageId": f"w{number}-{i}"}
        if number % 2:
            request = http.request(room.server.address, "POST", f"{room.path}/messages/client",
                                   json={**content, "chatToken": room.client.token})
        else:
            request = http.request(room.server.address, "POST", f"{room.path}/messages", json=content,
                                   headers={"Cookie": room.advisor.cookie})
        status, _, message = await request
        assert status == 201, (status, message)
        written.append(message)
    http.close()
    return written


async def _direct(readers: list[Reader], cuts: int, events: int, chance: random.Random) -> int:
    """Cuts readers one after the other, each cut being seen to happen, spread over the first half of all events."""
    for done in range(cuts):
        reader = chance.choice(readers)
        if reader.done():
            return done
        reader.was_cut.clear()
        reader.cut_after = chance.randrange(1, max(2, events // cuts))
        await reader.was_cut.wait()
        if reader.cut_after is not None:  # it had everything before its turn came
            return done
    return cuts


async def resume_storm(room: Room, writers: int, messages: int, cuts: int, readers: int = 6,
                       seed: int = 1) -> StormResult:
    """Fails with an AssertionError when any reader's list is not the conversation."""
    start_rev, start_seq = room.rev, room.last_seq()
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    crowd = [Reader(room, "advisor" if i % 2 else "client", start_rev, end) for i in range(readers)]
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for reader in crowd:
            group.create_task(reader.run())
        direction = group.create_task(_direct(crowd, cuts, writers * messages, random.Random(seed)))
        writing = [group.create_task(_write(room, number, messages)) for number in range(writers)]
        written = [message for task in writing for message in await task]
        end.set_result(max(message["rev"] for message in written))
        # A reader that already had the last event when the end became known waits for another one: give it one.
        await _write(room, 1_000_000, 1)
        end_message_rev = end.result()
    seconds = time.monotonic() - started

    by_seq = sorted(written, key=lambda message: message["seq"])
    total = writers * messages
    assert [message["seq"] for message in by_seq] == list(range(start_seq + 1, start_seq + total + 1))
    assert [message["rev"] for message in by_seq] == list(range(start_rev + 1, start_rev + total + 1))
    assert end_message_rev == start_rev + total
    for reader in crowd:
        heard = [reader.messages[seq] for seq in sorted(reader.messages) if seq <= start_seq + total]
        assert heard == by_seq, f"a reader ({reader.side}) has {len(heard)} of {total} messages, or others"
    assert direction.result() == cuts, f"only {direction.result()} of {cuts} cuts found a reader that was still behind"
    return StormResult(total, direction.result(), sum(reader.resyncs for reader in crowd), seconds,
                       sum(reader.replayed for reader in crowd))
