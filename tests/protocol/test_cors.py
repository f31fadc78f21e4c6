"""Pages of other sites: the widget speaks to the client's routes from an allowed origin, and gets nothing else (CORS)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import process
from lab.people import Lab, Room, fresh_id
from lab.process import Server
from lab.raw import Wire
from lab.web import Answer, request

pytestmark = [pytest.mark.own_server, pytest.mark.host, pytest.mark.unsanitized]

PORTAL = "https://portal.example"
SHOP = "http://shop.example:8080"
FOREIGN = [
    "https://evil.example", "http://portal.example", "https://portal.example:444", "https://portal.example.evil.example",
    "null", "*",
]
ASKED = {"Access-Control-Request-Headers": "content-type,authorization"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = process.start(process.Options(extra=["--allowed-origin", PORTAL, "--allowed-origin", SHOP]))
    try:
        yield running
        assert running.stop() == 0, running.logs[-4000:]
    finally:
        running.discard()
        process.remove_data(running)


def client_routes(room: Room) -> list[tuple[str, str]]:
    message = f"{room.path}/messages/0190a0b0-0000-7000-8000-000000000001"
    return [
        ("GET", "/api/chat-token"), ("POST", "/api/chat-token"), ("GET", f"{room.path}/messages"),
        ("POST", f"{room.path}/messages/client"), ("POST", f"{room.path}/read/client"),
        ("POST", f"{message}/reactions/client"), ("DELETE", f"{message}/reactions/client"),
    ]


def advisor_routes(room: Room) -> list[tuple[str, str]]:
    message = f"{room.path}/messages/0190a0b0-0000-7000-8000-000000000001"
    return [
        ("GET", "/api/conversations"), ("POST", "/api/conversations"), ("POST", f"{room.path}/messages"),
        ("POST", f"{room.path}/read"), ("GET", "/api/messages/unread-count"), ("POST", f"{message}/reactions"),
        ("DELETE", f"{message}/reactions"),
    ]


def host_routes(_: Room) -> list[tuple[str, str]]:
    return [("GET", "/api/me"), ("POST", "/api/login"), ("POST", "/api/logout"), ("GET", "/api/clients"),
            ("GET", "/metrics"), ("GET", "/nowhere")]


def preflight(server: Server, path: str, method: str, origin: str | None) -> Answer:
    headers = {"Access-Control-Request-Method": method, **ASKED}
    if origin is not None:
        headers["Origin"] = origin
    return request(server.address, "OPTIONS", path, headers=headers)


def list_of(answer: Answer, header: str) -> set[str]:
    return {item.strip().lower() for item in answer.headers.get(header, "").split(",") if item.strip()}


def check_shared(answer: Answer, origin: str) -> None:
    assert answer.headers.get("access-control-allow-origin") == origin, answer
    assert "origin" in list_of(answer, "vary")
    assert {"x-has-more", "x-epoch", "retry-after"} <= list_of(answer, "access-control-expose-headers")
    assert "access-control-allow-credentials" not in answer.headers


def check_kept(answer: Answer) -> None:
    assert not [name for name in answer.headers if name.startswith("access-control-")], answer


def as_client(room: Room, origin: str, method: str, path: str, fields: dict[str, Any] | None = None,
              **options: Any) -> Answer:
    return request(room.server.address, method, path, json={"chatToken": room.client.token, **(fields or {})},
                   headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"}, **options)


# ---- What the widget does ----


@pytest.mark.parametrize("origin", [PORTAL, SHOP])
def test_a_client_chats_from_a_page_of_an_allowed_origin(room: Room, origin: str):
    grant = request(room.server.address, "POST", "/api/chat-token", headers={"Origin": origin},
                    json={"tripId": room.client.trip_id, "shareToken": room.client.share_token})
    check_shared(grant, origin)
    token = grant.ok()["chatToken"]
    check_shared(room.client.ask_token(headers={"Origin": origin}), origin)

    content = f"from {origin}, {fresh_id()}"
    sent = as_client(room, origin, "POST", f"{room.path}/messages/client", {"content": content})
    check_shared(sent, origin)
    message = sent.ok(201)
    listed = request(room.server.address, "GET", f"{room.path}/messages", query={"limit": 1},
                     headers={"Origin": origin, "Authorization": f"Bearer {token}"})
    check_shared(listed, origin)
    assert [row["id"] for row in listed.ok()] == [message["id"]]
    assert listed.headers["x-has-more"] == "true"

    seen = as_client(room, origin, "POST", f"{room.path}/read/client")
    check_shared(seen, origin)
    seen.ok()
    reacted = as_client(room, origin, "POST", f"{room.reactions_path(message)}/client", {"emoji": "👍"})
    check_shared(reacted, origin)
    assert [reaction["emoji"] for reaction in reacted.ok()] == ["👍"]
    removed = as_client(room, origin, "DELETE", f"{room.reactions_path(message)}/client")
    check_shared(removed, origin)
    assert removed.ok() == []


def test_a_preflight_for_a_client_route_allows_its_methods_and_headers(room: Room):
    allowed = {}
    for method, path in client_routes(room):
        answer = preflight(room.server, path, method, PORTAL)
        assert (answer.status, answer.body) == (204, b""), (method, path, answer)
        check_shared(answer, PORTAL)
        assert method.lower() in list_of(answer, "access-control-allow-methods")
        assert list_of(answer, "access-control-allow-headers") == {"content-type", "authorization"}
        assert 0 < int(answer.headers["access-control-max-age"]) <= 86_400
        allowed[path] = list_of(answer, "access-control-allow-methods")
    assert allowed["/api/chat-token"] == {"get", "post"}
    assert allowed[f"{room.path}/messages"] == {"get"}, "the advisor's POST is not for other origins"


def test_a_connection_goes_on_after_a_preflight(room: Room):
    with Wire(room.server.address) as wire:
        for _ in range(2):
            wire.send((f"OPTIONS {room.path}/read/client HTTP/1.1\r\nHost: chat\r\nOrigin: {PORTAL}\r\n"
                      "Access-Control-Request-Method: POST\r\n\r\n").encode())
            assert wire.answer().status == 204
        wire.send(b"GET /livez HTTP/1.1\r\nHost: chat\r\n\r\n")
        assert wire.answer().status == 200


def test_errors_can_be_read_by_a_page_of_an_allowed_origin(room: Room):
    path = f"{room.path}/messages/client"
    origin = {"Origin": PORTAL}
    errors = [
        (as_client(room, PORTAL, "POST", path), 400, "missing_field"),
        (as_client(room, PORTAL, "POST", path, {"content": "x", "chatToken": "0" * 64}), 401, "unauthenticated"),
        (as_client(room, PORTAL, "POST", path.replace(room.id, fresh_id()), {"content": "x"}), 404, "not_found"),
        (request(room.server.address, "POST", path, body="{}", headers={**origin, "Content-Type": "text/plain"}), 415, None),
        (request(room.server.address, "POST", path, body=b"x" * 163_841, headers=origin), 413, None),
        (request(room.server.address, "GET", f"{room.path}/messages?limit=1&limit=2", headers=origin), 400, None),
        (request(room.server.address, "GET", f"{room.path}/messages", headers=origin), 401, "unauthenticated"),
        (request(room.server.address, "GET", "/api/chat-token", headers=origin), 400, "missing_field"),
    ]
    for answer, status, code in errors:
        answer.error(status, code)
        check_shared(answer, PORTAL)


def test_retry_after_can_be_read_by_a_page_of_an_allowed_origin(launch: Callable[..., Server]):
    limited = Lab(launch(rate_limits=None, demo=4, extra=["--allowed-origin", PORTAL])).room()
    for _ in range(21):
        answer = as_client(limited, PORTAL, "POST", f"{limited.path}/messages/client", {"content": "again"})
    answer.error(429, "rate_limited")
    check_shared(answer, PORTAL)
    assert int(answer.headers["retry-after"]) >= 1


# ---- What nobody else gets ----


@pytest.mark.parametrize("origin", FOREIGN)
def test_other_origins_get_no_permission(room: Room, origin: str):
    for method, path in client_routes(room):
        answer = preflight(room.server, path, method, origin)
        answer.error(405)
        assert answer.headers["allow"]
        check_kept(answer)
    answer = room.client.ask_token(headers={"Origin": origin})
    answer.ok()
    check_kept(answer)
    assert "origin" in list_of(answer, "vary"), "a cache must not give it to an allowed origin"


@pytest.mark.parametrize("routes", [advisor_routes, host_routes])
def test_routes_with_a_session_are_for_no_other_origin(room: Room, routes: Callable[[Room], list[tuple[str, str]]]):
    for method, path in routes(room):
        answer = preflight(room.server, path, method, PORTAL)
        assert answer.status in (404, 405), (method, path, answer)
        check_kept(answer)
        answer = request(room.server.address, method, path, json={} if method != "GET" else None,
                         headers={"Origin": PORTAL, "Cookie": room.advisor.cookie if method == "GET" else ""})
        check_kept(answer)


def test_options_without_an_origin_or_without_a_method_stays_405(room: Room):
    for method, path in client_routes(room):
        for answer in (preflight(room.server, path, method, None),
                       request(room.server.address, "OPTIONS", path, headers={"Origin": PORTAL}),
                       preflight(room.server, path, "PUT", PORTAL)):
            answer.error(405)
            assert method in answer.headers["allow"]
            check_kept(answer)


def test_an_advisors_cookie_opens_nothing_to_another_origin(room: Room):
    """A browser shows a page of another origin no answer to a request with a cookie unless
    Access-Control-Allow-Credentials says so, and no answer does."""
    answer = request(room.server.address, "GET", f"{room.path}/messages",
                     headers={"Origin": PORTAL, "Cookie": room.advisor.cookie})
    answer.ok()
    check_shared(answer, PORTAL)


def test_without_allowed_origins_nothing_is_shared(launch: Callable[..., Server]):
    room = Lab(launch(demo=4)).room()
    for method, path in client_routes(room):
        answer = preflight(room.server, path, method, PORTAL)
        answer.error(405)
        check_kept(answer)
        assert "vary" not in answer.headers
    check_kept(room.client.ask_token(headers={"Origin": PORTAL}))


@pytest.mark.reference
def test_an_avatar_may_be_shown_by_other_sites(room: Room):
    answer = request(room.server.address, "GET", f"/avatars/{room.advisor.id}.svg", headers={"Origin": PORTAL})
    assert answer.status == 200
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.reference
def test_a_wildcard_is_no_origin(launch: Callable[..., Server]):
    with pytest.raises(process.StartFailed) as failed:
        launch(extra=["--allowed-origin", "*"])
    assert failed.value.returncode == 2
    assert "--allowed-origin" in failed.value.logs
