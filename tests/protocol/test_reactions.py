"""Reactions: one per person and message, told to everybody as the message's whole list."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.people import REACTION, TIME, Lab, Room

pytestmark = pytest.mark.one_server

EMOJI = ["❤️", "👍", "😂", "😮", "😢", "👎"]


@pytest.fixture
def message(room: Room) -> dict:
    return room.client_says("A window seat, please")


def advisor_reacts(room: Room, message: dict, emoji: str, advisor=None) -> list[dict]:
    return (advisor or room.advisor).post(room.reactions_path(message), {"emoji": emoji}).ok(200)


def client_reacts(room: Room, message: dict, emoji: str) -> list[dict]:
    return room.client.post(room.reactions_path(message) + "/client", {"emoji": emoji}).ok(200)


def summary(reactions: list[dict]) -> list[tuple[str, str, str]]:
    return [(reaction["reactorType"], reaction["reactorId"], reaction["emoji"]) for reaction in reactions]


@pytest.mark.nodes
@pytest.mark.host
def test_an_advisors_reaction_is_answered_and_broadcast(room: Room, message: dict):
    with room.advisor_listens() as advisor, room.client_listens() as client:
        reactions = advisor_reacts(room, message, "👍")
        assert summary(reactions) == [("advisor", room.advisor.id, "👍")]
        reaction = reactions[0]
        assert set(reaction) == REACTION
        assert (reaction["messageId"], reaction["conversationId"]) == (message["id"], room.id)
        assert reaction["orgId"] == room.client.org_id
        assert reaction["reactorName"]
        assert re.fullmatch(TIME, reaction["createdAt"])
        event = {"type": "reaction_update", "messageId": message["id"], "reactions": reactions,
                 "rev": message["rev"] + 1}
        advisor.expect(event)
        client.expect(event)
    stored = room.message(message["id"])
    assert stored["reactions"] == reactions
    assert stored["rev"] == message["rev"] + 1


@pytest.mark.nodes
@pytest.mark.host
def test_a_clients_reaction_is_answered_and_broadcast(room: Room, message: dict):
    with room.advisor_listens() as advisor, room.client_listens() as client:
        reactions = client_reacts(room, message, "😮")
        assert summary(reactions) == [("client", room.client.id, "😮")]
        assert reactions[0]["reactorName"] == room.client.name
        event = {"type": "reaction_update", "messageId": message["id"], "reactions": reactions,
                 "rev": message["rev"] + 1}
        advisor.expect(event)
        client.expect(event)


@pytest.mark.nodes
@pytest.mark.parametrize("person", ["advisor", "client"])
def test_a_second_reaction_replaces_the_first(room: Room, message: dict, person: str):
    reacts = advisor_reacts if person == "advisor" else client_reacts
    reacts(room, message, "👍")
    with room.client_listens() as witness:
        reactions = reacts(room, message, "😂")
        assert [reaction["emoji"] for reaction in reactions] == ["😂"]
        assert witness.next()["reactions"] == reactions
    assert room.message(message["id"])["reactions"] == reactions


@pytest.mark.nodes
@pytest.mark.parametrize("person", ["advisor", "client"])
def test_the_same_reaction_again_changes_nothing(room: Room, message: dict, person: str):
    reacts = advisor_reacts if person == "advisor" else client_reacts
    reactions = reacts(room, message, "😢")
    with room.untouched():
        assert reacts(room, message, "😢") == reactions


@pytest.mark.nodes
@pytest.mark.host
def test_an_advisor_takes_its_reaction_back(room: Room, message: dict):
    advisor_reacts(room, message, "👍")
    with room.client_listens() as witness:
        assert room.advisor.delete(room.reactions_path(message)).ok(200) == []
        witness.expect({"type": "reaction_update", "messageId": message["id"], "reactions": [],
                        "rev": message["rev"] + 2})
    assert room.message(message["id"])["reactions"] == []


@pytest.mark.nodes
@pytest.mark.host
def test_a_client_takes_its_reaction_back(room: Room, message: dict):
    client_reacts(room, message, "👍")
    with room.client_listens() as witness:
        assert room.client.delete(room.reactions_path(message) + "/client").ok(200) == []
        witness.expect({"type": "reaction_update", "messageId": message["id"], "reactions": [],
                        "rev": message["rev"] + 2})


@pytest.mark.host
def test_taking_back_may_name_the_emoji(room: Room, message: dict):
    advisor_reacts(room, message, "👍")
    assert room.advisor.delete(room.reactions_path(message), {"emoji": "👍"}).ok(200) == []


@pytest.mark.parametrize("person", ["advisor", "client"])
def test_taking_back_what_is_not_there_changes_nothing(room: Room, message: dict, person: str):
    others = advisor_reacts(room, message, "👎", room.colleague)
    with room.untouched():
        if person == "advisor":
            assert room.advisor.delete(room.reactions_path(message)).ok(200) == others
        else:
            assert room.client.delete(room.reactions_path(message) + "/client").ok(200) == others


@pytest.mark.nodes
def test_everybody_has_one_reaction_oldest_first(room: Room, message: dict):
    advisor_reacts(room, message, "👍")
    client_reacts(room, message, "👍")
    reactions = advisor_reacts(room, message, "❤️", room.colleague)
    assert summary(reactions) == [
        ("advisor", room.advisor.id, "👍"), ("client", room.client.id, "👍"), ("advisor", room.colleague.id, "❤️")]
    assert len({reaction["id"] for reaction in reactions}) == 3
    assert room.message(message["id"])["reactions"] == reactions
    left = room.client.delete(room.reactions_path(message) + "/client").ok(200)
    assert summary(left) == [("advisor", room.advisor.id, "👍"), ("advisor", room.colleague.id, "❤️")]


@pytest.mark.nodes
@pytest.mark.concurrent
def test_reactions_of_one_person_at_once_leave_one(room: Room, message: dict):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: advisor_reacts(room, message, EMOJI[i % 6]), range(24)))
    assert all(len(reactions) == 1 for reactions in answers)
    assert len(room.message(message["id"])["reactions"]) == 1


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.concurrent
def test_reactions_of_all_persons_at_once_are_heard_in_order(room: Room, message: dict):
    reacts = [lambda emoji: advisor_reacts(room, message, emoji),
              lambda emoji: advisor_reacts(room, message, emoji, room.colleague),
              lambda emoji: client_reacts(room, message, emoji)]
    with room.client_listens() as witness, ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda i: reacts[i % 3](EMOJI[i % 6]), range(36)))
        marker = room.advisor_says("that is all")
        heard = witness.until(lambda event: event["type"] == "new_message")
    assert [event["rev"] for event in heard] == list(range(message["rev"] + 1, marker["rev"] + 1))
    for event in heard[:-1]:
        persons = [(reaction["reactorType"], reaction["reactorId"]) for reaction in event["reactions"]]
        assert len(persons) == len(set(persons))
    assert heard[-2]["reactions"] == room.message(message["id"])["reactions"]


def test_a_message_of_another_conversation_takes_no_reaction_here(lab: Lab):
    room, other = lab.two_rooms()
    foreign = other.client_says("not yours")
    for target in (room, other):
        with target.untouched():
            room.advisor.post(room.reactions_path(foreign), {"emoji": "👍"}).error(404, "not_found")
            room.advisor.delete(room.reactions_path(foreign)).error(404, "not_found")
            room.client.post(room.reactions_path(foreign) + "/client", {"emoji": "👍"}).error(404, "not_found")
            room.client.delete(room.reactions_path(foreign) + "/client").error(404, "not_found")
    assert other.message(foreign["id"]) == foreign


# ---- Which emoji ----


@pytest.mark.parametrize("emoji", EMOJI)
def test_the_six_emoji_are_accepted(room: Room, message: dict, emoji: str):
    assert advisor_reacts(room, message, emoji)[0]["emoji"] == emoji


@pytest.mark.host
@pytest.mark.parametrize("sent, stored", [("\u2764", "\u2764\ufe0f"), ("\u2764\ufe0f", "\u2764\ufe0f"),
                                          *((emoji + "\ufe0f", emoji) for emoji in EMOJI[1:])],
                         ids=["bare heart", "heart"] + [f"U+{ord(emoji):X} with FE0F" for emoji in EMOJI[1:]])
def test_the_variation_selector_is_settled(room: Room, message: dict, sent: str, stored: str):
    assert [ord(c) for c in client_reacts(room, message, sent)[0]["emoji"]] == [ord(c) for c in stored]
    assert room.message(message["id"])["reactions"][0]["emoji"] == stored


REFUSED = {
    "text heart": "\u2764\ufe0e",
    "skin tone": "👍🏽",
    "burning heart": "❤️‍🔥",
    "two emoji": "👍👍",
    "two different": "👍😂",
    "space": " ",
    "space after": "👍 ",
    "empty": "",
    "shortcode": ":heart:",
    "mojibake": "ðŸ‘\x8d",
    "another emoji": "🎉",
    "selector alone": "\ufe0f",
    "two selectors": "👍\ufe0f\ufe0f",
    "letter": "x",
}


@pytest.mark.parametrize("emoji", REFUSED.values(), ids=REFUSED.keys())
def test_any_other_emoji_is_refused(room: Room, message: dict, emoji: str):
    with room.untouched():
        room.advisor.post(room.reactions_path(message), {"emoji": emoji}).error(400, "invalid_emoji")
        room.client.post(room.reactions_path(message) + "/client", {"emoji": emoji}).error(400, "invalid_emoji")


@pytest.mark.parametrize("body", [{}, {"emoji": None}, {"emoji": 1}, {"emoji": ["👍"]}],
                         ids=["missing", "null", "number", "array"])
def test_a_reaction_needs_an_emoji(room: Room, message: dict, body: dict):
    with room.untouched():
        room.advisor.post(room.reactions_path(message), body).error(400)
        room.client.post(room.reactions_path(message) + "/client", body).error(400)
