"""Well-formed HTTP with bad JSON, bad content, bad ids and bad paging. No row changes, nobody hears of it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from lab.people import Lab, Room, fresh_id
from lab.raw import ask
from lab.web import request

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def room(lab) -> Room:
    return lab.room(keep=True)


def both(room: Room, body: str | bytes) -> list:
    """The answers to a message with this body, as the advisor and as the client."""
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    return [
        room.advisor.post(f"{room.path}/messages", body=body),
        room.client.request("POST", f"{room.path}/messages/client", body=body,
                            headers={"Authorization": f"Bearer {room.client.token}"}),
    ]


# ---- JSON ----


BAD_JSON = {
    "an open brace": "{",
    "no JSON": "content=hello",
    "an array": '[{"content":"hello"}]',
    "a string": '"hello"',
    "null": "null",
    "something after it": '{"content":"hello"}{}',
    "a trailing comma": '{"content":"hello",}',
    "a comment": '{"content":"hello"}//',
    "depth over 16": '{"content":"hello","x":' + "[" * 16 + "]" * 16 + "}",
    "depth 20,000": '{"content":"hello","x":' + "[" * 20_000,
    "a duplicate key": '{"content":"hello","content":"hello"}',
    "a duplicate key, escaped": '{"content":"hello","c\\u006fntent":"other"}',
    "1e400": '{"content":"hello","x":1e400}',
    "NaN": '{"content":"hello","x":NaN}',
    "a byte order mark": '\ufeff{"content":"hello"}',
    "bad UTF-8": b'{"content":"hello \xff"}',
    "overlong UTF-8": b'{"content":"hello \xc0\xaf"}',
    "a surrogate in UTF-8": b'{"content":"hello \xed\xa0\x80"}',
    "a control character": '{"content":"hel\x01lo"}',
    "UTF-16": '{"content":"hello"}'.encode("utf-16-le"),
}


@pytest.mark.parametrize("form", BAD_JSON)
def test_bad_json_is_400(room: Room, form: str):
    with room.untouched():
        for answer in both(room, BAD_JSON[form]):
            answer.error(400)


def test_json_of_depth_16_is_taken(room: Room):
    for answer in both(room, '{"content":"hello","x":' + "[" * 15 + "]" * 15 + "}"):
        assert answer.status == 201


# ---- Content ----


BAD_CONTENT = {
    "missing": "{}",
    "null": '{"content":null}',
    "an array": '{"content":["hello"]}',
    "an object": '{"content":{"text":"hello"}}',
    "a number": '{"content":7}',
    "true": '{"content":true}',
    "empty": '{"content":""}',
    "white space": '{"content":" \\t\\r\\n"}',
    "white space of Unicode": '{"content":"\u00a0\u2003\u3000\u2028\u1680"}',
    "U+200B": '{"content":"\u200b"}',
    "U+200B, escaped": '{"content":"\\u200b\\u200b"}',
    "zero-width characters": '{"content":"\u200b\u200c\u200d\u2060\ufeff"}',
    "zero-width and white space": '{"content":" \u200b \u200b "}',
    "10,001 code points": '{"content":"' + "x" * 10_001 + '"}',
    "10,001 code points of 4 bytes": '{"content":"' + "\U0001f600" * 10_001 + '"}',
    "a lone high surrogate": '{"content":"hello \\ud800"}',
    "a lone low surrogate": '{"content":"\\udc00 hello"}',
    "surrogates the wrong way round": '{"content":"\\udc00\\ud800"}',
    "a high surrogate before a letter": '{"content":"\\ud800x"}',
    "U+0000": '{"content":"hel\\u0000lo"}',
    "U+0000 at the end": '{"content":"hello\\u0000"}',
    "U+0000 alone": '{"content":"\\u0000"}',
}


@pytest.mark.parametrize("form", BAD_CONTENT)
def test_bad_content_is_400(room: Room, form: str):
    with room.untouched():
        for answer in both(room, BAD_CONTENT[form]):
            answer.error(400)


def test_white_space_around_does_not_count_towards_the_limit(room: Room):
    for answer in both(room, '{"content":"%s"}' % (" " * 50 + "x" * 10_000 + " " * 50)):
        assert answer.ok(201)["content"] == "x" * 10_000


def test_a_surrogate_pair_is_one_character(room: Room):
    for answer in both(room, '{"content":"\\ud83d\\ude00"}'):
        assert answer.ok(201)["content"] == "\U0001f600"


def test_names_hold_no_bidirectional_override(lab: Lab):
    # A name comes from the host, so whatever the demo put into one is looked at wherever a name is shown.
    names = [trip["clientName"] for trip in lab.trips]
    for org_id in lab.org_ids:
        for row in lab.advisors_of(org_id)[0].conversations():
            names.append(row["clientName"])
            if row["lastMessage"]:
                names.append(row["lastMessage"]["senderName"])
    for name in names:
        assert not set(name) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), name.encode()


# ---- Ids ----


BAD_IDS = {
    "sql": "' OR '1'='1",
    "sql with a comment": "1;DROP TABLE messages--",
    "another shape": "42",
    "a word": "nobody",
    "upper case": "upper case",  # of the real one: see `bad_id`
    "no hyphens": "no hyphens",
    "braces": "braces",
    "one too long": "one too long",
    "one too short": "one too short",
    "unknown": "unknown",
    "nil": str(UUID(int=0)),
    "all ones": str(UUID(int=2**128 - 1)),
    "non-ASCII": "é" * 36,
    "an emoji": "👍",
    "7,000 characters": "x" * 7_000,
}


def bad_id(real: str, form: str) -> str:
    return {
        "upper case": lambda: real.upper() if real.upper() != real else real + "A",
        "no hyphens": lambda: real.replace("-", ""),
        "braces": lambda: "{" + real + "}",
        "one too long": lambda: real + "0",
        "one too short": lambda: real[:-1],
        "unknown": lambda: str(uuid4()),
    }.get(form, lambda: BAD_IDS[form])()


def reaction_requests(room: Room, conversation: str, message: str) -> list[Callable]:
    path = f"/api/conversations/{quote(conversation, safe='')}/messages/{quote(message, safe='')}/reactions"
    return [
        lambda: room.advisor.post(path, {"emoji": "👍"}),
        lambda: room.advisor.delete(path),
        lambda: room.client.post(f"{path}/client", {"emoji": "👍"}),
        lambda: room.client.delete(f"{path}/client"),
    ]


def conversation_requests(room: Room, conversation: str) -> list[Callable]:
    path = f"/api/conversations/{quote(conversation, safe='')}"
    return [
        lambda: room.advisor.get(f"{path}/messages"),
        lambda: room.advisor.post(f"{path}/messages", {"content": "lost"}),
        lambda: room.advisor.post(f"{path}/read"),
        lambda: room.client.get(f"{path}/messages"),
        lambda: room.client.post(f"{path}/messages/client", {"content": "lost"}),
        lambda: room.client.post(f"{path}/read/client"),
    ]


@pytest.mark.parametrize("form", BAD_IDS)
def test_a_bad_conversation_id_is_404(room: Room, form: str):
    message = room.client_says("a real one")
    wrong = bad_id(room.id, form)
    with room.untouched():
        for ask_it in conversation_requests(room, wrong) + reaction_requests(room, wrong, message["id"]):
            ask_it().error(404, "not_found")


@pytest.mark.parametrize("form", BAD_IDS)
def test_a_bad_message_id_is_404(room: Room, form: str):
    message = room.client_says("a real one")
    with room.untouched():
        for ask_it in reaction_requests(room, room.id, bad_id(message["id"], form)):
            ask_it().error(404, "not_found")
    assert room.message(message["id"]) == message


@pytest.mark.parametrize("form", BAD_IDS)
def test_a_bad_client_id_is_404(room: Room, form: str):
    with room.untouched():
        answer = room.advisor.post("/api/conversations", {"clientId": bad_id(room.client.id, form)})
        answer.error(404, "not_found")


@pytest.mark.parametrize("form", BAD_IDS)
def test_a_bad_trip_id_is_404(room: Room, form: str):
    with room.untouched():
        for method, place in (("GET", "query"), ("POST", "json")):
            fields = {"tripId": bad_id(room.client.trip_id, form), "shareToken": room.client.share_token}
            request(room.server.address, method, "/api/chat-token", **{place: fields}).error(404, "not_found")


@pytest.mark.parser
def test_an_id_of_a_megabyte_finds_nothing(room: Room):
    huge = "x" * 1_000_000
    with room.untouched():
        # In a path it is over the limit for headers before anybody takes it for an id, in a body over that for bodies.
        answer = ask(room.server.address, (f"GET /api/conversations/{huge}/messages HTTP/1.1\r\n"
                                           f"Host: {room.server.authority}\r\n"
                                           f"Cookie: {room.advisor.cookie}\r\n\r\n").encode())
        assert answer.status in (404, 414, 431)
        answer.error(answer.status)
        assert room.advisor.post("/api/conversations", {"clientId": huge}).status in (404, 413)
        # As long as it may be.
        room.advisor.post("/api/conversations", {"clientId": "x" * 65_000}).error(404, "not_found")


def test_a_message_of_another_conversation_is_404(lab: Lab, room: Room):
    foreign = lab.room(room.client.org_id).client_says("elsewhere")
    with room.untouched():
        for ask_it in reaction_requests(room, room.id, foreign["id"]):
            ask_it().error(404, "not_found")


# ---- Tokens ----


BAD_TOKENS = {
    "63 characters": lambda token: token[:63],
    "65 characters": lambda token: token + "0",
    "not hexadecimal": lambda token: "g" * 64,
    "unknown": lambda token: ("0" if token[0] != "0" else "1") + token[1:],
    "empty": lambda token: "",
    "white space around": lambda token: token[:63] + " ",
    "sql": lambda token: "' OR '1'='1' -- ".ljust(64, "x"),
    "a megabyte": lambda token: "a" * 60_000,
    "non-ASCII": lambda token: "é" * 32,
}


@pytest.mark.parametrize("form", BAD_TOKENS)
def test_a_bad_token_is_401(room: Room, form: str):
    token = BAD_TOKENS[form](room.client.token)
    message = room.advisor_says("something to see")
    with room.untouched():
        for method, path, fields in [
            ("POST", f"{room.path}/messages/client", {"content": "forged"}),
            ("POST", f"{room.path}/read/client", {}),
            ("POST", room.reactions_path(message) + "/client", {"emoji": "👍"}),
            ("DELETE", room.reactions_path(message) + "/client", {}),
        ]:
            answer = request(room.server.address, method, path, json={"chatToken": token, **fields})
            # An empty one may count as missing.
            assert answer.status == 401 or (token == "" and answer.status == 400), answer
            answer.error(answer.status)
        if token.isascii() and len(token) < 100:
            request(room.server.address, "GET", f"{room.path}/messages",
                    headers={"Authorization": f"Bearer {token}"}).error(401, "unauthenticated")


@pytest.mark.parametrize("token", [None, 7, True, ["x"], {"a": "b"}], ids=["null", "number", "true", "array", "object"])
def test_a_token_that_is_no_string_is_refused(room: Room, token: object):
    with room.untouched():
        answer = request(room.server.address, "POST", f"{room.path}/messages/client",
                         json={"content": "forged", "chatToken": token})
        assert answer.status in (400, 401)
        answer.error(answer.status)


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer Bearer"])
def test_a_token_under_another_scheme_is_401(room: Room, scheme: str):
    with room.untouched():
        request(room.server.address, "GET", f"{room.path}/messages",
                headers={"Authorization": f"{scheme} {room.client.token}".strip()}).error(401)


def test_the_same_client_message_id_again_is_the_same_message_and_with_other_content_409(room: Room):
    fields = {"content": "once", "clientMessageId": fresh_id()}
    for person, path in ((room.advisor, f"{room.path}/messages"), (room.client, f"{room.path}/messages/client")):
        first = person.post(path, fields).ok(201)
        with room.untouched():
            assert person.post(path, fields).ok(200) == first
            person.post(path, {**fields, "content": "twice"}).error(409, "idempotency_conflict")
        assert room.message(first["id"]) == first


# ---- Paging ----


@pytest.mark.parametrize("query", [
    "since=-1", f"since={2**64}", "since=", "since=abc", "since=1.0", "since=%2B1", "since=0x1", "since=1e3",
    "before=0", "before=-1", f"before={2**64}", "before=", "before=abc",
    "limit=0", "limit=-1", "limit=1000000000", "limit=201", "limit=abc", "limit=", "limit=1.0", f"limit={2**64 + 1}",
    "since=1&before=2",
])
def test_bad_paging_is_400(room: Room, query: str):
    with room.untouched():
        room.advisor.request("GET", f"{room.path}/messages?{query}").error(400)
        room.client.request("GET", f"{room.path}/messages?{query}",
                            headers={"Authorization": f"Bearer {room.client.token}"}).error(400)


def test_the_largest_rev_and_seq_are_taken(room: Room):
    assert room.page(since=2**64 - 1) == []
    assert room.page(before=2**64 - 1, limit=1) == room.page(limit=1)
