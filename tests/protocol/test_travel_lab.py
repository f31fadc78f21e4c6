"""What the reference server adds around the chat: accounts, trips, Bearer tokens, web pages, TLS.

Another host has its own ways for these; run its protocol tests with `-m "not reference"`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hmac
import http.client
import json
import os
import pty
import signal
import sqlite3
import ssl
import subprocess
import termios
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from lab import process
from lab.people import SILENT, Advisor, Client, Lab, Room
from lab.process import Server
from lab.raw import Wire
from lab.sockets import Socket
from lab.web import Answer, request

pytestmark = [pytest.mark.reference, pytest.mark.own_server, pytest.mark.one_server, pytest.mark.unsanitized]

Launch = Callable[..., Server]

SECRET = b"0123456789abcdef0123456789abcdef"
PAGE = "<!doctype html><title>Travel Lab</title>" + "<p>page</p>" * 200
SCRIPT = "console.log('travel');" * 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    web = tmp_path_factory.mktemp("web")
    (web / "assets").mkdir()
    (web / "index.html").write_text(PAGE)
    (web / "assets" / "index-D3adBe3f.js").write_text(SCRIPT)
    (web / "assets" / "plain.css").write_text("body{}")
    (web / ".hidden").write_text("secret")
    (web.parent / "outside.txt").write_text("secret")
    (web / "link.txt").symlink_to(web.parent / "outside.txt")
    return web


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    secret_file = tmp_path_factory.mktemp("jwt") / "secret"
    secret_file.write_bytes(SECRET)
    running = process.start(process.Options(
        extra=["--web", str(folder), "--jwt-secret-file", str(secret_file), "--jwt-audience", "travelchat",
               "--allowed-origin", "https://portal.example"]))
    try:
        yield running
        assert running.stop() == 0, running.logs[-4000:]
    finally:
        running.discard()
        process.remove_data(running)


# ---- Accounts ----


@pytest.mark.nodes
def test_a_login_sets_a_cookie_that_scripts_and_other_sites_do_not_get(room: Room):
    answer = request(room.server.address, "POST", "/api/login",
                     json={"email": room.advisor.email, "password": room.advisor.password})
    account = answer.ok(200)
    assert (account["id"], account["orgId"], account["email"]) == (
        room.advisor.id, room.advisor.org_id, room.advisor.email)
    attributes = {part.strip().lower() for part in answer.cookies[0].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= attributes


@pytest.mark.nodes
def test_me_is_whoever_is_signed_in(room: Room):
    me = room.advisor.get("/api/me").ok()
    assert (me["id"], me["orgId"]) == (room.advisor.id, room.advisor.org_id)
    request(room.server.address, "GET", "/api/me").error(401, "unauthenticated")


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"email": "nobody@example.com"}, {"password": ""}])
def test_a_wrong_login_is_401_and_sets_nothing(room: Room, change: dict):
    answer = request(room.server.address, "POST", "/api/login",
                     json={"email": room.advisor.email, "password": room.advisor.password, **change})
    answer.error(401, "unauthenticated")
    assert not answer.cookies


def test_a_login_from_another_site_is_403(room: Room):
    answer = request(room.server.address, "POST", "/api/login", headers={"Sec-Fetch-Site": "cross-site"},
                     json={"email": room.advisor.email, "password": room.advisor.password})
    answer.error(403)
    assert not answer.cookies


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Origin": "https://portal.example", "Sec-Fetch-Site": "cross-site"}])
def test_a_login_of_another_origin_is_403_whatever_it_says_of_its_site(room: Room, headers: dict[str, str]):
    answer = request(room.server.address, "POST", "/api/login", headers=headers,
                     json={"email": room.advisor.email, "password": room.advisor.password})
    answer.error(403, "cross_origin")
    assert not answer.cookies


def test_a_logout_of_nobody_takes_no_cookie_away(room: Room):
    answer = request(room.server.address, "POST", "/api/logout")
    answer.ok()
    assert not answer.cookies


@pytest.mark.nodes
def test_a_logout_ends_this_session_and_no_other(room: Room):
    cookie = room.advisor.ended_session()
    room.advisor.request("GET", "/api/me", headers={"Cookie": cookie}).error(401)
    room.advisor.get("/api/me").ok()


@pytest.mark.nodes
def test_a_session_that_expires_while_its_sockets_are_open_closes_them_with_4401(launch: Launch):
    lab = Lab(launch(demo=4, extra=["--session-hours", str(2.5 / 3600)]))
    room = lab.room()
    short = Advisor(lab.server, {"id": room.advisor.id, "orgId": room.advisor.org_id, "email": room.advisor.email,
                                 "password": room.advisor.password})
    with room.advisor_listens(short) as chat, short.inbox() as inbox, room.client_listens() as client:
        assert chat.close_code() == 4401
        assert inbox.close_code() == 4401
        short.get("/api/me").error(401, "unauthenticated")
        short.post(f"{room.path}/messages", {"content": "late"}).error(401, "unauthenticated")
        message = room.client_says("still here")
        assert client.next()["message"] == message


@pytest.mark.nodes
def test_a_session_that_nobody_uses_ends(launch: Launch):
    lab = Lab(launch(demo=4, extra=["--session-idle-hours", str(3 / 3600)]))
    advisor = lab.advisors[0]
    used, idle = advisor.login(), advisor.login()
    begun = asked = time.monotonic()
    longest = 0.0
    while time.monotonic() < begun + 3.5:
        status = advisor.request("GET", "/api/me", headers={"Cookie": used}).status
        longest, asked = max(longest, time.monotonic() - asked), time.monotonic()
        # Unless the machine stood still for as long as that.
        assert status == 200 or longest > 2
    advisor.request("GET", "/api/me", headers={"Cookie": idle}).error(401, "unauthenticated")


def command(server: Server, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A subcommand on the files of a server that has stopped."""
    return subprocess.run([*process.command(), *arguments, "--data", str(server.data_dir)], input=stdin,
                          capture_output=True, text=True, timeout=process.PATIENCE)


def login(server: Server, email: str, password: str, **options: Any) -> Answer:
    return request(server.address, "POST", "/api/login", json={"email": email, "password": password}, **options)


@pytest.mark.alone
def test_an_operator_sets_passwords_disables_advisors_and_ends_sessions(launch: Launch):
    first = launch(demo=4)
    renamed, disabled, other = Lab(first).advisors[:3]
    assert first.stop() == 0
    for refused in (command(first, "set-password", "--email", renamed.email, stdin="short\n"),
                    command(first, "set-password", "--email", "nobody@x.example", stdin="a new password\n"),
                    command(first, "disable-advisor", "--email", "nobody@x.example")):
        assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1, refused
    for done in (command(first, "set-password", "--email", renamed.email.upper(), stdin="a new password\n"),
                 command(first, "disable-advisor", "--email", disabled.email)):
        assert done.returncode == 0 and not done.stderr, done
        assert "a new password" not in done.stdout
    second = launch(demo=4, data_dir=first.data_dir)
    for cookie, status in ((renamed.cookie, 401), (disabled.cookie, 401), (other.cookie, 200)):
        assert request(second.address, "GET", "/api/me", headers={"Cookie": cookie}).status == status
    login(second, renamed.email, renamed.password).error(401)
    cookie = login(second, renamed.email, "a new password").cookies[0].split(";")[0]
    login(second, disabled.email, disabled.password).error(401)
    assert "the advisor is disabled" in second.logs
    # Its password is nobody's business any more.
    assert renamed.email not in [account["email"] for account in request(second.address, "GET", "/api/demo").ok()["advisors"]]
    assert second.stop() == 0
    assert command(first, "enable-advisor", "--email", disabled.email).returncode == 0
    assert command(first, "end-sessions", "--all").returncode == 0
    third = launch(demo=4, data_dir=first.data_dir)
    login(third, disabled.email, disabled.password).ok()
    for ended in (cookie, other.cookie):
        request(third.address, "GET", "/api/me", headers={"Cookie": ended}).error(401)


@pytest.mark.alone
def test_a_password_is_typed_unseen_and_twice(launch: Launch):
    server = launch(demo=1)
    email = Lab(server).advisors[0].email
    assert server.stop() == 0

    def typed(*lines: str, interrupt: bool = False) -> tuple[int, str]:
        terminal, other_end = pty.openpty()
        running = subprocess.Popen([*process.command(), "set-password", "--email", email, "--data", str(server.data_dir)],
                                   stdin=other_end, stdout=other_end, stderr=other_end, start_new_session=True)
        os.close(other_end)
        shown = b""
        for line in lines:
            while not shown.endswith(b": "):
                shown += os.read(terminal, 1024)
            os.write(terminal, line.encode() + b"\n")
            shown += b" "
        if interrupt:
            while not shown.endswith(b": "):
                shown += os.read(terminal, 1024)
            running.send_signal(signal.SIGINT)
            running.wait(process.PATIENCE)
            assert termios.tcgetattr(terminal)[3] & termios.ECHO, "the terminal is left mute"
        with contextlib.suppress(OSError):  # the program has ended
            while read := os.read(terminal, 1024):
                shown += read
        os.close(terminal)
        return running.wait(process.PATIENCE), shown.decode()

    status, shown = typed("a new password", "another password")
    assert status == 1 and "not the same" in shown and "password" not in shown.replace("Password: ", "")
    status, shown = typed("a new password", interrupt=True)
    assert status == -signal.SIGINT
    status, shown = typed("a new password", "a new password")
    assert status == 0 and "a new" not in shown
    again = launch(demo=1, data_dir=server.data_dir)
    login(again, email, "a new password").ok()


@pytest.mark.alone
def test_accounts_of_the_demonstration_are_refused_without_it(launch: Launch):
    first = launch(demo=4)
    lab = Lab(first)
    room = lab.room()
    assert first.stop() == 0
    plain = launch(demo=None, data_dir=first.data_dir)
    assert '"event":"demo_accounts_refused"' in plain.logs
    login(plain, room.advisor.email, room.advisor.password).error(401)
    assert "signs in only where the server runs with --demo" in plain.logs
    request(plain.address, "GET", "/api/me", headers={"Cookie": room.advisor.cookie}).error(401)
    link = {"tripId": room.client.trip_id, "shareToken": room.client.share_token}
    request(plain.address, "GET", "/api/chat-token", query=link).error(403)
    request(plain.address, "GET", f"/api/trip-view/{room.client.trip_id}",
            query={"token": room.client.share_token}).error(403)
    assert plain.stop() == 0
    # Whose password the operator sets is an advisor like any other.
    assert command(first, "set-password", "--email", room.advisor.email, stdin="a new password\n").returncode == 0
    again = launch(demo=None, data_dir=first.data_dir)
    login(again, room.advisor.email, "a new password").ok()


@pytest.mark.alone
@pytest.mark.long
def test_a_flood_of_logins_keeps_nobody_out_and_lets_nobody_in(launch: Launch):
    server = launch(rate_limits=None, demo=4)
    advisor, owner = Lab(server).advisors[:2]
    attacker, elsewhere = "127.77.0.1", "127.88.0.1"
    for _ in range(10):
        login(server, advisor.email, "wrong", source=attacker).error(401)
    login(server, advisor.email, "wrong", source=attacker).error(429, "rate_limited")
    login(server, owner.email, owner.password, source=attacker).ok()  # it knows that address
    counts: Counter[int] = Counter()
    # Each time twice as many at once as may wait for their password to be checked.
    with ThreadPoolExecutor(128) as pool:
        for turn in range(20):
            flood = [pool.submit(login, server, f"nobody-{turn}-{number}@x.example", "wrong", source=attacker)
                     for number in range(128)]
            # Meanwhile, from elsewhere and from an address that the account knows:
            login(server, advisor.email, advisor.password, source=elsewhere).ok()
            login(server, owner.email, owner.password, source=attacker).ok()
            refused = login(server, advisor.email, advisor.password, source=attacker)
            refused.error(429, "rate_limited")
            assert int(refused.headers["retry-after"]) > 0
            statuses = Counter(each.result().status for each in flood)
            counts += statuses
            if set(statuses) == {429}:
                break
    # Ten wrong ones before, and ninety that were checked: what an address may try. Those that found no place were told so.
    assert set(statuses) == {429} and counts[401] == 90 and set(counts) == {401, 429, 503}, counts


@pytest.mark.alone
def test_a_share_token_that_is_empty_opens_no_trip(launch: Launch):
    server = launch(demo=4)
    room = Lab(server).room()
    assert server.stop() == 0
    with contextlib.closing(sqlite3.connect(server.data_dir / "travelchat.db")) as database, database:
        database.execute("UPDATE trips SET share_token = '' WHERE id = ?", (room.client.trip_id,))
    again = launch(demo=4, data_dir=server.data_dir)
    request(again.address, "GET", f"/api/trip-view/{room.client.trip_id}", query={"token": ""}).error(403)
    request(again.address, "GET", "/api/chat-token", query={"tripId": room.client.trip_id, "shareToken": ""}).error(400)


@pytest.mark.nodes
def test_clients_and_trips_are_the_organizations_own(room: Room):
    clients = room.advisor.get("/api/clients").ok()
    assert room.client.id in [client["id"] for client in clients]
    assert {client["orgId"] for client in clients} == {room.advisor.org_id}
    detail = room.advisor.get(f"/api/clients/{room.client.id}").ok()
    assert detail["fullName"] == room.client.name
    room.stranger.get(f"/api/clients/{room.client.id}").error(404, "not_found")


# ---- Trips ----


@pytest.mark.nodes
def test_a_trip_view_needs_the_share_token(room: Room):
    path = f"/api/trip-view/{room.client.trip_id}"
    view = request(room.server.address, "GET", path, query={"token": room.client.share_token}).ok()
    assert view["trip"]["id"] == room.client.trip_id
    assert view["trip"]["clientId"] == room.client.id
    assert view["client"]["fullName"] == room.client.name
    assert view["advisor"]["fullName"]
    assert room.client.share_token not in json.dumps(view)
    request(room.server.address, "GET", path, query={"token": "0" * 32}).error(403)
    request(room.server.address, "GET", path).error(400)
    request(room.server.address, "GET", "/api/trip-view/nothing", query={"token": room.client.share_token}).error(404)


def other_trip(room: Room, wanted: Callable[[dict], bool]) -> dict:
    return next(trip for trip in room.advisor.get("/api/trips").ok() if wanted(trip))


@pytest.mark.nodes
def test_a_trip_that_is_not_shared_gives_no_token(room: Room):
    trip = other_trip(room, lambda trip: not trip["shareEnabled"])
    with room.untouched():
        request(room.server.address, "GET", "/api/chat-token",
                query={"tripId": trip["id"], "shareToken": trip["shareToken"]}).error(403)
        request(room.server.address, "GET", f"/api/trip-view/{trip['id']}",
                query={"token": trip["shareToken"]}).error(403)


def test_a_trip_without_a_client_gives_no_token(room: Room):
    trip = other_trip(room, lambda trip: trip["clientId"] is None)
    with room.untouched():
        request(room.server.address, "GET", "/api/chat-token",
                query={"tripId": trip["id"], "shareToken": trip["shareToken"]}).error(400, "trip_without_client")


def add_trip(server: Server, advisor: Advisor, client_name: str) -> tuple[str, str]:
    """A trip for a client that the (stopped) server does not know yet: its id and share token."""
    added = subprocess.run(
        [*process.command(), "add-trip", "--data", str(server.data_dir), "--advisor", advisor.email, "--client",
         client_name, "--title", "A first trip"], capture_output=True, text=True, timeout=process.PATIENCE, check=True)
    path, token = added.stdout.strip().split("?token=")
    return path.removeprefix("/trip/"), token


@pytest.mark.nodes
def test_a_new_conversation_appears_in_the_inbox_once(launch: Launch):
    first = launch(demo=4)
    advisor = Lab(first).advisors[0]
    assert first.stop() == 0
    trip_id, share_token = add_trip(first, advisor, "Nina New")
    lab = Lab(launch(demo=4, data_dir=first.data_dir))
    advisor, colleague = lab.advisors_of(advisor.org_id)[:2]
    newcomer = next(client for client in advisor.get("/api/clients").ok() if client["fullName"] == "Nina New")
    with colleague.inbox() as inbox:
        answers = [advisor.post("/api/conversations", {"clientId": newcomer["id"]}).ok(200) for _ in range(3)]
        assert len({answer["id"] for answer in answers}) == 1
        row = inbox.expect_type("conversation_update")["conversation"]
        assert (row["id"], row["clientId"], row["clientName"]) == (answers[0]["id"], newcomer["id"], "Nina New")
        assert (row["lastMessage"], row["lastMessageAt"], row["unreadCount"]) == (None, None, 0)
        client = Client(lab.server, {"id": trip_id, "shareToken": share_token, "clientId": newcomer["id"],
                                     "clientName": "Nina New", "orgId": advisor.org_id})
        assert client.conversation_id == row["id"]
        message = client.post(f"/api/conversations/{row['id']}/messages/client", {"content": "Hello"}).ok(201)
        assert (message["seq"], message["rev"]) == (1, row["rev"] + 1)
        # However many asked for it, it appeared once: the next thing is its first message.
        assert inbox.expect_type("conversation_update")["conversation"]["lastMessage"]["id"] == message["id"]


def test_a_bidirectional_override_in_a_name_is_removed(launch: Launch):
    first = launch(demo=4)
    advisor = Lab(first).advisors[0]
    assert first.stop() == 0
    trip_id, share_token = add_trip(first, advisor, "Ann\u202egpj.exe\u202c \u2066Lee\u2069\u0007")
    second = launch(demo=4, data_dir=first.data_dir)
    grant = request(second.address, "GET", "/api/chat-token",
                    query={"tripId": trip_id, "shareToken": share_token}).ok()
    assert grant["clientName"] == "Anngpj.exe Lee"
    message = request(second.address, "POST", f"/api/conversations/{grant['conversationId']}/messages/client",
                      json={"content": "\u202ehello", "chatToken": grant["chatToken"]}).ok(201)
    assert message["senderName"] == "Anngpj.exe Lee"
    assert message["content"] == "\u202ehello"


# ---- Push ----


@pytest.mark.nodes
def test_a_clients_message_notifies_the_organization_once(launch: Launch):
    server = launch(demo=8, extra=["--log-level", "debug"])
    room = Lab(server).room()
    fields = {"content": "Are you there?", "clientMessageId": "once"}
    room.client_says(**fields)
    room.client.post(f"{room.path}/messages/client", fields).ok(200)
    room.advisor_says("Yes")
    room.client.post(f"{room.path}/messages/client", {"content": ""}).error(400)
    room.client.post(f"{room.path}/read/client").ok()
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.logs.splitlines() if line.startswith("{")]
    assert [line["orgId"] for line in lines if line["event"] == "notify"] == [room.client.org_id]


# ---- Bearer tokens of other services ----


def encode(data: bytes | dict) -> str:
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(room: Room, *, header: dict | None = None, secret: bytes = SECRET, digest: str = "sha256",
               **claims: Any) -> str:
    content = {"sub": room.advisor.id, "org": room.advisor.org_id, "aud": "travelchat", "exp": time.time() + 60, **claims}
    content = {name: value for name, value in content.items() if value is not None}
    covered = f"{encode(header or {'alg': 'HS256', 'typ': 'JWT'})}.{encode(content)}"
    return f"{covered}.{encode(hmac.new(secret, covered.encode(), digest).digest())}"


def by_bearer(room: Room, token: str, method: str = "GET", path: str = "/api/conversations", **options: Any) -> Answer:
    return request(room.server.address, method, path, headers={"Authorization": f"Bearer {token}"}, **options)


@pytest.mark.nodes
def test_a_bearer_token_is_an_advisors_session(room: Room):
    token = make_token(room)
    assert by_bearer(room, token).ok() == room.advisor.conversations()
    with room.client_listens() as witness:
        message = by_bearer(room, token, "POST", f"{room.path}/messages", json={"content": "From a service"}).ok(201)
        assert (message["senderType"], message["senderId"]) == ("advisor", room.advisor.id)
        assert witness.next()["message"] == message
    query = {"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id}
    with Socket.open(room.server.address, "/ws/chat", query, bearer=token) as socket:
        socket.expect(SILENT)
    with Socket.open(room.server.address, "/ws/inbox", {}, bearer=token) as inbox:
        message = room.client_says("For the inbox")
        assert inbox.expect_type("conversation_update")["conversation"]["lastMessage"]["id"] == message["id"]


def test_a_bearer_token_is_no_cookie_so_its_origin_does_not_matter(room: Room):
    answer = request(room.server.address, "POST", f"{room.path}/messages", json={"content": "From elsewhere"},
                     headers={"Authorization": f"Bearer {make_token(room)}", "Origin": "https://service.example"})
    answer.ok(201)


def swap_signature(token: str) -> str:
    return token[:-2] + ("AA" if token[-2:] != "AA" else "BB")


BAD_BEARERS: dict[str, Callable[[Room], str]] = {
    "no algorithm": lambda room: make_token(room, header={"alg": "none"}),
    "no algorithm and no signature": lambda room: make_token(room, header={"alg": "none"}).rsplit(".", 1)[0] + ".",
    "another algorithm": lambda room: make_token(room, header={"alg": "HS512"}, digest="sha512"),
    "another algorithm by name": lambda room: make_token(room, header={"alg": "RS256"}),
    "the algorithm in small letters": lambda room: make_token(room, header={"alg": "hs256"}),
    "a critical extension": lambda room: make_token(room, header={"alg": "HS256", "crit": ["b64"], "b64": False}),
    "another secret": lambda room: make_token(room, secret=b"f" * 32),
    "another signature": lambda room: swap_signature(make_token(room)),
    "expired": lambda room: make_token(room, exp=time.time() - 1),
    "until the year 9000": lambda room: make_token(room, exp=221_845_392_000),
    "made for a year": lambda room: make_token(room, iat=time.time() - 364 * 86_400),
    "without exp": lambda room: make_token(room, exp=None),
    "exp as text": lambda room: make_token(room, exp="2099"),
    "not yet": lambda room: make_token(room, nbf=time.time() + 60),
    "without aud": lambda room: make_token(room, aud=None),
    "for another audience": lambda room: make_token(room, aud="another"),
    "for a list of others": lambda room: make_token(room, aud=["another", "travelchat2"]),
    "without sub": lambda room: make_token(room, sub=None),
    "of nobody": lambda room: make_token(room, sub="nobody"),
    "of another organization": lambda room: make_token(room, org=room.stranger.org_id),
    "without org": lambda room: make_token(room, org=None),
    "two parts": lambda room: make_token(room).rsplit(".", 1)[0],
    "four parts": lambda room: make_token(room) + ".x",
    "padded": lambda room: make_token(room) + "=",
    "no token": lambda room: "x",
}


@pytest.mark.parametrize("form", BAD_BEARERS)
def test_a_bad_bearer_token_is_401(room: Room, form: str):
    token = BAD_BEARERS[form](room)
    with room.untouched():
        by_bearer(room, token).error(401, "unauthenticated")
        by_bearer(room, token, "POST", f"{room.path}/messages", json={"content": "forged"}).error(401)
        query = {"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id}
        with Socket.open(room.server.address, "/ws/chat", query, bearer=token) as socket:
            assert socket.close_code() == 4401


def test_a_list_of_audiences_may_hold_ours(room: Room):
    by_bearer(room, make_token(room, aud=["another", "travelchat"])).ok()


@pytest.mark.nodes
def test_a_bearer_token_that_expires_while_its_socket_is_open_closes_it(room: Room):
    query = {"conversationId": room.id, "userType": "advisor", "userId": room.advisor.id}
    with Socket.open(room.server.address, "/ws/chat", query, bearer=make_token(room, exp=time.time() + 1.5)) as socket:
        socket.expect(SILENT)
        assert socket.close_code() == 4401


def test_a_bad_bearer_token_is_not_rescued_by_a_good_cookie(room: Room):
    room.advisor.request("GET", "/api/conversations", headers={"Authorization": "Bearer x"}).error(401)


# ---- Origins ----


def test_an_allowed_origin_may_open_sockets_and_write(room: Room):
    with room.client_socket(origin="https://portal.example") as socket:
        socket.expect(SILENT)
    room.advisor.post(f"{room.path}/messages", {"content": "from the portal"},
                      headers={"Origin": "https://portal.example", "Sec-Fetch-Site": "cross-site"}).ok(201)


@pytest.mark.parametrize("origin", ["http://portal.example", "https://portal.example:8443",
                                    "https://portal.example.evil.example", "https://evil-portal.example"])
def test_an_origin_that_is_nearly_allowed_is_not(room: Room, origin: str):
    with room.untouched():
        room.advisor.post(f"{room.path}/messages", {"content": "x"}, headers={"Origin": origin}).error(403)
        with room.client_socket(origin=origin) as socket:
            assert socket.close_code() == 4403


# ---- Web pages ----


@pytest.mark.parametrize("path", ["/", "/index.html"])
def test_the_page_is_served_with_its_etag_and_policy(server: Server, path: str):
    answer = request(server.address, "GET", path)
    assert (answer.status, answer.body.decode()) == (200, PAGE)
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" not in answer.headers["cache-control"]
    again = request(server.address, "GET", path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert request(server.address, "GET", path, headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("path", ["/trip/some-trip", "/dashboard/messages", "/login"])
def test_a_path_of_the_application_is_answered_with_the_page(server: Server, path: str):
    assert request(server.address, "GET", path).body.decode() == PAGE


def test_a_hashed_file_is_kept_for_good(server: Server):
    answer = request(server.address, "GET", "/assets/index-D3adBe3f.js")
    assert answer.body.decode() == SCRIPT
    assert "immutable" in answer.headers["cache-control"]
    assert "immutable" not in request(server.address, "GET", "/assets/plain.css").headers["cache-control"]


def test_a_file_is_compressed_for_whoever_takes_that(server: Server):
    answer = request(server.address, "GET", "/assets/index-D3adBe3f.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert gzip.decompress(answer.body).decode() == SCRIPT
    plain = request(server.address, "GET", "/assets/index-D3adBe3f.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize("path", ["/.hidden", "/link.txt", "/outside.txt", "/assets", "/assets/", "/assets/none.js"])
def test_what_is_not_for_everybody_is_404(server: Server, path: str):
    request(server.address, "GET", path).error(404, "not_found")


@pytest.mark.parametrize("path", ["/../outside.txt", "/%2e%2e/outside.txt", "/assets/..%2f..%2foutside.txt",
                                  "/assets/%2e%2e/index.html"])
def test_no_path_leads_out_of_the_folder(server: Server, path: str):
    request(server.address, "GET", path).error(400)


# ---- TLS ----


def test_over_tls_the_same_room_is_open_and_cookies_are_secure(launch: Launch, tmp_path: Path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
                    str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    server = launch(demo=4, extra=["--tls-cert", str(certificate), "--tls-key", str(key)])
    assert server.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(certificate))

    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    demo = json.load(opener.open(f"{server.url}/api/demo", timeout=process.PATIENCE))
    account = demo["advisors"][0]
    login = http.client.HTTPSConnection(*server.address, context=context, timeout=process.PATIENCE)
    login.request("POST", "/api/login", json.dumps({"email": account["email"], "password": account["password"]}),
                  {"Content-Type": "application/json"})
    answer = login.getresponse()
    assert answer.status == 200
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-") and "; Secure" in cookie
    trip = next(trip for trip in demo["trips"] if trip["orgId"] == account["orgId"])
    grant = json.load(opener.open(
        f"{server.url}/api/chat-token?tripId={trip['id']}&shareToken={trip['shareToken']}", timeout=process.PATIENCE))
    path = f"/ws/chat?conversationId={grant['conversationId']}&userType=client&userId={grant['clientId']}"

    # The asyncio client: the other one of websockets reads and writes on two threads, and OpenSSL allows a connection one.
    async def listen() -> None:
        async with asyncio.timeout(process.PATIENCE), connect(
                server.url.replace("https", "wss") + path, ssl=context, proxy=None,
                subprotocols=["travelchat.v1", f"auth.{grant['chatToken']}"]) as socket:
            assert json.loads(await socket.recv()) == SILENT
            request_body = json.dumps({"content": "Over TLS", "chatToken": grant["chatToken"]}).encode()
            await asyncio.to_thread(opener.open, urllib.request.Request(
                f"{server.url}/api/conversations/{grant['conversationId']}/messages/client", request_body,
                {"Content-Type": "application/json"}), timeout=process.PATIENCE)
            assert json.loads(await socket.recv())["message"]["content"] == "Over TLS"

    asyncio.run(listen())


def test_tls_is_not_spoken_to_a_plain_client(launch: Launch, tmp_path: Path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
                    str(certificate), "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
    server = launch(demo=4, extra=["--tls-cert", str(certificate), "--tls-key", str(key)])
    with Wire(server.address) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        # A TLS alert or nothing, and never an answer in the clear.
        try:
            assert b"HTTP/" not in wire.take_until(b"\r\n\r\n")
        except EOFError as end:
            assert "HTTP/" not in str(end)
        except ConnectionResetError:
            pass
    assert server.is_running
