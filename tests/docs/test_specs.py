"""What the server says is what the specifications describe, and the other way round."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import specs

from lab import process
from lab.people import FAR_REV, Lab, Room, fresh_id
from lab.web import Answer, request, strict_json

REPOSITORY = Path(__file__).resolve().parents[2]
PROTOCOL = (REPOSITORY / "docs/protocol.md").read_text()


class Speaker:
    """Sends requests and holds every answer against openapi.yaml."""

    def __init__(self, server: process.Server):
        self.server = server
        self.operations: set[str] = set()

    def __call__(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        answer = request(self.server.address, method, path, **options)
        assert answer.status == expect, f"{method} {path}: {answer}"
        return self.check(method, path, answer)

    def check(self, method: str, path: str, answer: Answer) -> Any:
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        body = strict_json(answer.body) if is_json else answer.body.decode()
        self.operations.add(specs.check_answer(method, path, answer.status, answer.headers, body))
        return body


@pytest.fixture(scope="module")
def lab(server: process.Server) -> Lab:
    return Lab(server)


@pytest.fixture
def room(lab: Lab) -> Room:
    return lab.room()


@pytest.fixture
def speak(server: process.Server) -> Speaker:
    return Speaker(server)


def test_every_route_answers_as_described(lab: Lab, room: Room, speak: Speaker) -> None:
    advisor = {"headers": {"Cookie": room.advisor.cookie}}
    token = {"chatToken": room.client.token}
    link = {"tripId": room.client.trip_id, "shareToken": room.client.share_token}

    speak("GET", "/api/demo")
    speak("POST", "/api/login", json={"email": room.advisor.email, "password": room.advisor.password})
    speak("GET", "/api/me", **advisor)
    speak("GET", "/api/clients", **advisor)
    speak("GET", f"/api/clients/{room.client.id}", **advisor)
    speak("GET", "/api/trips", **advisor)
    speak("GET", f"/api/trip-view/{room.client.trip_id}", query={"token": room.client.share_token})
    account = speak("GET", "/api/me", **advisor)
    speak("GET", account["avatarUrl"])

    speak("GET", "/api/chat-token", query=link)
    speak("POST", "/api/chat-token", json=link)
    speak("POST", "/api/conversations", json={"clientId": room.client.id}, **advisor)
    assert speak("GET", "/api/conversations", **advisor)
    speak("GET", "/api/conversations", query={"q": room.client.name}, **advisor)
    speak("GET", "/api/messages/unread-count", **advisor)

    draft = {"content": "described", "clientMessageId": fresh_id()}
    message = speak("POST", f"{room.path}/messages", 201, json=draft, **advisor)
    speak("POST", f"{room.path}/messages", 200, json=draft, **advisor)
    speak("POST", f"{room.path}/messages/client", 201, json={"content": "so is this"} | token)
    speak("POST", room.reactions_path(message), json={"emoji": "❤️"}, **advisor)
    speak("POST", f"{room.reactions_path(message)}/client", json={"emoji": "👎"} | token)
    assert speak("GET", f"{room.path}/messages", query={"limit": 2}, **advisor)
    assert speak("GET", f"{room.path}/messages", query={"since": 0, "limit": 200}, **advisor)
    speak("DELETE", room.reactions_path(message), **advisor)
    speak("DELETE", f"{room.reactions_path(message)}/client", json=token)
    speak("POST", f"{room.path}/read", **advisor)
    speak("POST", f"{room.path}/read/client", json=token)
    browser = {"endpoint": "https://push.example.com/described", "expirationTime": None, "keys": {
        "p256dh": speak("GET", "/api/push/key", **advisor)["publicKey"], "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}
    speak("POST", "/api/push/subscriptions", 201, json=browser, **advisor)
    speak("DELETE", "/api/push/subscriptions", json={"endpoint": browser["endpoint"]}, **advisor)
    speak("POST", "/api/logout", headers={"Cookie": room.advisor.login()})

    for path in ("/livez", "/readyz", "/metrics"):
        speak("GET", path)
    assert speak.operations == set(specs.operations().values())


def test_every_refusal_is_described(room: Room, speak: Speaker) -> None:
    """One of each kind, on a route that documents it."""
    advisor = {"headers": {"Cookie": room.advisor.cookie}}
    token = {"chatToken": room.client.token}
    unknown = "/api/conversations/019ab3c4-7d10-7c3e-9b62-0f5a1c2d3e4f"
    taken = fresh_id()
    speak("POST", f"{room.path}/messages", 201, json={"content": "one", "clientMessageId": taken}, **advisor)

    codes = set()
    for status, method, path, options in [
        (400, "POST", f"{room.path}/messages", {"json": {}, **advisor}),
        (400, "POST", f"{room.path}/messages", {"body": "{", **advisor}),
        (400, "POST", f"{room.path}/messages", {"json": {"content": " "}, **advisor}),
        (400, "POST", f"{room.path}/messages", {"json": {"content": "x", "clientMessageId": "?"}, **advisor}),
        (400, "GET", f"{room.path}/messages", {"query": {"limit": 0}, **advisor}),
        (400, "POST", f"{room.path}/messages/client", {"json": {"content": "x"}}),
        (401, "POST", f"{room.path}/messages/client", {"json": {"content": "x", "chatToken": "0" * 64}}),
        (401, "GET", "/api/conversations", {}),
        (401, "POST", "/api/login", {"json": {"email": "nobody@example.com", "password": "wrong"}}),
        (403, "GET", "/api/chat-token", {"query": {"tripId": room.client.trip_id, "shareToken": "wrong"}}),
        (403, "POST", f"{room.path}/read", {"headers": {"Origin": "https://elsewhere.example", **advisor["headers"]}}),
        (404, "GET", f"{unknown}/messages", advisor),
        (404, "POST", f"{unknown}/read/client", {"json": token}),
        (409, "POST", f"{room.path}/messages", {"json": {"content": "two", "clientMessageId": taken}, **advisor}),
        (413, "POST", f"{room.path}/messages", {"json": {"content": "x" * 170_000}, **advisor}),
        (415, "POST", f"{room.path}/messages",
         {"body": "content=x", "headers": {"Content-Type": "text/plain", **advisor["headers"]}}),
    ]:
        codes.add(speak(method, path, status, **options)["code"])
    assert codes == {"missing_field", "malformed_json", "invalid_content", "invalid_client_message_id",
                     "invalid_argument", "unauthenticated", "sharing_disabled", "cross_origin", "not_found",
                     "idempotency_conflict", "payload_too_large", "unsupported_media_type"}


def test_every_event_is_described(room: Room) -> None:
    heard: set[str] = set()

    def take(socket: Any, kind: str) -> None:
        event = socket.next()
        assert specs.check_event(event, specs.CONVERSATION_EVENTS) == kind, event
        heard.add(kind)

    rev = room.rev
    with room.client_listens() as socket:
        with room.advisor_listens() as other:
            other.typing(True)
            take(socket, "typing")
        take(socket, "typing")
        message = room.advisor_says("hello")
        take(socket, "new_message")
        room.advisor.post(room.reactions_path(message), {"emoji": "😮"}).ok()
        take(socket, "reaction_update")
        socket.seen()
        take(socket, "seen")
        room.client_says("hello")
        take(socket, "new_message")
        room.advisor.post(f"{room.path}/read").ok()
        take(socket, "read")
        socket.send("{")
        take(socket, "error")
    with room.client_listens(since=rev) as socket:
        for kind in ("new_message", "reaction_update", "seen", "new_message", "read", "caught_up"):
            take(socket, kind)
    with room.client_listens(since=FAR_REV) as socket:
        take(socket, "resync")
    # One is told by time, below; the other of what a later version has written (tests/protocol/test_later_version.py).
    assert heard | {"alive", "message_update"} == set(specs.CONVERSATION_EVENTS)

    with room.advisor.inbox() as inbox:
        room.client_says("hello")
        event = inbox.next()
        assert {specs.check_event(event, specs.INBOX_EVENTS), "alive"} == set(specs.INBOX_EVENTS)


def test_the_event_that_is_told_by_time_is_described() -> None:
    running = process.start(process.Options(extra=["--ping-interval", "0.2"]))
    try:
        room = Lab(running).room()
        with room.client_listens() as client, room.advisor.inbox() as inbox:
            deadline = time.monotonic() + process.PATIENCE
            while not (client.alive and inbox.alive):
                assert time.monotonic() < deadline, "nothing is told by time"
                assert client.next_within(0.1) is None
                assert inbox.next_within(0.1) is None
            assert specs.check_event(client.alive[0], specs.CONVERSATION_EVENTS) == "alive"
            assert specs.check_event(inbox.alive[0], specs.INBOX_EVENTS) == "alive"
    finally:
        running.discard()
        process.remove_data(running)


def test_the_frames_of_a_client_are_those_that_are_described(room: Room) -> None:
    assert set(specs.CLIENT_FRAMES) == {"typing", "seen"}
    with room.client_listens() as socket:
        socket.send({"type": "not described"})
        assert socket.expect_type("error")["code"] == "invalid_argument"


def test_each_path_takes_the_methods_that_are_described(server: process.Server) -> None:
    documented: dict[str, set[str]] = {}
    for method, template in specs.operations():
        documented.setdefault(template, set()).add(method)
    served = {}
    for template in documented:
        path = re.sub(r"\{[^}]+\}", "019ab3c4-7d10-7c3e-9b62-0f5a1c2d3e4f", template)
        answer = request(server.address, "PATCH", path)
        assert answer.status == 405, f"{template}: {answer}"
        methods = {method.strip() for method in answer.headers["allow"].split(",")}
        # HEAD comes with GET, and OPTIONS with everything.
        served[template] = methods - {"HEAD", "OPTIONS"}
    assert served == documented


def registered() -> set[str]:
    """The paths in the route tables of the library and the reference server, as templates without names."""
    sources = [*(REPOSITORY / "src/server").glob("*.cpp"),
               *(REPOSITORY / "examples/travel-lab/server").glob("*.cpp")]
    text = "".join(source.read_text() for source in sources)
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.DOTALL)  # pages, not routes
    return {re.sub(r":\w+", "{}", path)
            for path in re.findall(r'"((?:/api/|/avatars/|/livez|/readyz|/metrics)[\w/:-]*)"', text)
            if not path.endswith("/")}


def test_every_registered_path_is_described() -> None:
    described = {re.sub(r"\{[^}]+\}", "{}", path) for path in specs.OPENAPI["paths"]}
    assert registered() == described


def test_they_describe_this_version() -> None:
    version = re.search(r"^project\(travelchat VERSION ([\d.]+)", (REPOSITORY / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert specs.OPENAPI["info"]["version"] == specs.ASYNCAPI["info"]["version"] == version[1]


def error_table() -> dict[str, tuple[int, int]]:
    """name -> (HTTP status, close code): the one table in the code."""
    rows = re.findall(r'\{errc::\w+, "(\w+)", (\d+), (\d+),', (REPOSITORY / "src/core/error.cpp").read_text())
    assert len(rows) > 20, "the table is not read right"
    return {name: (int(status), int(close)) for name, status, close in rows}


def test_the_error_codes_are_those_of_the_code() -> None:
    assert set(specs.OPENAPI["components"]["schemas"]["ErrorCode"]["enum"]) == set(error_table())


def section(title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PROTOCOL, re.MULTILINE | re.DOTALL).group(1)


def rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|[-| ]+\|$", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_protocol_page_lists_every_error() -> None:
    listed = {name: int(status) for names, status, _ in list(rows(section("Errors")))[1:]
              for name in re.findall(r"`(\w+)`", names)}
    assert listed == {name: status for name, (status, _) in error_table().items()}


def test_the_protocol_page_lists_every_close_code() -> None:
    listed = {int(code) for codes, *_ in list(rows(section("Close codes")))[1:] for code in re.findall(r"\d+", codes)}
    from_errors = {close for _, close in error_table().values()}
    source = "".join(path.read_text() for folder in ("http", "websocket", "server")
                     for path in (REPOSITORY / "src" / folder).glob("*.[ch]pp"))
    from_sockets = {int(code) for code in re.findall(r"\b(1001|100[2389]|1007|44\d\d)\b", source)}
    # 1005 and 1006 never travel.
    assert listed >= from_errors | from_sockets


def test_the_protocol_page_lists_every_route_and_event() -> None:
    in_routes = section("HTTP routes")
    for template, item in specs.OPENAPI["paths"].items():
        tags = {tag for operation in item.values() if isinstance(operation, dict) for tag in operation["tags"]}
        if tags != {"Reference server"}:
            path = re.sub(r"{([^}]+)}", r":\1", template)
            assert f"{path}`" in in_routes, path
    for kind in [*specs.CONVERSATION_EVENTS, *specs.INBOX_EVENTS, *specs.CLIENT_FRAMES]:
        assert f'{{"type":"{kind}"' in PROTOCOL, kind
