"""Web Push of the reference server: browsers of an organization's advisors hear of clients' messages, against a push
service that is played by hand."""

from __future__ import annotations

import os
import shlex
import stat
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lab import process
from lab.people import Advisor, Lab, Room, fresh_id
from lab.process import PATIENCE, Server
from lab.push import Authority, Browser, PushService, check_vapid, decode, encode, wait_for_log
from lab.web import request

pytestmark = [pytest.mark.reference, pytest.mark.own_server, pytest.mark.one_server, pytest.mark.unsanitized]

Launch = Callable[..., Server]
CONTACT = "mailto:ops@travel.example"
PATH = "/api/push/subscriptions"
_numbers = count(1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def push_options(authority: Authority, *more: str) -> list[str]:
    return ["--push-ca-file", str(authority.file), "--push-allow-private", "on", "--push-contact", CONTACT,
            "--log-level", "debug", *more]


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Server]:
    running = process.start(process.Options(extra=push_options(authority)))
    try:
        yield running
        assert running.is_running, running.logs[-4000:]
        assert running.stop() == 0, running.logs[-4000:]
    finally:
        running.discard()
        process.remove_data(running)


@pytest.fixture
def service(authority: Authority) -> Iterator[PushService]:
    with PushService(authority) as running:
        yield running


def subscribe(advisor: Advisor, service: PushService, host: str = "127.0.0.1") -> Browser:
    browser = Browser(service.url(f"/push/{next(_numbers)}", host))
    assert advisor.post(PATH, browser.to_json()).ok(201) == {"ok": True}
    return browser


def unsubscribe(advisor: Advisor, browser: Browser) -> None:
    assert advisor.delete(PATH, {"endpoint": browser.endpoint}).ok() == {"ok": True}


@pytest.fixture
def browser(room: Room, service: PushService) -> Iterator[Browser]:
    """The advisor's."""
    browser = subscribe(room.advisor, service)
    yield browser
    unsubscribe(room.advisor, browser)


def public_key(advisor: Advisor) -> str:
    body = advisor.get("/api/push/key").ok()
    assert set(body) == {"publicKey"}
    return body["publicKey"]


# ---- What a browser gets ----


@pytest.mark.nodes
def test_a_clients_message_reaches_an_advisors_browser_encrypted(room: Room, service: PushService, browser: Browser):
    content = "Is the hotel near the beach? " + "é😀" * 60
    room.client_says(content)
    push = service.next()
    assert browser.endpoint == service.url(push.path)
    assert browser.read(push) == {
        "title": f"New message from {room.client.name}",
        "body": content[:100],
        "url": f"/dashboard/messages?id={room.id}",
    }
    assert push.method == "POST"
    assert push.headers["host"] == f"127.0.0.1:{service.port}"
    assert int(push.headers["ttl"]) > 0
    assert push.headers["urgency"] == "high"
    assert len(push.body) <= 4_096
    assert b"hotel" not in push.body
    check_vapid(push, service, public_key(room.advisor), CONTACT)


def test_the_key_is_an_uncompressed_point_for_who_is_signed_in(room: Room):
    key = public_key(room.advisor)
    point = decode(key)
    assert (len(point), point[0]) == (65, 4)
    assert public_key(room.stranger) == key
    request(room.server.address, "GET", "/api/push/key").error(401, "unauthenticated")
    room.client.get("/api/push/key").error(401, "unauthenticated")


def test_messages_of_one_conversation_share_a_topic_and_other_conversations_do_not(
        lab: Lab, service: PushService):
    room, other = lab.two_rooms()
    browser = subscribe(room.advisor, service)
    topics = []
    for where in (room, room, other):
        where.client_says("hello")
        push = service.next()
        topic = push.headers["topic"]
        assert len(topic) <= 32 and len(decode(topic)) == 24
        assert where.id not in topic and where.id.replace("-", "") not in topic
        topics.append(topic)
    assert topics[0] == topics[1] != topics[2]
    unsubscribe(room.advisor, browser)


def test_each_message_is_encrypted_anew(room: Room, service: PushService, browser: Browser):
    bodies = []
    for _ in range(2):
        room.client_says("the same")
        bodies.append(service.next().body)
    assert bodies[0][:16] != bodies[1][:16], "the salt"
    assert bodies[0][21:86] != bodies[1][21:86], "the sender's key"


@pytest.mark.nodes
def test_a_repeated_request_and_an_advisors_message_notify_nobody(room: Room, service: PushService, browser: Browser):
    fields = {"content": "once", "clientMessageId": fresh_id()}
    room.client.post(f"{room.path}/messages/client", fields).ok(201)
    room.client.post(f"{room.path}/messages/client", fields).ok(200)
    room.advisor_says("an answer")
    room.client_says("the next")
    assert [browser.read(service.next())["body"] for _ in range(2)] == ["once", "the next"]
    assert service.heard_nothing_more()


# ---- Whose browsers ----


@pytest.mark.nodes
def test_every_browser_of_the_organization_is_told_and_none_of_another(room: Room, service: PushService):
    ours = [subscribe(room.advisor, service), subscribe(room.advisor, service), subscribe(room.colleague, service)]
    foreign = subscribe(room.stranger, service)
    room.client_says("hello")
    heard = {service.url(service.next().path) for _ in ours}
    assert heard == {browser.endpoint for browser in ours}
    # The other organization's is told of its own: that it was not before is proved by what it hears first.
    other = room.lab.foreign_room(room)
    other.client_says("for the others")
    push = service.next()
    assert service.url(push.path) == foreign.endpoint
    assert foreign.read(push)["body"] == "for the others"
    for advisor, browser in zip((room.advisor, room.advisor, room.colleague, room.stranger), (*ours, foreign)):
        unsubscribe(advisor, browser)


@pytest.mark.nodes
def test_who_has_unsubscribed_is_told_no_more(room: Room, service: PushService, browser: Browser):
    gone = subscribe(room.advisor, service)
    unsubscribe(room.advisor, gone)
    unsubscribe(room.advisor, gone)
    for _ in range(2):
        room.client_says("hello")
        assert service.url(service.next().path) == browser.endpoint
    assert service.heard_nothing_more()


@pytest.mark.nodes
def test_another_advisors_subscription_can_be_neither_removed_nor_taken(
        room: Room, service: PushService, browser: Browser):
    for other in (room.colleague, room.stranger):
        unsubscribe(other, browser)
        other.post(PATH, Browser(browser.endpoint).to_json()).error(403, "forbidden")
    room.client_says("hello")
    browser.read(service.next())


@pytest.mark.nodes
def test_a_browser_follows_whoever_signs_in_there(room: Room, service: PushService):
    browser = subscribe(room.advisor, service)
    witness = subscribe(room.advisor, service)
    room.stranger.post(PATH, browser.to_json()).ok(201)
    room.client_says("hello")
    assert service.url(service.next().path) == witness.endpoint
    room.lab.foreign_room(room).client_says("for the others")
    assert browser.read(service.next())["body"] == "for the others"
    unsubscribe(room.stranger, browser)
    unsubscribe(room.advisor, witness)


@pytest.mark.nodes
def test_a_subscription_that_is_sent_twice_is_told_once(room: Room, service: PushService, browser: Browser):
    room.advisor.post(PATH, browser.to_json()).ok(201)
    for _ in range(2):
        room.client_says("hello")
        service.next()
    assert service.heard_nothing_more()


# ---- Bad requests ----


def good() -> dict[str, Any]:
    return Browser("https://push.example.com/x").to_json()


def with_key(**change: Any) -> dict[str, Any]:
    body = good()
    body["keys"] |= change
    return {**body, "keys": {name: value for name, value in body["keys"].items() if value is not ...}}


def off_curve() -> str:
    point = bytearray(decode(good()["keys"]["p256dh"]))
    point[-1] ^= 1
    return encode(bytes(point))


@pytest.mark.parametrize("body, code", [
    ({}, "missing_field"),
    ({"endpoint": "https://push.example.com/x"}, "missing_field"),
    ({**good(), "endpoint": None}, "invalid_argument"),
    ({**good(), "endpoint": ["https://push.example.com/x"]}, "invalid_argument"),
    ({**good(), "endpoint": "http://push.example.com/x"}, "invalid_argument"),
    ({**good(), "endpoint": "https://user@push.example.com/x"}, "invalid_argument"),
    ({**good(), "endpoint": "https://push.example.com/\r\nHost: evil"}, "invalid_argument"),
    ({**good(), "endpoint": "https://push.example.com/" + "x" * 2_048}, "invalid_argument"),
    ({**good(), "endpoint": "/x"}, "invalid_argument"),
    ({**good(), "endpoint": ""}, "invalid_argument"),
    ({**good(), "keys": None}, "invalid_argument"),
    ({**good(), "keys": []}, "invalid_argument"),
    ({**good(), "keys": {}}, "missing_field"),
    (with_key(auth=...), "missing_field"),
    (with_key(p256dh=...), "missing_field"),
    (with_key(auth=None), "invalid_argument"),
    (with_key(auth=""), "invalid_argument"),
    (with_key(auth=encode(b"x" * 15)), "invalid_argument"),
    (with_key(auth=encode(b"x" * 17)), "invalid_argument"),
    (with_key(auth="!" * 22), "invalid_argument"),
    (with_key(p256dh=""), "invalid_argument"),
    (with_key(p256dh=off_curve()), "invalid_argument"),
    (with_key(p256dh=encode(b"\x02" + b"x" * 32)), "invalid_argument"),
    (with_key(p256dh=encode(b"\x04" + bytes(64))), "invalid_argument"),
])
def test_a_malformed_subscription_is_400(room: Room, body: dict, code: str):
    room.advisor.post(PATH, body).error(400, code)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"endpoint":"x","endpoint":"y"}', '{"keys":{"auth":1,"auth":2}}',
                                  "[" * 17 + "]" * 17])
def test_a_body_that_is_no_json_object_is_400(room: Room, text: str):
    for method in ("POST", "DELETE"):
        room.advisor.request(method, PATH, body=text).error(400, "malformed_json")


def test_who_may_subscribe(room: Room):
    for method in ("POST", "DELETE"):
        body = good()
        request(room.server.address, method, PATH, json=body).error(401, "unauthenticated")
        request(room.server.address, method, PATH, json=body,
                headers={"Authorization": f"Bearer {room.client.token}"}).error(401, "unauthenticated")
        room.advisor.request(method, PATH, json=body, headers={"Origin": "https://evil.example"}).error(403, "cross_origin")
        room.advisor.request(method, PATH, json=body, headers={"Sec-Fetch-Site": "cross-site"}).error(403, "cross_origin")
        room.advisor.request(method, PATH, body=b"endpoint=x", headers={
            "Content-Type": "application/x-www-form-urlencoded"}).error(415, "unsupported_media_type")
    room.advisor.delete(PATH, {}).error(400, "missing_field")
    room.advisor.delete(PATH, {"endpoint": 1}).error(400, "invalid_argument")


# ---- What push services answer ----


@pytest.mark.nodes
@pytest.mark.parametrize("status", ["410 Gone", "404 Not Found"])
def test_a_subscription_that_the_service_does_not_know_any_more_is_removed(
        room: Room, service: PushService, status: str):
    subscribe(room.advisor, service)
    service.reply = lambda push: status
    room.client_says("hello")
    service.next()
    service.reply = lambda push: "201 Created"
    wait_for_log(room.server, "push_subscription_gone", service)
    witness = subscribe(room.advisor, service)
    for _ in range(2):
        room.client_says("hello again")
        assert service.url(service.next().path) == witness.endpoint
    assert service.heard_nothing_more()
    unsubscribe(room.advisor, witness)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect",
                                    "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(room: Room, service: PushService, browser: Browser, authority: Authority, status: str):
    with PushService(authority) as target:
        service.reply = lambda push: f"{status}\r\nLocation: {target.url('/stolen')}\r\n"
        room.client_says("hello")
        service.next()
        dropped = wait_for_log(room.server, "push_dropped", service)
        assert (dropped["reason"], dropped["status"]) == ("refused", int(status[:3]))
        service.reply = lambda push: "201 Created"
        room.client_says("the next")
        assert browser.read(service.next())["body"] == "the next"
        assert target.connections.empty() and service.heard_nothing_more()


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"])
def test_a_busy_service_is_asked_again_when_it_says(room: Room, service: PushService, browser: Browser, status: str):
    answers = iter([f"{status}\r\nRetry-After: 0\r\n", f"{status}\r\nRetry-After: 1\r\n", "201 Created"])
    service.reply = lambda push: next(answers)
    started = time.monotonic()
    room.client_says("hello")
    pushes = [service.next() for _ in range(3)]
    assert time.monotonic() - started >= 1
    assert [browser.read(push)["body"] for push in pushes] == ["hello"] * 3


def test_a_service_that_stays_busy_is_asked_three_times_and_the_subscription_stays(
        room: Room, service: PushService, browser: Browser):
    service.reply = lambda push: "503 Service Unavailable\r\nRetry-After: 0\r\n"
    room.client_says("hello")
    for _ in range(3):
        service.next()
    assert wait_for_log(room.server, "push_dropped", service)["status"] == 503
    service.reply = lambda push: "201 Created"
    room.client_says("the next")
    assert browser.read(service.next())["body"] == "the next"
    assert service.heard_nothing_more()


def test_a_service_that_wants_a_long_pause_is_not_asked_again(room: Room, service: PushService, browser: Browser):
    service.reply = lambda push: "429 Too Many Requests\r\nRetry-After: 100000\r\n"
    room.client_says("hello")
    service.next()
    assert wait_for_log(room.server, "push_dropped", service)["status"] == 429


# Each node has a queue of its own for a browser, and the two clients may be at two nodes.
@pytest.mark.alone
def test_messages_reach_a_browser_one_after_the_other_and_only_the_newest_of_a_topic_that_waited(
        lab: Lab, service: PushService):
    room, other = lab.two_rooms()
    browser = subscribe(room.advisor, service)
    witness = subscribe(room.colleague, service)
    arrived, release = threading.Event(), threading.Event()

    def hold(push: Any) -> str:
        if service.url(push.path) == browser.endpoint and not arrived.is_set():
            arrived.set()
            assert release.wait(PATIENCE)
        return "201 Created"

    service.reply = hold
    room.client_says("first")
    assert arrived.wait(PATIENCE)
    pushes = [service.next()]
    for where, content in ((room, "second"), (other, "aside"), (room, "third")):
        where.client_says(content)
        pushes.append(service.next())
    assert [witness.read(push)["body"] for push in pushes] == ["first", "second", "aside", "third"]
    release.set()
    assert [browser.read(service.next())["body"] for _ in range(3)] == ["first", "aside", "third"]
    assert service.heard_nothing_more()
    unsubscribe(room.advisor, browser)
    unsubscribe(room.colleague, witness)


def test_a_late_repeat_does_not_replace_a_newer_message(room: Room, service: PushService, browser: Browser):
    first = iter(["503 Service Unavailable\r\nRetry-After: 1\r\n"])
    service.reply = lambda push: next(first, "201 Created")
    room.client_says("the older")
    assert browser.read(service.next())["body"] == "the older"
    wait_for_log(room.server, "push_retried", service)
    room.client_says("the newer")
    assert browser.read(service.next())["body"] == "the newer"
    room.lab.room(room.client.org_id).client_says("of another conversation")
    assert browser.read(service.next())["body"] == "of another conversation"
    assert service.heard_nothing_more()


def test_an_endless_answer_is_not_read(room: Room, service: PushService, browser: Browser):
    service.reply = lambda push: "201 Created\r\nContent-Length: 1000000000000\r\n"
    room.client_says("hello")
    service.next()
    service.reply = lambda push: "201 " + "x" * 100_000
    room.client_says("the next")
    service.next()
    wait_for_log(room.server, "push_retried", service)
    assert room.server.is_running


# ---- Whom the server believes ----


def deliver_after_restart(launch: Launch, server: Server, room: Room, authority: Authority, service: PushService,
                          browser: Browser) -> None:
    """The subscription is still there: a server that may deliver does."""
    assert server.stop() == 0
    again = Lab(launch(data_dir=server.data_dir, extra=push_options(authority)))
    trip = next(trip for trip in again.trips if trip["id"] == room.client.trip_id)
    again.room_of(trip).client_says("after the restart")
    assert browser.read(service.next())["body"] == "after the restart"


def test_a_service_with_a_certificate_of_a_stranger_gets_nothing(
        launch: Launch, authority: Authority, service: PushService, tmp_path: Path):
    server = launch(demo=4, extra=push_options(Authority(tmp_path)))
    room = Lab(server).room()
    browser = subscribe(room.advisor, service)
    room.client_says("a secret")
    assert service.next_connection() != "accepted"
    dropped = wait_for_log(server, "push_dropped", service)
    assert dropped["reason"] == "tls"
    assert service.heard_nothing_more()
    deliver_after_restart(launch, server, room, authority, service, browser)


def test_a_service_with_a_certificate_of_another_name_gets_nothing(launch: Launch, authority: Authority):
    with PushService(authority, ("localhost",)) as service:
        server = launch(demo=4, extra=push_options(authority))
        room = Lab(server).room()
        subscribe(room.advisor, service)  # by its address
        room.client_says("a secret")
        assert service.next_connection() != "accepted"
        assert wait_for_log(server, "push_dropped", service)["reason"] == "tls"
        named = subscribe(room.advisor, service, "localhost")
        room.client_says("hello")
        assert named.read(service.next())["body"] == "hello"
        assert service.heard_nothing_more()


@pytest.mark.parametrize("endpoint", [
    "https://127.0.0.1/x", "https://127.0.0.1:8443/x", "https://localhost/x", "https://10.0.0.1/x", "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x", "https://169.254.169.254/latest/meta-data", "https://192.168.1.1/", "https://0/x",
    "https://2130706433/x", "https://0x7f.1/x", "https://100.64.0.1/x", "https://[fd00::1]/x", "https://printer/x",
])
def test_a_private_address_is_400(launch_plain: Lab, endpoint: str):
    advisor = launch_plain.advisors[0]
    advisor.post(PATH, {**good(), "endpoint": endpoint}).error(400, "invalid_argument")
    advisor.post(PATH, good()).ok(201)


@pytest.fixture(scope="module")
def launch_plain() -> Iterator[Lab]:
    """A server without options of its own."""
    running = process.start(process.Options(demo=4))
    try:
        yield Lab(running)
    finally:
        running.discard()
        process.remove_data(running)


def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
        launch: Launch, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = "push.rebound.example"
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 {name}\n127.0.0.1 localhost\n")
    # A view of the file system for the server alone, in which the name has that address. It takes root.
    script = f'mount --bind {shlex.quote(str(hosts))} /etc/hosts && exec "$@"'
    monkeypatch.setenv("TRAVELCHAT_SERVER", shlex.join(["unshare", "--mount", "sh", "-c", script, "sh", *process.command()]))
    with PushService(authority, (name,)) as service:
        options = ["--push-ca-file", str(authority.file), "--log-level", "debug"]
        server = launch(demo=4, extra=options)
        room = Lab(server).room()
        browser = subscribe(room.advisor, service, name)
        room.client_says("a secret")
        dropped = wait_for_log(server, "push_dropped", service)
        assert (dropped["reason"], dropped["host"]) == ("address_not_public", f"{name}:{service.port}")
        assert service.connections.empty()
        deliver_after_restart(launch, server, room, authority, service, browser)


# ---- Slow services, restarts, logs ----


def test_a_hanging_service_delays_neither_the_chat_nor_other_browsers_nor_the_end(
        launch: Launch, authority: Authority, service: PushService):
    server = launch(demo=4, extra=push_options(authority))
    lab = Lab(server)
    room = lab.room()
    release = threading.Event()

    def hang(push: Any) -> None:
        release.wait(PATIENCE * 3)

    with PushService(authority) as hanging:
        hanging.reply = hang
        try:
            for _ in range(20):
                subscribe(room.advisor, hanging)
            witness = subscribe(room.colleague, service)
            started = time.monotonic()
            for i in range(30):
                room.client_says(f"message {i}")
                assert witness.read(service.next())["body"] == f"message {i}"
            assert time.monotonic() - started < PATIENCE / 2
            # Each of those browsers holds one connection, whatever waits for it. A slow machine sees it given up and made
            # anew after ten seconds.
            for _ in range(20):
                hanging.next_connection()
            again = hanging.connections.qsize()
            assert again <= 20 * int((time.monotonic() - started) // 10)
            started = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - started < 5
        finally:
            release.set()


def test_a_service_that_is_not_there_is_tried_again(launch: Launch, authority: Authority):
    server = launch(demo=4, extra=push_options(authority))
    room = Lab(server).room()
    with PushService(authority) as service:
        subscribe(room.advisor, service)
    room.client_says("hello")
    retried = wait_for_log(server, "push_retried", service)
    assert retried["reason"] == "network"
    assert server.stop() == 0


@pytest.mark.nodes
def test_a_restart_keeps_the_key_and_the_subscriptions(launch: Launch, authority: Authority, service: PushService):
    server = launch(demo=4, extra=push_options(authority))
    room = Lab(server).room()
    browser = subscribe(room.advisor, service)
    key = public_key(room.advisor)
    if not server.nodes:  # several nodes have it in their database
        assert stat.S_IMODE(os.stat(server.data_dir / "push-key.pem").st_mode) == 0o600
    server.kill()
    again = launch(data_dir=server.data_dir, extra=push_options(authority))
    advisor = Lab(again).advisors_of(room.client.org_id)[0]
    assert public_key(advisor) == key
    room.server = room.client.server = again
    room.client_says("after the crash")
    push = service.next()
    assert browser.read(push)["body"] == "after the crash"
    check_vapid(push, service, key, CONTACT)


@pytest.mark.alone
def test_a_key_file_that_is_none_stops_the_start_and_stays(launch: Launch, tmp_path: Path):
    key_file = tmp_path / "push-key.pem"
    key_file.write_text("no key")
    with pytest.raises(process.StartFailed) as failed:
        launch(data_dir=tmp_path, demo=4)
    assert failed.value.returncode == 1
    assert "push-key.pem" in failed.value.logs
    assert key_file.read_text() == "no key"
    launch(data_dir=tmp_path, demo=4, extra=["--push", "off"])


def test_without_push_there_is_no_route(launch: Launch):
    server = launch(demo=4, extra=["--push", "off"])
    room = Lab(server).room()
    room.advisor.get("/api/push/key").error(404)
    room.advisor.post(PATH, good()).error(404)
    room.client_says("hello")
    assert not (server.data_dir / "push-key.pem").exists()


def test_a_token_without_a_contact_names_none(launch: Launch, authority: Authority, service: PushService):
    room = Lab(launch(demo=4, extra=["--push-ca-file", str(authority.file), "--push-allow-private", "on"])).room()
    subscribe(room.advisor, service)
    room.client_says("hello")
    check_vapid(service.next(), service, public_key(room.advisor), None)


def test_wrong_push_options_are_named(launch: Launch, tmp_path: Path):
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("no certificate")
    for options, status, word in [
        (["--push-ca-file", "/nonexistent/ca.pem"], 1, "/nonexistent/ca.pem"),
        (["--push-ca-file", str(no_pem)], 1, str(no_pem)),
        (["--push-contact", "somebody"], 2, "--push-contact"),
    ]:
        with pytest.raises(process.StartFailed) as failed:
            launch(demo=4, extra=options)
        assert failed.value.returncode == status
        assert word in failed.value.logs


def test_neither_endpoints_nor_keys_nor_content_reach_the_log(room: Room, service: PushService, browser: Browser):
    content = f"secret-{fresh_id()}"
    for status in ("201 Created", "400 Bad Request"):
        service.reply = lambda push: status
        room.client_says(content)
        push = service.next()
    wait_for_log(room.server, "push_dropped", service)
    logs = room.server.logs
    keys = browser.to_json()["keys"]
    token = push.headers["authorization"].split("t=")[1].split(",")[0]
    for secret in (content, push.path, keys["auth"], keys["p256dh"], token, room.client.name):
        assert secret not in logs
