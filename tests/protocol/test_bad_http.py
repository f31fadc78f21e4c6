"""Malformed HTTP. Whatever the answer: no row changes, and nobody in the room hears of it."""

from __future__ import annotations

import json
import time

import pytest

from lab.people import Room
from lab.raw import Wire, ask

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def room(lab) -> Room:
    # One for the whole module: nothing here may change it.
    return lab.room(keep=True)


def head(room: Room, method: str, path: str, *fields: str, host: bool = True, cookie: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1"]
    if host:
        lines.append(f"Host: {room.server.authority}")
    if cookie:
        lines.append(f"Cookie: {room.advisor.cookie}")
    return "\r\n".join([*lines, *fields, "", ""]).encode("latin-1")


def post(room: Room, body: bytes, *fields: str, path: str | None = None) -> bytes:
    """A message that would be taken, were it not for `fields`."""
    return head(room, "POST", path or f"{room.path}/messages", "Content-Type: application/json", *fields) + body


MESSAGE = b'{"content":"smuggled"}'


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def test_the_well_formed_request_that_the_others_spoil_is_taken(room: Room):
    answer = ask(room.server.address, post(room, MESSAGE, f"Content-Length: {len(MESSAGE)}"))
    assert answer.ok(201)["content"] == "smuggled"
    answer = ask(room.server.address, post(room, chunked(MESSAGE[:5], MESSAGE[5:]), "Transfer-Encoding: chunked"))
    assert answer.ok(201)["content"] == "smuggled"


# ---- Sizes ----


@pytest.mark.parametrize("form", ["one long header", "many headers", "long target", "long cookie"])
def test_headers_over_8_kib_are_431(room: Room, form: str):
    request = {
        "one long header": lambda: head(room, "GET", "/api/conversations", "X-Long: " + "x" * 8192),
        "many headers": lambda: head(room, "GET", "/api/conversations", *(f"X-{i}: {'y' * 50}" for i in range(160))),
        "long target": lambda: head(room, "GET", "/api/conversations?q=" + "z" * 8192),
        "long cookie": lambda: head(room, "GET", "/api/conversations", "Cookie: a=" + "b" * 8192, cookie=False),
    }[form]()
    with room.untouched():
        ask(room.server.address, request).error(431)


def test_headers_of_nearly_8_kib_are_taken(room: Room):
    request = head(room, "GET", "/api/conversations", "X-Long: " + "x" * (8 * 1024 - 700))
    assert ask(room.server.address, request).status == 200


def oversized(size: int) -> bytes:
    body = json.dumps({"content": "smuggled", "padding": ""}).encode()
    return body[:-2] + b"p" * (size - len(body)) + body[-2:]


def test_a_body_of_64_kib_is_taken(room: Room):
    body = oversized(64 * 1024)
    assert ask(room.server.address, post(room, body, f"Content-Length: {len(body)}")).status == 201


def in_form(form: str, room: Room, body: bytes) -> bytes:
    return {
        "declared": lambda: post(room, body, f"Content-Length: {len(body)}"),
        "declared and never sent": lambda: post(room, b"", f"Content-Length: {len(body)}"),
        "chunked": lambda: post(room, chunked(*(body[i:i + 1000] for i in range(0, len(body), 1000))),
                                "Transfer-Encoding: chunked"),
        "one chunk": lambda: post(room, chunked(body), "Transfer-Encoding: chunked"),
        "declared huge": lambda: post(room, b"", f"Content-Length: {2**63 - 1}"),
    }[form]()


@pytest.mark.parametrize("form", ["declared", "chunked", "one chunk"])
def test_a_body_over_64_kib_is_413(room: Room, form: str):
    with room.untouched():
        ask(room.server.address, in_form(form, room, oversized(64 * 1024 + 1))).error(413)


def escaped(size: int) -> bytes:
    """A body whose padding is written in escape sequences, each of which stands for one byte."""
    body = json.dumps({"content": "smuggled", "padding": ""}).encode()
    missing = size - len(body)
    return body[:-2] + b"\\u0070" * (missing // 6) + b"p" * (missing % 6) + body[-2:]


def test_escape_sequences_of_160_kib_that_stand_for_less_are_taken(room: Room):
    body = escaped(160 * 1024)
    assert ask(room.server.address, post(room, body, f"Content-Length: {len(body)}")).status == 201


@pytest.mark.parametrize("form", ["declared", "declared and never sent", "chunked", "one chunk", "declared huge"])
def test_a_body_over_160_kib_is_413_however_it_is_written(room: Room, form: str):
    with room.untouched():
        ask(room.server.address, in_form(form, room, escaped(160 * 1024 + 1))).error(413)


# ---- Time ----


@pytest.mark.parser
def test_headers_unfinished_after_ten_seconds_are_408(room: Room):
    unfinished = head(room, "POST", f"{room.path}/messages", "Content-Type: application/json")[:-2]
    with room.untouched(), Wire(room.server.address) as silent, Wire(room.server.address) as dripping:
        started = time.monotonic()
        silent.send(unfinished)
        dripping.send(unfinished)
        silent.answer().error(408)
        assert 9.9 <= time.monotonic() - started < 15
        # The clock runs from the first byte: to send another one does not reset it.
        dripping.send_until_refused(b"X-More: yes\r\n")
        dripping.answer().error(408)
        assert silent.at_end() and dripping.at_end()


# ---- Framing ----


BAD_FRAMING = {
    "content-length with transfer-encoding":
        lambda room: post(room, chunked(MESSAGE), f"Content-Length: {len(MESSAGE)}", "Transfer-Encoding: chunked"),
    "transfer-encoding with content-length":
        lambda room: post(room, chunked(MESSAGE), "Transfer-Encoding: chunked", f"Content-Length: {len(MESSAGE)}"),
    "two content-lengths":
        lambda room: post(room, MESSAGE, f"Content-Length: {len(MESSAGE)}", "Content-Length: 5"),
    "two equal content-lengths":
        lambda room: post(room, MESSAGE, f"Content-Length: {len(MESSAGE)}", f"Content-Length: {len(MESSAGE)}"),
    "a list of content-lengths":
        lambda room: post(room, MESSAGE, f"Content-Length: {len(MESSAGE)}, {len(MESSAGE)}"),
    "a negative content-length": lambda room: post(room, MESSAGE, "Content-Length: -1"),
    "a signed content-length": lambda room: post(room, MESSAGE, f"Content-Length: +{len(MESSAGE)}"),
    "a hexadecimal content-length": lambda room: post(room, MESSAGE, "Content-Length: 0x16"),
    "a chunk size that is no number": lambda room: post(room, b"zz\r\n" + MESSAGE, "Transfer-Encoding: chunked"),
    "an empty chunk size": lambda room: post(room, b"\r\n" + MESSAGE, "Transfer-Encoding: chunked"),
    "a negative chunk size": lambda room: post(room, b"-16\r\n" + MESSAGE, "Transfer-Encoding: chunked"),
    "a chunk longer than its size":
        lambda room: post(room, b"5\r\n" + MESSAGE + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "a chunk size that overflows":
        lambda room: post(room, b"10000000000000016\r\n" + MESSAGE, "Transfer-Encoding: chunked"),
    "no host": lambda room: head(room, "GET", "/api/conversations", host=False),
    "no host, with a body": lambda room: (
        f"POST {room.path}/messages HTTP/1.1\r\nCookie: {room.advisor.cookie}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(MESSAGE)}\r\n\r\n").encode() + MESSAGE,
    "two hosts": lambda room: head(room, "GET", "/api/conversations", "Host: evil.example"),
    "a space before the colon": lambda room: head(room, "GET", "/api/conversations", "X-Space : 1"),
    "a bare line feed in a header": lambda room: head(room, "GET", "/api/conversations", "X-A: 1\nX-B: 2"),
    "a NUL in a header": lambda room: head(room, "GET", "/api/conversations", "X-A: a\0b"),
    "no request line": lambda room: b"\0\1\2\3\r\n\r\n",
    "a folded line before the first header": lambda room:
        b"GET /api/conversations HTTP/1.1\r\n Cookie: " + room.advisor.cookie.encode() + b"\r\nHost: x\r\n\r\n",
    "chunks in HTTP/1.0": lambda room:
        post(room, chunked(MESSAGE), "Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
}


# Node's parser reads chunks in HTTP/1.0, and ends the connection after them (RFC 9112 section 6.1).
@pytest.mark.parser
@pytest.mark.parametrize("form", [pytest.param(form, marks=[pytest.mark.reference] if "HTTP/1.0" in form else [])
                                  for form in BAD_FRAMING])
def test_bad_framing_is_400_and_ends_the_connection(room: Room, form: str):
    with room.untouched(), Wire(room.server.address) as wire:
        wire.send_until_refused(BAD_FRAMING[form](room))
        wire.answer().error(400)
        # What follows on such a connection cannot be told apart any more, so nothing of it is read as a request.
        assert wire.at_end()


def with_trailer(room: Room, trailer: str, path: str, body: bytes, *fields: str, **options: bool) -> bytes:
    return head(room, "POST", path, "Content-Type: application/json", "Transfer-Encoding: chunked", *fields,
                **options) + chunked(body)[:-2] + trailer.encode() + b"\r\n\r\n"


@pytest.mark.parametrize("name", ["Cookie", "Authorization"])
def test_a_trailer_is_no_credential(room: Room, name: str):
    value = {"Cookie": room.advisor.cookie, "Authorization": f"Bearer {room.client.token}"}[name]
    path = f"{room.path}/messages" + ("/client" if name == "Authorization" else "")
    with room.untouched():
        answer = ask(room.server.address, with_trailer(room, f"{name}: {value}", path, MESSAGE, cookie=False))
        answer.error(401 if name == "Cookie" else 400)
        # Nor is it one for the next request on the connection.
        with Wire(room.server.address) as wire:
            wire.send(with_trailer(room, f"{name}: {value}", path, MESSAGE, cookie=False))
            assert wire.answer().status in (400, 401)
            wire.send_until_refused(head(room, "GET", "/api/conversations", cookie=False))
            wire.answer().error(401)


@pytest.mark.parametrize("trailer", [
    "Host: evil.example", "Cookie: travelchat_session=0", "Origin: https://evil.example", "Authorization: Bearer x",
    "Sec-Fetch-Site: cross-site", "Content-Type: text/plain", "Content-Encoding: gzip", "X-Checksum: 1",
    # Other parsers obey it, and end the connection.
    pytest.param("Connection: close", marks=[pytest.mark.parser, pytest.mark.reference])])
def test_a_trailer_changes_nothing_of_the_request(room: Room, trailer: str):
    with Wire(room.server.address) as wire:
        wire.send(with_trailer(room, trailer, f"{room.path}/messages", MESSAGE))
        assert wire.answer().ok(201)["content"] == "smuggled"
        wire.send(head(room, "GET", "/livez"))
        wire.answer().ok()


@pytest.mark.parser
def test_trailers_without_end_are_refused(room: Room):
    with room.untouched(), Wire(room.server.address) as wire:
        wire.send_until_refused(with_trailer(room, "X-Long: " + "x" * 60_000, f"{room.path}/messages", MESSAGE))
        assert wire.answer().status in (400, 431)
        assert wire.at_end()


@pytest.mark.parametrize("fields", [
    ("Authorization: Bearer {token}", "Authorization: Bearer x"), ("Origin: {url}", "Origin: https://evil.example"),
    ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), ("Content-Type: text/plain",),
    ("Content-Encoding: identity", "Content-Encoding: gzip"),
    pytest.param(("Host: evil.example",), marks=pytest.mark.parser)], ids=lambda fields: fields[0])
def test_what_may_be_said_once_and_is_said_twice_is_400(room: Room, fields: tuple[str, ...]):
    said = [field.format(token=room.client.token, url=room.server.url) for field in fields]
    with room.untouched():
        ask(room.server.address, post(room, MESSAGE, f"Content-Length: {len(MESSAGE)}", *said)).error(400)


@pytest.mark.parser
def test_a_folded_header_is_one_value_and_no_second_header(room: Room):
    fold = f"X-Note: folded\r\n Cookie: {room.advisor.cookie}"
    with room.untouched():
        answer = ask(room.server.address, head(room, "POST", f"{room.path}/messages", "Content-Type: application/json",
                                               fold, f"Content-Length: {len(MESSAGE)}", cookie=False) + MESSAGE)
        # 400 where folding is refused altogether (RFC 9112 section 5.2).
        assert answer.status in (400, 401)


def test_cookies_in_two_lines_are_one_header(room: Room):
    answer = ask(room.server.address, head(room, "GET", "/api/conversations", "Cookie: theme=dark",
                                           f"Cookie: {room.advisor.cookie}", "Connection: close", cookie=False))
    assert answer.status == 200


@pytest.mark.parser
def test_an_unknown_transfer_encoding_is_refused(room: Room):
    with room.untouched(), Wire(room.server.address) as wire:
        wire.send_until_refused(post(room, MESSAGE, "Transfer-Encoding: gzip, chunked"))
        answer = wire.answer()
        assert answer.status in (400, 501)  # RFC 9112 section 6.1 asks for 501
        answer.error(answer.status)
        assert wire.at_end()


# ---- Routes ----


@pytest.mark.parametrize("method", ["BREW", "PUT", "PATCH", "DELETE", "TRACE", "get"])
def test_an_unknown_method_is_405_with_allow(room: Room, method: str):
    with room.untouched():
        answer = ask(room.server.address, head(room, method, "/api/conversations", "Content-Length: 0"))
        answer.error(405, "method_not_allowed")
        allowed = {name.strip() for name in answer.headers["allow"].split(",")}
        assert {"GET", "POST"} <= allowed


ROUTES = {
    "/api/conversations/{id}/messages": {"GET", "POST"},
    "/api/conversations/{id}/messages/client": {"POST"},
    "/api/conversations/{id}/read": {"POST"},
    "/api/conversations/{id}/read/client": {"POST"},
    "/api/conversations/{id}/messages/{id}/reactions": {"POST", "DELETE"},
    "/api/conversations/{id}/messages/{id}/reactions/client": {"POST", "DELETE"},
    "/api/messages/unread-count": {"GET"},
    "/api/chat-token": {"GET", "POST"},
    "/livez": {"GET"},
    "/readyz": {"GET"},
    "/metrics": {"GET"},
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_names_its_methods(room: Room, route: str):
    with room.untouched():
        answer = ask(room.server.address, head(room, "PUT", route.format(id=room.id), "Content-Length: 0"))
        answer.error(405, "method_not_allowed")
        allowed = {name.strip() for name in answer.headers["allow"].split(",")}
        assert allowed - {"HEAD", "OPTIONS"} == ROUTES[route]


@pytest.mark.parametrize("path", ["/api/nothing", "/api/conversations/{id}", "/api/conversations/{id}/nothing",
                                  "/api/conversations/{id}/messages/", "/api//conversations", "/ws/nothing",
                                  "/api/conversations/{id}/messages/{id}/reactions/advisor", "/API/CONVERSATIONS"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404(room: Room, method: str, path: str):
    body = MESSAGE if method == "POST" else b""
    fields = ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    with room.untouched():
        ask(room.server.address, head(room, method, path.format(id=room.id), *fields) + body).error(404, "not_found")


BAD_PATHS = ["/%00", "/api/conversations%00", "/api/conversations/%00/messages", "/%c0%af", "/api/%c0%afconversations",
             "/api/conversations/%c0%af/messages", "/..", "/../etc/passwd", "/api/../api/conversations",
             "/%2e%2e/etc/passwd", "/api/%2e%2e/conversations", "/assets/..%2f..%2fetc/passwd", "/.%2e/x", "/%", "/%4",
             "/%zz", "/%ff", "/%ed%a0%80"]


@pytest.mark.parametrize("path", BAD_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_with_nul_overlong_utf8_or_dots_is_400(room: Room, method: str, path: str):
    body = MESSAGE if method == "POST" else b""
    fields = ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    with room.untouched():
        ask(room.server.address, head(room, method, path, *fields) + body).error(400)


@pytest.mark.parametrize("breaker", ["%0d", "%0a", "%0d%0a", "%0D%0AX-Evil:%201"])
def test_cr_or_lf_in_an_id_is_400(room: Room, breaker: str):
    with room.untouched():
        for path in (f"/api/conversations/{room.id}{breaker}/messages", f"/api/conversations/{breaker}/messages"):
            answer = ask(room.server.address, head(room, "GET", path))
            answer.error(400)
            assert "x-evil" not in answer.headers
        for query in (f"tripId=a{breaker}&shareToken=b", f"tripId={room.client.trip_id}&shareToken={breaker}"):
            answer = ask(room.server.address, head(room, "GET", f"/api/chat-token?{query}", cookie=False))
            answer.error(400)
            assert "x-evil" not in answer.headers


@pytest.mark.parametrize("form", ["in the client's id", "in a client message id"])
@pytest.mark.parametrize("breaker", ["\r", "\n", "\r\n"])
def test_cr_or_lf_in_an_id_of_a_body_is_400(room: Room, form: str, breaker: str):
    with room.untouched():
        if form == "in the client's id":
            room.advisor.post("/api/conversations", {"clientId": f"{room.client.id}{breaker}"}).error(400)
        else:
            room.advisor.post(f"{room.path}/messages", {"content": "x", "clientMessageId": f"a{breaker}b"}).error(400)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                                        "application/jsonp", "text/json", "", None])
def test_a_post_that_is_not_json_is_415(room: Room, media_type: str | None):
    label = [] if media_type is None else [f"Content-Type: {media_type}"]
    requests = {
        "messages": MESSAGE,
        "messages/client": json.dumps({"content": "smuggled", "chatToken": room.client.token}).encode(),
        "read/client": json.dumps({"chatToken": room.client.token}).encode(),
    }
    with room.untouched():
        for path, body in requests.items():
            request = head(room, "POST", f"{room.path}/{path}", *label, f"Content-Length: {len(body)}") + body
            ask(room.server.address, request).error(415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_labelled_with_a_parameter(room: Room, media_type: str):
    request = head(room, "POST", f"{room.path}/messages", f"Content-Type: {media_type}",
                   f"Content-Length: {len(MESSAGE)}") + MESSAGE
    assert ask(room.server.address, request).status == 201


@pytest.mark.parametrize("path", ["/api/conversations?q=a&q=b", "/api/conversations?q=a&q=a",
                                  "/api/conversations/{id}/messages?limit=1&limit=1",
                                  "/api/conversations/{id}/messages?since=1&before=2&since=1",
                                  "/api/conversations/{id}/messages?limit=1&li%6dit=2",
                                  "/api/chat-token?tripId=a&tripId=b&shareToken=c", "/livez?a=1&a=2"])
def test_the_same_query_key_twice_is_400(room: Room, path: str):
    with room.untouched():
        ask(room.server.address, head(room, "GET", path.format(id=room.id))).error(400)


@pytest.mark.parametrize("query", ["limit=%zz", "limit=%", "q=%c0%af", "q=%ff", "q=%00"])
def test_a_malformed_query_is_400(room: Room, query: str):
    with room.untouched():
        ask(room.server.address, head(room, "GET", f"/api/conversations?{query}")).error(400)


# ---- Requests that rest on a cookie and come from somewhere else ----


FOREIGN = {
    "another origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_write_by_cookie_from_another_origin_is_403(room: Room, headers: dict):
    message = room.page(limit=1)
    message = message[0] if message else room.client_says("something to react to")
    with room.untouched():
        for method, path, body in [
            ("POST", "/api/conversations", {"clientId": room.client.id}),
            ("POST", f"{room.path}/messages", {"content": "forged"}),
            ("POST", f"{room.path}/read", {}),
            ("POST", room.reactions_path(message), {"emoji": "👍"}),
            ("DELETE", room.reactions_path(message), {}),
            ("POST", "/api/logout", {}),
        ]:
            room.advisor.request(method, path, json=body, headers=headers).error(403)
    # Still signed in.
    room.advisor.get("/api/me").ok()


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}])
def test_a_write_by_cookie_from_the_own_origin_is_taken(room: Room, headers: dict):
    if headers.get("Sec-Fetch-Site") == "same-origin":
        headers = {**headers, "Origin": room.server.url}
    room.advisor.post(f"{room.path}/messages", {"content": "from our page"}, headers=headers).ok(201)


def test_a_token_is_no_cookie_so_its_origin_does_not_matter(room: Room):
    room.client.post(f"{room.path}/messages/client", {"content": "embedded elsewhere"},
                     headers={"Origin": "https://partner.example"}).ok(201)


def test_reading_from_another_origin_is_not_shared_with_it(room: Room):
    answer = room.advisor.request("GET", f"{room.path}/messages", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


# ---- Connections ----


def test_requests_on_one_connection_are_answered_in_order(room: Room):
    def message(text: str) -> bytes:
        body = json.dumps({"content": text}).encode()
        return post(room, body, f"Content-Length: {len(body)}")

    texts = [f"pipelined {i}" for i in range(20)]
    with Wire(room.server.address) as wire:
        wire.send(b"".join(message(text) for text in texts))
        answers = [wire.answer().ok(201) for _ in texts]
    assert [answer["content"] for answer in answers] == texts
    assert [answer["seq"] for answer in answers] == list(range(answers[0]["seq"], answers[0]["seq"] + 20))


def test_a_request_may_arrive_byte_by_byte(room: Room):
    with Wire(room.server.address) as wire:
        for byte in post(room, MESSAGE, f"Content-Length: {len(MESSAGE)}"):
            wire.send(bytes([byte]))
        assert wire.answer().ok(201)["content"] == "smuggled"


def test_a_request_that_is_given_up_in_the_middle_of_its_body_does_nothing(room: Room):
    with room.untouched(), Wire(room.server.address) as wire:
        wire.send(post(room, MESSAGE[:-1], f"Content-Length: {len(MESSAGE)}"))


def test_head_is_get_without_a_body(room: Room):
    with Wire(room.server.address) as wire:
        wire.send(head(room, "HEAD", "/livez") + head(room, "GET", "/livez"))
        first = wire.answer(to_head=True)
        second = wire.answer()
        assert first.status == second.status == 200
        assert first.headers["content-length"] == second.headers["content-length"]
