"""The code in docs/python.md and in the package's README, as it stands there; and the bot."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import travelchat
from conftest import CARL, open_chat, soon, take
from travelchat import MessageCreated

ROOT = Path(__file__).resolve().parents[3]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


async def run(source: str, names: dict[str, object]) -> None:
    code = compile(source, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, names)
    if inspect.isawaitable(outcome):
        await outcome


async def test_the_manual_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = blocks(ROOT / "docs" / "python.md")
    assert len(parts) >= 10
    names: dict[str, object] = {}
    for part in parts:
        await run(part, names)


async def test_the_readme_prints_what_it_follows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [part] = blocks(ROOT / "bindings" / "python" / "README.md")
    # It follows the conversation for ever.
    following = asyncio.ensure_future(run(part, {}))
    printed = ""
    async with asyncio.timeout(20):
        while "CaughtUp(rev=1)" not in printed:
            await asyncio.sleep(0)
            printed += capsys.readouterr().out
    assert "Your flight leaves at 9:15." in printed
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


async def test_the_bot_answers_when_a_client_asks_for_the_time_of_a_flight():
    bot = load(ROOT / "examples" / "bot" / "bot.py")
    flights = {"carl": "on 2 April at 09:15"}
    async with open_chat() as (engine, conversation):
        asked_before = await engine.send(CARL, conversation.id, "When does my flight leave?")
        async with engine.subscribe(conversation.id) as listener:
            await take(listener, 1)
            answering = asyncio.ensure_future(bot.run(engine, "org", flights.get))
            [first] = await take(listener, 1)
            assert first.message.content == "Your flight leaves on 2 April at 09:15."
            assert first.message.client_message_id == f"flight-{asked_before.message.id}"
            await engine.send(CARL, conversation.id, "Thank you! Is breakfast included?")
            await engine.send(CARL, conversation.id, "And what time is my flight back?")
            heard = await take(listener, 3)
            assert [event.message.sender_name for event in heard if isinstance(event, MessageCreated)] == [
                "Carl Client",
                "Carl Client",
                "Flight Bot",
            ]
            dora = await engine.open_conversation("org", "dora")
            async with engine.subscribe(dora.id, since=0) as other:
                await engine.send(
                    travelchat.Participant.client("org", "dora"), dora.id, "What time is my flight?"
                )
                contents = [e.message.content for e in await take(other, 4) if isinstance(e, MessageCreated)]
                assert contents[-1] == "I see no flight of yours. An advisor will have a look."
        await engine.close()
        await soon(answering)
