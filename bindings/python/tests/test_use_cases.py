"""Every use case of the engine, on each kind of storage."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

import travelchat
from conftest import ADA, CARL, open_chat, soon, take
from travelchat import Emoji, Participant, Role


async def test_a_conversation_is_made_once_for_each_client(storage):
    async with open_chat(storage) as (engine, conversation):
        assert await engine.open_conversation("org", "carl") == conversation
        assert (await engine.open_conversation("other", "carl")).id != conversation.id
        assert await engine.find_conversation(conversation.id) == conversation
        assert (conversation.org_id, conversation.client_id, conversation.rev) == ("org", "carl", 0)
        assert abs(datetime.now(UTC) - conversation.created_at) < timedelta(minutes=1)


async def test_a_sent_message_is_stored_as_it_was_answered(storage):
    async with open_chat(storage) as (engine, conversation):
        sent = await engine.send(
            CARL,
            conversation.id,
            "  Is breakfast included? \N{CROISSANT}",
            client_message_id="one",
            attachment_url="https://example.com/menu.pdf",
            attachment_type="application/pdf",
            attachment_name="menu.pdf",
        )
        assert sent.created
        message = sent.message
        assert message.content == "Is breakfast included? \N{CROISSANT}"
        assert (message.sender_type, message.sender_id, message.sender_name) == (Role.CLIENT, "carl", "Carl Client")
        assert (message.seq, message.rev, message.client_message_id) == (1, 1, "one")
        assert (message.attachment_type, message.attachment_name) == ("application/pdf", "menu.pdf")
        assert message.seen_at is None and not message.is_read and message.reactions == ()
        page = await engine.list_messages(ADA, conversation.id)
        assert page.epoch is not None
        assert page == travelchat.MessagePage((message,), has_more=False, epoch=page.epoch)


async def test_a_draft_has_no_other_members_than_it_says():
    async with open_chat() as (engine, conversation):
        with pytest.raises(TypeError, match="unexpected keyword argument 'attachement_url'"):
            await engine.send(CARL, conversation.id, "x", attachement_url="https://example.com/menu.pdf")
        with pytest.raises(TypeError, match="attachment_url must be"):
            await engine.send(CARL, conversation.id, "x", attachment_url=7)
        sent = await engine.send(CARL, conversation_id=conversation.id, content="x", attachment_url=None)
        assert sent.message.attachment_url is None


async def test_a_repeat_gives_the_first_message_again(storage):
    async with open_chat(storage) as (engine, conversation):
        first = await engine.send(ADA, conversation.id, "Hello", client_message_id="a")
        again = await engine.send(ADA, conversation.id, "Hello", client_message_id="a")
        assert not again.created and again.message == first.message
        with pytest.raises(travelchat.IdempotencyConflict) as conflict:
            await engine.send(ADA, conversation.id, "Goodbye", client_message_id="a")
        assert (conflict.value.code, conflict.value.http_status) == ("idempotency_conflict", 409)


async def test_messages_are_read_in_pages(storage):
    async with open_chat(storage) as (engine, conversation):
        for number in range(1, 8):
            await engine.send(ADA, conversation.id, f"number {number}")
        newest = await engine.list_messages(CARL, conversation.id, limit=3)
        assert [m.seq for m in newest.messages] == [5, 6, 7] and newest.has_more
        older = await engine.list_messages(CARL, conversation.id, before=5, limit=200)
        assert [m.seq for m in older.messages] == [1, 2, 3, 4] and not older.has_more
        changed = await engine.list_messages(CARL, conversation.id, since=5)
        assert [m.seq for m in changed.messages] == [6, 7]
        for wrong in ({"limit": 0}, {"limit": 201}, {"before": 0}, {"before": 1, "since": 1}):
            with pytest.raises(travelchat.InvalidArgument):
                await engine.list_messages(CARL, conversation.id, **wrong)


async def test_a_second_reaction_replaces_the_first(storage):
    async with open_chat(storage) as (engine, conversation):
        message = (await engine.send(ADA, conversation.id, "Your room has a view.")).message
        await engine.react(ADA, conversation.id, message.id, Emoji.JOY)
        await engine.react(CARL, conversation.id, message.id, "\N{THUMBS UP SIGN}")
        reactions = await engine.react(CARL, conversation.id, message.id, "\N{HEAVY BLACK HEART}")
        assert [(r.reactor_id, r.emoji) for r in reactions] == [("ada", Emoji.JOY), ("carl", Emoji.HEART)]
        left = await engine.unreact(ADA, conversation.id, message.id)
        assert [r.reactor_id for r in left] == ["carl"]
        for wrong in ("", "heart", "\N{THUMBS UP SIGN}\U0001f3fd", "\N{SLICE OF PIZZA}"):
            with pytest.raises(travelchat.InvalidEmoji):
                await engine.react(CARL, conversation.id, message.id, wrong)


async def test_marking_reads_and_sees(storage):
    async with open_chat(storage) as (engine, conversation):
        await engine.send(CARL, conversation.id, "one")
        await engine.send(CARL, conversation.id, "two")
        await engine.send(ADA, conversation.id, "three")
        assert await engine.count_unread("org") == 2
        read = await engine.mark(ADA, conversation.id)
        assert (read.count, read.rev) == (2, 4)
        assert await engine.count_unread("org") == 0
        seen = await engine.mark(CARL, conversation.id)
        assert (seen.count, seen.rev) == (1, 5)
        assert (await engine.mark(CARL, conversation.id)).count == 0
        messages = (await engine.list_messages(ADA, conversation.id)).messages
        assert [m.is_read for m in messages] == [True, True, False]
        assert [m.seen_at for m in messages] == [None, None, seen.at]


async def test_conversations_are_listed_by_their_newest_activity_and_searched(storage):
    async with open_chat(storage) as (engine, with_carl):
        with_dora = await engine.open_conversation("org", "dora")
        while datetime.now(UTC) - with_dora.created_at < timedelta(milliseconds=1):
            pass  # times are milliseconds: in the same one, the ids would decide
        await engine.send(ADA, with_carl.id, "Lisbon in May")
        rows = await engine.list_conversations("org")
        assert [row.conversation.id for row in rows] == [with_carl.id, with_dora.id]
        assert rows[0].last_message is not None and rows[0].last_message.content == "Lisbon in May"
        found = await engine.list_conversations("org", text="lisbon")
        assert [row.conversation.client_id for row in found] == ["carl"]
        found = await engine.list_conversations("org", text="nowhere", client_ids=["dora"])
        assert [row.conversation.client_id for row in found] == ["dora"]
        assert await engine.list_conversations("nobody") == ()


async def test_a_chat_token_lives_until_it_is_revoked(storage):
    async with open_chat(storage) as (engine, conversation):
        issued = await engine.issue_token("org", "carl", "lisbon", conversation.id)
        assert len(issued.token) == 64 and issued.token not in repr(issued)
        claims = await engine.authenticate_token(issued.token)
        assert claims == travelchat.TokenClaims("org", "carl", "lisbon", conversation.id, issued.expires_at)
        assert await engine.revoke_token(issued.token)
        assert not await engine.revoke_token(issued.token)
        for wrong in (issued.token, "", "0" * 63, "x" * 64):
            with pytest.raises(travelchat.Unauthenticated):
                await engine.authenticate_token(wrong)
        with pytest.raises(travelchat.NotFound):
            await engine.issue_token("org", "dora", "lisbon", conversation.id)


async def test_expired_tokens_are_swept(storage):
    async with open_chat(storage, token_lifetime=timedelta(0)) as (engine, conversation):
        issued = await engine.issue_token("org", "carl", "lisbon", conversation.id)
        with pytest.raises(travelchat.Unauthenticated):
            await engine.authenticate_token(issued.token)
        assert await engine.sweep_tokens() == 1
        assert await engine.sweep_tokens() == 0


async def test_what_lies_outside_ones_reach_does_not_exist(storage):
    async with open_chat(storage) as (engine, conversation):
        message = (await engine.send(ADA, conversation.id, "Hello")).message
        strangers = (Participant.advisor("other", "ada"), Participant.client("org", "dora"))
        for who in strangers:
            for call in (
                engine.send(who, conversation.id, "x"),
                engine.list_messages(who, conversation.id),
                engine.react(who, conversation.id, message.id, Emoji.SAD),
                engine.unreact(who, conversation.id, message.id),
                engine.mark(who, conversation.id),
            ):
                with pytest.raises(travelchat.NotFound):
                    await call
        assert (await engine.find_conversation(conversation.id)).rev == 1


@pytest.mark.parametrize("id", ["", "nope", "' OR 1=1 --", "0" * 36, "01A217A7-08FB-7000-ACE4-5338944D3A6A", "\ud800"])
async def test_what_is_no_id_is_the_id_of_nothing(id):
    async with open_chat() as (engine, conversation):
        with pytest.raises(travelchat.NotFound):
            await engine.find_conversation(id)
        with pytest.raises(travelchat.NotFound):
            await engine.react(ADA, conversation.id, id, Emoji.SAD)
        with pytest.raises(travelchat.NotFound):
            engine.subscribe(id)


@pytest.mark.parametrize("half", ["\ud800", "a\udfffb"])
async def test_half_of_a_surrogate_pair_is_refused_wherever_it_would_become_another_text(half):
    async with open_chat() as (engine, conversation):
        sender = Participant.advisor("org", "ada", half)
        for call, name in [
            (lambda: engine.send(sender, conversation.id, "Hello"), "name"),
            (lambda: engine.mark(sender, conversation.id), "name"),
            (lambda: engine.list_conversations("org", text="x", client_ids=["carl", half]), "client_ids"),
            (lambda: engine.issue_token("org", "carl", "trip", conversation.id, share_token=half), "share_token"),
        ]:
            with pytest.raises(ValueError, match=f"^{name} must be well-formed text, and holds half of a surrogate pair$"):
                await call()
        with pytest.raises(ValueError, match="^session_id must be well-formed text"):
            engine.end_session(half)
        with pytest.raises(ValueError, match="^text must be well-formed text"):
            travelchat.fold_text(half)
        assert (await engine.list_messages(CARL, conversation.id)).messages == ()


@pytest.mark.parametrize("content", ["", " \n\t", "\N{ZERO WIDTH SPACE}", "a\0b", "\ud800", "x" * 10_001])
async def test_content_that_is_no_text_is_refused(content):
    async with open_chat() as (engine, conversation):
        with pytest.raises(travelchat.InvalidContent):
            await engine.send(CARL, conversation.id, content)
        assert (await engine.find_conversation(conversation.id)).rev == 0


async def test_an_argument_of_another_type_is_named():
    async with open_chat() as (engine, conversation):
        with pytest.raises(TypeError, match="content must be a str, not NoneType"):
            await engine.send(CARL, conversation.id, None)
        with pytest.raises(TypeError, match="conversation_id must be a str, not int"):
            await engine.find_conversation(7)
        with pytest.raises(TypeError, match="a participant must be a travelchat.Participant, not str"):
            await engine.mark("carl", conversation.id)
        with pytest.raises(TypeError, match="limit must be an int, not str"):
            await engine.list_messages(CARL, conversation.id, limit="ten")
        for since, problem in [
            (-1, "since must be at least 0, not -1"),
            (2**64, f"since must be at least 0 and at most {2**64 - 1}, not {2**64}"),
            (10**5_000, f"since must be at least 0 and at most {2**64 - 1}, not an int of more than 60 digits"),
        ]:
            with pytest.raises(ValueError, match=f"^{problem}$"):
                await engine.list_messages(CARL, conversation.id, since=since)
        with pytest.raises(ValueError, match='role must be "advisor" or "client"'):
            await engine.mark(Participant("org", "admin", "x"), conversation.id)
        with pytest.raises(TypeError):
            travelchat.ChatEngine(travelchat.memory(), patience=3)


async def test_the_engine_counts_what_it_does(storage):
    async with open_chat(storage) as (engine, conversation):
        await engine.ping()
        async with engine.subscribe(conversation.id) as listener:
            await asyncio.gather(*(engine.send(ADA, conversation.id, f"{n}") for n in range(10)))
            await take(listener, 11)
            stats = engine.stats()
        assert (stats.messages, stats.writes, stats.failed_commits, stats.subscribers) == (10, 11, 0, 1)
        assert stats.commits <= stats.writes


async def test_a_storage_belongs_to_one_engine(tmp_path):
    storage = travelchat.sqlite(tmp_path / "chat.db")
    async with travelchat.ChatEngine(storage):
        with pytest.raises(ValueError, match="belongs to an engine already"):
            travelchat.ChatEngine(storage)
        with pytest.raises(travelchat.StorageLocked, match="chat.db is in use by another process, .* share a PostgreSQL"):
            travelchat.sqlite(tmp_path / "chat.db")
    # Free again as soon as the engine is closed.
    async with travelchat.ChatEngine(travelchat.sqlite(tmp_path / "chat.db")) as engine:
        await engine.ping()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "chat.db").write_text("This is a letter to my aunt. " * 100)
    with pytest.raises(travelchat.StorageIncompatible, match="chat.db is no SQLite database$"):
        travelchat.sqlite(tmp_path / "chat.db")
    with pytest.raises(travelchat.StorageFailed, match="no such folder/chat.db cannot be opened: its folder does not exist$"):
        travelchat.sqlite(tmp_path / "no such folder" / "chat.db")


NO_ID = "must be 1 to 128 printable ASCII characters without spaces, and"
NO_ADDRESS = "must be an http or https URL without a user name, or a path of the server that begins with one /"


async def test_an_argument_that_is_malformed_is_named():
    async with open_chat() as (engine, conversation):
        id = conversation.id
        stranger = Participant.client("an org", "carl", "Carl")
        for call, text in (
            (engine.open_conversation("an org", "carl"), f"org_id {NO_ID} holds a space"),
            (engine.open_conversation("org", ""), f"client_id {NO_ID} is empty"),
            (engine.list_conversations("an org"), f"org_id {NO_ID} holds a space"),
            (engine.send(stranger, id, "x"), f"sender.org_id {NO_ID} holds a space"),
            (engine.send(CARL, id, "x", attachment_url="javascript:alert(1)"), f"attachment_url {NO_ADDRESS}"),
            (engine.mark(Participant.advisor("org", "ä"), id), f"viewer.id {NO_ID} holds another character"),
            (engine.list_messages(ADA, id, limit=201), "limit must be 1 to 200, and is 201"),
            (engine.list_messages(ADA, id, before=0), "before must be at least 1: the first message's seq"),
            (engine.list_messages(ADA, id, before=1, since=1), "before and since exclude each other"),
            (engine.list_messages(ADA, id, epoch="x"), "epoch must be a UUID in lower case"),
            (engine.issue_token("org", "carl", "a trip", id), f"trip_id {NO_ID} holds a space"),
            (engine.revoke_tokens("org"), "client_id or trip_id must be given, or both"),
        ):
            with pytest.raises(travelchat.InvalidArgument) as refused:
                await call
            assert str(refused.value) == text
            # What people are told stays as it is.
            assert refused.value.message == "A parameter is malformed."
        with pytest.raises(travelchat.NotFound, match="^conversation_id must be an id that the engine gave"):
            await engine.find_conversation("7")
        assert not (await engine.list_messages(ADA, id)).messages


async def test_a_closed_engine_says_that_it_is_closed():
    engine = travelchat.ChatEngine(travelchat.memory())
    await engine.close()
    with pytest.raises(travelchat.Closed, match="^the engine is closed$") as refused:
        await engine.open_conversation("org", "carl")
    assert refused.value.message == "The server is restarting."
    with pytest.raises(travelchat.Closed, match="^the engine is closed$"):
        engine.stats()


async def test_a_database_that_is_waited_for_in_a_thread_keeps_no_loop_waiting():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"postgres://chat@127.0.0.1:{listener.getsockname()[1]}/chat"
        opening = loop.create_task(asyncio.to_thread(travelchat.postgres, url, connect_timeout=timedelta(seconds=5)))
        database, _ = await soon(loop.sock_accept(listener))
        # It says nothing, and is waited for; this loop goes on.
        assert not opening.done()
        database.close()
        with pytest.raises(travelchat.StorageFailed):
            await soon(opening)


async def test_why_a_file_fails_goes_to_the_log(tmp_path, caplog):
    async with open_chat(travelchat.sqlite(tmp_path / "chat.db")) as (engine, conversation):
        with contextlib.closing(sqlite3.connect(tmp_path / "chat.db")) as other:
            other.execute("DROP TABLE travelchat_messages")
        with pytest.raises(travelchat.StorageFailed):
            await engine.list_messages(ADA, conversation.id)
    assert [(line.name, line.message) for line in caplog.records] == [
        ("travelchat", "a read failed: no such table: travelchat_messages"),
        ("travelchat", "storage_failed: read: storage_failed"),
    ]


async def test_an_answered_message_is_there_after_a_restart(tmp_path):
    async with open_chat(travelchat.sqlite(tmp_path / "chat.db")) as (engine, conversation):
        sent = await engine.send(ADA, conversation.id, "Kept.")
    async with open_chat(travelchat.sqlite(tmp_path / "chat.db")) as (engine, again):
        assert again.id == conversation.id
        assert (await engine.list_messages(ADA, again.id)).messages == (sent.message,)
