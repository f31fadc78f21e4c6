"""Chat tokens: from the share link to the room, and their end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from lab import process
from lab.people import TIME, Lab, Room
from lab.process import Server
from lab.web import request

pytestmark = pytest.mark.host

GRANT = {"chatToken", "conversationId", "clientId", "clientName", "orgId", "advisorName", "advisorAvatar",
         "expiresAt"}


@pytest.mark.nodes
def test_the_share_link_gives_a_token_and_everything_the_widget_needs(room: Room):
    grant = room.client.ask_token().ok(200)
    assert set(grant) == GRANT
    assert re.fullmatch(r"[0-9a-f]{64}", grant["chatToken"])
    assert (grant["conversationId"], grant["clientId"]) == (room.id, room.client.id)
    assert (grant["clientName"], grant["orgId"]) == (room.client.name, room.client.org_id)
    assert re.fullmatch(TIME, grant["expiresAt"])
    assert isinstance(grant["advisorName"], str) and grant["advisorName"]
    assert grant["advisorAvatar"] is None or isinstance(grant["advisorAvatar"], str)


def test_a_token_is_never_cached_on_the_way(room: Room):
    assert "no-store" in room.client.ask_token().headers["cache-control"]


def test_post_is_the_same_as_get(room: Room):
    fields = {"tripId": room.client.trip_id, "shareToken": room.client.share_token}
    grant = request(room.server.address, "POST", "/api/chat-token", json=fields).ok(200)
    asked = room.client.ask_token().ok(200)
    assert set(grant) == GRANT
    new = {"chatToken": None, "expiresAt": None}
    assert {**grant, **new} == {**asked, **new}
    assert grant["chatToken"] != asked["chatToken"]
    assert room.client.get(f"{room.path}/messages", token=grant["chatToken"], limit=1).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("missing", ["tripId", "shareToken", "both"])
def test_a_missing_parameter_is_400(room: Room, method: str, missing: str):
    fields = {"tripId": room.client.trip_id, "shareToken": room.client.share_token}
    fields = {} if missing == "both" else {name: value for name, value in fields.items() if name != missing}
    with room.untouched():
        given = {"query": fields} if method == "GET" else {"json": fields}
        request(room.server.address, method, "/api/chat-token", **given).error(400, "missing_field")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_trip_is_404(room: Room, method: str):
    with room.untouched():
        fields = {"tripId": "no-such-trip", "shareToken": room.client.share_token}
        given = {"query": fields} if method == "GET" else {"json": fields}
        request(room.server.address, method, "/api/chat-token", **given).error(404, "not_found")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("change", ["wrong", "another trip's", "shorter", "longer"])
def test_a_wrong_share_token_is_403(lab: Lab, method: str, change: str):
    room, other = lab.two_rooms()
    share = {"wrong": "0" * len(room.client.share_token), "another trip's": other.client.share_token,
             "shorter": room.client.share_token[:-1], "longer": room.client.share_token + "0"}[change]
    with room.untouched():
        fields = {"tripId": room.client.trip_id, "shareToken": share}
        given = {"query": fields} if method == "GET" else {"json": fields}
        request(room.server.address, method, "/api/chat-token", **given).error(403)


# A share link is a family's, with all of its browsers.
@pytest.mark.nodes
def test_a_hundred_tokens_of_a_client_and_trip_live_and_one_more_ends_the_oldest(room: Room):
    tokens = [room.client.new_token() for _ in range(100)]
    assert len(set(tokens)) == 100

    def status(token: str) -> int:
        return room.client.get(f"{room.path}/messages", token=token, limit=1).status

    assert [status(token) for token in tokens] == [200] * 100
    one_more = room.client.new_token()
    assert status(one_more) == 200
    # Of several nodes, those that did not give it may remember the oldest for half a minute.
    deadline = time.monotonic() + 30 + process.PATIENCE
    while room.server.nodes and status(tokens[0]) != 401:
        assert time.monotonic() < deadline
    # Whoever answers, the store or a cache: neither may remember it.
    assert [status(token) for token in tokens] == [401] + [200] * 99
    room.client.post(f"{room.path}/messages/client", {"content": "hello"}, token=tokens[0]).error(
        401, "unauthenticated")
    with room.client_socket(token=tokens[0]) as socket:
        assert socket.close_code() == 4401


@pytest.mark.nodes
def test_another_trips_tokens_do_not_count(lab: Lab):
    room, other = lab.two_rooms()
    token = room.client.new_token()
    for _ in range(101):
        other.client.new_token()
    assert room.client.get(f"{room.path}/messages", token=token, limit=1).status == 200


@pytest.mark.nodes
@pytest.mark.own_server
def test_only_a_digest_of_a_token_or_a_session_is_at_rest(launch: Callable[..., Server]):
    server = launch(demo=4)
    lab = Lab(server)
    room = lab.room()
    room.client_says("so that the token is used")
    assert server.stop() == 0
    kept = server.at_rest()
    assert any(room.id.encode() in content or bytes.fromhex(room.id.replace("-", "")) in content
               for content in kept.values()), "what is kept was not found"
    for place, content in kept.items():
        assert room.client.token.encode() not in content, place
        assert bytes.fromhex(room.client.token) not in content, place
        for advisor in lab.advisors:
            assert advisor.cookie.split("=", 1)[1].encode() not in content, place


@pytest.mark.nodes
@pytest.mark.own_server
def test_a_token_outlives_a_restart(launch: Callable[..., Server]):
    first = launch(demo=4)
    room = Lab(first).room()
    message = room.client_says("before")
    assert first.stop() == 0
    second = launch(demo=4, data_dir=first.data_dir)
    answer = request(second.address, "GET", f"{room.path}/messages", query={"limit": 1},
                     headers={"Authorization": f"Bearer {room.client.token}"})
    assert answer.ok() == [message]


@pytest.mark.nodes
@pytest.mark.own_server
@pytest.mark.concurrent
def test_a_token_that_expires_while_its_socket_is_open_closes_it(launch: Callable[..., Server]):
    lab = Lab(launch(demo=4, extra=["--token-lifetime", "2"]))
    room = lab.room()
    room.client.token = room.client.new_token()
    with room.client_listens() as client, room.advisor_listens() as advisor:
        assert client.close_code() == 4401
        # Nobody else's socket is touched.
        room.hears_nothing_more(advisor)
    expired = room.client.token
    # The socket's end is the proof that the token has expired: now for everything else that it opened.
    with room.untouched():
        room.client.get(f"{room.path}/messages", token=expired).error(401, "unauthenticated")
        for path, fields in (("messages/client", {"content": "late"}), ("read/client", {})):
            room.client.post(f"{room.path}/{path}", fields, token=expired).error(401, "unauthenticated")
        with room.client_socket(token=expired) as socket:
            assert socket.close_code() == 4401
    # A new one opens the room again, and misses nothing.
    token = room.client.new_token()
    with room.client_socket(token=token) as again:
        assert again.next()["type"] == "typing"
