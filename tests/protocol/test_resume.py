"""Resume: what changed after `since`, in order, then live; no gap, nothing twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.people import ADVISOR_TYPES, FAR_REV, SILENT, Room

pytestmark = pytest.mark.nodes


def caught_up(room: Room, rev: int) -> dict:
    return {"type": "caught_up", "rev": rev, "epoch": room.epoch}


def resync(room: Room, rev: int) -> dict:
    return {"type": "resync", "rev": rev, "epoch": room.epoch}


@pytest.mark.host
@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_socket_that_missed_nothing_is_caught_up_at_once(room: Room, side: str):
    rev = room.rev
    opens = room.advisor_socket if side == "advisor" else room.client_socket
    with opens(since=rev) as socket:
        socket.expect(SILENT)
        socket.expect(caught_up(room, rev))
        room.hears_nothing_more(socket)


def test_without_since_nothing_is_replayed(room: Room):
    room.client_says("before")
    with room.client_socket() as socket:
        socket.expect(SILENT)
        room.hears_nothing_more(socket)


@pytest.mark.host
def test_every_kind_of_change_is_replayed_in_order_as_the_same_event(room: Room):
    room.client.post(f"{room.path}/read/client").ok()
    room.advisor.post(f"{room.path}/read").ok()
    rev = room.rev
    with room.client_listens() as live:
        one = room.client_says("one")
        two = room.advisor_says("two")
        room.advisor.post(room.reactions_path(one), {"emoji": "👍"}).ok()
        room.client.post(f"{room.path}/read/client").ok()
        room.advisor.post(f"{room.path}/read").ok()
        room.advisor.delete(room.reactions_path(one)).ok()
        three = room.client_says("three")
        events = [live.next() for _ in range(7)]
    kinds = ["new_message", "new_message", "reaction_update", "seen", "read", "reaction_update", "new_message"]
    assert [event["type"] for event in events] == kinds
    assert [event["rev"] for event in events] == list(range(rev + 1, rev + 8))

    with room.client_socket(since=rev) as socket:
        socket.expect(SILENT)
        replayed = [socket.next() for _ in range(7)]
        socket.expect(caught_up(room, rev + 7))
    assert [(event["type"], event["rev"]) for event in replayed] == [(event["type"], event["rev"]) for event in events]
    # A message stands in a replay as it is now; that it was seen since then is not told a second time in vain.
    stored = {message["id"]: message for message in room.page(limit=3)}
    assert [event["message"] for event in replayed if event["type"] == "new_message"] == [
        stored[message["id"]] for message in (one, two, three)]
    assert replayed[3] == events[3]
    assert replayed[4] == events[4]
    assert all(event["reactions"] == [] for event in replayed if event["type"] == "reaction_update")


def test_a_replay_starts_exactly_after_since(room: Room):
    messages = [room.client_says(f"message {i}") for i in range(5)]
    with room.advisor_socket(since=messages[2]["rev"]) as socket:
        socket.expect(SILENT)
        assert socket.next()["message"] == messages[3]
        assert socket.next()["message"] == messages[4]
        socket.expect(caught_up(room, messages[4]["rev"]))


def test_the_typing_state_comes_before_the_replay(room: Room):
    rev = room.rev
    message = room.client_says("missed")
    with room.advisor_listens() as advisor, room.client_listens() as witness:
        advisor.typing(True)
        witness.expect(ADVISOR_TYPES)
        with room.client_socket(since=rev) as socket:
            socket.expect(ADVISOR_TYPES)
            assert socket.next()["message"] == message
            socket.expect(caught_up(room, message["rev"]))


def test_live_events_follow_the_replay(room: Room):
    rev = room.rev
    missed = room.client_says("missed")
    with room.client_socket(since=rev) as socket:
        socket.expect(SILENT)
        assert socket.next()["message"] == missed
        socket.expect(caught_up(room, missed["rev"]))
        live = room.advisor_says("live")
        socket.expect({"type": "new_message", "message": live, "rev": live["rev"]})


@pytest.mark.host
def test_exactly_a_thousand_changes_are_replayed(long_room: Room):
    rev = long_room.rev
    with long_room.client_socket(since=rev - 1_000) as socket:
        socket.expect(SILENT)
        events = socket.until(lambda event: event["type"] == "caught_up")
    assert [event["rev"] for event in events] == [*range(rev - 999, rev + 1), rev]


def test_more_than_a_thousand_changes_behind_is_a_resync(long_room: Room):
    rev = long_room.rev
    for since in (rev - 1_001, 0):
        with long_room.client_socket(since=since) as socket:
            socket.expect(SILENT)
            socket.expect(resync(long_room, rev))
            marker = long_room.hears_nothing_more(socket)
        rev = marker["rev"]


@pytest.mark.parametrize("ahead", [1, 1_000_000, FAR_REV, 2**63, 2**64 - 1])
def test_a_since_beyond_the_conversations_rev_is_a_resync(room: Room, ahead: int):
    rev = room.rev
    since = rev + ahead if ahead < FAR_REV else ahead
    with room.client_socket(since=since) as socket:
        socket.expect(SILENT)
        socket.expect(resync(room, rev))
        room.hears_nothing_more(socket)


@pytest.mark.host
@pytest.mark.concurrent
def test_while_others_write_a_resuming_reader_misses_nothing_and_hears_nothing_twice(room: Room):
    start = room.rev
    total = 300
    written = threading.Event()

    def write() -> None:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda i: (room.client_says if i % 2 else room.advisor_says)(f"message {i}"), range(total)))
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    revs: list[int] = []
    cuts = 0
    while not revs or revs[-1] < start + total:
        since = revs[-1] if revs else start
        with room.client_socket(since=since) as socket:
            socket.expect(SILENT)
            live = 0
            # Cut anew after a few live events each time, so that most openings fall into the middle of the writing.
            while live < 5 and (not revs or revs[-1] < start + total):
                event = socket.next()
                if event["type"] == "caught_up":
                    assert event["rev"] == (revs[-1] if revs else start)
                    live = 1
                    continue
                assert event["type"] == "new_message"
                revs.append(event["rev"])
                live += 1 if live else 0
            socket.cut()
            cuts += 1
    writer.join()
    assert written.is_set(), "a writer was refused"
    assert revs == list(range(start + 1, start + total + 1))
    assert cuts > 10
