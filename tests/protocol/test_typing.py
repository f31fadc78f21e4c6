"""Typing: kept per connection, told as two booleans to all others, stored nowhere."""

from __future__ import annotations

import time

import pytest

from lab.people import ADVISOR_TYPES, BOTH_TYPE, CLIENT_TYPES, SILENT, Lab, Room

pytestmark = pytest.mark.nodes


@pytest.mark.host
def test_the_typing_state_is_the_first_thing_heard(room: Room):
    with room.advisor_socket() as advisor, room.client_socket() as client:
        advisor.expect(SILENT)
        client.expect(SILENT)
        client.typing(True)
        advisor.expect(CLIENT_TYPES)
        with room.advisor_socket(room.colleague) as late:
            event = late.next()
            # A node that has just opened the conversation asks the others who types, and they answer a moment later.
            if room.server.nodes and event == SILENT:
                event = late.next()
            assert event == CLIENT_TYPES


@pytest.mark.host
def test_typing_is_told_to_all_others_and_not_to_oneself(room: Room):
    with (room.advisor_listens() as advisor, room.advisor_listens(room.colleague) as colleague,
          room.client_listens() as client):
        advisor.typing(True)
        colleague.expect(ADVISOR_TYPES)
        client.expect(ADVISOR_TYPES)
        advisor.typing(False)
        colleague.expect(SILENT)
        client.expect(SILENT)
        room.hears_nothing_more(advisor, colleague, client)


def test_both_sides_may_type_at_once(room: Room):
    with room.advisor_listens() as advisor, room.client_listens() as client, room.client_listens() as witness:
        advisor.typing(True)
        witness.expect(ADVISOR_TYPES)
        client.typing(True)
        witness.expect(BOTH_TYPE)
        advisor.expect(BOTH_TYPE)
        advisor.typing(False)
        witness.expect(CLIENT_TYPES)
        client.typing(False)
        witness.expect(SILENT)


def test_only_a_change_is_told(room: Room):
    with room.advisor_listens() as advisor, room.client_listens() as client:
        advisor.typing(False)
        advisor.typing(True)
        # Heard before it ends: of what was over before the client's node was listened to everywhere, nobody tells.
        client.expect(ADVISOR_TYPES)
        for is_typing in (True, True, False, False):
            advisor.typing(is_typing)
        client.expect(SILENT)
        room.hears_nothing_more(client)


def test_typing_changes_nothing_that_is_stored(room: Room):
    rows = room.lab.snapshot()
    with room.advisor_listens() as advisor, room.client_listens() as client:
        advisor.typing(True)
        client.expect(ADVISOR_TYPES)
        assert room.lab.snapshot() == rows


def test_two_tabs_of_one_advisor_type_as_one(room: Room):
    with room.advisor_listens() as first, room.advisor_listens() as second, room.client_listens() as client:
        first.typing(True)
        client.expect(ADVISOR_TYPES)
        second.expect(ADVISOR_TYPES)
        second.typing(True)
        first.typing(False)
        # Still typing in the second tab, so there was nothing to tell.
        assert room.client_says("still there?")["content"]
        assert client.next()["type"] == "new_message"
        second.typing(False)
        client.expect(SILENT)


@pytest.mark.host
@pytest.mark.parametrize("ending", ["close", "cut"])
@pytest.mark.concurrent
def test_a_closed_tab_clears_only_its_own_typing(room: Room, ending: str):
    with room.advisor_listens() as first, room.advisor_listens() as second, room.client_listens() as client:
        first.typing(True)
        client.expect(ADVISOR_TYPES)
        second.expect(ADVISOR_TYPES)
        second.typing(True)
        getattr(first, ending)()
        room.client_says("still there?")
        assert client.next()["type"] == "new_message"
        # Had the closed tab cleared both, this would have been told before, and nothing would change now.
        second.typing(False)
        client.expect(SILENT)


@pytest.mark.parametrize("ending", ["close", "cut"])
def test_a_closed_tab_clears_its_own_typing(room: Room, ending: str):
    with room.advisor_listens() as advisor, room.client_listens() as client:
        advisor.typing(True)
        client.expect(ADVISOR_TYPES)
        getattr(advisor, ending)()
        client.expect(SILENT)
        room.hears_nothing_more(client)


def test_a_second_rooms_typing_is_not_heard(lab: Lab):
    room, other = lab.two_rooms()
    with (room.advisor_listens() as advisor, other.advisor_listens() as same_advisor_elsewhere,
          other.client_listens() as stranger, room.client_listens() as client):
        advisor.typing(True)
        client.expect(ADVISOR_TYPES)
        other.hears_nothing_more(same_advisor_elsewhere, stranger)
        with other.client_socket() as late:
            late.expect(SILENT)


@pytest.mark.concurrent
def test_a_message_clears_its_senders_typing_in_every_tab(room: Room):
    with (room.advisor_listens() as first, room.advisor_listens() as second, room.client_listens() as client):
        first.typing(True)
        client.expect(ADVISOR_TYPES)
        second.typing(True)
        second.expect(ADVISOR_TYPES)
        # Frames and requests travel apart: the second tab's frame has been handled once its socket says so.
        assert second.connection.ping().wait(20)
        message = room.advisor_says("there")
        event = {"type": "new_message", "message": message, "rev": message["rev"]}
        heard = [client.next(), client.next()]
        assert event in heard
        assert SILENT in heard
        room.hears_nothing_more(client)


def test_a_clients_message_clears_the_clients_typing(room: Room):
    with room.advisor_listens() as advisor, room.client_listens() as client:
        client.typing(True)
        advisor.expect(CLIENT_TYPES)
        room.client_says("there")
        heard = [advisor.next(), advisor.next()]
        assert SILENT in heard
        assert {event["type"] for event in heard} == {"typing", "new_message"}


def test_a_message_leaves_everybody_elses_typing(room: Room):
    with (room.advisor_listens(room.colleague) as colleague, room.client_listens() as client,
          room.client_listens() as witness):
        colleague.typing(True)
        witness.expect(ADVISOR_TYPES)
        client.typing(True)
        witness.expect(BOTH_TYPE)
        room.advisor_says("from the other advisor")
        assert witness.next()["type"] == "new_message"
        colleague.typing(False)
        witness.expect(CLIENT_TYPES)
        client.typing(False)
        witness.expect(SILENT)


def test_typing_expires_after_six_seconds_without_a_refresh(room: Room):
    with room.advisor_listens() as advisor, room.client_listens() as client:
        started = time.monotonic()
        advisor.typing(True)
        client.expect(ADVISOR_TYPES)
        client.expect(SILENT)
        assert 5.9 <= time.monotonic() - started < 10
        # It may begin again.
        advisor.typing(True)
        client.expect(ADVISOR_TYPES)


def test_a_refresh_keeps_typing_alive(lab: Lab):
    room, other = lab.two_rooms()
    with (room.advisor_listens() as advisor, room.client_listens() as client, other.advisor_listens() as unrefreshed,
          other.client_listens() as clock):
        advisor.typing(True)
        client.expect(ADVISOR_TYPES)
        # Began later and is not refreshed: when it ends, ours is past its time, too.
        unrefreshed.typing(True)
        clock.expect(ADVISOR_TYPES)
        while (ended := clock.next_within(0.5)) is None:
            advisor.typing(True)
        assert ended == SILENT
        room.client_says("still typing?")
        assert client.next()["type"] == "new_message"
        advisor.typing(False)
        client.expect(SILENT)
