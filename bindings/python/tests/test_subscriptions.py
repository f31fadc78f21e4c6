"""Following a conversation and an inbox."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

import travelchat
from conftest import ADA, CARL, open_chat, soon, take
from travelchat import (
    CaughtUp,
    ConversationUpdated,
    Emoji,
    EpochChanged,
    InvalidArgument,
    MessageCreated,
    MessagesRead,
    MessagesSeen,
    Participant,
    ReactionsChanged,
    Resync,
    TypingChanged,
)


async def test_a_listener_hears_everything_in_order(storage):
    async with open_chat(storage) as (engine, conversation), engine.subscribe(conversation.id) as listener:
        sent = await engine.send(CARL, conversation.id, "Hello")
        reactions = await engine.react(ADA, conversation.id, sent.message.id, Emoji.HEART)
        read = await engine.mark(ADA, conversation.id)
        await engine.send(ADA, conversation.id, "Welcome")
        seen = await engine.mark(CARL, conversation.id)
        heard = await take(listener, 6)
        assert heard[:4] == [
            TypingChanged(False, False),
            MessageCreated(sent.message, rev=1),
            ReactionsChanged(sent.message.id, reactions, rev=2),
            MessagesRead(read.at, rev=3),
        ]
        assert heard[5] == MessagesSeen(seen.at, rev=5)


async def test_a_listener_that_resumes_misses_nothing(storage):
    async with open_chat(storage) as (engine, conversation):
        for number in range(5):
            await engine.send(ADA, conversation.id, f"{number}")
        async with engine.subscribe(conversation.id, since=2) as listener:
            await engine.send(ADA, conversation.id, "live")
            heard = await take(listener, 6)
        assert heard[0] == TypingChanged(False, False)
        assert [event.rev for event in heard[1:5]] in ([3, 4, 5, 5], [3, 4, 5, 6])
        contents = [event.message.content for event in heard if isinstance(event, MessageCreated)]
        assert contents == ["2", "3", "4", "live"]
        assert sum(isinstance(event, CaughtUp) for event in heard) == 1


async def test_a_listener_that_is_too_far_behind_is_told_to_load_again():
    async with open_chat(max_replay=3) as (engine, conversation):
        for number in range(5):
            await engine.send(ADA, conversation.id, f"{number}")
        epoch = (await engine.list_messages(ADA, conversation.id)).epoch
        for since in (1, 99):
            async with engine.subscribe(conversation.id, since=since) as listener:
                assert await take(listener, 2) == [TypingChanged(False, False), Resync(rev=5, epoch=epoch)]


async def test_a_listener_from_another_epoch_is_told_to_load_again():
    async with open_chat() as (engine, conversation):
        await engine.send(ADA, conversation.id, "one")
        old = (await engine.list_messages(ADA, conversation.id)).epoch
        async with engine.subscribe(conversation.id, since=1, epoch=old) as listener:
            assert await take(listener, 2) == [TypingChanged(False, False), CaughtUp(rev=1, epoch=old)]
            new = await engine.begin_epoch()
            assert new != old
            assert await take(listener, 1) == [Resync(rev=1, epoch=new)]
        async with engine.subscribe(conversation.id, since=1, epoch=old) as listener:
            assert await take(listener, 2) == [TypingChanged(False, False), Resync(rev=1, epoch=new)]
        with pytest.raises(EpochChanged):
            await engine.list_messages(ADA, conversation.id, since=0, epoch=old)
        with pytest.raises(InvalidArgument):
            await engine.list_messages(ADA, conversation.id, epoch="yesterday")
        assert len((await engine.list_messages(ADA, conversation.id, since=0, epoch=new)).messages) == 1


async def test_changes_that_are_not_kept_lead_to_a_resync():
    async with open_chat(max_kept_changes=2) as (engine, conversation):
        message = (await engine.send(ADA, conversation.id, "one")).message
        for _ in range(3):
            await engine.react(ADA, conversation.id, message.id, "\N{THUMBS UP SIGN}")
            await engine.unreact(ADA, conversation.id, message.id)
        assert await engine.prune_changes() == 4
        for since, kind in ((1, Resync), (5, ReactionsChanged)):
            async with engine.subscribe(conversation.id, since=since) as listener:
                assert isinstance((await take(listener, 2))[1], kind)


async def test_a_listener_that_falls_behind_is_told_to_load_again():
    async with open_chat() as (engine, conversation):
        async with engine.subscribe(conversation.id, max_pending=10) as listener:
            for number in range(25):
                await engine.send(ADA, conversation.id, f"{number}")
            heard = await take(listener, 1)
            # One Resync stands for all that was left out; after it nothing is missing.
            assert isinstance(heard[0], Resync)
            assert await take(listener, 1) == [TypingChanged(False, False)]
            later = await take(listener, 25 - heard[0].rev)
            assert [event.rev for event in later] == list(range(heard[0].rev + 1, 26))
            await engine.send(ADA, conversation.id, "live")
            assert (await take(listener, 1))[0].message.content == "live"


async def test_a_listener_to_an_inbox_that_falls_behind_is_told_to_load_the_list_again():
    async with open_chat() as (engine, conversation):
        async with engine.subscribe_inbox("org", max_pending=2) as inbox, engine.subscribe_inbox("org") as witness:
            for number in range(3):
                await engine.send(ADA, conversation.id, f"{number}")
            await take(witness, 3)
            assert await take(inbox, 1) == [Resync(rev=0)]
            await engine.send(ADA, conversation.id, "live")
            [event] = await take(inbox, 1)
            assert event == ConversationUpdated((await engine.list_conversations("org"))[0])
            assert event.summary.last_message.content == "live"


async def test_typing_is_heard_by_others_and_ends_with_the_listener():
    async with open_chat() as (engine, conversation), engine.subscribe(conversation.id, listener=ADA) as ada:
        async with engine.subscribe(conversation.id, listener=CARL) as carl:
            await take(ada, 1)
            await carl.set_typing(True)
            assert await take(ada, 1) == [TypingChanged(advisor_typing=False, client_typing=True)]
            assert await take(carl, 1) == [TypingChanged(False, False)]
        assert await take(ada, 1) == [TypingChanged(False, False)]


async def test_a_program_that_only_reads_cannot_type():
    async with open_chat() as (engine, conversation), engine.subscribe(conversation.id) as listener:
        with pytest.raises(ValueError, match="only a subscription with a listener"):
            await listener.set_typing(True)


async def test_nobody_listens_beyond_their_reach():
    async with open_chat() as (engine, conversation):
        for who in (Participant.client("org", "dora"), Participant.advisor("other", "ada")):
            with pytest.raises(travelchat.NotFound):
                async with engine.subscribe(conversation.id, listener=who):
                    raise AssertionError("it was let in")
        with pytest.raises(travelchat.NotFound):
            async for _ in engine.subscribe("01a217a7-08fb-7000-ace4-5338944d3a6a"):
                raise AssertionError("there is no such conversation")


async def test_an_inbox_hears_of_every_row_that_changes(storage):
    async with open_chat(storage) as (engine, conversation), engine.subscribe_inbox("org") as inbox:
        sent = await engine.send(CARL, conversation.id, "Hello")
        await engine.mark(ADA, conversation.id)
        other = await engine.open_conversation("org", "dora")
        await engine.open_conversation("another-org", "carl")
        await engine.send(ADA, other.id, "Good morning")
        heard = await take(inbox, 4)
        assert all(isinstance(event, ConversationUpdated) for event in heard)
        rows = [event.summary for event in heard]
        assert [row.conversation.client_id for row in rows] == ["carl", "carl", "dora", "dora"]
        assert [row.conversation.unread_count for row in rows] == [1, 0, 0, 0]
        assert rows[0].last_message == sent.message


async def test_the_iteration_ends_when_the_engine_closes():
    async with open_chat() as (engine, conversation):
        listener = engine.subscribe(conversation.id)
        await take(listener, 1)
        waiting = asyncio.ensure_future(anext(listener, None))
        await asyncio.sleep(0)
        await engine.close()
        assert await soon(waiting) is None
        assert [event async for event in listener] == []


async def test_closing_a_subscription_ends_the_iteration_that_waits():
    async with open_chat() as (engine, conversation):
        async with engine.subscribe(conversation.id) as listener:
            await take(listener, 1)
            waiting = asyncio.ensure_future(anext(listener, None))
            await asyncio.sleep(0)
            listener.close()
            assert await soon(waiting) is None
        assert await soon(anext(listener, None)) is None


async def test_a_dropped_subscription_leaves_its_room():
    day = timedelta(days=1)  # it is not the time-out that ends the typing
    async with open_chat(typing_timeout=day) as (engine, conversation), engine.subscribe(
        conversation.id, listener=ADA
    ) as stays:
        await take(stays, 1)
        carl = engine.subscribe(conversation.id, listener=CARL)
        await carl.set_typing(True)
        assert await take(stays, 1) == [TypingChanged(False, client_typing=True)]
        del carl
        gc.collect()
        assert await take(stays, 1) == [TypingChanged(False, False)]


async def test_cancelling_the_wait_for_an_event_loses_none():
    async with open_chat() as (engine, conversation), engine.subscribe(conversation.id) as listener:
        await take(listener, 1)
        heard = []
        cancelled = 0
        for number in range(40):
            waiting = asyncio.ensure_future(anext(listener))
            await asyncio.sleep(0)
            waiting.cancel()
            try:
                heard.append(await waiting)
            except asyncio.CancelledError:
                cancelled += 1
            await engine.send(ADA, conversation.id, f"{number}")
        heard += await take(listener, 40 - len(heard))
        assert [event.message.content for event in heard] == [str(n) for n in range(40)]
        assert cancelled > 0


async def test_giving_up_before_a_subscription_stands_does_not_end_it():
    async with open_chat() as (engine, conversation):
        listener = engine.subscribe(conversation.id)
        first = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await take(listener, 1) == [TypingChanged(False, False)]


async def test_a_cancelled_call_ends_at_once_and_what_it_wrote_is_there():
    async with open_chat() as (engine, conversation), engine.subscribe(conversation.id) as listener:
        await take(listener, 1)
        sending = asyncio.ensure_future(engine.send(ADA, conversation.id, "Hello", client_message_id="a"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        [heard] = await take(listener, 1)
        again = await engine.send(ADA, conversation.id, "Hello", client_message_id="a")
        assert not again.created and again.message == heard.message


async def test_many_events_leave_other_tasks_their_turn():
    async with open_chat(max_replay=100_000) as (engine, conversation):
        await asyncio.gather(*(engine.send(ADA, conversation.id, f"{n}") for n in range(5_000)))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        async for event in engine.subscribe(conversation.id, since=0):
            if isinstance(event, CaughtUp):
                break
        task.cancel()
        assert turns >= 10


async def test_a_thousand_listeners_hear_the_same():
    async with open_chat() as (engine, conversation):
        listeners = [engine.subscribe(conversation.id) for _ in range(1_000)]
        for listener in listeners:
            await take(listener, 1)
        sent = await engine.send(ADA, conversation.id, "To all")
        for listener in listeners:
            assert await take(listener, 1) == [MessageCreated(sent.message, rev=1)]


async def test_two_tasks_cannot_iterate_over_one_subscription():
    async with open_chat() as (engine, conversation), engine.subscribe(conversation.id) as listener:
        await take(listener, 1)
        waiting = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(listener)
        await engine.send(ADA, conversation.id, "Hello")
        assert isinstance(await soon(waiting), MessageCreated)
