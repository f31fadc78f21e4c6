"""Tests of the installed package. A test that is a coroutine runs on an event loop of its own."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import travelchat
from memory_storage import PythonMemoryStorage
from travelchat import ChatEngine, Conversation, Event, Participant, Subscription

ADA = Participant.advisor("org", "ada", "Ada Advisor")
CARL = Participant.client("org", "carl", "Carl Client")
PATIENCE = 20.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), timeout=90))
    return True


def make_storage(kind: str, folder: Path) -> travelchat.AnyStorage:
    if kind == "sqlite":
        return travelchat.sqlite(folder / "chat.db")
    return travelchat.memory() if kind == "memory" else PythonMemoryStorage()


@pytest.fixture(params=["memory", "sqlite", "postgres", "python"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> travelchat.AnyStorage:
    if request.param == "postgres":
        return travelchat.postgres(request.getfixturevalue("database"))
    return make_storage(request.param, tmp_path)


SUPPORT = Path(__file__).resolve().parents[3] / "tests" / "support"


@contextmanager
def running(name: str, folder: Path) -> Iterator[str]:
    """The URL of a server of tests/support, which ends with the block, and with this process."""
    words = [str(SUPPORT / name), "run", str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        url = process.stdout.readline().strip()
        assert url, f"{name} did not start"
        yield url
        process.stdin.close()


@pytest.fixture(scope="session")
def postgres_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a PostgreSQL server that runs."""
    folder = tmp_path_factory.mktemp("postgres")
    with running("postgres", folder):
        yield folder


@pytest.fixture
def database(postgres_folder: Path) -> str:
    """The URL of an empty database."""
    name = f"d{uuid.uuid4().hex}"
    words = [str(SUPPORT / "postgres"), "createdb", str(postgres_folder), name]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


OpenChat = Callable[..., Any]


@asynccontextmanager
async def open_chat(
    storage: travelchat.AnyStorage | None = None, **options: Any
) -> AsyncIterator[tuple[ChatEngine, Conversation]]:
    """An engine with a conversation between Ada and Carl."""
    async with ChatEngine(storage if storage is not None else travelchat.memory(), **options) as engine:
        yield engine, await engine.open_conversation("org", "carl")


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE)


async def take(subscription: Subscription, count: int) -> list[Event]:
    return [await soon(anext(subscription)) for _ in range(count)]


def run_script(source: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """A program of its own, for what ends a process; with the warnings and checks of Python's development mode."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
    )
