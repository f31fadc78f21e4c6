"""A storage written in Python: held to the conformance suite, and what happens when it misbehaves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import travelchat
from conftest import ADA, CARL, open_chat, take
from memory_storage import PythonMemoryStorage
from travelchat import Change, Emoji, Facts, MessageCreated, TokenRow


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

        def transact(self, questions, decide):
            self.on.add(threading.current_thread().name)
            if not questions.openings:
                self.entered.set()
                assert self.leave.wait(20)
            super().transact(questions, decide)

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


async def test_that_it_fails_is_told_to_the_log_without_a_word_of_the_messages(caplog):
    class Failing(PythonMemoryStorage):
        fails = False

        def transact(self, questions, decide):
            if self.fails:
                raise travelchat.StorageFull
            super().transact(questions, decide)

    storage = Failing()
    async with open_chat(storage) as (engine, conversation):
        storage.fails = True
        with pytest.raises(travelchat.StorageFull):
            await engine.send(ADA, conversation.id, "secret")
    told = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "travelchat"]
    assert told == [("ERROR", "storage_failed: commit: storage_full")]


LATER_CHANGES = json.loads((Path(__file__).parents[3] / "tests/vectors/events.json").read_text())["laterChanges"]


@pytest.mark.parametrize("later", LATER_CHANGES, ids=lambda later: later["description"])
async def test_a_change_of_a_later_version_is_passed_over(later):
    """It may keep rows that a later version has written. An event of an unknown type cannot come to a subscription: events
    are made by the engine in this package, from changes."""

    class Later(PythonMemoryStorage):
        unknown: set[int] = set()

        def list_changes(self, conversation_id, since_rev, limit):
            found = super().list_changes(conversation_id, since_rev, limit)
            return dataclasses.replace(
                found,
                changes=tuple(Change(one.rev) if one.rev in self.unknown else one for one in found.changes),
            )

    storage = Later()
    async with open_chat(storage) as (engine, conversation):
        for content in ("one", "two", "three"):
            await engine.send(ADA, conversation.id, content)

        async def replay() -> list[tuple[str, int]]:
            async with engine.subscribe(conversation.id, since=0) as listener:
                heard = []
                while not heard or heard[-1][0] != "CaughtUp":
                    [event] = await take(listener, 1)
                    heard.append((type(event).__name__, getattr(event, "rev", 0)))
                sent = await engine.send(ADA, conversation.id, "live")
                assert await take(listener, 1) == [MessageCreated(sent.message, sent.message.rev)]
            return heard[1:]

        storage.unknown = {2}
        assert await replay() == [("MessageCreated", 1), ("MessageCreated", 3), ("CaughtUp", 3)]
        storage.unknown = {2, 4}
        assert await replay() == [("MessageCreated", 1), ("MessageCreated", 3), ("CaughtUp", 4)]


@dataclasses.dataclass(frozen=True, slots=True)
class LaterMessage(travelchat.Message):
    edited_at: str = "2027-01-01T00:00:00.000Z"


async def test_a_member_of_a_later_version_is_ignored():
    class Later(PythonMemoryStorage):
        def list_changes(self, conversation_id, since_rev, limit):
            found = super().list_changes(conversation_id, since_rev, limit)
            rows = [{field.name: getattr(one.message, field.name) for field in dataclasses.fields(one.message)}
                    for one in found.changes]
            changes = [dataclasses.replace(one, message=LaterMessage(**row))
                       for one, row in zip(found.changes, rows, strict=True)]
            return dataclasses.replace(found, changes=tuple(changes))

    async with open_chat(Later()) as (engine, conversation):
        sent = await engine.send(ADA, conversation.id, "one")
        async with engine.subscribe(conversation.id, since=0) as listener:
            assert (await take(listener, 2))[1] == MessageCreated(sent.message, 1)


@pytest.mark.parametrize("kind", [travelchat.StorageFull, travelchat.StorageFailed, travelchat.NotFound])
async def test_what_it_raises_is_what_the_caller_gets(kind):
    class Failing(PythonMemoryStorage):
        fails = False

        def transact(self, questions, decide):
            if self.fails:
                raise kind
            super().transact(questions, decide)

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
    facts: object = None

    def transact(self, questions, decide):
        if questions.openings:
            super().transact(questions, decide)
        else:
            decide(self.facts)

    def list_messages(self, query):
        return self.facts

    def count_unread(self, org_id):
        raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (None, "the facts must be a travelchat.Facts, not NoneType"),
        (Facts(conversations=None), "conversations must be a sequence, not NoneType"),
        (Facts(conversations=[None]), "a conversation's row must be a travelchat.ConversationRow, not NoneType"),
        (
            Facts(conversations=[travelchat.ConversationRow("x")]),
            "a conversation must be a travelchat.Conversation, not str",
        ),
        (Facts(messages=["x"]), "a message must be a travelchat.Message, not str"),
        (Facts(tokens=[TokenRow(b"short", None, None)]), "a digest has 32 bytes"),
    ],
)
async def test_what_is_no_answer_is_reported_and_fails_the_call(facts, said, monkeypatch):
    reports = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append((report.exc_value, report.object)))
    storage = Broken()
    storage.facts = facts
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


async def test_a_decision_that_comes_too_late_is_refused():
    class Late(PythonMemoryStorage):
        late = None

        def transact(self, questions, decide):
            if self.late is None and not questions.openings:
                self.late = decide
            else:
                super().transact(questions, decide)

    storage = Late()
    async with open_chat(storage) as (engine, conversation):
        # It has not decided.
        with pytest.raises(travelchat.StorageFailed):
            await engine.send(ADA, conversation.id, "x")
        with pytest.raises(RuntimeError, match="transact has returned"):
            storage.late(Facts())
        assert (await engine.send(ADA, conversation.id, "y")).message.seq == 1


async def test_a_transaction_that_is_begun_anew_is_decided_on_what_it_finds_then():
    class Again(PythonMemoryStorage):
        def transact(self, questions, decide):
            super().transact(questions, lambda facts: decide(facts) and decide(facts))

    async with open_chat(Again()) as (engine, conversation):
        assert (await engine.send(ADA, conversation.id, "x")).message.seq == 1
        assert len((await engine.list_messages(ADA, conversation.id)).messages) == 1


async def test_a_row_whose_key_is_taken_fails_its_write_alone():
    class Taken(PythonMemoryStorage):
        def _store(self, effects):
            if any(new.message.content == "7" for new in effects.messages):
                raise travelchat.Internal
            super()._store(effects)

    async with open_chat(Taken()) as (engine, conversation):
        outcomes = await asyncio.gather(
            *(engine.send(ADA, conversation.id, f"{n}") for n in range(20)), return_exceptions=True
        )
        assert [isinstance(outcome, travelchat.Internal) for outcome in outcomes] == [n == 7 for n in range(20)]
        assert (await engine.find_conversation(conversation.id)).last_seq == 19


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
