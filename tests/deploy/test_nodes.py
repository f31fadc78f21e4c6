"""Two nodes of the reference server on one PostgreSQL: what one does, the other knows."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from conftest import REPOSITORY, Service
from lab import process
from lab.people import Advisor, Lab
from lab.process import Server
from lab.web import Answer, request

StartNode = Callable[..., Server]


def eventually(seconds: float, ask: Callable[[], Any], expected: Any) -> None:
    """Asks until it gets this answer."""
    deadline = time.monotonic() + seconds
    while (got := ask()) != expected:
        assert time.monotonic() < deadline, f"{expected!r} expected, still {got!r} after {seconds} s"


def run_command(storage: str, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run([*process.command(), *arguments], env={**os.environ, "TRAVELCHAT_STORAGE": storage},
                          input=stdin, capture_output=True, text=True, timeout=process.PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def me(node: Server, cookie: str) -> Answer:
    return request(node.address, "GET", "/api/me", headers={"Cookie": cookie})


def ready(node: Server) -> tuple[int, str]:
    answer = request(node.address, "GET", "/readyz")
    return answer.status, answer.json().get("status", answer.json().get("code"))


def test_nodes_that_start_at_once_load_the_demonstration_once(database: str, start_node: StartNode):
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: start_node(database, demo=3), range(2))
    demo = request(first.address, "GET", "/api/demo").ok()
    assert len(demo["advisors"]) == 4 and len(demo["trips"]) == 3
    assert request(second.address, "GET", "/api/demo").ok() == demo
    assert Lab(first).snapshot() == Lab(second).snapshot()


def test_who_signs_in_or_out_at_one_node_does_so_at_the_other(database: str, start_node: StartNode):
    first, second = start_node(database, demo=1), start_node(database, demo=1)
    advisor = Lab(first).advisors[0]
    assert me(second, advisor.cookie).ok() == me(first, advisor.cookie).ok()
    request(first.address, "POST", "/api/logout", headers={"Cookie": advisor.cookie}).ok()
    assert me(first, advisor.cookie).status == 401
    # Five seconds, docs/deploy.md says; the rest is the machine's.
    eventually(5 + 2, lambda: me(second, advisor.cookie).status, 401)


def test_a_running_node_notices_who_and_what_is_added(database: str, start_node: StartNode):
    node = start_node(database, demo=None)
    run_command(database, "add-advisor", "--org", "Org", "--email", "ada@x.example", "--name", "Ada", stdin="a password")
    account = {"id": "", "orgId": "", "email": "ada@x.example", "password": "a password"}
    advisor = Advisor(node, account)
    assert advisor.get("/api/trips").ok() == []
    path = run_command(database, "add-trip", "--advisor", "ada@x.example", "--client", "Cleo", "--title", "Lisbon").strip()
    trip_id, token = re.fullmatch(r"/trip/([^?]+)\?token=(\w+)", path).groups()
    link = {"tripId": trip_id, "shareToken": token}
    assert request(node.address, "GET", "/api/chat-token", query=link).ok()["clientName"] == "Cleo"
    view = request(node.address, "GET", f"/api/trip-view/{trip_id}", query={"token": token}).ok()
    assert view["advisor"]["fullName"] == "Ada"
    # One second in lists.
    run_command(database, "add-trip", "--advisor", "ada@x.example", "--client", "Cleo", "--title", "Porto")
    eventually(1 + 2, lambda: {trip["title"] for trip in advisor.get("/api/trips").ok()}, {"Lisbon", "Porto"})
    # Who is there already is not added again, and says so.
    refused = subprocess.run([*process.command(), "add-advisor", "--org", "Other", "--email", "ADA@x.example", "--name",
                              "Ada"], env={**os.environ, "TRAVELCHAT_STORAGE": database}, input="a password",
                             capture_output=True, text=True)
    assert refused.returncode == 1 and "already" in refused.stderr


def test_commands_about_advisors_take_effect_on_running_nodes(database: str, start_node: StartNode):
    first, second = start_node(database, demo=1), start_node(database, demo=1)
    renamed, disabled, other = Lab(first).advisors[:3]
    cookies = [advisor.cookie for advisor in (renamed, disabled, other)]
    nodes = (first, second)

    def who() -> list[tuple[int, ...]]:
        """What each node says of each cookie."""
        return [tuple(me(node, cookie).status for cookie in cookies) for node in nodes]

    def login(node: Server, email: str, password: str) -> int:
        return request(node.address, "POST", "/api/login", json={"email": email, "password": password}).status

    assert who() == [(200, 200, 200)] * 2
    run_command(database, "set-password", "--email", renamed.email, stdin="a new password")
    # At once where they sign in; sessions within five seconds, docs/deploy.md says, and the rest is the machine's.
    assert {login(node, renamed.email, renamed.password) for node in nodes} == {401}
    eventually(5 + 2, who, [(401, 200, 200)] * 2)
    assert {login(node, renamed.email, "a new password") for node in nodes} == {200}

    run_command(database, "disable-advisor", "--email", disabled.email)
    assert {login(node, disabled.email, disabled.password) for node in nodes} == {401}
    eventually(5 + 2, who, [(401, 401, 200)] * 2)
    run_command(database, "enable-advisor", "--email", disabled.email)
    assert {login(node, disabled.email, disabled.password) for node in nodes} == {200}

    run_command(database, "end-sessions", "--email", other.email)
    eventually(5 + 2, who, [(401, 401, 401)] * 2)
    cookies[:] = [other.login(), disabled.login()]
    assert who() == [(200, 200)] * 2
    run_command(database, "end-sessions", "--all")
    eventually(5 + 2, who, [(401, 401)] * 2)


def test_nodes_have_one_key_of_web_push_and_the_same_subscriptions(database: str, start_node: StartNode):
    first, second = start_node(database, demo=1), start_node(database, demo=1)
    advisor = Lab(first).advisors[0]

    def key(node: Server) -> str:
        return request(node.address, "GET", "/api/push/key", headers={"Cookie": advisor.cookie}).ok()["publicKey"]

    assert key(first) == key(second)
    browser = {"endpoint": "https://push.example.com/x", "keys": {"p256dh": key(first), "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}
    advisor.post("/api/push/subscriptions", browser).ok(201)
    # The same browser with other keys is somebody else's claim, whichever node it comes to.
    stranger = Lab(second).advisors[1]
    taken = {**browser, "keys": {**browser["keys"], "auth": "AAAAAAAAAAAAAAAAAAAAAA"}}
    stranger.post("/api/push/subscriptions", taken).error(403)


def test_without_nats_a_node_is_degraded_and_serves(database: str, nats: Service, start_node: StartNode):
    node = start_node(database, nats.url, demo=2)
    eventually(process.PATIENCE, lambda: ready(node), (200, "ready"))
    assert "travelchat_backplane_up 1" in request(node.address, "GET", "/metrics").body.decode()
    nats.tell("stop")
    eventually(process.PATIENCE, lambda: ready(node), (200, "degraded"))
    assert request(node.address, "GET", "/readyz").ok() == {"status": "degraded", "down": ["backplane"]}
    assert "travelchat_backplane_up 0" in request(node.address, "GET", "/metrics").body.decode()
    room = Lab(node).room()
    with room.client_listens() as client:
        message = room.advisor_says("still here")
        assert client.next()["message"] == message
    nats.tell("restart")
    eventually(process.PATIENCE, lambda: ready(node), (200, "ready"))


def test_without_nats_at_its_start_a_node_starts(database: str, nats: Service, start_node: StartNode):
    nats.tell("stop")
    node = start_node(database, nats.url, demo=1)
    assert ready(node) == (200, "degraded")
    nats.tell("restart")
    eventually(process.PATIENCE, lambda: ready(node), (200, "ready"))


def test_a_node_alone_has_no_backplane_to_report(database: str, start_node: StartNode):
    node = start_node(database, demo=1)
    assert request(node.address, "GET", "/readyz").ok() == {"status": "ready"}
    assert "backplane" not in request(node.address, "GET", "/metrics").body.decode()


def test_without_postgresql_a_node_is_not_ready_and_comes_back(postgres: Service, start_node: StartNode):
    node = start_node(postgres.url, demo=1)
    room = Lab(node).room()
    postgres.tell("stop", "--immediate")
    eventually(process.PATIENCE, lambda: ready(node), (503, "storage_failed"))
    assert room.advisor.post(f"{room.path}/messages", {"content": "lost?"}).status >= 500
    postgres.tell("start")
    eventually(process.PATIENCE, lambda: ready(node), (200, "ready"))
    assert room.advisor_says("back")["content"] == "back"
    # A session that has to be looked up again is found.
    assert me(node, room.advisor.cookie).status == 200


def test_a_postgresql_that_is_down_ends_a_start_with_a_reason(postgres: Service, start_node: StartNode):
    postgres.tell("stop", "--immediate")
    begun = time.monotonic()
    with pytest.raises(process.StartFailed) as failed:
        start_node(postgres.url)
    assert time.monotonic() - begun < 10
    assert failed.value.returncode == 1
    assert "cannot reach PostgreSQL" in failed.value.logs and "refused" in failed.value.logs
    assert len(failed.value.logs.splitlines()) == 1
    postgres.tell("start")


def test_no_password_is_in_a_log_or_in_the_command_line(postgres: Service, nats: Service, start_node: StartNode):
    secrets = [re.search(r"://[^:]+:([^@]+)@", service.url)[1] for service in (postgres, nats)]
    node = start_node(postgres.url, nats.url, demo=1, extra=["--log-level", "debug"])
    nats.tell("stop")
    postgres.tell("stop", "--immediate")
    eventually(process.PATIENCE, lambda: ready(node), (503, "storage_failed"))
    postgres.tell("start")
    nats.tell("restart")
    eventually(process.PATIENCE, lambda: ready(node), (200, "ready"))
    assert '"event":"storage"' in node.logs and '"event":"backplane"' in node.logs
    command_line = Path(f"/proc/{node.pid}/cmdline").read_text()
    for secret in secrets:
        assert secret not in node.logs
        assert secret not in command_line


def test_the_role_that_compose_makes_is_no_superuser_and_enough(postgres: Service, start_node: StartNode):
    def query(url: str, *commands: str) -> subprocess.CompletedProcess[str]:
        words = [word for command in commands for word in ("-c", command)]
        return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, *words], capture_output=True, text=True,
                              timeout=60)

    password = "it's the nodes'"
    admin = urlsplit((postgres.folder / "admin-url").read_text())._replace(path="/postgres")
    assert query(urlunsplit(admin), "DROP DATABASE travelchat", "DROP ROLE travelchat").returncode == 0
    made = subprocess.run([str(REPOSITORY / "deploy" / "postgres-role.sh")], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PGHOST": admin.hostname, "PGPORT": str(admin.port),
                               "PGPASSWORD": admin.password, "POSTGRES_PASSWORD": password})
    assert made.returncode == 0, made.stderr
    storage = f"postgres://travelchat:{quote(password)}@{admin.hostname}:{admin.port}/travelchat"
    node = start_node(storage, demo=1)
    assert ready(node) == (200, "ready")
    asked = query(storage, "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user")
    assert asked.stdout == "f|f|f\n", asked.stderr
    assert "password authentication failed" in query(urlunsplit(admin), "SELECT 1").stderr
