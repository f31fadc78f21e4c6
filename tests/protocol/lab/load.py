"""People who write and listen without a pause while servers come and go, and what they were promised.

Writers give every message a `clientMessageId` and send it until it is answered, each time at the next node, as a client's
outbox does behind a balancer. Listeners keep the `rev` up to which they have heard everything, and resume with it. What
the first answer said is what has to be stored when all is over, and so is everything that a socket was told; and every
listener has to have heard every change exactly once, in order.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from lab.people import Lab, Room
from lab.process import PATIENCE, Server
from lab.traffic import Disconnected, HttpConnection, cut, open_chat

# Between two tries while there is no database, as an outbox makes one; far shorter than a client's.
RETRY_PAUSE_S = 0.05


@dataclass(eq=False)
class Node:
    """One process. The one that takes its place is another."""

    index: int
    address: tuple[str, int]
    newest_answered: float = 0.0  # when the newest request was sent that it has answered; time.time()


@dataclass
class Promised:
    """What was promised about one room."""

    room: Room
    rev: int  # before anything was written
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)  # answered messages by clientMessageId
    answered: dict[str, tuple[float, Node]] = field(default_factory=dict)  # when, and by which node
    answered_rev: int = 0  # the highest
    repeated: int = 0  # answered with 200: stored by a try that was not answered
    told: dict[int, tuple[str, int]] = field(default_factory=dict)  # id and seq by rev


@dataclass
class Delays:
    """The longest times from an answer to a writer until a listener was told."""

    same_node: float = 0.0
    other_node: float = 0.0


class Site:
    """The nodes that run now; everybody waits here while there is none."""

    def __init__(self, server: Server):
        self._news = asyncio.Event()
        self.running: list[Node | None] = []
        self.rooms: list[Promised] = []
        self.listeners: list[Listener] = []
        self.answered: list[tuple[float, float]] = []  # of each message: when the try was sent, and when it was answered
        self.heard = 0
        self.lost_sockets = 0  # that were open; each comes back, or the end is not reached
        self.delays = Delays()
        # Until then (time.time()) a node may say that it cannot store, or read, anything.
        self.may_fail_until = 0.0
        self.last_failure = 0.0
        self.failures = 0
        self.is_over = False
        self.came_up(server)

    @property
    def answers(self) -> int:
        return len(self.answered)

    @property
    def repeated(self) -> int:
        return sum(promised.repeated for promised in self.rooms)

    def came_up(self, server: Server) -> None:
        self.server = server
        self.running = [Node(index, address) for index, address in enumerate(server.nodes or [server.address])]
        self.tell()

    def node_came_up(self, index: int) -> None:
        self.running[index] = Node(index, self.server.nodes[index])
        self.tell()

    def tell(self) -> None:
        """Something has changed that somebody may wait for."""
        self._news.set()

    async def until(self, holds: Callable[[], bool], what: str, patience: float = PATIENCE * 3) -> None:
        try:
            async with asyncio.timeout(patience):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {patience} s: {what}\n{self.server.logs[-4000:]}") from None

    async def more_answers(self, number: int) -> None:
        """So many more messages have been answered: the measure of time that is the same on a slow machine."""
        until = self.answers + number
        await self.until(lambda: self.answers >= until, f"{number} more answers")

    async def node(self, wanted: int) -> Node:
        """This one, or the next while it is away."""
        while True:
            for other in range(len(self.running)):
                node = self.running[(wanted + other) % len(self.running)]
                if node is not None:
                    return node
            self._news.clear()
            await self._news.wait()

    def fell(self, node: Node) -> None:
        """Somebody lost a connection to `node`: that has to be one that was killed."""
        assert node not in self.running, (
            f"a connection was lost, and nobody killed the server:\n{self.server.logs[-4000:]}")

    def failed(self, how: object) -> None:
        """A node did not do what it was asked to."""
        now = time.time()
        assert now <= self.may_fail_until, f"{how}\n{self.server.logs[-4000:]}"
        self.last_failure = now
        self.failures += 1


class Listener:
    """A participant's page: one socket, opened again whenever it is lost."""

    def __init__(self, site: Site, promised: Promised, side: str, home: int):
        self.site = site
        self.promised = promised
        self.side = side
        self.home = home
        self.rev = promised.rev
        self.node: Node | None = None  # whose socket is open, and has told all that was missed
        self.sees_typing = False
        self._socket: ClientConnection | None = None
        self._was_cut = False

    def cut(self) -> None:
        """Ends the connection, if there is one, without a word."""
        if self._socket is not None:
            self._was_cut = True
            cut(self._socket)

    async def run(self) -> None:
        for attempt in count():
            node = await self.site.node(self.home + attempt)
            try:
                async with open_chat(self.promised.room, node.address, self.rev, self.side) as self._socket:
                    while True:
                        self._take(json.loads(await self._socket.recv()), node)
            except (OSError, EOFError, ConnectionClosed, InvalidHandshake) as lost:
                was_open, was_cut = self.node is not None, self._was_cut
                self.node, self._socket, self._was_cut = None, None, False
                self.site.lost_sockets += was_open
                if was_cut or node not in self.site.running:
                    continue
                # An open socket stays open whatever becomes of the database; one that wants to resume may be sent away.
                if was_open:
                    self.site.fell(node)
                self.site.failed(f"a socket was refused: {lost!r}")
                await asyncio.sleep(RETRY_PAUSE_S)

    def _take(self, event: dict[str, Any], node: Node) -> None:
        match event["type"]:
            case "alive":
                pass
            case "typing":
                self.sees_typing = event["advisorTyping"] or event["clientTyping"]
            case "new_message":
                assert event["rev"] == self.rev + 1, f"rev {event['rev']} after {self.rev}"
                self.rev = event["rev"]
                message = event["message"]
                known = self.promised.told.setdefault(self.rev, (message["id"], message["seq"]))
                assert known == (message["id"], message["seq"]), f"others were told something else at rev {self.rev}"
                self.site.heard += 1
                self._note_delay(message["clientMessageId"], node)
            case "caught_up":
                assert event["rev"] == self.rev
                self.node = node
            case _:
                # Also a rev that no server knows, since it was told too early: that is a resync.
                raise AssertionError(f"told rev {self.rev}, and then {event}")
        self.site.tell()

    def _note_delay(self, key: str, node: Node) -> None:
        answered = self.promised.answered.get(key)
        if answered is None:
            return  # its writer waits for the answer
        when, by = answered
        delay, delays = time.time() - when, self.site.delays
        if by is node:
            delays.same_node = max(delays.same_node, delay)
        else:
            delays.other_node = max(delays.other_node, delay)


async def _write(site: Site, promised: Promised, number: int, home: int) -> None:
    room, http = promised.room, HttpConnection()
    for i in count():
        if site.is_over:
            break
        key = f"w{number}-{i}"
        fields = {"content": f"writer {number}, message {i}", "clientMessageId": key}
        for attempt in count():
            node = await site.node(home + attempt)
            sent = time.time()
            try:
                if number % 2:
                    status, _, message = await http.request(
                        node.address, "POST", f"{room.path}/messages/client",
                        json={**fields, "chatToken": room.client.token})
                else:
                    status, _, message = await http.request(
                        node.address, "POST", f"{room.path}/messages", json=fields,
                        headers={"Cookie": room.advisor.cookie})
            except Disconnected:
                # Unknown whether it was stored: the same again.
                site.fell(node)
                continue
            if status in (200, 201):
                break
            assert (status, message["code"]) in ((500, "storage_failed"), (503, "overloaded")), (status, message)
            site.failed(f"{status} {message}")
            await asyncio.sleep(RETRY_PAUSE_S)
        assert message["content"] == fields["content"]
        promised.stored[key] = message
        now = time.time()
        promised.answered[key] = (now, node)
        promised.answered_rev = max(promised.answered_rev, message["rev"])
        promised.repeated += status == 200
        node.newest_answered = max(node.newest_answered, sent)
        site.answered.append((sent, now))
        site.tell()
    http.close()


@asynccontextmanager
async def under_load(server: Server, writers: int = 16, rooms: int = 4) -> AsyncIterator[Site]:
    """A server, or several nodes, at which people write and listen while the block runs. When it has ended, every promise
    has been compared with what is stored; an AssertionError says which was broken."""
    lab = Lab(server)
    site = Site(server)
    nodes = len(site.running)
    for _ in range(rooms):
        room = lab.room()
        site.rooms.append(Promised(room, room.rev))
    async with asyncio.TaskGroup() as group:
        # Of each room's two sides one listener at every node.
        site.listeners = [Listener(site, promised, side, node)
                          for promised in site.rooms for node in range(nodes) for side in ("advisor", "client")]
        listening = [group.create_task(listener.run()) for listener in site.listeners]
        # Both sides write in every room: in every other one at the same node, so that nothing tells the other nodes that
        # they have missed something.
        writing = []
        for number in range(writers):
            of_room, turn = number // 2 % rooms, number // 2 // rooms
            home = of_room // 2 if of_room % 2 else turn + number % 2
            writing.append(group.create_task(_write(site, site.rooms[of_room], number, home)))
        await site.until(lambda: all(listener.node for listener in site.listeners), "every socket is open")
        await site.more_answers(20)
        yield site
        await site.more_answers(200)
        site.is_over = True
        await asyncio.gather(*writing)
        await site.until(lambda: all(listener.rev >= listener.promised.answered_rev for listener in site.listeners),
                         "every listener has heard everything")
        for task in listening:
            task.cancel()
    for person in (*lab.advisors, *(promised.room.client for promised in site.rooms)):
        person.server = site.server
    for promised in site.rooms:
        promised.room.server = site.server
        check_history(promised)


def check_history(promised: Promised) -> None:
    """What was answered is there, once, as it was answered, in a dense order; and all of it, and nothing else, was told."""
    history = promised.room.history()
    assert [message["seq"] for message in history] == list(range(1, len(history) + 1)), "seq is not dense"
    assert len({message["id"] for message in history}) == len(history)
    keyed = [message for message in history if message["clientMessageId"]]
    twice = [key for key, times in Counter((message["senderId"], message["clientMessageId"]) for message in keyed).items()
             if times > 1]
    assert not twice, f"stored twice: {twice[:5]}"
    by_key = {message["clientMessageId"]: message for message in keyed}
    lost = [key for key in promised.stored if key not in by_key]
    assert not lost, f"{len(lost)} answered messages are lost: {lost[:5]}"
    for key, message in promised.stored.items():
        assert by_key[key] == message
    written = {message["rev"]: (message["id"], message["seq"]) for message in history if message["rev"] > promised.rev}
    assert promised.told == written, "the sockets were not told what is stored"
