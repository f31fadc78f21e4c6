"""Rate limits, as a server has them when nobody says otherwise."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from lab import process, web
from lab.people import ADVISOR_TYPES, SILENT, Advisor, Client, Lab, Room
from lab.raw import RawSocket, Wire
from lab.sockets import Socket
from lab.web import request

pytestmark = [pytest.mark.own_server, pytest.mark.one_server]


@pytest.fixture(scope="module")
def server() -> Iterator[process.Server]:
    running = process.start(process.Options(rate_limits=None))
    try:
        yield running
        assert running.stop() == 0, running.logs[-4000:]
    finally:
        running.discard()
        process.remove_data(running)


@pytest.fixture(scope="module")
def lab(server: process.Server) -> Iterator[Lab]:
    # Chat tokens are limited by address, and every room takes one: each is asked for from an address of its own.
    addresses = (f"127.0.{1 + i // 250}.{1 + i % 250}" for i in range(10_000))
    ask = Client.ask_token
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "ask_token", lambda self, **options: ask(self, **{"source": next(addresses), **options}))
        yield Lab(server)


def sends_until_limited(person: Advisor | Client, path: str, **fields: str) -> tuple[int, dict]:
    """How many messages were taken before the first that was not, and that answer."""
    for count in range(100):
        answer = person.post(path, {"content": f"message {count}", **fields})
        if answer.status != 201:
            return count, answer.error(429, "rate_limited")
    raise AssertionError("a hundred messages were taken")


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.parametrize("sender", ["advisor", "client"])
def test_a_person_may_send_twenty_messages_in_ten_seconds(lab: Lab, sender: str):
    room, other = lab.two_rooms()
    person, path = ((room.advisor, f"{room.path}/messages") if sender == "advisor"
                    else (room.client, f"{room.path}/messages/client"))
    with room.advisor_listens(room.colleague) as witness:
        seq = room.last_seq()
        count, _ = sends_until_limited(person, path)
        # A bucket that refills while it is emptied may let one more pass.
        assert 20 <= count <= 21
        for _ in range(count):
            assert witness.next()["type"] == "new_message"
        assert room.last_seq() == seq + count
        # The others are not limited by it.
        message = room.advisor_says("from the colleague", advisor=room.colleague)
        assert witness.next()["message"] == message
        other.client_says("from another client")


def test_typing_beyond_four_frames_a_second_is_not_told(lab: Lab):
    room = lab.room()
    with room.advisor_listens() as advisor, room.client_listens() as client:
        for i in range(6):
            advisor.typing(i % 2 == 0)
        for expected in (ADVISOR_TYPES, SILENT, ADVISOR_TYPES, SILENT):
            client.expect(expected)
        # The fifth and sixth were dropped, and the socket is still open.
        message = room.client_says("hello")
        assert client.next()["message"] == message


def test_a_stop_that_was_one_frame_too_many_counts_when_the_second_is_over(lab: Lab):
    room = lab.room()
    with room.advisor_listens() as advisor, room.client_listens() as client:
        started = time.monotonic()
        for is_typing in (True, True, True, True, False):
            advisor.typing(is_typing)
        # Nobody is left typing until it expires only because the frame that ended it was dropped.
        client.expect(ADVISOR_TYPES)
        client.expect(SILENT)
        assert time.monotonic() - started < 5


@pytest.mark.host
def test_a_socket_that_goes_on_typing_too_fast_is_closed_with_4429(lab: Lab):
    room = lab.room()
    with room.advisor_listens() as advisor, room.client_listens() as client:
        for i in range(400):
            try:
                advisor.typing(i % 2 == 0)
            except ConnectionClosed:  # what is asked for
                break
        assert advisor.drain()[1] == 4429
        client.typing(True)
        message = room.client_says("unharmed")
        assert client.until(lambda event: event["type"] == "new_message")[-1]["message"] == message


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_person_may_have_five_sockets_in_a_conversation(lab: Lab, side: str):
    room, other = lab.two_rooms()

    def opens(where: Room) -> Socket:
        return where.advisor_socket() if side == "advisor" else where.client_socket()

    sockets = [opens(room) for _ in range(5)]
    for socket in sockets:
        socket.expect(SILENT)
    with opens(room) as sixth:
        assert sixth.close_code() == 4429
    # Another person, or another conversation, has five of its own.
    with room.advisor_listens(room.colleague), opens(other) as elsewhere:
        elsewhere.expect(SILENT)
    # A closed one makes room, as soon as the server has taken notice.
    sockets.pop().close()
    deadline = time.monotonic() + process.PATIENCE
    while True:
        with opens(room) as again:
            if (first := again.next_or_close()) != 4429:
                assert first == SILENT
                break
        assert time.monotonic() < deadline, "the closed socket still counts"
    for socket in sockets:
        socket.close()


def taken_until_limited(act: Callable[[], web.Answer], most: int) -> int:
    """How often it was done before it was refused."""
    for count in range(most + 1):
        answer = act()
        if answer.status != 200:
            answer.error(429, "rate_limited")
            assert int(answer.headers["retry-after"]) >= 1
            return count
    raise AssertionError(f"done {most} times")


@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_person_may_set_and_remove_thirty_reactions_in_ten_seconds(lab: Lab, side: str):
    room = lab.room(keep=True)
    message = room.client_says("to react to")
    person, path = ((room.advisor, room.reactions_path(message)) if side == "advisor"
                    else (room.client, f"{room.reactions_path(message)}/client"))
    steps = itertools.cycle((lambda: person.post(path, {"emoji": "👍"}), lambda: person.delete(path)))
    with room.advisor_listens(room.colleague) as witness:
        count = taken_until_limited(lambda: next(steps)(), 300)
        assert 30 <= count <= 33
        # Nothing of what was refused is there or was told.
        for _ in range(count):
            assert witness.next()["type"] == "reaction_update"
        marker = room.client_says("from somebody else's limit")
        assert witness.next()["message"] == marker
        assert marker["rev"] == message["rev"] + count + 1
        room.colleague.post(room.reactions_path(message), {"emoji": "👍"}).ok()


@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_person_may_mark_sixty_times_in_ten_seconds(lab: Lab, side: str):
    room = lab.room(keep=True)
    person, path = ((room.colleague, f"{room.path}/read") if side == "advisor"
                    else (room.client, f"{room.path}/read/client"))
    assert 60 <= taken_until_limited(lambda: person.post(path), 300) <= 66


def test_seen_frames_beyond_sixty_become_one_that_still_takes_effect(lab: Lab):
    room = lab.room(keep=True)
    with room.client_listens() as client:
        for _ in range(200):
            client.seen()
        message = room.advisor_says("after all of them", advisor=room.colleague)
        client.until(lambda event: event["type"] == "new_message")
        for _ in range(200):
            client.seen()
        # In the end it is seen: when the limit allows it, or when the client goes.
        client.until(lambda event: event["type"] == "seen")
        assert room.message(message["id"])["seenAt"] is not None


@pytest.mark.alone
@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_person_may_ask_for_a_hundred_pages_and_lists_in_ten_seconds(lab: Lab, side: str):
    # An organization's advisor who asks for nothing else here.
    room = lab.room(keep=True)
    path = f"{room.path}/messages?limit=1"
    if side == "client":
        count = taken_until_limited(lambda: room.client.get(path), 1_000)
    else:
        person = lab.advisors_of(room.client.org_id)[-1]
        paths = itertools.cycle((path, "/api/conversations", "/api/messages/unread-count"))
        count = taken_until_limited(lambda: person.get(next(paths)), 1_000)
    assert 100 <= count <= 130  # more when the asking took longer than the window's first seconds


@pytest.mark.nodes
@pytest.mark.host
def test_an_address_that_guesses_tokens_has_to_wait_and_others_do_not(lab: Lab):
    room = lab.room(keep=True)
    guesser, neighbour = "127.97.0.1", "127.97.0.2"

    def ask(token: str, source: str) -> web.Answer:
        return room.client.request("GET", f"{room.path}/messages", headers={"Authorization": f"Bearer {token}"},
                                   source=source)

    statuses = [ask(f"{number:064x}", guesser).status for number in range(31)]
    assert statuses == [401] * 30 + [429]
    refused = ask(f"{99:064x}", guesser)
    refused.error(429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert ask(f"{99:064x}", neighbour).status == 401
    # Behind the same router somebody uses a good one.
    assert ask(room.client.token, neighbour).status == 200
    assert ask(room.client.token, guesser).status == 200


@pytest.mark.nodes
@pytest.mark.host
def test_an_address_may_ask_for_ten_chat_tokens_a_minute(lab: Lab):
    client = lab.room().client
    here, elsewhere = "127.99.0.1", "127.99.0.2"
    answers = [client.ask_token(source=here).status for _ in range(10)]
    assert answers == [200] * 10
    client.ask_token(source=here).error(429, "rate_limited")
    assert client.ask_token(source=elsewhere).status == 200


@pytest.mark.host
def test_behind_a_proxy_it_is_the_address_that_the_proxy_names(launch: Callable[..., process.Server]):
    client = Lab(launch(rate_limits=None, extra=["--trusted-proxy", "127.99.0.0/24"])).room().client

    def answers(forwarded_for: str, source: str) -> list[int]:
        return [client.ask_token(source=source, headers={"X-Forwarded-For": forwarded_for}).status for _ in range(10)]

    proxy = "127.99.0.1"
    assert answers("203.0.113.1", proxy) == [200] * 10
    # What the client itself wrote stands before it.
    client.ask_token(source=proxy, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.1"}).error(429, "rate_limited")
    # Another client of the same proxy, and of another one.
    assert answers("203.0.113.2", proxy) == [200] * 10
    client.ask_token(source="127.99.0.2", headers={"X-Forwarded-For": "203.0.113.2"}).error(429, "rate_limited")
    # Who is no proxy of ours cannot claim to be somebody else.
    stranger = "127.98.0.1"
    assert answers("203.0.113.3", stranger) == [200] * 10
    client.ask_token(source=stranger, headers={"X-Forwarded-For": "203.0.113.4"}).error(429, "rate_limited")


@pytest.mark.host
def test_a_port_behind_the_address_that_a_proxy_names_is_no_part_of_it(launch: Callable[..., process.Server]):
    client = Lab(launch(rate_limits=None, extra=["--trusted-proxy", "127.99.0.1"])).room().client

    def status(forwarded_for: str) -> int:
        return client.ask_token(source="127.99.0.1", headers={"X-Forwarded-For": forwarded_for}).status

    assert [status(f"198.18.20.{i}:{50_000 + i}") for i in range(12)] == [200] * 12
    assert [status(f"198.18.21.1:{51_000 + i}") for i in range(11)] == [200] * 10 + [429]
    assert status("198.18.21.1") == 429
    # The same address in its IPv6 form.
    assert status("::ffff:198.18.21.1") == status("[::ffff:198.18.21.1]:443") == 429
    # Whoever has an IPv6 address has its /64, wherever its text has a gap.
    assert [status(f"[2a01:4f8::{i:x}]:443") for i in range(1, 12)] == [200] * 10 + [429]
    assert status("2a01:4f8:0:0:ffff::1") == 429
    assert status("2a01:4f8:0:1::1") == 200


@pytest.mark.host
@pytest.mark.alone
@pytest.mark.parser
@pytest.mark.parametrize("side", ["advisor", "client", "inbox"])
def test_sockets_that_are_silent_keep_no_living_one_out(lab: Lab, side: str):
    room = lab.room()
    who = {"advisor": room.advisor, "client": room.client, "inbox": room.advisor}[side]
    query = {} if side == "inbox" else {"conversationId": room.id, "userType": side, "userId": who.id}
    headers = {} if side == "client" else {"Cookie": room.advisor.cookie}
    if side == "client":
        query["chatToken"] = room.client.token
    path = "/ws/inbox" if side == "inbox" else "/ws/chat"

    def opens() -> Socket:
        return (room.advisor.inbox() if side == "inbox" else
                room.advisor_socket() if side == "advisor" else room.client_socket())

    # What a lost network leaves behind: they answer nothing, and nobody has closed them.
    with contextlib.ExitStack() as stack:
        dead = [stack.enter_context(RawSocket(room.server.address, path, query, headers=headers)) for _ in range(5)]
        living = [stack.enter_context(opens()) for _ in range(5)]
        for socket in living:
            if side != "inbox":
                socket.expect(SILENT)
        message = room.client_says("still here")
        for socket in living:
            event = socket.next()
            assert event.get("message", event.get("conversation", {}).get("lastMessage", message))["id"] == message["id"]
        # Those that made room were told, had they listened.
        assert [socket.close_code() for socket in dead] == [4429] * 5
        # Five living ones keep a sixth out.
        with opens() as sixth:
            assert sixth.drain()[1] == 4429


@pytest.mark.reference
@pytest.mark.alone
def test_an_address_may_have_only_so_many_connections(launch: Callable[..., process.Server]):
    server = launch(rate_limits=None,
                    extra=["--max-connections-per-address", "3", "--trusted-proxy", "127.77.0.9"])

    def is_served(wire: Wire) -> bool:
        wire.send_until_refused(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return wire.answer().status == 200
        except (EOFError, ConnectionResetError):
            return False

    with contextlib.ExitStack() as stack:
        def connects(source: str) -> Wire:
            return stack.enter_context(Wire(server.address, source=source))

        here = [connects("127.77.0.1") for _ in range(3)]
        assert all(is_served(wire) for wire in here)
        assert not is_served(connects("127.77.0.1"))
        # Somebody else, and a proxy, whose connections are those of many.
        assert is_served(connects("127.77.0.2"))
        assert all(is_served(connects("127.77.0.9")) for _ in range(6))
        # One that goes makes room, once the server has taken notice.
        here[0].socket.close()
        deadline = time.monotonic() + process.PATIENCE
        while not is_served(connects("127.77.0.1")):
            assert time.monotonic() < deadline
    metrics = request(server.address, "GET", "/metrics", source="127.77.0.3").body.decode()
    turned_away = next(line for line in metrics.splitlines() if line.startswith("travelchat_turned_away_connections"))
    assert int(turned_away.split()[1]) >= 1


@pytest.mark.reference
@pytest.mark.alone
@pytest.mark.parametrize("says", [b"", b"GET /livez HTTP/1.1\r\n"], ids=["nothing", "half a request"])
def test_connections_without_a_request_keep_nobody_waiting(launch: Callable[..., process.Server], says: bytes):
    server = launch(extra=["--max-connections", "50", "--header-timeout", "600"])
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(Wire(server.address)) for _ in range(55)]
        for wire in idle:
            wire.send_until_refused(says)
        for _ in range(20):
            # Well before the minute after which idle connections are closed.
            assert request(server.address, "GET", "/livez").status == 200
        # The last that came is the last to go.
        idle[-1].send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" if not says else b"Host: x\r\n\r\n")
        assert idle[-1].answer().status == 200
        assert idle[0].at_end()
