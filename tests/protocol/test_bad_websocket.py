"""Malformed WebSockets: handshakes, frames and messages. Nobody else hears of any of it."""

from __future__ import annotations

import struct

import pytest

from lab.people import CLIENT_TYPES, SILENT, Room
from lab.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket, ask, close_frame, frame, upgrade
from lab.sockets import Socket

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def room(lab) -> Room:
    return lab.room(keep=True)


def claim(room: Room) -> dict[str, str]:
    return {"conversationId": room.id, "userType": "client", "userId": room.client.id, "chatToken": room.client.token}


# ---- Handshakes that are no upgrade ----


@pytest.mark.parser
@pytest.mark.parametrize("path", ["/ws/chat", "/ws/inbox"])
@pytest.mark.parametrize("headers", [{"Sec-WebSocket-Key": None}, {"Sec-WebSocket-Key": ""},
                                     {"Sec-WebSocket-Key": "c2hvcnQ="}, {"Sec-WebSocket-Key": "not base64 at all!!"}],
                         ids=["none", "empty", "short", "not base64"])
def test_an_upgrade_without_a_key_is_400(room: Room, path: str, headers: dict):
    with room.untouched():
        ask(room.server.address, upgrade(room.server.address, path, claim(room), headers)).error(400)


@pytest.mark.parser
@pytest.mark.parametrize("path", ["/ws/chat", "/ws/inbox"])
@pytest.mark.parametrize("version", ["8", "12", "14", "", None])
def test_another_version_is_426_and_names_ours(room: Room, path: str, version: str | None):
    with room.untouched():
        answer = ask(room.server.address,
                     upgrade(room.server.address, path, claim(room), {"Sec-WebSocket-Version": version}))
        # Without any version it is no WebSocket request at all.
        assert answer.status == 426 or (version in ("", None) and answer.status == 400), answer
        answer.error(answer.status)
        if answer.status == 426:
            assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("headers", [{"Upgrade": None, "Connection": None}, {"Upgrade": "h2c"},
                                     {"Connection": "keep-alive"}],
                         ids=["plain GET", "another protocol", "no connection upgrade"])
def test_a_request_that_asks_for_no_websocket_gets_none(room: Room, headers: dict):
    with room.untouched():
        answer = ask(room.server.address, upgrade(room.server.address, "/ws/chat", claim(room), headers))
        assert answer.status in (400, 426)
        answer.error(answer.status)


@pytest.mark.parser
def test_a_post_is_no_upgrade(room: Room):
    request = upgrade(room.server.address, "/ws/chat", claim(room), {"Content-Length": "0"})
    with room.untouched():
        ask(room.server.address, request.replace(b"GET", b"POST", 1)).error(405)


# ---- Claims that are none ----


@pytest.mark.parametrize("missing", ["conversationId", "userType", "userId"])
@pytest.mark.parametrize("form", ["absent", "empty"])
def test_a_missing_parameter_is_4400(room: Room, missing: str, form: str):
    query = claim(room)
    if form == "absent":
        del query[missing]
    else:
        query[missing] = ""
    with room.untouched(), Socket.open(room.server.address, "/ws/chat", query) as socket:
        assert socket.close_code() == 4400


@pytest.mark.parametrize("user_type", ["admin", "Advisor", "CLIENT", "advisor ", "0", "client,advisor"])
def test_an_unknown_user_type_is_4400(room: Room, user_type: str):
    with (room.untouched(),
          Socket.open(room.server.address, "/ws/chat", {**claim(room), "userType": user_type}) as socket):
        assert socket.close_code() == 4400


@pytest.mark.parametrize("since", ["-1", str(2**64), "abc", "", "1.5", "0x10", " 1", "+1", "1e3", "9" * 40])
def test_a_since_that_is_no_rev_is_4400(room: Room, since: str):
    with room.untouched(), Socket.open(room.server.address, "/ws/chat", {**claim(room), "since": since}) as socket:
        assert socket.close_code() == 4400


def test_the_same_parameter_twice_is_refused(room: Room):
    query = f"conversationId={room.id}&userType=client&userId={room.client.id}&userId={room.client.id}"
    with room.untouched(), Socket.open(room.server.address, "/ws/chat", query, token=room.client.token) as socket:
        assert socket.close_code() == 4400


@pytest.mark.parametrize("conversation", ["nobody", "' OR 1=1 --", "0" * 36, "../../etc/passwd", "x" * 4000],
                         ids=["word", "sql", "zeros", "path", "long"])
def test_a_conversation_id_of_another_shape_is_refused(room: Room, conversation: str):
    # Not distinguished from one that does not exist, or called malformed: both tell a client to stop.
    query = {"conversationId": conversation, "userType": "advisor", "userId": room.advisor.id}
    with room.untouched(), Socket.open(room.server.address, "/ws/chat", query, cookie=room.advisor.cookie) as socket:
        assert socket.close_code() in (4400, 4404)


# ---- Frames ----


def fragments(count: int) -> bytes:
    return frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"", fin=False) * count


BAD_FRAMES = {
    "an unmasked frame": (1002, lambda: frame(TEXT, b'{"type":"seen"}', masked=False)),
    "an unmasked ping": (1002, lambda: frame(PING, b"", masked=False)),
    "RSV1": (1002, lambda: frame(TEXT, b'{"type":"seen"}', rsv=4)),
    "RSV2": (1002, lambda: frame(TEXT, b'{"type":"seen"}', rsv=2)),
    "RSV3": (1002, lambda: frame(TEXT, b'{"type":"seen"}', rsv=1)),
    "RSV1 on a ping": (1002, lambda: frame(PING, b"", rsv=4)),
    "opcode 3": (1002, lambda: frame(3, b"x")),
    "opcode 7": (1002, lambda: frame(7, b"x")),
    "opcode 11": (1002, lambda: frame(11, b"x")),
    "opcode 15": (1002, lambda: frame(15, b"x")),
    "a ping of 126 bytes": (1002, lambda: frame(PING, bytes(126))),
    "a pong of 126 bytes": (1002, lambda: frame(PONG, bytes(126))),
    "a close of 126 bytes": (1002, lambda: frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
    "a fragmented ping": (1002, lambda: frame(PING, b"x", fin=False)),
    "a close of 1 byte": (1002, lambda: frame(CLOSE, b"\x03")),
    **{f"close code {code}": (1002, lambda code=code: close_frame(code))
       for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)},
    "a close reason of bad UTF-8": (1007, lambda: close_frame(1000, b"\xff")),
    "bad UTF-8": (1007, lambda: frame(TEXT, b'{"type":"\xff"}')),
    "a lone continuation byte": (1007, lambda: frame(TEXT, b"\x80")),
    "overlong UTF-8": (1007, lambda: frame(TEXT, b"\xc0\xaf")),
    "a surrogate in UTF-8": (1007, lambda: frame(TEXT, b"\xed\xa0\x80")),
    "beyond U+10FFFF": (1007, lambda: frame(TEXT, b"\xf4\x90\x80\x80")),
    "UTF-8 cut short": (1007, lambda: frame(TEXT, b'{"type":"\xe2\x82')),
    "bad UTF-8 across fragments": (1007, lambda: frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"x")),
    "bad UTF-8 in a message that is not over": (1007, lambda: frame(TEXT, b"\xff", fin=False)),
    "64 KiB + 1": (1009, lambda: frame(TEXT, b" " * (64 * 1024 + 1))),
    "64 KiB + 1 in fragments":
        (1009, lambda: frame(TEXT, b" " * 40_000, fin=False) + frame(CONTINUATION, b" " * (64 * 1024 + 1 - 40_000))),
    "a declared length of 2^63-1": (1009, lambda: frame(TEXT, b"x", declared_length=2**63 - 1)),
    # The most significant bit has to be 0 (RFC 6455 section 5.2); either name for it is right.
    "a declared length of 2^63": ((1002, 1009), lambda: frame(TEXT, b"x", declared_length=2**63)),
    "a declared length of 2^64-1": ((1002, 1009), lambda: frame(TEXT, b"x", declared_length=2**64 - 1)),
    "a continuation without a start": (1002, lambda: frame(CONTINUATION, b"x")),
    "a continuation after the end": (1002, lambda: frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}")
                                     + frame(CONTINUATION, b"x")),
    "a new message inside another": (1002, lambda: frame(TEXT, b"{", fin=False) + frame(TEXT, b"}")),
    "binary": (1003, lambda: frame(BINARY, b'{"type":"seen"}')),
    "empty binary": (1003, lambda: frame(BINARY, b"")),
    "10,000 fragments": (1008, lambda: fragments(10_000)),
    "10,000 fragments with content":
        (1008, lambda: frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b" ", fin=False) * 9_998
         + frame(CONTINUATION, b"}")),
}


# What is seen only by whoever has the frames, before they are a message.
IN_FRAMES = ("bad UTF-8 in a message that is not over", "a continuation after the end", "10,000 fragments",
             "10,000 fragments with content")


@pytest.mark.parametrize("form", [pytest.param(form, marks=pytest.mark.parser) if form in IN_FRAMES else form
                                  for form in BAD_FRAMES])
def test_a_bad_frame_closes_with_its_code(room: Room, form: str):
    expected, build = BAD_FRAMES[form]
    expected = expected if isinstance(expected, tuple) else (expected,)
    with room.untouched(), RawSocket(room.server.address, "/ws/chat", claim(room)) as socket:
        socket.next_text()
        socket.send_until_refused(build())
        if form == "a continuation after the end":
            # The message before it was whole, and no good one: that is said first.
            assert '"error"' in socket.next_text()
        assert socket.close_code() in expected


def test_a_bad_frame_on_the_inbox_closes_it_too(room: Room):
    for data, code in ((frame(TEXT, b"x", masked=False), 1002), (frame(BINARY, b"x"), 1003),
                       (frame(TEXT, b"\xff"), 1007), (frame(TEXT, b" " * (64 * 1024 + 1)), 1009)):
        with (room.untouched(), RawSocket(room.server.address, "/ws/inbox", {},
                                          headers={"Cookie": room.advisor.cookie}) as inbox):
            inbox.send_until_refused(data)
            assert inbox.close_code() == code


def test_what_follows_a_bad_frame_is_not_read(room: Room):
    unseen = room.advisor_says("unseen, and to stay so")
    with room.untouched(), RawSocket(room.server.address, "/ws/chat", claim(room)) as socket:
        socket.next_text()
        socket.send_until_refused(frame(3, b"x") + frame(TEXT, b'{"type":"seen"}'))
        assert socket.close_code() == 1002
    assert room.message(unseen["id"]) == unseen


def test_a_frame_cut_in_the_middle_does_nothing(room: Room):
    whole = frame(TEXT, b'{"type":"typing","isTyping":true}')
    for size in (1, 2, 5, 6, len(whole) - 1):
        with room.untouched(), RawSocket(room.server.address, "/ws/chat", claim(room)) as socket:
            socket.next_text()
            socket.send(whole[:size])


# ---- Messages ----


DEEP = {16: '{"type":"typing","isTyping":true,"x":' + "[" * 15 + "]" * 15 + "}",
        17: '{"type":"typing","isTyping":true,"x":' + "[" * 16 + "]" * 16 + "}"}

BAD_MESSAGES = {
    "an open brace": "{",
    "nothing": "",
    "no JSON": "hello",
    "an array": '[{"type":"seen"}]',
    "a string": '"seen"',
    "null": "null",
    "something after it": '{"type":"seen"} {"type":"seen"}',
    "a trailing comma": '{"type":"seen",}',
    "a comment": '{"type":"seen"/* */}',
    "single quotes": "{'type':'seen'}",
    "depth over 16": DEEP[17],
    "depth 10,000": "[" * 10_000,
    'isTyping "yes"': '{"type":"typing","isTyping":"yes"}',
    "isTyping 1": '{"type":"typing","isTyping":1}',
    "isTyping null": '{"type":"typing","isTyping":null}',
    "no isTyping": '{"type":"typing"}',
    "an unknown type": '{"type":"shout"}',
    "a server's type": '{"type":"new_message","message":{"content":"forged"}}',
    "no type": '{"isTyping":true}',
    "a type that is a number": '{"type":1}',
    "a type that is null": '{"type":null}',
    "a duplicate key": '{"type":"typing","isTyping":false,"isTyping":true}',
    "a duplicate key, escaped": '{"type":"typing","isTyping":false,"isTypin\\u0067":true}',
    "a duplicate key inside": '{"type":"typing","isTyping":true,"x":{"a":1,"a":1}}',
    "1e400": '{"type":"typing","isTyping":true,"x":1e400}',
    "-1e400": '{"type":"typing","isTyping":true,"x":-1e400}',
    "NaN": '{"type":"typing","isTyping":true,"x":NaN}',
    "a lone surrogate": '{"type":"typing","isTyping":true,"x":"\\ud800"}',
    "a control character in a string": '{"type":"typing","isTyping":true,"x":"\x01"}',
}


@pytest.mark.parametrize("form", BAD_MESSAGES)
def test_a_bad_message_gets_an_error_event_and_the_socket_stays(room: Room, form: str):
    with room.client_listens() as socket:
        with room.untouched():
            socket.send(BAD_MESSAGES[form])
            event = socket.expect_type("error")
            assert set(event) == {"type", "code", "message"}
            assert event["code"] and event["message"]
        # That one error was all, and the socket still hears what goes on.
        assert socket.next()["message"]["content"].startswith("marker")
        room.hears_nothing_more(socket)


def test_a_message_of_depth_16_is_taken(room: Room):
    with room.advisor_listens() as witness, room.client_listens() as socket:
        socket.send(DEEP[16])
        witness.expect(CLIENT_TYPES)
        socket.typing(False)
        witness.expect(SILENT)


def test_a_message_of_64_kib_is_taken(room: Room):
    text = '{"type":"typing","isTyping":true}'
    with room.advisor_listens() as witness:
        with room.client_listens() as socket:
            socket.send(text + " " * (64 * 1024 - len(text)))
            witness.expect(CLIENT_TYPES)
        witness.expect(SILENT)


def test_members_that_nobody_knows_are_ignored(room: Room):
    with room.advisor_listens() as witness:
        with room.client_listens() as socket:
            socket.send('{"type":"typing","isTyping":true,"userType":"advisor","userId":"x","conversationId":"y"}')
            witness.expect(CLIENT_TYPES)
        witness.expect(SILENT)


@pytest.mark.parametrize("form", ["{", '{"type":"shout"}'])
def test_the_fifth_bad_message_in_ten_seconds_closes_with_1008(room: Room, form: str):
    with room.untouched(), room.client_listens() as socket:
        for _ in range(4):
            socket.send(form)
            socket.expect_type("error")
        socket.send(form)
        events, code = socket.drain()
        assert code == 1008
        assert all(event["type"] == "error" for event in events)
        assert len(events) <= 1


def test_an_inbox_takes_no_messages(room: Room):
    with room.untouched(), room.advisor.inbox() as inbox:
        for _ in range(5):
            inbox.send('{"type":"typing","isTyping":true}')
        events, code = inbox.drain()
        assert code == 1008
        assert {event["type"] for event in events} == {"error"}


def test_a_frame_may_arrive_byte_by_byte(room: Room):
    with room.advisor_listens() as witness:
        with RawSocket(room.server.address, "/ws/chat", claim(room)) as socket:
            socket.next_text()
            for byte in frame(TEXT, b'{"type":"typing","isTyping":true}'):
                socket.send(bytes([byte]))
            witness.expect(CLIENT_TYPES)
        witness.expect(SILENT)


@pytest.mark.parametrize("length", [125, 126, 127, 65535, 65536])
def test_every_form_of_length_is_understood(room: Room, length: int):
    text = '{"type":"typing","isTyping":true}'.ljust(length).encode()
    with room.advisor_listens() as witness:
        with RawSocket(room.server.address, "/ws/chat", claim(room)) as socket:
            socket.next_text()
            socket.send(frame(TEXT, text))
            witness.expect(CLIENT_TYPES)
        witness.expect(SILENT)


@pytest.mark.parser
def test_a_length_in_a_longer_form_than_needed_is_1002(room: Room):
    # RFC 6455 section 5.2: the minimal number of bytes must be used.
    payload = b'{"type":"seen"}'
    whole = frame(TEXT, payload)
    longer = whole[:1] + bytes([0x80 | 126]) + struct.pack("!H", len(payload)) + whole[2:]
    with room.untouched(), RawSocket(room.server.address, "/ws/chat", claim(room)) as socket:
        socket.next_text()
        socket.send(longer)
        assert socket.close_code() == 1002
