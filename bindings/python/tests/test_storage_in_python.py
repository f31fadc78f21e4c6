"""A storage written in Python: held to the conformance suite, and what happens when it misbehaves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

import travelchat
from conftest import ADA, CARL, open_chat, take
from memory_storage import PythonMemoryStorage
from travelchat import Emoji, Written


def test_a_storage_in_python_passes_the_conformance_suite():
    """The suite of every other storage (tests/conformance), compiled into a module that is given this one."""
    module = os.environ.get("TRAVELCHAT_CONFORMANCE")
    assert module, "TRAVELCHAT_CONFORMANCE must name the folder of the built travelchat_conformance module"
    source = (
        "import sys, travelchat_conformance; from memory_storage import PythonMemoryStorage;"
        "sys.exit(travelchat_conformance.run(['--abort'], PythonMemoryStorage))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([module, *sys.path])},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "All tests passed" in ended.stdout


def test_a_storage_that_lacks_a_method_cannot_be_made():
    class Half(travelchat.Storage):
        def ping(self) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        Half()


async def test_it_runs_on_threads_of_the_engine_and_holds_up_no_loop():
    class Slow(PythonMemoryStorage):
        entered = threading.Event()
        leave = threading.Event()
        on: set[str] = set()

        def commit(self, writes):
            self.on.add(threading.current_thread().name)
            if any(isinstance(write, travelchat.AppendMessage) for write in writes):
                self.entered.set()
                assert self.leave.wait(20)
            return super().commit(writes)

    storage = Slow()
    async with open_chat(storage) as (engine, conversation):
        sending = asyncio.ensure_future(engine.send(ADA, conversation.id, "Hello"))
        await asyncio.to_thread(storage.entered.wait, 20)
        # The loop goes on, and reads are answered, while the commit blocks.
        assert (await engine.find_conversation(conversation.id)).rev == 0
        assert not sending.done()
        storage.leave.set()
        assert (await sending).message.seq == 1
    assert threading.main_thread().name not in storage.on


@pytest.mark.parametrize("kind", [travelchat.StorageFull, travelchat.StorageFailed, travelchat.NotFound])
async def test_what_it_raises_is_what_the_caller_gets(kind):
    class Failing(PythonMemoryStorage):
        fails = False

        def commit(self, writes):
            if self.fails:
                raise kind
            return super().commit(writes)

    storage = Failing()
    async with open_chat(storage) as (engine, conversation), engine.subscribe(conversation.id) as listener:
        await engine.send(ADA, conversation.id, "first")
        assert (await take(listener, 2))[1].message.content == "first"
        storage.fails = True
        with pytest.raises(kind):
            await engine.send(ADA, conversation.id, "lost")
        storage.fails = False
        await engine.send(ADA, conversation.id, "kept")
        # Nobody heard of what was not stored.
        assert (await take(listener, 1))[0].message.content == "kept"


class Broken(PythonMemoryStorage):
    answer: object = None

    def commit(self, writes):
        if any(isinstance(write, travelchat.AppendMessage) for write in writes):
            return self.answer
        return super().commit(writes)

    def list_messages(self, query):
        return self.answer

    def count_unread(self, org_id):
        raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "commit must return a list with one entry for each write"),
        ([], "commit must return a list with one entry for each write"),
        ([None], "an entry of what was written must be a travelchat.Written, not NoneType"),
        ([Written(changed=True)], "lacks its conversation"),
        ([Written(changed=True, conversation="x")], "a conversation must be a travelchat.Conversation, not str"),
        ([Written(count=-1)], "count is out of range"),
        ([Written(evicted=(b"short",))], "a digest has 32 bytes"),
    ],
)
async def test_what_is_no_answer_is_reported_and_fails_the_call(answer, said, monkeypatch):
    reports = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append((report.exc_value, report.object)))
    storage = Broken()
    storage.answer = answer
    async with open_chat(storage) as (engine, conversation):
        with pytest.raises(travelchat.StorageFailed):
            await engine.send(CARL, conversation.id, "x")
        assert said in str(reports[0][0]) and reports[0][1] is storage
        with pytest.raises(travelchat.StorageFailed):
            await engine.list_messages(CARL, conversation.id)
        with pytest.raises(travelchat.StorageFailed):
            await engine.count_unread("org")
        assert isinstance(reports[-1][0], ZeroDivisionError)
        # The engine is as good as before.
        await engine.ping()


async def test_one_write_that_fails_leaves_the_others_untouched():
    async with open_chat(PythonMemoryStorage()) as (engine, conversation):
        outcomes = await asyncio.gather(
            *(
                engine.send(ADA if n % 3 else travelchat.Participant.client("org", "dora"), conversation.id, f"{n}")
                for n in range(30)
            ),
            return_exceptions=True,
        )
        assert [isinstance(outcome, travelchat.NotFound) for outcome in outcomes] == [n % 3 == 0 for n in range(30)]
        assert (await engine.find_conversation(conversation.id)).last_seq == 20


async def test_a_closed_engine_lets_go_of_it():
    import gc
    import weakref

    storage = PythonMemoryStorage()
    known = weakref.ref(storage)
    async with open_chat(storage) as (engine, conversation):
        message = (await engine.send(ADA, conversation.id, "x")).message
        await engine.react(CARL, conversation.id, message.id, Emoji.JOY)
    del storage
    gc.collect()
    assert known() is None
