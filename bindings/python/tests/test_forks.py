"""What a forked child has of its parent's: nothing that it could take from it, and nothing that it would wait for."""

from __future__ import annotations

import pytest

from conftest import run_script

# Children are made one after another and run at once; each tells by its status how it ended.
CHILDREN = """
import asyncio, gc, os, sys, warnings
import travelchat
from travelchat import Participant

ADA = Participant.advisor("org", "ada")
warnings.simplefilter("ignore")


def children(count, work):
    made = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(number)
                status = 0
            except BaseException as error:
                print(f"child {number}: {error!r}", file=sys.stderr, flush=True)
            os._exit(status)
        made.append(child)
    return made


def all_end_well(made):
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in made]
    assert ended == [0] * len(made), ended


def refused(call):
    try:
        call()
    except RuntimeError as said:
        assert "before a fork" in str(said), said
    else:
        raise AssertionError("what is the parent's answered")
"""


def passes(source: str, *arguments: str) -> None:
    ended = run_script(CHILDREN + source, *arguments, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "parent is done\n"


def test_children_do_not_take_each_others_answers():
    passes(
        """
def work(number):
    with travelchat.sync.ChatEngine(travelchat.memory(), shards=1) as own:
        conversation = own.open_conversation("org", f"client-{number}")
        for n in range(2_000):
            assert own.send(ADA, conversation.id, f"{n}").message.seq == n + 1

# This thread has waited before, so that it has something to leave to its children.
with travelchat.sync.ChatEngine(travelchat.memory()) as engine:
    conversation = engine.open_conversation("org", "carl")
    made = children(3, work)
    for n in range(2_000):
        assert engine.send(ADA, conversation.id, f"{n}").message.seq == n + 1
    all_end_well(made)
print("parent is done")
"""
    )


def test_children_with_loops_of_their_own_do_not_take_each_others_answers():
    passes(
        """
async def chat(client):
    async with travelchat.ChatEngine(travelchat.memory(), shards=1) as own:
        conversation = await own.open_conversation("org", client)
        async with own.subscribe(conversation.id) as listener:
            for n in range(500):
                await own.send(ADA, conversation.id, f"{n}")
            await anext(listener)
            for n in range(500):
                assert (await anext(listener)).message.content == f"{n}"

asyncio.run(chat("before"))
made = children(3, lambda number: asyncio.run(chat(f"client-{number}")))
asyncio.run(chat("meanwhile"))
all_end_well(made)
print("parent is done")
"""
    )


def test_children_of_a_running_loop_run_their_own():
    passes(
        """
async def chat(client):
    async with travelchat.ChatEngine(travelchat.memory(), shards=1) as own:
        conversation = await own.open_conversation("org", client)
        for n in range(300):
            await own.send(ADA, conversation.id, f"{n}")

async def main():
    async with travelchat.ChatEngine(travelchat.memory()) as engine:
        await engine.ping()
        made = children(3, lambda number: asyncio.run(chat(f"client-{number}")))
        for _ in range(300):
            await engine.ping()
        await asyncio.to_thread(all_end_well, made)

asyncio.run(main())
print("parent is done")
"""
    )


@pytest.mark.parametrize("way", ["its engine", "its subscription", "its loop", "its storage", "its server", "its app"])
def test_a_child_that_uses_its_parents_is_told(way, tmp_path):
    passes(
        """
class Nobody(travelchat.Host):
    def authenticate(self, credentials): return None
    def find_trip(self, trip_id): return None
    def find_clients(self, org_id, client_ids): return []
    def search_clients(self, org_id, text): return []

engine = travelchat.sync.ChatEngine(travelchat.sqlite(sys.argv[1]))
conversation = engine.open_conversation("org", "carl")
listener = engine.subscribe(conversation.id)
spare = travelchat.memory()
server = travelchat.Server(engine, Nobody(), port=0)
app = travelchat.asgi.ChatApp(engine, Nobody())
loop = asyncio.new_event_loop()
other = travelchat.ChatEngine(travelchat.memory())
loop.run_until_complete(other.ping())

async def ask_app():
    scope = {"type": "http", "method": "GET", "path": "/livez", "headers": [(b"host", b"x")], "query_string": b""}
    async def receive(): return {"type": "http.request"}
    async def send(message): pass
    await app(scope, receive, send)

async def own_engine():
    async with travelchat.ChatEngine(travelchat.memory()) as own:
        await own.ping()

def work(number):
    if sys.argv[2] == "its engine":
        for call in (engine.ping, engine.stats, engine.close, lambda: engine.send(ADA, conversation.id, "x")):
            refused(call)
        refused(lambda: asyncio.run(other.ping()))
    elif sys.argv[2] == "its subscription":
        refused(lambda: next(listener))
        refused(lambda: next(listener))
        listener.close()
    elif sys.argv[2] == "its loop":
        # Also with an engine of the child's: the loop's own descriptors are the parent's.
        refused(lambda: loop.run_until_complete(other.ping()))
        refused(lambda: loop.run_until_complete(own_engine()))
    elif sys.argv[2] == "its storage":
        refused(lambda: travelchat.sync.ChatEngine(spare))
    elif sys.argv[2] == "its server":
        refused(lambda: asyncio.run(server.start()))
        refused(lambda: asyncio.run(server.stop()))
        refused(lambda: travelchat.Server(engine, Nobody()))
    else:
        refused(lambda: asyncio.run(ask_app()))
    # One of its own works, whatever was tried before.
    with travelchat.sync.ChatEngine(travelchat.memory()) as own:
        own.ping()
    asyncio.run(own_engine())

all_end_well(children(2, work))
assert isinstance(next(listener), travelchat.TypingChanged)
listener.close()
loop.run_until_complete(other.close())
loop.close()
engine.close()
print("parent is done")
""",
        str(tmp_path / "chat.db"),
        way,
    )


def test_a_child_drops_questions_that_its_parent_answers():
    """A child that clears away the parent's host calls must not answer them: the server's threads are not there."""
    passes(
        """
import http.client, threading

asked = threading.Event()
leave = None

class Slow(travelchat.Host):
    async def authenticate(self, credentials):
        global leave
        leave = asyncio.Event()
        asked.set()
        await leave.wait()
        return travelchat.Advisor("org", "ada", "Ada")
    def find_trip(self, trip_id): return None
    def find_clients(self, org_id, client_ids): return []
    def search_clients(self, org_id, text): return []

def ask(url):
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", "/api/conversations", headers={"Authorization": "x"})
    return connection.getresponse().status

async def application(scope, receive, send):
    await leave.wait()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

async def main():
    async with travelchat.ChatEngine(travelchat.memory()) as engine:
        async with travelchat.Server(engine, Slow(), app=application, port=0) as server:
            asking = asyncio.ensure_future(asyncio.to_thread(ask, server.url))
            await asyncio.to_thread(asked.wait)
            callers = [server._server._host_caller, server._server._application_runner]

            def work(number):
                # As the end of the interpreter would.
                for caller in callers:
                    for task in caller._tasks:
                        task.cancel()
                        task.get_coro().close()
                callers.clear()
                gc.collect()

            made = children(2, work)
            await asyncio.to_thread(all_end_well, made)
            leave.set()
            assert await asking == 200

asyncio.run(main())
print("parent is done")
"""
    )
