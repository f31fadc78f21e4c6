"""Receipts: the client has seen, an advisor has read. Each is stored, and told once."""

from __future__ import annotations

import re

import pytest

from lab.people import TIME, Room

pytestmark = pytest.mark.nodes


def quiet(room: Room) -> None:
    """Nothing unseen and nothing unread is left."""
    room.client.post(f"{room.path}/read/client").ok()
    room.advisor.post(f"{room.path}/read").ok()


def client_sees(room: Room, how: str) -> None:
    if how == "http":
        assert room.client.post(f"{room.path}/read/client").ok(200) == {"ok": True}
    else:
        with room.client_listens() as socket:
            socket.seen()
            # Its own sockets hear it as well: every `rev` is for all.
            socket.expect_type("seen")


def advisor_reads(room: Room, how: str) -> None:
    if how == "http":
        room.colleague.post(f"{room.path}/read").ok(200)
    else:
        with room.advisor_listens(room.colleague) as socket:
            socket.seen()
            socket.expect_type("read")


@pytest.mark.host
@pytest.mark.parametrize("how", ["http", "frame"])
def test_the_client_sees_the_advisors_messages(room: Room, how: str):
    quiet(room)
    own = room.client_says("mine")
    messages = [room.advisor_says("one"), room.advisor_says("two", advisor=room.colleague)]
    rev = messages[-1]["rev"]
    with room.advisor_listens() as advisor, room.client_listens() as second_tab:
        client_sees(room, how)
        event = advisor.expect_type("seen")
        assert set(event) == {"type", "seenAt", "rev"}
        assert re.fullmatch(TIME, event["seenAt"])
        assert event["rev"] == rev + 1
        second_tab.expect(event)
        for message in messages:
            stored = room.message(message["id"])
            assert stored["seenAt"] == event["seenAt"]
            assert stored == {**message, "seenAt": event["seenAt"], "rev": rev + 1}
        assert room.message(own["id"]) == own
        room.hears_nothing_more(advisor, second_tab)


@pytest.mark.host
@pytest.mark.parametrize("how", ["http", "frame"])
def test_an_advisor_reads_the_clients_messages(room: Room, how: str):
    quiet(room)
    own = room.advisor_says("mine")
    messages = [room.client_says("one"), room.client_says("two")]
    rev = messages[-1]["rev"]
    with room.advisor_listens() as advisor, room.client_listens() as client:
        advisor_reads(room, how)
        event = client.expect_type("read")
        assert set(event) == {"type", "readAt", "rev"}
        assert re.fullmatch(TIME, event["readAt"])
        assert event["rev"] == rev + 1
        advisor.expect(event)
        for message in messages:
            assert room.message(message["id"]) == {**message, "isRead": True, "rev": rev + 1}
        assert room.message(own["id"]) == own
        assert room.row()["unreadCount"] == 0
        room.hears_nothing_more(advisor, client)


def test_seen_again_changes_nothing(room: Room):
    quiet(room)
    room.advisor_says("once")
    room.client.post(f"{room.path}/read/client").ok()
    with room.untouched():
        assert room.client.post(f"{room.path}/read/client").ok(200) == {"ok": True}


def test_read_again_changes_nothing(room: Room):
    quiet(room)
    room.client_says("once")
    room.advisor.post(f"{room.path}/read").ok(200)
    with room.untouched():
        room.colleague.post(f"{room.path}/read").ok(200)


def test_a_seen_frame_with_nothing_unseen_changes_nothing(room: Room):
    quiet(room)
    rows = room.lab.snapshot()
    with room.client_listens() as client, room.advisor_listens() as advisor:
        client.seen()
        advisor.seen()
        # Frames of one socket are handled in order: once its typing is heard, its `seen` has been handled.
        client.typing(True)
        advisor.expect({"type": "typing", "advisorTyping": False, "clientTyping": True})
        client.typing(False)
        advisor.expect({"type": "typing", "advisorTyping": False, "clientTyping": False})
        assert room.lab.snapshot() == rows
        room.hears_nothing_more(advisor, client)


def test_seen_leaves_the_unread_count_alone(room: Room):
    quiet(room)
    room.client_says("unread")
    room.advisor_says("unseen")
    room.client.post(f"{room.path}/read/client").ok()
    assert room.row()["unreadCount"] == 1


def test_a_seen_message_keeps_the_time_of_the_first_seeing(room: Room):
    quiet(room)
    first = room.advisor_says("first")
    room.client.post(f"{room.path}/read/client").ok()
    seen_at = room.message(first["id"])["seenAt"]
    second = room.advisor_says("second")
    room.client.post(f"{room.path}/read/client").ok()
    assert room.message(first["id"])["seenAt"] == seen_at
    assert room.message(second["id"])["seenAt"] >= seen_at
