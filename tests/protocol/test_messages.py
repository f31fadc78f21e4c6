"""Sending and paging: what is stored, what is answered, what every socket hears."""

from __future__ import annotations

import asyncio
import re
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.people import MESSAGE, TIME, UUID_V7, Lab, Room, fresh_id
from lab.traffic import HttpConnection

pytestmark = pytest.mark.one_server


def event_of(message: dict) -> dict:
    return {"type": "new_message", "message": message, "rev": message["rev"]}


@pytest.mark.nodes
@pytest.mark.host
def test_an_advisors_message_is_answered_with_the_whole_message(room: Room):
    rev, seq = room.rev, room.last_seq()
    message = room.advisor_says("Your flight leaves at 9.")
    assert set(message) == MESSAGE
    assert re.fullmatch(UUID_V7, message["id"])
    assert re.fullmatch(TIME, message["createdAt"])
    assert message["conversationId"] == room.id
    assert message["orgId"] == room.client.org_id
    assert (message["senderType"], message["senderId"]) == ("advisor", room.advisor.id)
    assert message["senderName"]
    assert message["content"] == "Your flight leaves at 9."
    assert message["isRead"] is False
    assert message["seenAt"] is None
    assert message["attachmentUrl"] is message["attachmentType"] is message["attachmentName"] is None
    assert message["reactions"] == []
    assert message["clientMessageId"] is None
    assert (message["rev"], message["seq"]) == (rev + 1, seq + 1)
    assert room.page(limit=1) == [message]


@pytest.mark.nodes
@pytest.mark.host
def test_a_clients_message_is_stored_as_the_clients(room: Room):
    message = room.client_says("Thank you!")
    assert set(message) == MESSAGE
    assert message["senderType"] == "client"
    assert (message["senderId"], message["senderName"]) == (room.client.id, room.client.name)
    assert room.page(limit=1) == [message]


@pytest.mark.host
def test_a_client_may_give_its_token_as_bearer(room: Room):
    answer = room.client.request("POST", f"{room.path}/messages/client", json={"content": "By header"},
                                 headers={"Authorization": f"Bearer {room.client.token}"})
    assert answer.ok(201)["senderType"] == "client"


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.parametrize("sender", ["advisor", "client"])
def test_a_message_reaches_every_socket_of_the_room_its_senders_too(room: Room, sender: str):
    with (room.advisor_listens() as own_tab, room.advisor_listens(room.colleague) as colleague,
          room.client_listens() as client, room.client_listens() as second_tab):
        says = room.advisor_says if sender == "advisor" else room.client_says
        message = says("To everybody", clientMessageId=fresh_id())
        assert message["clientMessageId"]
        for socket in (own_tab, colleague, client, second_tab):
            socket.expect(event_of(message))


@pytest.mark.nodes
def test_a_message_is_not_heard_in_another_room(lab: Lab):
    room, other = lab.two_rooms()
    with other.client_listens() as client, other.advisor_listens() as advisor:
        room.client_says("Only here")
        room.advisor_says("Only here, too")
        other.hears_nothing_more(client, advisor)


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.concurrent
def test_events_reach_every_socket_in_one_dense_order(room: Room):
    with room.advisor_listens() as advisor, room.client_listens() as client, ThreadPoolExecutor(8) as pool:
        rev, seq = room.rev, room.last_seq()
        says = [room.advisor_says, room.client_says]
        messages = list(pool.map(lambda i: says[i % 2](f"message {i}"), range(120)))
        heard = [advisor.expect_type("new_message") for _ in messages]
        assert [client.expect_type("new_message") for _ in messages] == heard
    assert [event["rev"] for event in heard] == list(range(rev + 1, rev + 121))
    assert [event["message"]["seq"] for event in heard] == list(range(seq + 1, seq + 121))
    by_seq = sorted(messages, key=lambda message: message["seq"])
    assert [event["message"] for event in heard] == by_seq
    assert room.page(limit=120) == by_seq


def test_content_is_stored_trimmed_and_otherwise_as_sent(room: Room):
    inner = "  two  spaces,\ttab,\r\nline, \u202e\u200d\u00e9 e\u0301 \U0001f469\u200d\U0001f680 \"quoted\" \\ / \x7f \x01"
    message = room.advisor_says(f" \n\t\u00a0\u3000{inner.strip()}\u2003\r\n ")
    assert message["content"] == inner.strip()
    assert room.page(limit=1)[0]["content"] == inner.strip()


@pytest.mark.host
@pytest.mark.parametrize("character", ["x", "\u00e9", "\u20ac", "\U0001f600"])
def test_content_may_have_ten_thousand_code_points(room: Room, character: str):
    content = character * 10_000
    escaped = "".join(f"\\u{unit:04x}" for unit in struct.unpack(f"<{len(content.encode('utf-16-le')) // 2}H",
                                                                  content.encode("utf-16-le")))
    for spelled in (content, escaped):
        answer = room.advisor.post(f"{room.path}/messages", body=f'{{"content":"{spelled}"}}')
        assert answer.ok(201)["content"] == content


@pytest.mark.host
def test_the_longest_message_of_a_client_fits_with_every_letter_escaped(room: Room):
    def escaped(text: str) -> str:
        return "".join(f"\\u{ord(letter):04x}" for letter in text)

    body = '{"content":"%s","clientMessageId":"%s","chatToken":"%s"}' % (
        "\\ud83d\\ude00" * 10_000, escaped(fresh_id().ljust(64, "x")), escaped(room.client.token))
    answer = room.client.request("POST", f"{room.path}/messages/client", body=body)
    assert answer.ok(201)["content"] == "\U0001f600" * 10_000


@pytest.mark.host
def test_markup_is_accepted_and_comes_back_as_the_text_it_is(room: Room):
    content = '<img src=x onerror="alert(1)"><script>alert(2)</script>&amp;'
    with room.client_listens() as client:
        message = room.advisor_says(content)
        assert message["content"] == content
        client.expect(event_of(message))
    answer = room.advisor.get(f"{room.path}/messages", limit=1)
    assert answer.ok()[0]["content"] == content
    assert answer.headers["x-content-type-options"] == "nosniff"


# ---- The same message again ----


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.parametrize("sender", ["advisor", "client"])
def test_the_same_client_message_id_again_answers_200_with_the_first_message(room: Room, sender: str):
    says = room.advisor_says if sender == "advisor" else room.client_says
    path = f"{room.path}/messages" if sender == "advisor" else f"{room.path}/messages/client"
    person = room.advisor if sender == "advisor" else room.client
    fields = {"content": "Once", "clientMessageId": fresh_id()}
    first = says(**fields)
    with room.untouched():
        assert person.post(path, fields).ok(200) == first


@pytest.mark.nodes
def test_a_repeat_after_other_changes_answers_with_the_first_message_as_it_is_now(room: Room):
    fields = {"content": "Once", "clientMessageId": fresh_id()}
    first = room.advisor_says(**fields)
    room.client_says("in between")
    room.client.post(room.reactions_path(first) + "/client", {"emoji": "👍"}).ok()
    room.client.post(f"{room.path}/read/client").ok()
    again = room.advisor.post(f"{room.path}/messages", fields).ok(200)
    assert (again["id"], again["seq"], again["content"]) == (first["id"], first["seq"], first["content"])
    assert again == room.message(first["id"])


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.concurrent
def test_twenty_equal_requests_at_once_make_one_message(room: Room):
    fields = {"content": "Only one of me", "clientMessageId": fresh_id()}
    with room.client_listens() as witness, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: room.advisor.post(f"{room.path}/messages", fields), range(20)))
        assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
        message = answers[0].json()
        assert all(answer.json() == message for answer in answers)
        witness.expect(event_of(message))
        marker = room.hears_nothing_more(witness)
    assert (marker["seq"], marker["rev"]) == (message["seq"] + 1, message["rev"] + 1)


@pytest.mark.nodes
def test_the_same_client_message_id_with_other_content_is_a_conflict(room: Room):
    key = fresh_id()
    first = room.advisor_says("One thing", clientMessageId=key)
    with room.untouched():
        room.advisor.post(f"{room.path}/messages", {"content": "Another", "clientMessageId": key}).error(
            409, "idempotency_conflict")
    assert room.message(first["id"]) == first


def test_a_client_message_id_belongs_to_its_sender_and_its_conversation(lab: Lab):
    room, other = lab.two_rooms()
    key = fresh_id()
    messages = [
        room.advisor_says("advisor", clientMessageId=key),
        room.advisor_says("colleague", advisor=room.colleague, clientMessageId=key),
        room.client_says("client", clientMessageId=key),
        other.advisor_says("elsewhere", clientMessageId=key),
    ]
    assert len({message["id"] for message in messages}) == 4
    assert {message["clientMessageId"] for message in messages} == {key}


@pytest.mark.parametrize("key", ["a", "Az09_-", "x" * 64])
def test_a_client_message_id_has_one_to_sixty_four_characters(room: Room, key: str):
    answer = room.client.post(f"{room.path}/messages/client", {"content": f"with {key}", "clientMessageId": key})
    # A room that is used twice knows the key already.
    assert answer.status in (200, 201)
    assert answer.json()["clientMessageId"] == key


@pytest.mark.parametrize("key", ["", "x" * 65, "with space", "ü", "a/b", "a.b", "a\n", "\u0000"])
def test_any_other_client_message_id_is_refused(room: Room, key: str):
    with room.untouched():
        for person, path in ((room.advisor, "messages"), (room.client, "messages/client")):
            answer = person.post(f"{room.path}/{path}", {"content": "hello", "clientMessageId": key})
            # A NUL is bad JSON content before it is a bad id.
            answer.error(400, "invalid_client_message_id" if key != "\u0000" else None)


@pytest.mark.parametrize("key", [7, True, ["a"], {"a": "b"}])
def test_a_client_message_id_is_a_string(room: Room, key: object):
    with room.untouched():
        room.advisor.post(f"{room.path}/messages", {"content": "hello", "clientMessageId": key}).error(400)


# ---- Reading back ----


def test_without_a_limit_the_newest_hundred_messages_come(long_room: Room):
    answer = long_room.advisor.get(f"{long_room.path}/messages")
    page = answer.ok()
    last = long_room.last_seq()
    assert [message["seq"] for message in page] == list(range(last - 99, last + 1))
    assert answer.headers["x-has-more"] == "true"


@pytest.mark.parametrize("limit", [1, 2, 199, 200])
def test_limit_says_how_many(long_room: Room, limit: int):
    answer = long_room.client.get(f"{long_room.path}/messages", limit=limit)
    last = long_room.last_seq()
    assert [message["seq"] for message in answer.ok()] == list(range(last - limit + 1, last + 1))
    assert answer.headers["x-has-more"] == "true"


@pytest.mark.nodes
@pytest.mark.host
def test_before_pages_back_to_the_first_message(long_room: Room):
    history = long_room.history()
    assert [message["seq"] for message in history] == list(range(1, len(history) + 1))
    assert len(history) >= 5_000
    assert all(set(message) == MESSAGE for message in history)


def test_before_the_first_message_there_is_nothing(room: Room):
    room.client_says("at least one")
    answer = room.advisor.get(f"{room.path}/messages", before=1)
    assert answer.ok() == []
    assert answer.headers["x-has-more"] == "false"


def test_the_last_page_says_that_there_is_no_more(long_room: Room):
    exact = long_room.advisor.get(f"{long_room.path}/messages", before=51, limit=50)
    assert [message["seq"] for message in exact.ok()] == list(range(1, 51))
    assert exact.headers["x-has-more"] == "false"
    one_left = long_room.advisor.get(f"{long_room.path}/messages", before=51, limit=49)
    assert [message["seq"] for message in one_left.ok()] == list(range(2, 51))
    assert one_left.headers["x-has-more"] == "true"


@pytest.mark.nodes
@pytest.mark.host
def test_since_gives_only_what_changed_after_that_rev(room: Room):
    old = room.advisor_says("old, and changed later")
    room.client_says("old, and left alone")
    # Whatever was unseen or unread before is not to be part of the change.
    room.client.post(f"{room.path}/read/client").ok()
    room.advisor.post(f"{room.path}/read").ok()
    rev = room.rev
    assert room.page(since=rev) == []
    new = room.client_says("new")
    room.client.post(room.reactions_path(old) + "/client", {"emoji": "😂"}).ok()
    changed = room.page(since=rev)
    assert [message["id"] for message in changed] == [old["id"], new["id"]]
    assert [message["rev"] for message in changed] == [rev + 2, rev + 1]
    assert changed == [room.message(old["id"]), room.message(new["id"])]


def test_since_pages_forward_by_the_largest_rev_of_a_page(room: Room):
    rev = room.rev
    sent = [room.client_says(f"page {i}") for i in range(7)]
    collected, since = [], rev
    for more in ("true", "true", "false"):
        answer = room.advisor.get(f"{room.path}/messages", since=since, limit=3)
        page = answer.ok()
        assert answer.headers["x-has-more"] == more
        collected += page
        since = max(message["rev"] for message in page)
    assert collected == sent


def test_since_zero_is_the_whole_conversation(room: Room):
    room.client_says("at least one")
    history = room.history()
    collected, since = {}, 0
    while True:
        answer = room.client.get(f"{room.path}/messages", since=since, limit=200)
        page = answer.ok()
        collected.update({message["seq"]: message for message in page})
        if answer.headers["x-has-more"] == "false":
            break
        since = max(message["rev"] for message in page)
    assert [collected[seq] for seq in sorted(collected)] == history


async def advisor_says_many(room: Room, count: int) -> None:
    numbers = iter(range(count))

    async def write() -> None:
        http = HttpConnection()
        for number in numbers:
            status, _, answer = await http.request(
                room.server.address, "POST", f"{room.path}/messages", json={"content": f"one of many, {number}"},
                headers={"Cookie": room.advisor.cookie})
            assert status == 201, answer
        http.close()

    await asyncio.gather(*(write() for _ in range(20)))


@pytest.mark.nodes
@pytest.mark.host
def test_the_first_to_listen_hears_nothing_of_what_was_there_before(room: Room):
    for content in ("before", "also before"):
        room.client_says(content)
    room.advisor_says("and this")
    with room.client_listens() as client:
        room.hears_nothing_more(client)


def test_since_is_refused_when_one_rev_has_more_messages_than_a_page_can_hold(lab: Lab):
    room = lab.room(keep=True)
    room.client.post(f"{room.path}/read/client").ok()
    rev = room.rev
    asyncio.run(advisor_says_many(room, 1_001))
    assert len(room.page(since=rev, limit=200)) == 200
    room.client.post(f"{room.path}/read/client").ok()
    seen = rev + 1_002
    for since in (rev, seen - 1):
        for limit in (1, 200):
            room.advisor.get(f"{room.path}/messages", since=since, limit=limit).error(409, "too_many_changes")
            room.client.get(f"{room.path}/messages", since=since, limit=limit).error(409, "too_many_changes")
    # What is loaded instead, and followed from there on.
    newest = room.page(limit=200)
    assert [message["rev"] for message in newest] == [seen] * 200
    assert room.page(since=seen) == []
    # One less has that rev now.
    room.advisor.post(room.reactions_path(newest[0]), {"emoji": "👍"}).ok()
    answer = room.advisor.get(f"{room.path}/messages", since=seen - 1, limit=1)
    whole = answer.ok()
    assert [message["rev"] for message in whole] == [seen] * 1_000
    assert answer.headers["x-has-more"] == "true"
    assert [message["id"] for message in room.page(since=seen)] == [newest[0]["id"]]


@pytest.mark.nodes
@pytest.mark.host
def test_a_client_reads_its_own_conversation(room: Room):
    message = room.advisor_says("for you")
    assert room.client.get(f"{room.path}/messages", limit=1).ok() == [message]
