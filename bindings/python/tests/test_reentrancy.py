"""Python code of the caller's that runs within a call: iterators, properties, handlers of signals, sequences that change."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

import travelchat
from conftest import ADA, CARL, run_script
from memory_storage import PythonMemoryStorage


def test_an_engine_that_is_closed_while_a_call_reads_its_arguments_says_so():
    engine = travelchat.sync.ChatEngine(travelchat.memory())

    def ids():
        engine.close()
        yield "carl"

    with pytest.raises(travelchat.Closed):
        engine.list_conversations("org", text="x", client_ids=ids())


def test_an_engine_that_another_thread_closes_while_a_call_reads_its_arguments_says_so():
    for _ in range(20):
        engine = travelchat.sync.ChatEngine(travelchat.memory())
        is_reading, has_closed = threading.Event(), threading.Event()

        def ids():
            is_reading.set()
            assert has_closed.wait(20)
            yield "carl"

        def close():
            assert is_reading.wait(20)
            engine.close()
            has_closed.set()

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(travelchat.Closed):
            engine.list_conversations("org", text="x", client_ids=ids())
        closing.join()


class Treacherous(travelchat.Participant):
    """Closes the engine when it is looked at."""

    __slots__ = ()
    engine: travelchat.sync.ChatEngine

    @property
    def name(self):
        Treacherous.engine.close()
        return "Ada"


CALLS = {
    "send": lambda engine, who, chat, message: engine.send(who, chat, "x"),
    "list_messages": lambda engine, who, chat, message: engine.list_messages(who, chat),
    "react": lambda engine, who, chat, message: engine.react(who, chat, message, "👍"),
    "unreact": lambda engine, who, chat, message: engine.unreact(who, chat, message),
    "mark": lambda engine, who, chat, message: engine.mark(who, chat),
    "subscribe": lambda engine, who, chat, message: engine.subscribe(chat, listener=who),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_property_that_closes_the_engine_ends_the_call(call):
    engine = Treacherous.engine = travelchat.sync.ChatEngine(travelchat.memory())
    conversation = engine.open_conversation("org", "carl")
    message = engine.send(CARL, conversation.id, "x").message
    who = object.__new__(Treacherous)
    for name in ("org_id", "role", "id"):
        object.__setattr__(who, name, getattr(ADA, name))
    with pytest.raises(travelchat.Closed):
        CALLS[call](engine, who, conversation.id, message.id)


def test_a_signals_handler_may_call_the_engine_within_a_call():
    ended = run_script(
        """
        import os, signal, threading
        import travelchat
        from memory_storage import PythonMemoryStorage

        class Waits(PythonMemoryStorage):
            entered = threading.Event()
            leave = threading.Event()
            def count_unread(self, org_id):
                self.entered.set()
                self.leave.wait()
                return 7

        storage = Waits()
        engine = travelchat.sync.ChatEngine(storage, readers=2)
        heard = []

        def handle(number, frame):
            # The call that this one is within is answered while this one waits.
            storage.leave.set()
            while not heard or heard[-1].rev < 300:
                conversation = engine.open_conversation("org", "carl")
                engine.send(travelchat.Participant.advisor("org", "ada"), conversation.id, "x")
                heard.append(engine.find_conversation(conversation.id))

        signal.signal(signal.SIGUSR1, handle)

        def interrupt():
            storage.entered.wait()
            os.kill(os.getpid(), signal.SIGUSR1)

        threading.Thread(target=interrupt).start()
        assert engine.count_unread("org") == 7
        assert heard[-1].rev == 300
        engine.close()
        print("both were answered")
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "both were answered\n"), ended.stderr


def test_facts_that_are_told_many_times_do_no_harm():
    class Repetitive(PythonMemoryStorage):
        def _load(self, questions):
            facts = super()._load(questions)
            return travelchat.Facts(
                conversations=iter([*facts.conversations] * 1000),
                messages=tuple(facts.messages) * 1000,
                tokens=[*facts.tokens] * 1000,
            )

    with travelchat.sync.ChatEngine(Repetitive()) as engine:
        conversation = engine.open_conversation("org", "carl")
        ada = travelchat.Participant.advisor("org", "ada", "Ada")
        assert engine.send(ada, conversation.id, "x", client_message_id="c-1").created
        assert not engine.send(ada, conversation.id, "x", client_message_id="c-1").created


class Timeless(datetime):
    """A datetime whose conversion gives something else."""

    def astimezone(self, tz=None):
        return "noon"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_storage_whose_time_is_none_has_failed():
    from datetime import timedelta, timezone

    class Storage(PythonMemoryStorage):
        def find_conversation(self, conversation_id):
            found = super().find_conversation(conversation_id)
            return found and replace(
                found, created_at=Timeless(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))
            )

    with travelchat.sync.ChatEngine(Storage()) as engine:
        conversation = engine.open_conversation("org", "carl")
        assert conversation.created_at.tzinfo is UTC
        with pytest.raises(travelchat.StorageFailed):
            engine.find_conversation(conversation.id)


async def test_a_server_that_is_made_while_its_engine_closes_is_closed_or_ended():
    class Nobody(travelchat.Host):
        def authenticate(self, credentials):
            return None

        def find_trip(self, trip_id):
            return None

        def find_clients(self, org_id, client_ids):
            return []

        def search_clients(self, org_id, text):
            return []

    for _ in range(30):
        engine = travelchat.ChatEngine(travelchat.memory(), shards=1, readers=1)
        closing = asyncio.ensure_future(engine.close())
        made = []
        while not closing.done():
            try:
                made.append(travelchat.Server(engine, Nobody(), port=0))
                await made[-1].start()
            except travelchat.Closed:
                pass
            await asyncio.sleep(0)
        await closing
        for server in made:
            with pytest.raises(travelchat.Closed):
                await server.start()
