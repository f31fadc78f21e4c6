"""Who plays: the advisors and clients of a demo server, and the rooms in which they meet."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from lab.process import PATIENCE, Server
from lab.sockets import Socket
from lab.web import Answer, request

# What every object on the wire consists of, as docs/protocol.md lists it.
MESSAGE = {
    "id", "conversationId", "orgId", "senderType", "senderId", "senderName", "content", "isRead", "seenAt", "createdAt",
    "attachmentUrl", "attachmentType", "attachmentName", "reactions", "seq", "rev", "clientMessageId",
}
REACTION = {
    "id", "messageId", "conversationId", "orgId", "reactorType", "reactorId", "reactorName", "emoji", "createdAt",
}
CONVERSATION = {"id", "orgId", "clientId", "createdAt", "lastMessageAt"}
CONVERSATION_ROW = CONVERSATION | {"clientName", "clientAvatarUrl", "lastMessage", "unreadCount", "activeTrip", "rev"}

UUID_V7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

SILENT = {"type": "typing", "advisorTyping": False, "clientTyping": False}
ADVISOR_TYPES = {"type": "typing", "advisorTyping": True, "clientTyping": False}
CLIENT_TYPES = {"type": "typing", "advisorTyping": False, "clientTyping": True}
BOTH_TYPE = {"type": "typing", "advisorTyping": True, "clientTyping": True}

# Larger than any revision a test reaches, and exact in every JSON library.
FAR_REV = 2**53 - 1


def fresh_id() -> str:
    """A clientMessageId that nobody has used."""
    return uuid4().hex


class Advisor:
    """An advisor with a session."""

    def __init__(self, server: Server, account: dict[str, str]):
        self.server = server
        self.id = account["id"]
        self.org_id = account["orgId"]
        self.email = account["email"]
        self.password = account["password"]
        self.cookie = self.login()

    def login(self) -> str:
        """A new session; its Cookie header."""
        answer = request(self.server.address, "POST", "/api/login",
                         json={"email": self.email, "password": self.password})
        answer.ok(200)
        assert answer.cookies, "a login without a session cookie"
        return "; ".join(cookie.split(";")[0] for cookie in answer.cookies)

    def ended_session(self) -> str:
        """The Cookie header of a session that was opened and ended again."""
        cookie = self.login()
        self.request("POST", "/api/logout", headers={"Cookie": cookie}).ok()
        # Of several nodes, the others learn of it within seconds (docs/deploy.md).
        deadline = time.monotonic() + PATIENCE
        for node in self.server.nodes:
            while request(node, "GET", "/api/me", headers={"Cookie": cookie}).status != 401:
                assert time.monotonic() < deadline, "a node goes on with a session that was ended"
        return cookie

    def request(self, method: str, path: str, **options: Any) -> Answer:
        headers = {"Cookie": self.cookie, **options.pop("headers", {})}
        return request(self.server.address, method, path, headers=headers, **options)

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, query=query)

    def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        return self.request("POST", path, json=json, **options)

    def delete(self, path: str, json: Any = None, **options: Any) -> Answer:
        return self.request("DELETE", path, json=json, **options)

    def conversations(self, **query: Any) -> list[dict[str, Any]]:
        return self.get("/api/conversations", **query).ok()

    def unread_count(self) -> int:
        body = self.get("/api/messages/unread-count").ok()
        assert set(body) == {"count"}
        return body["count"]

    def inbox(self, **options: Any) -> Socket:
        return Socket.open(self.server.address, "/ws/inbox", {}, cookie=self.cookie, **options)


class Client:
    """A traveller with a share link and, once asked for, a chat token."""

    def __init__(self, server: Server, trip: dict[str, str]):
        self.server = server
        self.trip_id = trip["id"]
        self.share_token = trip["shareToken"]
        self.id = trip["clientId"]
        self.name = trip["clientName"]
        self.org_id = trip["orgId"]
        grant = self.ask_token().ok()
        self.token = grant["chatToken"]
        self.conversation_id = grant["conversationId"]

    def ask_token(self, **options: Any) -> Answer:
        return request(self.server.address, "GET", "/api/chat-token",
                       query={"tripId": self.trip_id, "shareToken": self.share_token}, **options)

    def new_token(self) -> str:
        return self.ask_token().ok()["chatToken"]

    def request(self, method: str, path: str, **options: Any) -> Answer:
        return request(self.server.address, method, path, **options)

    def get(self, path: str, token: str | None = None, **query: Any) -> Answer:
        return self.request("GET", path, query=query, headers={"Authorization": f"Bearer {token or self.token}"})

    def post(self, path: str, json: dict[str, Any] | None = None, token: str | None = None, **options: Any) -> Answer:
        """`chatToken` goes in the body, as the widget sends it."""
        return self.request("POST", path, json={"chatToken": token or self.token, **(json or {})}, **options)

    def delete(self, path: str, json: dict[str, Any] | None = None, token: str | None = None) -> Answer:
        return self.request("DELETE", path, json={"chatToken": token or self.token, **(json or {})})


class Room:
    """A conversation with everybody who may and may not enter it.

    `advisor` and `colleague` belong to its organization, `stranger` to another. Rooms come from the demo, so they have a
    past: a test compares with what it found and never expects an empty one.
    """

    def __init__(self, lab: Lab, client: Client, advisor: Advisor, colleague: Advisor, stranger: Advisor):
        self.lab = lab
        self.server = lab.server
        self.client = client
        self.advisor = advisor
        self.colleague = colleague
        self.stranger = stranger
        self.id = client.conversation_id
        self.path = f"/api/conversations/{self.id}"

    # ---- What is stored ----

    def row(self) -> dict[str, Any]:
        """Its row in the organization's list."""
        return next(row for row in self.advisor.conversations() if row["id"] == self.id)

    @property
    def rev(self) -> int:
        return self.row()["rev"]

    @property
    def epoch(self) -> str:
        """Of the storage."""
        return self.advisor.get(f"{self.path}/messages", limit=1).headers["x-epoch"]

    def page(self, **query: Any) -> list[dict[str, Any]]:
        return self.advisor.get(f"{self.path}/messages", **query).ok()

    def last_seq(self) -> int:
        newest = self.page(limit=1)
        return newest[-1]["seq"] if newest else 0

    def message(self, message_id: str) -> dict[str, Any]:
        """A message of the newest 200, as it is stored now."""
        return next(message for message in self.page(limit=200) if message["id"] == message_id)

    def history(self) -> list[dict[str, Any]]:
        """All messages, page by page, oldest first."""
        pages: list[list[dict[str, Any]]] = []
        query: dict[str, Any] = {"limit": 200}
        while True:
            answer = self.advisor.get(f"{self.path}/messages", **query)
            page = answer.ok()
            pages.append(page)
            if answer.headers["x-has-more"] == "false":
                return [message for page in reversed(pages) for message in page]
            assert page, "X-Has-More with an empty page"
            query["before"] = page[0]["seq"]

    # ---- What happens in it ----

    def advisor_says(self, content: str, advisor: Advisor | None = None, **fields: Any) -> dict[str, Any]:
        return (advisor or self.advisor).post(f"{self.path}/messages", {"content": content, **fields}).ok(201)

    def client_says(self, content: str, **fields: Any) -> dict[str, Any]:
        return self.client.post(f"{self.path}/messages/client", {"content": content, **fields}).ok(201)

    def reactions_path(self, message: dict[str, Any]) -> str:
        return f"{self.path}/messages/{message['id']}/reactions"

    def advisor_socket(self, advisor: Advisor | None = None, **options: Any) -> Socket:
        """Open, with the first typing state still to be taken."""
        advisor = advisor or self.advisor
        query = {"conversationId": self.id, "userType": "advisor", "userId": advisor.id}
        query.update({name: options.pop(name) for name in ("since", "epoch") if name in options})
        return Socket.open(self.server.address, "/ws/chat", query, **{"cookie": advisor.cookie, **options})

    def client_socket(self, **options: Any) -> Socket:
        query = {"conversationId": self.id, "userType": "client", "userId": self.client.id}
        query.update({name: options.pop(name) for name in ("since", "epoch") if name in options})
        return Socket.open(self.server.address, "/ws/chat", query, **{"token": self.client.token, **options})

    def advisor_listens(self, advisor: Advisor | None = None, **options: Any) -> Socket:
        """Open, and the quiet typing state taken."""
        socket = self.advisor_socket(advisor, **options)
        socket.expect(SILENT)
        return socket

    def client_listens(self, **options: Any) -> Socket:
        socket = self.client_socket(**options)
        socket.expect(SILENT)
        return socket

    def hears_nothing_more(self, *sockets: Socket) -> dict[str, Any]:
        """Proves that nothing is on its way to these sockets: a message sent now is the next thing that each hears."""
        marker = self.advisor_says(f"marker {fresh_id()}")
        event = {"type": "new_message", "message": marker, "rev": marker["rev"]}
        for socket in sockets:
            socket.expect(event)
        return marker

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """What happens inside changes no row of any conversation, in this organization or the other, and is not heard
        by a second socket in the room: the next that it hears is a message sent afterwards, with the next `rev`."""
        with self.advisor_listens(self.colleague) as witness:
            rows = self.lab.snapshot()
            count = self.last_seq()
            yield
            assert self.lab.snapshot() == rows
            marker = self.hears_nothing_more(witness)
            before = next(row["rev"] for organization in rows for row in organization if row["id"] == self.id)
            assert (marker["rev"], marker["seq"]) == (before + 1, count + 1)


class Lab:
    """The demo of one running server."""

    def __init__(self, server: Server):
        self.server = server
        demo = request(server.address, "GET", "/api/demo").ok()
        self.advisors = [Advisor(server, account) for account in demo["advisors"]]
        self.trips = demo["trips"]
        self.org_ids = list(dict.fromkeys(advisor.org_id for advisor in self.advisors))
        assert len(self.org_ids) >= 2, "the demo has two organizations"
        for org_id in self.org_ids:
            assert len(self.advisors_of(org_id)) >= 2, "each organization of the demo has two advisors"
        # A room is given away once before any is given twice.
        self._waiting = deque(self.trips)

    def advisors_of(self, org_id: str) -> list[Advisor]:
        return [advisor for advisor in self.advisors if advisor.org_id == org_id]

    def room(self, org_id: str | None = None, *, keep: bool = False) -> Room:
        """The next room, of this organization if one is named. One to `keep` is never given to anybody else."""
        trip = next(trip for trip in self._waiting if org_id in (None, trip["orgId"]))
        self._waiting.remove(trip)
        if not keep:
            self._waiting.append(trip)
        return self.room_of(trip)

    def room_of(self, trip: dict[str, str]) -> Room:
        client = Client(self.server, trip)
        advisor, colleague = self.advisors_of(client.org_id)[:2]
        stranger = next(advisor for advisor in self.advisors if advisor.org_id != client.org_id)
        return Room(self, client, advisor, colleague, stranger)

    def two_rooms(self) -> tuple[Room, Room]:
        """Two rooms of one organization."""
        first = self.room()
        return first, self.room(first.client.org_id)

    def foreign_room(self, room: Room) -> Room:
        """A room of the other organization."""
        return self.room(room.stranger.org_id)

    def snapshot(self) -> list[list[dict[str, Any]]]:
        """Every conversation of every organization with its `rev`, newest message and unread count. A durable change
        of anything in a conversation raises its `rev`, so two equal snapshots had no change between them."""
        return [self.advisors_of(org_id)[0].conversations() for org_id in self.org_ids]
