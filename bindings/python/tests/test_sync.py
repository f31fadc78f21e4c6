"""The engine for programs without an event loop."""

from __future__ import annotations

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import travelchat
from conftest import ADA, CARL
from travelchat import CaughtUp, Emoji, MessageCreated, TypingChanged, sync


def test_every_use_case_blocks_until_its_answer(storage):
    with sync.ChatEngine(storage) as engine:
        conversation = engine.open_conversation("org", "carl")
        assert engine.find_conversation(conversation.id) == conversation
        sent = engine.send(CARL, conversation.id, "Hello", client_message_id="a")
        assert not engine.send(CARL, conversation.id, "Hello", client_message_id="a").created
        assert engine.count_unread("org") == 1
        assert engine.list_messages(ADA, conversation.id).messages == (sent.message,)
        assert [r.emoji for r in engine.react(ADA, conversation.id, sent.message.id, "\N{CRYING FACE}")] == [Emoji.SAD]
        assert engine.unreact(ADA, conversation.id, sent.message.id) == ()
        assert engine.mark(ADA, conversation.id).count == 1
        assert engine.list_conversations("org", text="HELL")[0].conversation.id == conversation.id
        issued = engine.issue_token("org", "carl", "lisbon", conversation.id)
        assert engine.authenticate_token(issued.token).client_id == "carl"
        assert engine.revoke_token(issued.token) and engine.sweep_tokens() == 0
        engine.ping()
        with pytest.raises(travelchat.NotFound):
            engine.find_conversation("nothing")
    with pytest.raises(travelchat.Closed):
        engine.ping()
    assert engine.closed and "closed" in repr(engine)


def test_it_has_the_same_calls_as_the_asynchronous_engine():
    def calls(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert calls(sync.ChatEngine) == calls(travelchat.ChatEngine)


def test_a_subscription_is_iterated_over():
    with sync.ChatEngine(travelchat.memory()) as engine:
        conversation = engine.open_conversation("org", "carl")
        first = engine.send(ADA, conversation.id, "one").message
        with engine.subscribe(conversation.id, since=0, listener=CARL) as listener:
            assert [next(listener) for _ in range(3)] == [
                TypingChanged(False, False),
                MessageCreated(first, rev=1),
                CaughtUp(rev=1, epoch=engine.list_messages(CARL, conversation.id).epoch),
            ]
            second = engine.send(ADA, conversation.id, "two").message
            assert next(listener) == MessageCreated(second, rev=2)
            with engine.subscribe(conversation.id) as other:
                next(other)
                listener.set_typing(True)
                assert next(other) == TypingChanged(False, client_typing=True)
        assert list(listener) == []


def test_closing_wakes_an_iteration_in_another_thread():
    with sync.ChatEngine(travelchat.memory()) as engine:
        conversation = engine.open_conversation("org", "carl")
        by_close = engine.subscribe(conversation.id)
        by_engine = engine.subscribe(conversation.id)
        heard_first = threading.Barrier(3)

        def drain(listener: sync.Subscription) -> int:
            next(listener)
            heard_first.wait(20)
            return sum(1 for _ in listener)

        with ThreadPoolExecutor(2) as threads:
            ends = [threads.submit(drain, listener) for listener in (by_close, by_engine)]
            heard_first.wait(20)
            by_close.close()
            engine.close()
            assert [end.result(20) for end in ends] == [0, 0]


def test_many_threads_share_one_engine():
    with sync.ChatEngine(travelchat.memory()) as engine:
        conversation = engine.open_conversation("org", "carl")

        def write(thread: int) -> list[int]:
            return [engine.send(ADA, conversation.id, f"{thread} {n}").message.seq for n in range(100)]

        with ThreadPoolExecutor(8) as threads:
            given = list(threads.map(write, range(8)))
        assert sorted(seq for mine in given for seq in mine) == list(range(1, 801))
        assert all(mine == sorted(mine) for mine in given)


def test_a_call_gives_the_gil_away_while_it_waits():
    """A storage that answers only when another thread of this interpreter has run."""
    from memory_storage import PythonMemoryStorage

    class Waits(PythonMemoryStorage):
        others_turn = threading.Event()

        def count_unread(self, org_id: str) -> int:
            assert self.others_turn.wait(20)
            return 7

    with sync.ChatEngine(Waits()) as engine:
        threading.Thread(target=Waits.others_turn.set).start()
        assert engine.count_unread("org") == 7
