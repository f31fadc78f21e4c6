"""Databases of earlier versions, brought up to date by today's server: nothing of them is lost, and they go on.

Each folder of databases/ holds what a server of that schema version left, made by `make_database`.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest

from lab import process
from lab.past import ask_everything, history, sign_in
from lab.sockets import Socket
from lab.web import Answer, request

pytestmark = [pytest.mark.own_server, pytest.mark.alone, pytest.mark.reference, pytest.mark.one_server, pytest.mark.unsanitized]

DATABASES = Path(__file__).resolve().parent / "databases"
POSTGRES = process.REPOSITORY / "tests/support/postgres"
KEPT = [(folder.name, kind) for folder in sorted(DATABASES.iterdir()) for kind in ("sqlite", "postgresql")]


@dataclass
class Past:
    """A database of the past under today's server, and what was answered about it then."""
    server: process.Server
    options: process.Options
    answers: dict[str, Any]
    cookies: dict[str, str]

    @property
    def trips(self) -> list[dict[str, Any]]:
        return self.answers["trips"]

    def restart(self) -> None:
        assert self.server.stop() == 0, self.server.logs[-4000:]
        self.server = process.start(self.options, self.server.data_dir, self.server.log_file)

    def ask(self, trip: dict[str, Any], method: str, rest: str, **options: Any) -> Answer:
        """As the trip's advisor, about its conversation."""
        return request(self.server.address, method, f"/api/conversations/{trip['conversationId']}{rest}",
                       headers={"Cookie": self.cookies[trip["advisor"]]}, **options)

    def row(self, trip: dict[str, Any]) -> dict[str, Any]:
        rows = request(self.server.address, "GET", "/api/conversations",
                       headers={"Cookie": self.cookies[trip["advisor"]]}).ok()
        return next(row for row in rows if row["id"] == trip["conversationId"])


def unpack(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


def restore_file(folder: Path, data: Path) -> list[str]:
    (data / "travelchat.db").write_bytes(unpack(folder / "sqlite.db.gz"))
    # They would have expired by now.
    with sqlite3.connect(data / "travelchat.db") as database:
        database.execute("UPDATE travelchat_tokens SET expires_at = 32503680000000")
    database.close()
    return []


def psql(url: str, script: bytes) -> None:
    subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url], input=script, stdout=subprocess.DEVNULL, check=True)


def restore_dump(folder: Path, postgres: Path) -> list[str]:
    # The superuser's, as the dump's owner was: the first versions asked for one.
    name = f"past_{uuid4().hex}"
    url = (postgres / "admin-url").read_text().strip()
    psql(url, f'CREATE DATABASE "{name}"'.encode())
    url = urlunsplit(urlsplit(url)._replace(path="/" + name))
    psql(url, unpack(folder / "postgresql.sql.gz"))
    psql(url, b"UPDATE public.client_chat_tokens SET expires_at = '3000-01-01'")
    return ["--storage", url]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="travelchat-past-postgres-") as name:
        subprocess.run([POSTGRES, "start", name], check=True, stdout=subprocess.DEVNULL)
        try:
            yield Path(name)
        finally:
            subprocess.run([POSTGRES, "stop", name, "--immediate"], check=True)


@pytest.fixture(scope="module", params=KEPT, ids="-".join)
def past(request: pytest.FixtureRequest) -> Iterator[Past]:
    version, kind = request.param
    folder = DATABASES / version
    with tempfile.TemporaryDirectory(prefix="travelchat-past-") as name:
        extra = (restore_file(folder, Path(name)) if kind == "sqlite" else
                 restore_dump(folder, request.getfixturevalue("postgres")))
        options = process.Options(demo=None, extra=extra)
        answers = json.loads(unpack(folder / f"{kind}.json.gz"))
        running = Past(process.start(options, Path(name)), options, answers, {})
        try:
            running.cookies = {email: sign_in(running.server, email) for email in answers["lists"]}
            yield running
            assert running.server.stop() == 0, running.server.logs[-4000:]
        finally:
            running.server.discard()
            os.unlink(running.server.log_file)


def only_known(now: Any, then: Any) -> Any:
    """Today's answer without the members that it did not have then."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {name: only_known(now[name], value) for name, value in then.items() if name in now}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [only_known(a, b) for a, b in zip(now, then)]
    return now


def test_what_was_there_is_answered_as_before(past: Past):
    then = {name: value for name, value in past.answers.items() if name != "trips"}
    assert sum(len(messages) for messages in then["histories"].values()) == 1_000
    now = ask_everything(past.server, past.trips)
    for name in then:
        assert only_known(now[name], then[name]) == then[name]
    past.restart()
    assert ask_everything(past.server, past.trips) == now


def test_a_token_of_then_lets_its_client_in(past: Past):
    for trip in past.trips:
        page = request(past.server.address, "GET", f"/api/conversations/{trip['conversationId']}/messages",
                       query={"limit": 1}, headers={"Authorization": f"Bearer {trip['chatToken']}"})
        expected = past.answers["histories"][trip["conversationId"]][-1:]
        assert [message["id"] for message in page.ok()] == [message["id"] for message in expected]


def test_a_write_of_then_that_is_tried_again_is_known(past: Past):
    for trip in past.trips:
        if "retried" not in trip:
            continue
        retried = trip["retried"]
        rev = past.row(trip)["rev"]
        if retried["byClient"]:
            body = {**retried["body"], "chatToken": trip["chatToken"]}
            again = past.ask(trip, "POST", "/messages/client", json=body)
        else:
            again = past.ask(trip, "POST", "/messages", json=retried["body"])
        assert (again.ok(200)["id"], past.row(trip)["rev"]) == (retried["message"], rev)


def test_a_socket_with_a_revision_of_then_is_caught_up(past: Past):
    trip = past.trips[0]
    rev = past.row(trip)["rev"]
    since = rev - 50
    cookie = past.cookies[trip["advisor"]]
    advisor = request(past.server.address, "GET", "/api/me", headers={"Cookie": cookie}).ok()
    query = {"conversationId": trip["conversationId"], "userType": "advisor", "userId": advisor["id"], "since": since}
    with Socket.open(past.server.address, "/ws/chat", query, cookie=cookie) as socket:
        assert socket.next()["type"] == "typing"
        heard = []
        while (event := socket.next())["type"] != "caught_up":
            heard.append(event["rev"])
        assert event["rev"] == rev
        assert heard == list(range(since + 1, rev + 1))


def test_what_comes_next_follows(past: Past):
    for trip in past.trips:
        before = past.row(trip)
        last = past.answers["histories"][trip["conversationId"]][-1:]
        sent = past.ask(trip, "POST", "/messages", json={"content": "after the upgrade"}).ok(201)
        assert (sent["seq"], sent["rev"]) == ((last[0]["seq"] if last else 0) + 1, before["rev"] + 1)
        said = past.ask(trip, "POST", "/messages/client", json={"content": "and I", "chatToken": trip["chatToken"]}).ok(201)
        assert (said["seq"], said["rev"]) == (sent["seq"] + 1, sent["rev"] + 1)
        assert past.row(trip)["unreadCount"] == before["unreadCount"] + 1
        if last:
            past.ask(trip, "POST", f"/messages/{last[0]['id']}/reactions", json={"emoji": "👍"}).ok()
        past.ask(trip, "POST", "/read").ok()
        row = past.row(trip)
        assert row["unreadCount"] == 0
        everything = history(past.server, past.cookies[trip["advisor"]], trip["conversationId"])
        assert [message["seq"] for message in everything] == list(range(1, said["seq"] + 1))
        assert all(message["isRead"] for message in everything if message["senderType"] == "client")
