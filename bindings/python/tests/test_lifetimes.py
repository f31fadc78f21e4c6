"""What ends before what: loops, threads, processes, forks, the interpreter."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import travelchat
from conftest import ADA, CARL, make_storage, open_chat, run_script, take


def test_one_engine_serves_several_loops_one_after_another():
    engine = travelchat.ChatEngine(travelchat.memory())

    async def send(text: str) -> int:
        conversation = await engine.open_conversation("org", "carl")
        async with engine.subscribe(conversation.id) as listener:
            sent = await engine.send(ADA, conversation.id, text)
            heard = await take(listener, 2)
        assert heard[1].message == sent.message
        return sent.message.seq

    assert [asyncio.run(send(text)) for text in ("one", "two", "three")] == [1, 2, 3]
    asyncio.run(engine.close())


def test_one_engine_serves_several_loops_at_once(tmp_path):
    engine = travelchat.ChatEngine(make_storage("sqlite", tmp_path))

    async def chat(client: str) -> list[str]:
        conversation = await engine.open_conversation("org", client)
        async with engine.subscribe(conversation.id) as listener:
            for number in range(50):
                await engine.send(ADA, conversation.id, f"{client} {number}")
            return [event.message.content for event in (await take(listener, 51))[1:]]

    clients = [f"client-{n}" for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        heard = list(threads.map(lambda client: asyncio.run(chat(client)), clients))
    assert heard == [[f"{client} {n}" for n in range(50)] for client in clients]
    asyncio.run(engine.close())


def test_a_loop_that_is_closed_before_the_engine_leaves_nothing_behind():
    engine = travelchat.ChatEngine(travelchat.memory())
    loops = []

    async def leave_everything_open() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        conversation = await engine.open_conversation("org", "carl")
        listener = engine.subscribe(conversation.id)
        waiting = asyncio.ensure_future(take(listener, 100))
        calls = [asyncio.ensure_future(engine.send(ADA, conversation.id, f"{n}")) for n in range(100)]
        await asyncio.sleep(0)
        assert not waiting.done() and not all(call.done() for call in calls)

    for _ in range(3):
        asyncio.run(leave_everything_open())
    gc.collect()
    assert [loop() for loop in loops] == [None, None, None]

    async def still_works() -> None:
        await engine.ping()
        await engine.close()

    asyncio.run(still_works())


def test_a_call_without_a_running_loop_says_so():
    engine = travelchat.ChatEngine(travelchat.memory())
    with pytest.raises(RuntimeError, match="no running event loop"):
        engine.subscribe("x")
    asyncio.run(engine.close())


async def test_closing_answers_everybody_who_waits():
    for _ in range(20):
        async with open_chat() as (engine, conversation):
            calls = [asyncio.ensure_future(engine.send(ADA, conversation.id, f"{n}")) for n in range(200)]
            calls += [asyncio.ensure_future(engine.list_messages(ADA, conversation.id)) for _ in range(200)]
            await asyncio.sleep(0)
            closing = [asyncio.ensure_future(engine.close()) for _ in range(3)]
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 20)
            await asyncio.gather(*closing)
            failures = {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)}
            assert failures <= {travelchat.Closed}
        with pytest.raises(travelchat.Closed):
            await engine.ping()
        with pytest.raises(travelchat.Closed):
            engine.stats()
        with pytest.raises(travelchat.Closed):
            engine.subscribe(conversation.id)


def test_an_engine_that_nobody_closed_is_closed_with_a_warning(tmp_path):
    def forget() -> None:
        travelchat.sync.ChatEngine(travelchat.sqlite(tmp_path / "chat.db"))

    with pytest.warns(ResourceWarning, match="unclosed <travelchat.sync.ChatEngine"):
        forget()
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        travelchat.sync.ChatEngine(travelchat.sqlite(tmp_path / "chat.db")).close()


def test_a_forked_child_is_told_and_ends(tmp_path):
    ended = run_script(
        """
        import asyncio, gc, os, sys, warnings
        import travelchat

        engine = travelchat.sync.ChatEngine(travelchat.sqlite(sys.argv[1]))
        other = travelchat.memory()
        conversation = engine.open_conversation("org", "carl")
        listener = engine.subscribe(conversation.id)
        child = os.fork()
        if child == 0:
            for call in (
                lambda: engine.ping(),
                lambda: engine.send(travelchat.Participant.advisor("org", "ada"), conversation.id, "x"),
                lambda: engine.stats(),
                lambda: engine.close(),
                lambda: travelchat.sync.ChatEngine(other),
            ):
                try:
                    call()
                except RuntimeError as said:
                    assert "made before a fork" in str(said), said
                else:
                    raise AssertionError("a dead engine answered")
            warnings.simplefilter("ignore")
            del engine, listener, other
            gc.collect()
            # One of its own works.
            with travelchat.sync.ChatEngine(travelchat.memory()) as own:
                own.ping()
            print("child is done")
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        engine.ping()
        engine.close()
        print("parent is done")
        """,
        str(tmp_path / "chat.db"),
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "child is done\nparent is done\n"


INTERPRETER_ENDS = {
    "while calls are under way": """
        async def main():
            engine = travelchat.ChatEngine(make())
            conversation = await engine.open_conversation("org", "carl")
            for n in range(500):
                asyncio.ensure_future(engine.send(ADA, conversation.id, f"{n}"))
            await asyncio.sleep(0)
            keep.append((engine, engine.subscribe(conversation.id)))
        asyncio.run(main())
    """,
    "by sys.exit in a task": """
        async def main():
            engine = travelchat.ChatEngine(make())
            conversation = await engine.open_conversation("org", "carl")
            keep.append(engine.subscribe(conversation.id, since=0))
            asyncio.ensure_future(engine.send(ADA, conversation.id, "x"))
            await anext(keep[0])
            sys.exit(0)
        asyncio.run(main())
    """,
    "while a server waits for its host": """
        class Slow(travelchat.Host):
            async def authenticate(self, credentials):
                asked.set()
                await asyncio.Event().wait()
            def find_trip(self, trip_id): return None
            def find_clients(self, org_id, client_ids): return []
            def search_clients(self, org_id, text): return []
        async def main():
            global asked
            asked = asyncio.Event()
            engine = travelchat.ChatEngine(make())
            server = travelchat.Server(engine, Slow(), port=0)
            await server.start()
            keep.append((engine, server, socket.create_connection(("127.0.0.1", server.port))))
            keep[0][2].sendall(b"GET /api/conversations HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            await asked.wait()
        asyncio.run(main())
    """,
    "while daemon threads wait": """
        engine = travelchat.sync.ChatEngine(make())
        conversation = engine.open_conversation("org", "carl")
        ready = threading.Barrier(9)
        def listen():
            listener = engine.subscribe(conversation.id)
            ready.wait()
            for _ in listener:
                pass
        def write():
            ready.wait()
            while True:
                engine.send(ADA, conversation.id, "x")
        for n in range(8):
            threading.Thread(target=listen if n % 2 else write, daemon=True).start()
        ready.wait()
    """,
}


@pytest.mark.parametrize("storage", ["travelchat.memory()", "PythonMemoryStorage()"])
@pytest.mark.parametrize("how", INTERPRETER_ENDS)
def test_the_interpreter_ends(how, storage):
    for _ in range(3):
        ended = run_script(
            f"""
import asyncio, socket, sys, threading, warnings
import travelchat
from memory_storage import PythonMemoryStorage
warnings.simplefilter("ignore")
threading.excepthook = lambda _: None
ADA = travelchat.Participant.advisor("org", "ada")
keep = []
make = lambda: {storage}
"""
            + "\n".join(line[8:] for line in INTERPRETER_ENDS[how].splitlines())
        )
        assert ended.returncode == 0, f"{ended.returncode}\n{ended.stderr}"


def test_a_signal_ends_a_call_that_waits():
    ended = run_script(
        """
        import os, signal, sys, threading
        import travelchat
        from memory_storage import PythonMemoryStorage

        # As in a program that a terminal has started; one in the background ignores it.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Stuck(PythonMemoryStorage):
            entered = threading.Event()
            leave = threading.Event()
            def count_unread(self, org_id):
                self.entered.set()
                self.leave.wait()
                return 0

        storage = Stuck()
        engine = travelchat.sync.ChatEngine(storage)
        def interrupt():
            storage.entered.wait()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            engine.count_unread("org")
        except KeyboardInterrupt:
            storage.leave.set()
            # The next call is not mistaken for the one that was broken off.
            conversation = engine.open_conversation("org", "carl")
            assert conversation.client_id == "carl", conversation
            engine.close()
            print("interrupted")
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr


def count_of(kind: str) -> int:
    return len(os.listdir(f"/proc/self/{kind}"))


def resident_kilobytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.parametrize("kind", ["memory", "sqlite", "python"])
def test_a_thousand_engines_leave_nothing_behind(kind, tmp_path):
    async def open_and_close() -> None:
        async with open_chat(make_storage(kind, tmp_path), shards=1, readers=1) as (engine, conversation):
            listener = engine.subscribe(conversation.id)
            await engine.send(CARL, conversation.id, "x")
            await take(listener, 1)

    async def many(times: int) -> None:
        for _ in range(times):
            await open_and_close()

    asyncio.run(many(100))
    gc.collect()
    before = count_of("fd"), threading.active_count(), count_of("task"), len(gc.get_objects())
    memory = resident_kilobytes()
    asyncio.run(many(800))
    for _ in range(100):
        asyncio.run(open_and_close())
    gc.collect()
    after = count_of("fd"), threading.active_count(), count_of("task"), len(gc.get_objects())
    assert after[:3] == before[:3]
    assert after[3] - before[3] < 500
    # An engine is some hundred kilobytes: a leak of one in ten would be seen.
    assert resident_kilobytes() - memory < 8 * 1024
