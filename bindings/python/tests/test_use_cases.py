"""Every use case of the engine, on each kind of storage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

import travelchat
from conftest import ADA, CARL, open_chat, take
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
        assert page == travelchat.MessagePage((message,), has_more=False)


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
        with pytest.raises(ValueError, match="since is out of range"):
            await engine.list_messages(CARL, conversation.id, since=-1)
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
        with pytest.raises(travelchat.StorageLocked):
            travelchat.sqlite(tmp_path / "chat.db")
    # Free again as soon as the engine is closed.
    async with travelchat.ChatEngine(travelchat.sqlite(tmp_path / "chat.db")) as engine:
        await engine.ping()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "chat.db").write_text("This is a letter to my aunt. " * 100)
    with pytest.raises(travelchat.StorageIncompatible):
        travelchat.sqlite(tmp_path / "chat.db")
    with pytest.raises(travelchat.StorageFailed):
        travelchat.sqlite(tmp_path / "no such folder" / "chat.db")


async def test_an_answered_message_is_there_after_a_restart(tmp_path):
    async with open_chat(travelchat.sqlite(tmp_path / "chat.db")) as (engine, conversation):
        sent = await engine.send(ADA, conversation.id, "Kept.")
    async with open_chat(travelchat.sqlite(tmp_path / "chat.db")) as (engine, again):
        assert again.id == conversation.id
        assert (await engine.list_messages(ADA, again.id)).messages == (sent.message,)
