"""Rate limits, as a server has them when nobody says otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from lab import process
from lab.people import ADVISOR_TYPES, SILENT, Advisor, Client, Lab, Room
from lab.sockets import Socket

pytestmark = pytest.mark.own_server


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


def test_an_address_may_ask_for_ten_chat_tokens_a_minute(lab: Lab):
    client = lab.room().client
    here, elsewhere = "127.99.0.1", "127.99.0.2"
    answers = [client.ask_token(source=here).status for _ in range(10)]
    assert answers == [200] * 10
    client.ask_token(source=here).error(429, "rate_limited")
    assert client.ask_token(source=elsewhere).status == 200


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
