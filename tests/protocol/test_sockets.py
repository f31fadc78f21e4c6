"""/ws/chat and /ws/inbox as connections: who gets in, how, and what ends one."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from lab.people import SILENT, Lab, Room
from lab.process import PATIENCE, Server
from lab.raw import CLOSE, PING, PONG, TEXT, Frame, RawSocket, frame
from lab.sockets import SUBPROTOCOL, Socket

pytestmark = pytest.mark.host

# ---- Getting in ----


@pytest.mark.nodes
def test_a_client_gets_in_with_its_token_as_subprotocol(room: Room):
    with room.client_socket() as socket:
        socket.expect(SILENT)
        # The token is not repeated: the server picks the protocol.
        assert socket.connection.subprotocol == SUBPROTOCOL


def test_a_client_gets_in_with_its_token_in_the_query(room: Room):
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id, "chatToken": room.client.token}
    with Socket.open(room.server.address, "/ws/chat", query) as socket:
        socket.expect(SILENT)


@pytest.mark.nodes
def test_an_advisor_gets_in_with_the_session_cookie(room: Room):
    with room.advisor_socket() as socket:
        socket.expect(SILENT)


@pytest.mark.nodes
def test_any_advisor_of_the_organization_gets_in(room: Room):
    with room.advisor_socket(room.colleague) as socket:
        socket.expect(SILENT)


def test_a_socket_works_without_a_subprotocol(room: Room):
    query = {"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id}
    with RawSocket(room.server.address, "/ws/chat", query, headers={"Cookie": room.advisor.cookie}) as socket:
        assert "sec-websocket-protocol" not in socket.headers
        assert socket.next_text()


def test_a_subprotocol_that_is_not_ours_is_not_picked(room: Room):
    query = {"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id}
    with RawSocket(room.server.address, "/ws/chat", query,
                   headers={"Cookie": room.advisor.cookie, "Sec-WebSocket-Protocol": "chat, superchat"}) as socket:
        assert "sec-websocket-protocol" not in socket.headers


# ---- Being refused: upgraded, then closed with a code, since browsers hide the HTTP status ----


def refused(room: Room, code: int, query: dict, **credentials: object) -> None:
    with room.untouched(), Socket.open(room.server.address, "/ws/chat", query, **credentials) as socket:
        assert socket.close_code() == code


def test_an_unknown_conversation_is_4404(room: Room):
    refused(room, 4404, {"conversationId": str(uuid4()), "userType": "advisor", "userId": room.advisor.id},
            cookie=room.advisor.cookie)


def test_another_advisors_id_is_4403(room: Room):
    refused(room, 4403, {"conversationId": room.id, "userType": "advisor", "userId": room.colleague.id},
            cookie=room.advisor.cookie)


def test_another_clients_id_is_4403(lab: Lab):
    room, other = lab.two_rooms()
    refused(room, 4403, {"conversationId": room.id, "userType": "client", "userId": other.client.id},
            token=room.client.token)


def test_an_advisor_who_claims_to_be_the_client_is_4403(room: Room):
    refused(room, 4403, {"conversationId": room.id, "userType": "client", "userId": room.client.id},
            cookie=room.advisor.cookie)


@pytest.mark.nodes
def test_an_ended_session_is_4401(room: Room):
    refused(room, 4401, {"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id},
            cookie=room.advisor.ended_session())


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_page_of_another_origin_is_4403(room: Room, side: str, origin: str):
    opens = room.advisor_socket if side == "advisor" else room.client_socket
    with room.untouched(), opens(origin=origin) as socket:
        assert socket.close_code() == 4403


def test_an_inbox_is_refused_to_a_page_of_another_origin(room: Room):
    with room.advisor.inbox(origin="https://evil.example") as socket:
        assert socket.close_code() == 4403


@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_page_of_the_servers_own_origin_gets_in(room: Room, side: str):
    opens = room.advisor_socket if side == "advisor" else room.client_socket
    with opens(origin=room.server.url) as socket:
        socket.expect(SILENT)


# ---- Staying ----


@pytest.mark.nodes
@pytest.mark.own_server
@pytest.mark.concurrent
def test_a_peer_that_answers_pings_stays_and_one_that_is_silent_is_dropped(launch: Callable[..., Server]):
    room = Lab(launch(demo=4, extra=["--ping-interval", "1", "--silence-timeout", "3"])).room()
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    with (RawSocket(room.server.address, "/ws/chat", query) as silent,
          RawSocket(room.server.address, "/ws/chat", query) as answering):
        for socket in (silent, answering):
            assert '"typing"' in socket.next_text()
        # Until long after the silent one had to be gone.
        for _ in range(6):
            ping = next_frame_but_alive(answering)
            assert (ping.opcode, ping.fin) == (PING, True)
            answering.send(frame(PONG, ping.payload))
        pings = 0
        try:
            while (received := next_frame_but_alive(silent)).opcode == PING:
                pings += 1
            assert received.opcode == CLOSE
        except (EOFError, ConnectionResetError):
            pass
        # Pinged before it was given up.
        assert pings >= 1
        message = room.advisor_says("still here?")
        while (received := next_frame_but_alive(answering)).opcode == PING:
            answering.send(frame(PONG, received.payload))
        assert message["id"].encode() in received.payload


def next_frame_but_alive(socket: RawSocket) -> Frame:
    while (received := socket.next_frame()).opcode == TEXT and b'"type":"alive"' in received.payload:
        pass
    return received


# Where another HTTP server sends the pings, their interval is no option of the chat's.
@pytest.mark.parser
@pytest.mark.own_server
@pytest.mark.concurrent
def test_a_page_that_is_shown_no_pings_hears_that_the_server_is_there(launch: Callable[..., Server]):
    room = Lab(launch(demo=4, extra=["--ping-interval", "1", "--silence-timeout", "3"])).room()
    rev = room.rev
    with room.client_listens(since=rev) as client, room.advisor_listens() as advisor, room.advisor.inbox() as inbox:
        client.expect_type("caught_up")
        sockets = (client, advisor, inbox)
        # Again and again, also while there is something else to tell.
        deadline = time.monotonic() + PATIENCE
        while min(len(socket.alive) for socket in sockets) < 3:
            assert time.monotonic() < deadline, [socket.alive for socket in sockets]
            message = room.client_says("and what is there to do?")
            for socket in (client, advisor):
                socket.expect({"type": "new_message", "message": message, "rev": message["rev"]})
            inbox.expect_type("conversation_update")
            for socket in sockets:
                assert socket.next_within(0.1) is None
        for socket in sockets:
            assert all(event == {"type": "alive", "intervalMs": 1000} for event in socket.alive)
    # It is no change, so it is in no replay.
    with room.client_listens(since=rev) as again:
        events = again.until(lambda event: event["type"] == "caught_up")
        assert [event["type"] for event in events] == ["new_message"] * (message["rev"] - rev) + ["caught_up"]


def test_a_ping_of_the_clients_is_answered_with_its_payload(room: Room):
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    with RawSocket(room.server.address, "/ws/chat", query) as socket:
        socket.next_text()
        for payload in (b"", b"hello", bytes(125)):
            socket.send(frame(PING, payload))
            answer = socket.next_frame()
            assert (answer.opcode, answer.payload) == (PONG, payload)


def test_a_message_may_come_in_fragments_with_a_ping_between_them(room: Room):
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    with room.advisor_listens() as advisor, RawSocket(room.server.address, "/ws/chat", query) as socket:
        socket.next_text()
        text = '{"type":"typing","note":"h\u00e9","isTyping":true}'.encode()
        # Cut inside the two bytes of the é.
        cut = text.index("\u00e9".encode()) + 1
        socket.send(frame(1, text[:cut], fin=False) + frame(PING, b"between") + frame(0, b"", fin=False)
                    + frame(0, text[cut:]))
        assert socket.next_frame().opcode == PONG
        advisor.expect({"type": "typing", "advisorTyping": False, "clientTyping": True})


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_is_answered_with_its_code(room: Room, code: int):
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    with RawSocket(room.server.address, "/ws/chat", query) as socket:
        socket.next_text()
        socket.send(frame(CLOSE, code.to_bytes(2, "big") + b"bye"))
        answer = socket.next_frame()
        assert (answer.opcode, answer.close_code) == (CLOSE, code)
        assert socket.at_end()


def test_a_close_without_a_code_is_answered(room: Room):
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    with RawSocket(room.server.address, "/ws/chat", query) as socket:
        socket.next_text()
        socket.send(frame(CLOSE))
        assert socket.next_frame().opcode == CLOSE
        assert socket.at_end()


# ---- Too slow ----


@pytest.mark.nodes
@pytest.mark.concurrent
def test_a_socket_that_does_not_read_is_cut_with_4408_while_others_get_everything(room: Room):
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    # 40 KB each and a peer with small buffers: some 60 of them pass the bound of 1 MiB and whatever the kernel holds.
    content = "\U0001f30d" * 10_000
    with (RawSocket(room.server.address, "/ws/chat", query, receive_buffer=4096, segment_bytes=536) as stalled,
          room.client_listens() as reader, room.advisor_listens() as advisor):
        stalled.next_text()
        messages = [room.advisor.post(f"{room.path}/messages", body=f'{{"content":"{content}"}}').ok(201)
                    for _ in range(60)]
        for message in messages:
            for socket in (reader, advisor):
                assert socket.next()["message"] == message
        assert stalled.close_code() == 4408
        last = messages[0]["rev"]
    # What it missed it gets by resuming.
    with room.client_socket(since=last) as again:
        again.expect(SILENT)
        events = again.until(lambda event: event["type"] == "caught_up")
    assert [event["message"] for event in events[:-1]] == messages[1:]
