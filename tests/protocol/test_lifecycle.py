"""Start, probes, logs, restart and end: what an operator relies on."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import process
from lab.people import SILENT, Lab, Room, fresh_id
from lab.process import Server
from lab.raw import RawSocket, Wire
from lab.sockets import Socket
from lab.web import request

pytestmark = pytest.mark.one_server

Launch = Callable[..., Server]


# ---- Probes ----


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_probe_answers_200_to_anybody(server: Server, path: str):
    assert request(server.address, "GET", path).status == 200


def metric_values(server: Server) -> dict[str, float]:
    answer = request(server.address, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    values, typed = {}, set()
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split(" ")[2])
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^{}]*\})? ([0-9eE+.\-]+|NaN|[+-]Inf)', line)
        assert match, f"no Prometheus text: {line!r}"
        base = re.sub(r"_(bucket|sum|count)$", "", match[1])
        assert match[1] in typed or base in typed, f"no TYPE for {line!r}"
        values[match[1] + (match[2] or "")] = float(match[3])
    return values


@pytest.mark.host
@pytest.mark.alone
def test_metrics_are_prometheus_text_and_count_messages_and_sockets(room: Room):
    before = metric_values(room.server)
    with room.client_listens():
        for i in range(7):
            room.advisor_says(f"counted {i}")
        after = metric_values(room.server)
    messages = [name for name in before if "messages" in name and after[name] - before[name] == 7]
    assert messages, "no counter of messages went up by what was sent"
    sockets = [name for name in before if ("socket" in name or "subscriber" in name) and after[name] - before[name] == 1]
    assert sockets, "no gauge of sockets went up by the one that was opened"


@pytest.mark.host
def test_metrics_name_nobody(room: Room):
    room.client_says("hello")
    text = request(room.server.address, "GET", "/metrics").body.decode()
    for secret in (room.id, room.client.id, room.client.name, room.client.token, room.advisor.id):
        assert secret not in text


# ---- Logs ----


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.own_server
def test_no_credential_query_or_content_reaches_a_log(launch: Launch):
    server = launch(demo=4, extra=["--log-level", "debug"])
    lab = Lab(server)
    room = lab.room()
    content = f"between us {fresh_id()}"
    room.client_says(content)
    room.advisor.conversations(q="needle" + content)
    query_token = room.client.new_token()
    with (room.client_listens(),
          Socket.open(server.address, "/ws/chat",
                      {"conversationId": room.id, "userType": "client", "userId": room.client.id,
                       "chatToken": query_token}) as by_query):
        by_query.expect(SILENT)
    request(server.address, "GET", f"/api/trip-view/{room.client.trip_id}",
            query={"token": room.client.share_token}).ok()
    bad_token = "f" * 64
    request(server.address, "GET", f"{room.path}/messages", headers={"Authorization": f"Bearer {bad_token}"}).error(401)
    request(server.address, "POST", "/api/login", json={"email": room.advisor.email, "password": "wrong-pass-word"})
    assert server.stop() == 0
    logs = server.logs
    assert logs, "nothing was logged"
    for secret in (room.client.token, query_token, bad_token, room.client.share_token, content, "needle",
                   "wrong-pass-word", *(advisor.cookie.split("=", 1)[1] for advisor in lab.advisors)):
        assert secret not in logs
    for line in logs.splitlines():
        if line.startswith("{"):
            json.loads(line)
    assert any(line.startswith("{") for line in logs.splitlines()), "no JSON in the log"


# ---- One process for a folder ----


@pytest.mark.host
@pytest.mark.own_server
@pytest.mark.alone
def test_a_second_process_on_the_same_data_is_refused_and_the_first_goes_on(launch: Launch):
    first = launch(demo=4)
    room = Lab(first).room()
    with room.client_listens() as witness:
        with pytest.raises(process.StartFailed) as refusal:
            process.start(process.Options(demo=4), first.data_dir)
        assert refusal.value.returncode not in (0, None), "it did not end by itself"
        assert refusal.value.returncode > 0, "it was ended by a signal"
        assert "another process" in refusal.value.logs
        room.hears_nothing_more(witness)


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.own_server
def test_after_the_first_has_ended_another_takes_over_all_that_was_said(launch: Launch):
    first = launch(demo=4)
    room = Lab(first).room()
    message = room.client_says("before")
    room.advisor.post(room.reactions_path(message), {"emoji": "👍"}).ok()
    room.client.post(f"{room.path}/read/client").ok()
    rows, history = room.lab.snapshot(), room.history()
    assert first.stop() == 0
    second = launch(demo=4, data_dir=first.data_dir)
    for person in (*room.lab.advisors, room.client):
        person.server = second
    # The demo is loaded into an empty folder only, and sessions outlive the process.
    assert room.lab.snapshot() == rows
    assert room.history() == history


@pytest.mark.nodes
@pytest.mark.own_server
def test_a_repeat_after_a_restart_is_answered_with_the_first_message(launch: Launch):
    first = launch(demo=4)
    room = Lab(first).room()
    fields = {"content": "Once and for all", "clientMessageId": fresh_id()}
    message = room.client_says(**fields)
    assert first.stop() == 0
    room.client.server = launch(demo=4, data_dir=first.data_dir)
    assert room.client.post(f"{room.path}/messages/client", fields).ok(200) == message


# ---- The end ----


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.own_server
@pytest.mark.concurrent
def test_sigterm_closes_sockets_with_1012_and_ends_with_0_within_five_seconds(launch: Launch):
    server = launch(demo=8)
    lab = Lab(server)
    rooms = [lab.room() for _ in range(4)]
    sockets = [opens() for room in rooms for opens in (room.client_listens, room.advisor_listens)]
    sockets.append(rooms[0].advisor.inbox())
    idle = Wire(server.address)  # a connection on which nothing was asked must not hold the end up
    started = time.monotonic()
    server.terminate()
    assert [socket.close_code() for socket in sockets] == [1012] * len(sockets)
    assert server.wait() == 0
    assert time.monotonic() - started < 5
    idle.socket.close()


@pytest.mark.host
@pytest.mark.own_server
def test_sigterm_is_not_held_up_by_sockets_that_say_nothing(launch: Launch):
    server = launch(demo=4)
    room = Lab(server).room()
    query = {"conversationId": room.id, "userType": "client", "userId": room.client.id,
             "chatToken": room.client.token}
    # Neither reads, nor answers the close.
    with RawSocket(server.address, "/ws/chat", query) as silent:
        silent.next_text()
        started = time.monotonic()
        server.terminate()
        assert server.wait() == 0
        assert time.monotonic() - started < 5


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.own_server
@pytest.mark.concurrent
def test_sigterm_under_load_answers_what_was_accepted_and_loses_none_of_it(launch: Launch):
    server = launch(demo=8)
    lab = Lab(server)
    rooms = [lab.room() for _ in range(8)]
    sent: list[list[dict]] = [[] for _ in rooms]
    torn: list[str] = []

    def write(i: int) -> None:
        room = rooms[i]
        try:
            while True:
                answer = room.client.post(f"{room.path}/messages/client", {"content": f"message {len(sent[i])}"})
                if answer.status != 201:
                    # Refused by a server that ends: in words, as every refusal.
                    answer.error(503)
                    return
                sent[i].append(answer.json())
        except AssertionError as wrong:
            torn.append(str(wrong))
        except OSError:  # refused, or closed before an answer began
            pass
        except http.client.HTTPException as cut:  # an answer that broke off
            torn.append(repr(cut))

    with ThreadPoolExecutor(len(rooms)) as pool:
        writers = [pool.submit(write, i) for i in range(len(rooms))]
        with rooms[0].advisor_listens() as witness:
            # Everybody is at it.
            while min(len(messages) for messages in sent) < 20:
                assert witness.next()["type"] == "new_message"
                assert not any(writer.done() for writer in writers)
            started = time.monotonic()
            server.terminate()
            assert server.wait() == 0
            assert time.monotonic() - started < 5
            assert witness.drain()[1] == 1012
        for writer in writers:
            writer.result(process.PATIENCE)
    assert torn == []
    again = launch(demo=8, data_dir=server.data_dir)
    for person in (*lab.advisors, *(room.client for room in rooms)):
        person.server = again
    for room, messages in zip(rooms, sent, strict=True):
        history = {message["id"]: message for message in room.history()}
        assert [history.get(message["id"]) for message in messages] == messages


@pytest.mark.host
@pytest.mark.own_server
def test_a_pipelined_request_is_answered_before_the_end(launch: Launch):
    server = launch(demo=4)
    room = Lab(server).room()
    body = json.dumps({"content": "accepted", "chatToken": room.client.token})
    one = (f"POST {room.path}/messages/client HTTP/1.1\r\nHost: {server.authority}\r\n"
           f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()
    with Wire(server.address) as wire, room.advisor_listens() as witness:
        wire.send(one)
        # Accepted: it is heard. Its answer is on its way when the end is asked for.
        assert witness.next()["message"]["content"] == "accepted"
        server.terminate()
        assert wire.answer().ok(201)["content"] == "accepted"
        assert wire.at_end()
    assert server.wait() == 0


@pytest.mark.host
@pytest.mark.own_server
def test_sigint_ends_it_as_well(launch: Launch):
    server = launch(demo=4)
    server.send_signal(signal.SIGINT)
    assert server.wait() == 0


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.own_server
def test_after_kill_minus_9_everything_that_was_answered_is_there(launch: Launch):
    first = launch(demo=4)
    room = Lab(first).room()
    message = room.client_says("answered")
    first.kill()
    second = launch(demo=4, data_dir=first.data_dir)
    room.client.server = second
    assert room.client.get(f"{room.path}/messages", limit=1).ok() == [message]
