"""/ws/inbox: one socket that keeps an advisor's whole list current."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.people import CONVERSATION_ROW, Lab, Room
from lab.sockets import Socket

pytestmark = pytest.mark.nodes


def update(inbox: Socket) -> dict:
    event = inbox.next()
    assert event["type"] == "conversation_update", event
    assert set(event) == {"type", "conversation"}
    assert set(event["conversation"]) == CONVERSATION_ROW
    return event["conversation"]


@pytest.mark.host
@pytest.mark.parametrize("sender", ["advisor", "client"])
def test_a_message_changes_its_row(room: Room, sender: str):
    unread = room.row()["unreadCount"]
    with room.advisor.inbox() as own, room.colleague.inbox() as inbox:
        message = (room.advisor_says if sender == "advisor" else room.client_says)("News")
        row = update(inbox)
        assert row == update(own)
        assert row == room.row()
        assert row["id"] == room.id
        assert row["lastMessage"]["id"] == message["id"]
        assert row["unreadCount"] == unread + (sender == "client")


@pytest.mark.host
def test_a_read_changes_its_row(room: Room):
    room.client_says("unread")
    with room.advisor.inbox() as inbox:
        room.colleague.post(f"{room.path}/read").ok()
        row = update(inbox)
        assert (row["id"], row["unreadCount"]) == (room.id, 0)
        assert row == room.row()


@pytest.mark.host
@pytest.mark.concurrent
def test_every_room_of_the_organization_is_in_one_inbox(lab: Lab):
    room, other = lab.two_rooms()
    with room.advisor.inbox() as inbox:
        first = room.client_says("here")
        second = other.client_says("there")
        assert update(inbox)["lastMessage"]["id"] == first["id"]
        assert update(inbox)["lastMessage"]["id"] == second["id"]


def test_another_organizations_rooms_are_not_in_it(room: Room):
    foreign = room.lab.foreign_room(room)
    with room.advisor.inbox() as inbox:
        foreign.client_says("not for you")
        foreign.advisor_says("nor this")
        message = room.client_says("for you")
        assert update(inbox)["lastMessage"]["id"] == message["id"]


@pytest.mark.concurrent
def test_the_last_update_of_a_busy_room_is_its_present_row(room: Room):
    with room.advisor.inbox() as inbox, ThreadPoolExecutor(8) as pool:
        rev = room.rev
        list(pool.map(lambda i: (room.client_says if i % 2 else room.advisor_says)(f"message {i}"), range(60)))
        rows = [update(inbox)]
        while rows[-1]["rev"] < rev + 60:
            rows.append(update(inbox))
        assert [row["rev"] for row in rows] == sorted({row["rev"] for row in rows})
        assert rows[-1] == room.row()


def test_typing_is_not_in_the_inbox(room: Room):
    with room.colleague.inbox() as inbox, room.advisor_listens() as advisor, room.client_listens() as client:
        advisor.typing(True)
        assert client.next()["advisorTyping"] is True
        message = room.client_says("after the typing")
        assert update(inbox)["lastMessage"]["id"] == message["id"]
