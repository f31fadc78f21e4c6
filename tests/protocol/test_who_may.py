"""Who may do what: every surface with every credential that is not the right one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import process
from lab.people import Lab, Room
from lab.sockets import Socket
from lab.process import PATIENCE
from lab.web import Answer, request

pytestmark = [pytest.mark.host, pytest.mark.unsanitized]


@pytest.fixture(scope="module")
def room(lab: Lab) -> Room:
    return lab.room(keep=True)


@pytest.fixture(scope="module")
def message(room: Room) -> dict:
    return room.client_says("to be reacted to")


@dataclass
class Credentials:
    """What a request carries: a Cookie, a Bearer token, a chat token in the body; each may be absent."""

    cookie: str | None = None
    bearer: str | None = None
    body_token: str | None = None

    def headers(self) -> dict[str, str]:
        headers = {}
        if self.cookie:
            headers["Cookie"] = self.cookie
        if self.bearer:
            headers["Authorization"] = f"Bearer {self.bearer}"
        return headers


def send(room: Room, method: str, path: str, fields: dict[str, Any] | None, credentials: Credentials) -> Answer:
    if fields is not None and credentials.body_token:
        fields = {**fields, "chatToken": credentials.body_token}
    return request(room.server.address, method, path, json=fields, headers=credentials.headers())


def advisor_routes(room: Room, message: dict) -> dict[str, tuple[str, str, dict | None]]:
    return {
        "GET conversations": ("GET", "/api/conversations", None),
        "GET conversations with a search": ("GET", "/api/conversations?q=a", None),
        "POST conversations": ("POST", "/api/conversations", {"clientId": room.client.id}),
        "POST messages": ("POST", f"{room.path}/messages", {"content": "forged"}),
        "POST read": ("POST", f"{room.path}/read", {}),
        "GET unread-count": ("GET", "/api/messages/unread-count", None),
        "POST reactions": ("POST", room.reactions_path(message), {"emoji": "👎"}),
        "DELETE reactions": ("DELETE", room.reactions_path(message), {}),
    }


def client_routes(room: Room, message: dict) -> dict[str, tuple[str, str, dict | None]]:
    return {
        "POST messages/client": ("POST", f"{room.path}/messages/client", {"content": "forged"}),
        "POST read/client": ("POST", f"{room.path}/read/client", {}),
        "POST reactions/client": ("POST", room.reactions_path(message) + "/client", {"emoji": "👎"}),
        "DELETE reactions/client": ("DELETE", room.reactions_path(message) + "/client", {}),
    }


ADVISOR_ROUTES = ["GET conversations", "GET conversations with a search", "POST conversations", "POST messages",
                  "POST read", "GET unread-count", "POST reactions", "DELETE reactions"]
CLIENT_ROUTES = ["POST messages/client", "POST read/client", "POST reactions/client", "DELETE reactions/client"]


@dataclass
class Expired:
    """A room whose client's token has expired, on a server where tokens live two seconds."""

    room: Room
    message: dict
    token: str


@pytest.fixture(scope="module")
def expired() -> Iterator[Expired]:
    if process.is_external():
        pytest.skip("needs a server with --token-lifetime 2")
    running = process.start(process.Options(demo=4, extra=["--token-lifetime", "2"]))
    try:
        lab = Lab(running)
        room = lab.room()
        message = room.client_says("to be reacted to")
        room.client.token = room.client.new_token()
        # The server says itself when a token is over: it closes what the token has opened.
        with room.client_listens() as socket:
            assert socket.close_code() == 4401
        yield Expired(room, message, room.client.token)
    finally:
        running.discard()
        process.remove_data(running)


# ---- Advisor routes ----


@pytest.mark.parametrize("route", ADVISOR_ROUTES)
def test_an_advisor_route_without_credential_is_401(room: Room, message: dict, route: str):
    with room.untouched():
        send(room, *advisor_routes(room, message)[route], Credentials()).error(401, "unauthenticated")


@pytest.mark.nodes
@pytest.mark.parametrize("route", ADVISOR_ROUTES)
def test_an_advisor_route_with_an_expired_token_is_401(expired: Expired, route: str):
    with expired.room.untouched():
        send(expired.room, *advisor_routes(expired.room, expired.message)[route],
             Credentials(bearer=expired.token)).error(401, "unauthenticated")


@pytest.mark.nodes
@pytest.mark.parametrize("route", ADVISOR_ROUTES)
def test_an_advisor_route_with_an_ended_session_is_401(room: Room, message: dict, route: str):
    with room.untouched():
        send(room, *advisor_routes(room, message)[route], Credentials(cookie=room.advisor.ended_session())).error(
            401, "unauthenticated")


@pytest.mark.parametrize("route", ADVISOR_ROUTES)
def test_an_advisor_route_with_a_session_that_never_was_is_401(room: Room, message: dict, route: str):
    name = room.advisor.cookie.split("=", 1)[0]
    with room.untouched():
        for value in ("", "0" * 64, "x", "a" * 4000):
            send(room, *advisor_routes(room, message)[route], Credentials(cookie=f"{name}={value}")).error(
                401, "unauthenticated")


@pytest.mark.parametrize("route", ADVISOR_ROUTES)
def test_an_advisor_route_with_another_conversations_token_is_401(lab: Lab, room: Room, message: dict, route: str):
    token = lab.room(room.client.org_id).client.token
    with room.untouched():
        send(room, *advisor_routes(room, message)[route], Credentials(bearer=token, body_token=token)).error(
            401, "unauthenticated")


@pytest.mark.parametrize("route", [route for route in ADVISOR_ROUTES if route.split()[1] not in (
    "conversations", "unread-count")] + ["POST conversations"])
def test_an_advisor_route_with_another_organizations_advisor_is_404(room: Room, message: dict, route: str):
    with room.untouched():
        send(room, *advisor_routes(room, message)[route], Credentials(cookie=room.stranger.cookie)).error(
            404, "not_found")


def test_the_lists_of_another_organizations_advisor_hold_its_own_rows_only(room: Room):
    room.client_says("counted here only")
    rows = room.stranger.conversations()
    assert rows and all(row["orgId"] == room.stranger.org_id for row in rows)
    assert room.id not in [row["id"] for row in rows]
    assert room.stranger.unread_count() == sum(row["unreadCount"] for row in rows)


@pytest.mark.parametrize("place", ["bearer", "body", "cookie"])
@pytest.mark.parametrize("route", ADVISOR_ROUTES)
def test_an_advisor_route_with_the_clients_own_token_is_401(room: Room, message: dict, route: str, place: str):
    token = room.client.token
    name = room.advisor.cookie.split("=", 1)[0]
    credentials = {"bearer": Credentials(bearer=token), "body": Credentials(body_token=token),
                   "cookie": Credentials(cookie=f"{name}={token}")}[place]
    with room.untouched():
        send(room, *advisor_routes(room, message)[route], credentials).error(401, "unauthenticated")


# ---- GET …/messages ----


def read_messages(room: Room, credentials: Credentials) -> Answer:
    return send(room, "GET", f"{room.path}/messages", None, credentials)


def test_messages_without_credential_are_401(room: Room):
    with room.untouched():
        read_messages(room, Credentials()).error(401, "unauthenticated")


def test_messages_with_an_expired_token_are_401(expired: Expired):
    with expired.room.untouched():
        read_messages(expired.room, Credentials(bearer=expired.token)).error(401, "unauthenticated")


@pytest.mark.nodes
def test_messages_with_an_ended_session_are_401(room: Room):
    with room.untouched():
        read_messages(room, Credentials(cookie=room.advisor.ended_session())).error(401, "unauthenticated")


def test_messages_with_another_conversations_token_are_404(lab: Lab, room: Room):
    with room.untouched():
        for foreign in (lab.room(room.client.org_id), lab.foreign_room(room)):
            read_messages(room, Credentials(bearer=foreign.client.token)).error(404, "not_found")


def test_messages_with_another_organizations_advisor_are_404(room: Room):
    with room.untouched():
        read_messages(room, Credentials(cookie=room.stranger.cookie)).error(404, "not_found")


def test_messages_with_the_clients_token_are_its_own_conversations_only(lab: Lab, room: Room):
    own = read_messages(room, Credentials(bearer=room.client.token)).ok()
    assert {message["conversationId"] for message in own} == {room.id}
    other = lab.room(room.client.org_id)
    with other.untouched():
        read_messages(other, Credentials(bearer=room.client.token)).error(404, "not_found")


# ---- Client routes ----


@pytest.mark.parametrize("route", CLIENT_ROUTES)
def test_a_client_route_without_credential_is_400(room: Room, message: dict, route: str):
    with room.untouched():
        send(room, *client_routes(room, message)[route], Credentials()).error(400, "missing_field")


@pytest.mark.nodes
@pytest.mark.parametrize("route", CLIENT_ROUTES)
def test_a_client_route_with_an_expired_token_is_401(expired: Expired, route: str):
    with expired.room.untouched():
        send(expired.room, *client_routes(expired.room, expired.message)[route],
             Credentials(body_token=expired.token)).error(401, "unauthenticated")


@pytest.mark.parametrize("route", CLIENT_ROUTES)
def test_a_client_route_with_another_conversations_token_is_404(lab: Lab, room: Room, message: dict, route: str):
    with room.untouched():
        for foreign in (lab.room(room.client.org_id), lab.foreign_room(room)):
            send(room, *client_routes(room, message)[route], Credentials(body_token=foreign.client.token)).error(
                404, "not_found")


@pytest.mark.parametrize("route", CLIENT_ROUTES)
def test_a_client_route_with_another_organizations_advisor_is_400(room: Room, message: dict, route: str):
    with room.untouched():
        send(room, *client_routes(room, message)[route], Credentials(cookie=room.stranger.cookie)).error(
            400, "missing_field")


@pytest.mark.parametrize("route", CLIENT_ROUTES)
def test_a_client_route_with_the_conversations_own_advisor_is_400(room: Room, message: dict, route: str):
    with room.untouched():
        send(room, *client_routes(room, message)[route], Credentials(cookie=room.advisor.cookie)).error(
            400, "missing_field")


FORGED = {"senderType": "advisor", "senderId": "someone", "senderName": "Your advisor", "reactorType": "advisor",
          "reactorId": "someone", "userType": "advisor", "orgId": "another", "isRead": True, "seq": 1, "rev": 1,
          "id": "mine", "createdAt": "2000-01-01T00:00:00.000Z"}


@pytest.mark.parametrize("with_session", [False, True], ids=["client", "client with an advisor's cookie"])
def test_what_a_client_writes_is_always_stored_as_the_clients(room: Room, message: dict, with_session: bool):
    credentials = Credentials(cookie=room.advisor.cookie if with_session else None, body_token=room.client.token)
    written = send(room, "POST", f"{room.path}/messages/client", {"content": "I am your advisor", **FORGED},
                   credentials).ok(201)
    assert (written["senderType"], written["senderId"], written["senderName"]) == (
        "client", room.client.id, room.client.name)
    assert (written["orgId"], written["isRead"]) == (room.client.org_id, False)
    assert written["id"] != "mine" and written["createdAt"] > "2020"
    reactions = send(room, "POST", room.reactions_path(message) + "/client", {"emoji": "👍", **FORGED},
                     credentials).ok(200)
    assert [(reaction["reactorType"], reaction["reactorId"]) for reaction in reactions] == [("client", room.client.id)]
    seen = room.advisor_says("to be seen")
    send(room, "POST", f"{room.path}/read/client", dict(FORGED), credentials).ok(200)
    # Seen by the client, and not read in the advisor's name.
    assert room.message(seen["id"])["seenAt"]
    assert room.message(written["id"])["isRead"] is False
    send(room, "DELETE", room.reactions_path(message) + "/client", dict(FORGED), credentials).ok(200)


# ---- WebSockets ----


def opens(room: Room, path: str, query: dict[str, Any], credentials: Credentials) -> Socket:
    return Socket.open(room.server.address, path, query, cookie=credentials.cookie, token=credentials.body_token)


def claims(room: Room) -> list[dict[str, str]]:
    return [{"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id},
            {"conversationId": room.id, "userType": "client", "userId": room.client.id}]


def chat_is_refused(room: Room, queries: list[dict[str, str]], credentials: Credentials, code: int) -> None:
    with room.untouched():
        for query in queries:
            with opens(room, "/ws/chat", query, credentials) as socket:
                # Nothing of the room is told before the refusal, its typing state neither.
                assert socket.close_code() == code


def test_a_chat_without_credential_is_4401(room: Room):
    chat_is_refused(room, claims(room), Credentials(), 4401)


@pytest.mark.nodes
def test_a_chat_with_an_expired_token_is_4401(expired: Expired):
    chat_is_refused(expired.room, claims(expired.room)[1:], Credentials(body_token=expired.token), 4401)


@pytest.mark.nodes
def test_a_chat_with_an_ended_session_is_4401(room: Room):
    chat_is_refused(room, claims(room)[:1], Credentials(cookie=room.advisor.ended_session()), 4401)


@pytest.mark.parametrize("token", ["0" * 64, "0" * 63, "0" * 65, "g" * 64, "x"])
def test_a_chat_with_a_token_that_never_was_is_4401(room: Room, token: str):
    chat_is_refused(room, claims(room)[1:], Credentials(body_token=token), 4401)
    with room.untouched(), Socket.open(room.server.address, "/ws/chat",
                                       {**claims(room)[1], "chatToken": token}) as socket:
        assert socket.close_code() == 4401


def test_a_chat_with_another_conversations_token_is_4403(lab: Lab, room: Room):
    for foreign in (lab.room(room.client.org_id), lab.foreign_room(room)):
        own_id = {"conversationId": room.id, "userType": "client", "userId": foreign.client.id}
        chat_is_refused(room, [claims(room)[1], own_id], Credentials(body_token=foreign.client.token), 4403)


def test_a_chat_with_another_organizations_advisor_is_4403(room: Room):
    own_id = {"conversationId": room.id, "userType": "advisor", "userId": room.stranger.id}
    chat_is_refused(room, [claims(room)[0], own_id], Credentials(cookie=room.stranger.cookie), 4403)


def test_a_chat_with_a_client_as_advisor_is_4403(room: Room):
    as_itself = {"conversationId": room.id, "userType": "advisor", "userId": room.client.id}
    chat_is_refused(room, [claims(room)[0], as_itself], Credentials(body_token=room.client.token), 4403)


def test_an_inbox_without_credential_is_4401(room: Room):
    with room.untouched(), opens(room, "/ws/inbox", {}, Credentials()) as socket:
        assert socket.close_code() == 4401


def test_an_inbox_with_an_expired_token_is_4401(expired: Expired):
    with expired.room.untouched(), opens(expired.room, "/ws/inbox", {},
                                         Credentials(body_token=expired.token)) as socket:
        assert socket.close_code() == 4401


@pytest.mark.nodes
def test_an_inbox_with_an_ended_session_is_4401(room: Room):
    with room.untouched(), opens(room, "/ws/inbox", {}, Credentials(cookie=room.advisor.ended_session())) as socket:
        assert socket.close_code() == 4401


def test_an_inbox_with_another_conversations_token_is_4403(lab: Lab, room: Room):
    token = lab.room(room.client.org_id).client.token
    with room.untouched():
        with opens(room, "/ws/inbox", {}, Credentials(body_token=token)) as socket:
            assert socket.close_code() == 4403
        with Socket.open(room.server.address, "/ws/inbox", {"chatToken": token}) as socket:
            assert socket.close_code() == 4403


@pytest.mark.nodes
def test_an_inbox_of_another_organizations_advisor_hears_its_own_organization_only(room: Room):
    foreign = room.lab.foreign_room(room)
    with room.stranger.inbox() as inbox:
        room.client_says("not for them")
        room.advisor.post(f"{room.path}/read").ok()
        message = foreign.client_says("for them")
        event = inbox.expect_type("conversation_update")
        assert event["conversation"]["lastMessage"]["id"] == message["id"]


def test_an_inbox_with_the_clients_own_token_is_4403(room: Room):
    with room.untouched(), opens(room, "/ws/inbox", {}, Credentials(body_token=room.client.token)) as socket:
        assert socket.close_code() == 4403


# ---- Signing in and out ----


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
                                     {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("form", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_another_sites_page_signs_nobody_out_or_in(room: Room, headers: dict[str, str], form: str):
    """It has no cookie (SameSite); what the answer says of one, the browser would do."""
    account = {"email": room.advisor.email, "password": room.advisor.password}
    for path, body in (("/api/logout", ""), ("/api/login", json.dumps(account))):
        answer = request(room.server.address, "POST", path, body=body, headers={**headers, "Content-Type": form})
        assert answer.status in (400, 403, 415), answer
        assert path != "/api/logout" or answer.status == 403
        assert not answer.cookies
    room.advisor.get("/api/me").ok()


@pytest.mark.nodes
def test_who_signs_in_again_has_left_the_session_before(room: Room):
    before = room.advisor.login()
    account = {"email": room.advisor.email, "password": room.advisor.password}
    answer = request(room.server.address, "POST", "/api/login", json=account, headers={"Cookie": before})
    answer.ok()
    after = "; ".join(cookie.split(";")[0] for cookie in answer.cookies)
    room.advisor.request("GET", "/api/me", headers={"Cookie": after}).ok()
    # Other nodes learn of it within seconds.
    deadline = time.monotonic() + PATIENCE
    while (status := room.advisor.request("GET", "/api/me", headers={"Cookie": before}).status) != 401:
        assert status == 200 and time.monotonic() < deadline, "the session before goes on"
    room.advisor.get("/api/me").ok()
