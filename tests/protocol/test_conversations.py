"""The advisor's list: get or create, order, search, unread counts."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.people import CONVERSATION, CONVERSATION_ROW, MESSAGE, TIME, UUID_V7, Lab, Room, fresh_id

pytestmark = pytest.mark.one_server

LETTERS = json.loads((Path(__file__).parents[1] / "vectors/search.json").read_text())


@pytest.mark.host
def test_a_conversation_is_the_same_one_for_the_same_client(room: Room):
    first = room.advisor.post("/api/conversations", {"clientId": room.client.id}).ok(200)
    again = room.colleague.post("/api/conversations", {"clientId": room.client.id}).ok(200)
    assert first["id"] == again["id"] == room.id
    assert CONVERSATION <= set(first)
    assert (first["orgId"], first["clientId"]) == (room.client.org_id, room.client.id)
    assert re.fullmatch(UUID_V7, first["id"])
    assert re.fullmatch(TIME, first["createdAt"])


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.concurrent
def test_twenty_requests_at_once_open_one_conversation(room: Room):
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(
            lambda _: room.advisor.post("/api/conversations", {"clientId": room.client.id}).ok(200)["id"], range(20)))
    assert set(ids) == {room.id}


def test_an_unknown_client_has_no_conversation(room: Room):
    with room.untouched():
        room.advisor.post("/api/conversations", {"clientId": "nobody"}).error(404, "not_found")


@pytest.mark.host
def test_a_conversation_needs_a_client_id(room: Room):
    with room.untouched():
        room.advisor.post("/api/conversations", {}).error(400, "missing_field")


@pytest.mark.nodes
@pytest.mark.host
def test_a_row_of_the_list_has_every_member_of_the_contract(room: Room):
    message = room.client_says("Is breakfast included?")
    row = room.row()
    assert set(row) == CONVERSATION_ROW
    assert (row["orgId"], row["clientId"], row["clientName"]) == (room.client.org_id, room.client.id, room.client.name)
    assert set(row["lastMessage"]) == MESSAGE - {"reactions"}
    assert row["lastMessage"] == {name: value for name, value in message.items() if name != "reactions"}
    assert row["lastMessageAt"] == message["createdAt"]
    assert row["rev"] == message["rev"]
    assert row["activeTrip"] is None or set(row["activeTrip"]) == {"id", "title"}


@pytest.mark.nodes
def test_the_list_is_ordered_by_newest_activity(lab: Lab):
    older, newer = lab.two_rooms()
    older.client_says("first")
    newer.client_says("second")
    rows = older.advisor.conversations()
    activity = [row["lastMessageAt"] or row["createdAt"] for row in rows]
    assert activity == sorted(activity, reverse=True)
    # Two messages of one millisecond have no order between them.
    assert {row["id"] for row in rows[:2]} == {newer.id, older.id}


def test_every_row_of_the_list_belongs_to_the_organization(lab: Lab):
    for org_id in lab.org_ids:
        rows = lab.advisors_of(org_id)[0].conversations()
        assert rows
        assert {row["orgId"] for row in rows} == {org_id}
        assert len({row["clientId"] for row in rows}) == len(rows)


@pytest.mark.nodes
@pytest.mark.host
def test_search_finds_a_client_by_name_without_regard_to_case(room: Room):
    for text in (room.client.name, room.client.name.upper(), room.client.name[1:4].lower()):
        assert room.id in [row["id"] for row in room.advisor.conversations(q=text)]


def test_search_finds_a_conversation_by_the_text_of_any_message(room: Room):
    needle = fresh_id()
    room.client_says(f"before {needle} after")
    room.advisor_says("something else, and newer")
    for text in (needle, needle.upper(), f"before {needle}"):
        assert [row["id"] for row in room.advisor.conversations(q=text)] == [room.id]


@pytest.mark.parametrize("number", range(len(LETTERS)), ids=[example["description"] for example in LETTERS])
def test_search_finds_letters_as_the_shared_vectors_say(room: Room, number: int):
    example = LETTERS[number]
    # Among what other tests have written.
    marker = fresh_id()
    for text in example["texts"]:
        room.client_says(f"{marker}:{text}")
        start = f"{marker}:{text}".split(" ")[0]
        assert [row["id"] for row in room.advisor.conversations(q=start.upper())] == [room.id]
    for wanted in example["found"]:
        assert room.id in [row["id"] for row in room.advisor.conversations(q=wanted)], wanted


@pytest.mark.host
def test_search_finds_a_name_by_the_other_forms_of_its_letters(room: Room):
    # A letter i in Turkish, the long s, and the sign for kelvin.
    forms = str.maketrans({"i": "\u0130", "s": "\u017f", "k": "\u212a"})
    row = next(row for row in room.advisor.conversations() if set(row["clientName"]) & set("isk"))
    assert row["id"] in [found["id"] for found in room.advisor.conversations(q=row["clientName"].translate(forms))]


def test_search_finds_nothing_that_is_not_there(room: Room):
    assert room.advisor.conversations(q=fresh_id()) == []


@pytest.mark.host
@pytest.mark.parametrize("text", ["{}%{}", "{}_{}", "{}\\{}", "{}'{}", "{}\"{}", "{}*{}"],
                         ids=["percent", "underscore", "backslash", "quote", "double quote", "star"])
def test_search_takes_every_character_literally(room: Room, text: str):
    left, right = fresh_id(), fresh_id()
    room.client_says(f"{left}x{right}")
    assert room.advisor.conversations(q=text.format(left, right)) == []
    room.client_says(text.format(left, right))
    assert [row["id"] for row in room.advisor.conversations(q=text.format(left, right))] == [room.id]


def test_search_stays_inside_the_organization(room: Room):
    needle = fresh_id()
    room.client_says(needle)
    assert room.stranger.conversations(q=needle) == []
    assert room.id not in [row["id"] for row in room.stranger.conversations(q=room.client.name)]


@pytest.mark.nodes
@pytest.mark.host
def test_a_clients_messages_are_unread_until_an_advisor_reads_them(room: Room):
    room.advisor.post(f"{room.path}/read").ok(200)
    total = room.advisor.unread_count()
    room.client_says("one")
    room.client_says("two")
    assert room.row()["unreadCount"] == 2
    assert room.advisor.unread_count() == room.colleague.unread_count() == total + 2
    room.colleague.post(f"{room.path}/read").ok(200)
    assert room.row()["unreadCount"] == 0
    assert room.advisor.unread_count() == total


def test_an_advisors_own_messages_are_never_unread(room: Room):
    room.advisor.post(f"{room.path}/read").ok(200)
    total = room.advisor.unread_count()
    room.advisor_says("hello")
    assert room.row()["unreadCount"] == 0
    assert room.advisor.unread_count() == total


@pytest.mark.nodes
@pytest.mark.host
def test_the_unread_count_is_the_sum_over_the_organization(lab: Lab):
    room, other = lab.two_rooms()
    room.client_says("one")
    other.client_says("two")
    rows = room.advisor.conversations()
    assert room.advisor.unread_count() == sum(row["unreadCount"] for row in rows)


def test_one_organizations_unread_messages_do_not_count_in_another(room: Room):
    before = room.stranger.unread_count()
    room.client_says("hello")
    assert room.stranger.unread_count() == before
