"""PostgreSQL, and what several processes on one database hear of each other."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

import travelchat
from conftest import ADA, CARL, SUPPORT, make_storage, open_chat, run_script, running, soon, take
from travelchat import CaughtUp, ChatEngine, ConversationUpdated, MessageCreated, Participant


async def test_what_was_sent_is_there_for_the_next_process(database):
    async with open_chat(travelchat.postgres(database)) as (engine, conversation):
        sent = await engine.send(CARL, conversation.id, "Is breakfast included?", client_message_id="a")
    async with open_chat(travelchat.postgres(database)) as (engine, again):
        assert again.id == conversation.id
        assert (await engine.list_messages(ADA, again.id)).messages == (sent.message,)
        repeat = await engine.send(CARL, again.id, "Is breakfast included?", client_message_id="a")
        assert (repeat.message, repeat.created) == (sent.message, False)


def test_a_database_that_cannot_be_had_says_why(postgres_folder, database):
    with pytest.raises(travelchat.InvalidArgument, match="connection"):
        travelchat.postgres("postgres://[")
    with pytest.raises(travelchat.StorageFailed, match="refused"):
        travelchat.postgres("postgres://nobody@127.0.0.1:1/nothing")
    with pytest.raises(travelchat.StorageFailed, match="authentication") as failed:
        travelchat.postgres(database.replace("travelchat:", "travelchat:wrong"))
    assert "wrong" not in str(failed.value)
    with pytest.raises(TypeError):
        travelchat.postgres(5432)


async def test_a_database_that_goes_away_fails_calls_and_tells_the_log(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "travelchat")
    with running("postgres", tmp_path / "server") as url:
        storage = travelchat.postgres(url, patience=timedelta(milliseconds=200))
        async with open_chat(storage) as (engine, conversation):
            subprocess.run([SUPPORT / "postgres", "stop", tmp_path / "server", "--immediate"], check=True)
            with pytest.raises(travelchat.StorageFailed):
                await engine.send(CARL, conversation.id, "x")
            assert [record for record in caplog.records if record.name == "travelchat"]
            assert url.split(":")[2].split("@")[0] not in caplog.text
            subprocess.run([SUPPORT / "postgres", "restart", tmp_path / "server"], check=True, stdout=subprocess.DEVNULL)
            sent = await engine.send(CARL, conversation.id, "Hello", client_message_id="a")
            assert (await engine.list_messages(ADA, conversation.id)).messages == (sent.message,)


async def follow_from_the_other(engine: ChatEngine, other: ChatEngine) -> None:
    conversation = await engine.open_conversation("org", "carl")
    inbox = other.subscribe_inbox("org")
    async with other.subscribe(conversation.id, since=0) as listener:
        while not isinstance(await soon(anext(listener)), CaughtUp):
            pass
        sent = [await engine.send(CARL, conversation.id, f"{number}") for number in range(20)]
        await engine.react(ADA, conversation.id, sent[0].message.id, "👍")
        await engine.mark(ADA, conversation.id)
        heard = await take(listener, 22)
        assert [event.rev for event in heard] == list(range(1, 23))
        assert [event.message.content for event in heard if isinstance(event, MessageCreated)] == [
            message.message.content for message in sent
        ]
    async with inbox:
        while True:
            event = await soon(anext(inbox))
            if isinstance(event, ConversationUpdated) and event.summary.conversation.rev == 22:
                break


async def test_two_nodes_hear_of_each_others_messages(database, tmp_path):
    with running("nats", tmp_path / "nats") as url:
        async with AsyncExitStack() as nodes:
            engines = [
                await nodes.enter_async_context(
                    # Longer than the test may take: what is heard has come through NATS.
                    ChatEngine(travelchat.postgres(database), backplane=travelchat.nats(url), poll_interval=timedelta(hours=1))
                )
                for _ in range(2)
            ]
            await follow_from_the_other(*engines)


async def test_without_the_backplane_they_hear_at_the_next_look(database, caplog):
    caplog.set_level(logging.WARNING, "travelchat")
    async with AsyncExitStack() as nodes:
        engines = [
            await nodes.enter_async_context(
                ChatEngine(
                    travelchat.postgres(database),
                    backplane=travelchat.nats(["nats://127.0.0.1:1"]),
                    poll_interval_down=timedelta(milliseconds=20),
                )
            )
            for _ in range(2)
        ]
        await follow_from_the_other(*engines)
        assert engines[1].stats().catch_ups > 0


def test_a_backplane_belongs_to_one_engine(tmp_path):
    backplane = travelchat.nats("nats://127.0.0.1:1")
    with travelchat.sync.ChatEngine(travelchat.memory(), backplane=backplane):
        with pytest.raises(ValueError, match="belongs to an engine"):
            travelchat.sync.ChatEngine(make_storage("memory", tmp_path), backplane=backplane)
    for wrong in ([], "nats://", "http://127.0.0.1:1"):
        with pytest.raises(ValueError, match="NATS"):
            travelchat.nats(wrong)
    with pytest.raises(ValueError, match="NATS"):
        travelchat.nats("nats://127.0.0.1:1", subject_prefix="a b")


def test_a_child_of_a_process_that_has_a_backplane_is_told():
    ended = run_script(
        """
        import os, sys
        import travelchat
        travelchat.nats("nats://127.0.0.1:1")
        child = os.fork()
        if child == 0:
            try:
                travelchat.nats("nats://127.0.0.1:1")
            except RuntimeError as said:
                assert "made before a fork" in str(said), said
                os._exit(0)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "0\n"), ended.stderr


def test_the_interpreter_ends_while_the_log_is_written(database):
    """What has no database and no NATS has much to say, on threads of its own."""
    for _ in range(3):
        ended = run_script(
            """
            import sys, warnings
            import travelchat
            warnings.simplefilter("ignore")
            engine = travelchat.sync.ChatEngine(
                travelchat.postgres(sys.argv[1]), backplane=travelchat.nats("nats://127.0.0.1:1")
            )
            conversation = engine.open_conversation("org", "carl")
            listener = engine.subscribe(conversation.id)
            unused = travelchat.postgres(sys.argv[1]), travelchat.nats("nats://127.0.0.1:1")
            engine.send(travelchat.Participant.advisor("org", "ada"), conversation.id, "x")
            """,
            database,
        )
        assert ended.returncode == 0, f"{ended.returncode}\n{ended.stderr}"
