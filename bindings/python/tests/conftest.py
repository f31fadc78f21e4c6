"""Tests of the installed package. A test that is a coroutine runs on an event loop of its own."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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


@pytest.fixture(params=["memory", "sqlite", "python"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> travelchat.AnyStorage:
    return make_storage(request.param, tmp_path)


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
