"""deploy/nginx.conf, with other addresses in it, in front of two nodes and of one that is not there."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import REPOSITORY, Service
from lab import process
from lab.people import CLIENT_TYPES, SILENT, Lab, Room, fresh_id
from lab.process import Server
from lab.sockets import Socket
from lab.web import request
from test_nodes import StartNode


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Proxy(Server):
    def __init__(self, nodes: list[Server], folder: Path):
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}")
        self.folder = folder
        self.log = folder / "access.log"
        self.errors = folder / "errors.log"
        config = (REPOSITORY / "deploy" / "nginx.conf").read_text()
        addresses = [node.authority for node in nodes]
        while len(addresses) < 3:
            addresses.append(f"127.0.0.1:{free_port()}")
        for number, address in enumerate(addresses, 1):
            config, count = re.subn(rf"\bserver node{number}:8080\b", f"server {address}", config)
            assert count == 1
        config, count = re.subn(r"^    listen 80;$", f"    listen 127.0.0.1:{port};", config, flags=re.MULTILINE)
        assert count == 1
        # Folders that only a service of the system's may use.
        paths = "".join(f"  {name}_temp_path {folder / name};\n"
                        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = config.replace("http {\n", f"http {{\n{paths}")
        (folder / "nginx.conf").write_text(config)
        with open(self.log, "a") as log, open(self.errors, "a") as errors:
            self._nginx = subprocess.Popen(
                [shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g",
                 f"daemon off; pid {folder / 'pid'};"], stdin=subprocess.DEVNULL, stdout=log, stderr=errors)
        deadline = time.monotonic() + process.PATIENCE
        while True:
            assert self._nginx.poll() is None and time.monotonic() < deadline, self.errors.read_text()
            try:
                socket.create_connection(self.address).close()
                return
            except OSError:
                continue

    def end(self) -> None:
        self._nginx.terminate()
        self._nginx.wait(process.PATIENCE)

    def answered_by(self) -> set[str]:
        """The nodes that have answered requests so far."""
        return set(re.findall(r"(127\.0\.0\.1:\d+)$", self.log.read_text(), re.MULTILINE))


@pytest.fixture
def nodes(database: str, nats: Service, start_node: StartNode) -> list[Server]:
    options = {"demo": 6, "extra": ["--trusted-proxy", "127.0.0.1"]}
    return [start_node(database, nats.url, **options) for _ in range(2)]


@pytest.fixture
def proxy(nodes: list[Server], tmp_path: Path) -> Iterator[Proxy]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    # Workers that are not root's must reach it.
    for path in (tmp_path, folder):
        path.chmod(0o755)
    running = Proxy(nodes, folder)
    yield running
    running.end()


def converse(room: Room) -> None:
    """Typing, messages and events both ways, on four connections that nginx deals out as it likes."""
    with room.advisor_listens() as advisor, room.client_listens() as client:
        client.typing(True)
        advisor.expect(CLIENT_TYPES)
        client.typing(False)
        advisor.expect(SILENT)
        asked = room.client_says("Is breakfast included?")
        assert advisor.next()["message"] == asked
        assert client.next()["message"] == asked
        answered = room.advisor_says("It is.")
        assert client.next()["message"] == answered
        assert advisor.next()["message"] == answered


def test_requests_and_sockets_pass_whichever_node_they_reach(nodes: list[Server], proxy: Proxy):
    lab = Lab(proxy)
    for _ in range(3):
        converse(lab.room())
    assert proxy.answered_by() == {node.authority for node in nodes}


def test_a_page_may_write_from_the_address_that_the_browser_shows(proxy: Proxy):
    room = Lab(proxy).room()
    content = {"content": "from a page"}
    room.advisor.post(f"{room.path}/messages", content, headers={"Origin": proxy.url}).ok(201)
    room.advisor.post(f"{room.path}/messages", content, headers={"Origin": "http://other.example"}).error(403)


def test_a_node_that_dies_costs_its_sockets_a_reconnect_and_nobody_a_message(nodes: list[Server], proxy: Proxy):
    room = Lab(proxy).room()
    before = room.client_says("before")
    # Each node gets one.
    sockets = [room.client_listens() for _ in range(2)]
    nodes[0].kill()
    # As a client does: it repeats what got no answer, under the same name.
    draft = {"content": "after", "clientMessageId": fresh_id()}
    while (answer := room.client.post(f"{room.path}/messages/client", draft)).status == 502:
        pass
    after = answer.ok(201)
    resumed = 0
    for listening in sockets:
        with listening:
            heard = listening.next_or_close()
        if isinstance(heard, int):
            resumed += 1
            with room.client_socket(since=before["rev"]) as again:
                heard = again.until(lambda event: event["type"] == "new_message")[-1]
        assert heard["message"] == after
    assert resumed == 1
    converse(room)


def test_limits_by_address_count_clients_and_not_the_proxy(database: str, start_node: StartNode, tmp_path: Path):
    node = start_node(database, demo=2, rate_limits=None, extra=["--trusted-proxy", "127.0.0.1"])
    proxy = Proxy([node], tmp_path)
    try:
        client = Lab(proxy).room().client
        here, elsewhere = "127.99.0.1", "127.99.0.2"
        assert [client.ask_token(source=here).status for _ in range(10)] == [200] * 10
        client.ask_token(source=here).error(429, "rate_limited")
        client.ask_token(source=here, headers={"X-Forwarded-For": "203.0.113.1"}).error(429, "rate_limited")
        assert client.ask_token(source=elsewhere).status == 200
    finally:
        proxy.end()


def test_a_client_within_a_trusted_network_does_not_choose_its_address(database: str, start_node: StartNode, tmp_path: Path):
    # As if compose's whole network were trusted, and the client in it.
    node = start_node(database, demo=2, rate_limits=None, extra=["--trusted-proxy", "127.0.0.0/8"])
    proxy = Proxy([node], tmp_path)
    try:
        client = Lab(proxy).room().client

        def ask(number: int) -> int:
            return client.ask_token(source="127.99.0.1", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status

        assert [ask(number) for number in range(11)] == [200] * 10 + [429]
    finally:
        proxy.end()


def test_what_is_for_operators_is_not_for_the_world(proxy: Proxy):
    for path in ("/metrics", "/readyz"):
        assert request(proxy.address, "GET", path).status == 404
    assert request(proxy.address, "GET", "/livez").status == 200


def test_too_large_a_request_is_refused_in_the_servers_own_words(proxy: Proxy):
    room = Lab(proxy).room()
    room.advisor.post(f"{room.path}/messages", {"content": "x" * 170_000}).error(413)


def test_no_token_is_in_the_proxys_logs(nodes: list[Server], proxy: Proxy):
    room = Lab(proxy).room()
    room.client.ask_token()
    request(proxy.address, "GET", f"/api/trip-view/{room.client.trip_id}",
            query={"token": room.client.share_token}, headers={"Referer": f"{proxy.url}/trip/x?token=the-referrers"})
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id, "chatToken": room.client.token}
    with Socket.open(proxy.address, "/ws/chat", query) as by_query:
        by_query.expect(SILENT)
    for node in nodes:
        node.kill()
    # Nor when there is something to complain about.
    assert request(proxy.address, "GET", "/api/chat-token", query={"shareToken": room.client.share_token}).status == 502
    text = proxy.log.read_text() + proxy.errors.read_text()
    assert "/api/chat-token" in text
    for secret in (room.client.share_token, room.client.token, "the-referrers"):
        assert secret not in text
