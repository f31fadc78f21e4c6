"""Nodes of two versions beside each other on one PostgreSQL and one NATS, as during an upgrade."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import process
from lab.outage import shared
from lab.people import SILENT, Lab, fresh_id
from lab.sockets import Socket

# What tells that the version before was refused by the database of the next.
REFUSAL = "made by a newer version"


def _write(lab: Lab, path: str, count: int) -> list[str]:
    """Messages through one node, with a reaction to every tenth and a mark after every twentieth."""
    advisor = lab.advisors[0]
    written = []
    for number in range(count):
        message = advisor.post(f"{path}/messages", {"content": f"message {number}", "clientMessageId": fresh_id()}).ok(201)
        written.append(message["id"])
        if number % 10 == 0:
            advisor.post(f"{path}/messages/{message['id']}/reactions", {"emoji": "👍"}).ok()
        if number % 20 == 0:
            advisor.post(f"{path}/read").ok()
    return written


def _hear(socket: Socket, until: int) -> list[dict]:
    """Everything durable up to a revision."""
    heard: list[dict] = []
    while not heard or heard[-1]["rev"] < until:
        event = socket.next()
        assert event["type"] != "resync", event
        if "rev" in event and event["type"] != "caught_up":
            heard.append(event)
    return heard


def upgrade_under_load(before: Sequence[str], now: Sequence[str], writers: int = 4, messages: int = 100) -> str:
    """A node of the version before makes the database and serves; one of today's joins, and brings the database up to
    date under it. Both are written to at once, and listeners of both hear everything, each revision once and in order.
    Then the one from before ends, and may not come again."""
    nodes: list[process.Server] = []
    with shared("postgres") as postgres, shared("nats") as nats:
        try:
            # The superuser's: the first versions asked for one.
            shares = ["--storage", (postgres.folder / "admin-url").read_text().strip(), "--backplane", nats.url]

            def start(command: Sequence[str]) -> process.Server:
                nodes.append(process.start(process.Options(demo=4, command=command, extra=shares)))
                return nodes[-1]

            old = start(before)
            old_lab = Lab(old)
            path = old_lab.room_of(old_lab.trips[1]).path
            identifier = path.rsplit("/", 1)[1]
            old_rev = next(row for row in old_lab.advisors[0].conversations() if row["id"] == identifier)["rev"]

            def listen(lab: Lab) -> Socket:
                advisor = lab.advisors[0]
                query = {"conversationId": identifier, "userType": "advisor", "userId": advisor.id, "since": old_rev}
                socket = Socket.open(lab.server.address, "/ws/chat", query, cookie=advisor.cookie)
                socket.expect(SILENT)
                return socket

            with listen(old_lab) as on_old, ThreadPoolExecutor(2 * writers) as pool:
                early = [pool.submit(_write, old_lab, path, messages) for _ in range(writers)]
                new_lab = Lab(start(now))
                room = new_lab.room_of(next(trip for trip in new_lab.trips if trip["id"] == old_lab.trips[1]["id"]))
                with listen(new_lab) as on_new:
                    late = [pool.submit(_write, lab, path, messages) for lab in (old_lab, new_lab) for _ in range(writers)]
                    written = [message for task in early + late for message in task.result()]
                    newest = room.rev
                    for socket in (on_old, on_new):
                        heard = _hear(socket, newest)
                        assert [event["rev"] for event in heard] == list(range(old_rev + 1, newest + 1))
                        told = [event["message"]["id"] for event in heard if event["type"] == "new_message"]
                        assert sorted(told) == sorted(written)
            everything = room.history()
            assert [message["seq"] for message in everything] == list(range(1, len(everything) + 1))
            assert old.stop() == 0, old.logs[-4000:]
            try:
                start(before)
            except process.StartFailed as refused:
                assert REFUSAL in refused.logs, refused.logs
            else:
                raise AssertionError("the version before took a database of the next one")
            again = room.advisor_says("after the upgrade")
            assert again["seq"] == len(everything) + 1
            assert nodes[1].stop() == 0, nodes[1].logs[-4000:]
            return f"{len(written):,} messages through both versions, {newest - old_rev:,} revisions heard by both, in order"
        finally:
            for node in nodes:
                node.discard()
                process.remove_data(node)
