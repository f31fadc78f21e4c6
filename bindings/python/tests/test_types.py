"""Values, errors, and what type checkers see of the package."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import json
import os
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType

import pytest
import yaml

import travelchat
from conftest import ADA, open_chat
from travelchat import MessageCreated, Participant, Resync, Role, Sent

HERE = Path(__file__).parent
MODULES = ("asgi", "backplane", "engine", "errors", "host", "server", "storage", "sync", "types")


def test_text_is_folded_as_the_shared_vectors_say():
    vectors = json.loads((HERE.parents[2] / "tests/vectors/search.json").read_text())
    assert len(vectors) > 20
    for example in vectors:
        for text in map(travelchat.fold_text, example["texts"]):
            assert all(travelchat.fold_text(wanted) in text for wanted in example["found"]), example
            assert not any(travelchat.fold_text(wanted) in text for wanted in example["missed"]), example
    with pytest.raises(TypeError, match="^text must be"):
        travelchat.fold_text(None)


async def test_values_are_frozen_equal_and_say_what_they_are():
    async with open_chat() as (engine, conversation):
        sent = await engine.send(ADA, conversation.id, "Hello")
    message = sent.message
    for value in (sent, message, conversation, ADA, MessageCreated(message, 1)):
        assert copy.deepcopy(value) == value and hash(copy.deepcopy(value)) == hash(value)
        assert pickle.loads(pickle.dumps(value)) == value
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)
        with pytest.raises(AttributeError):
            object.__setattr__(value, "anything_else", 1)
    assert dataclasses.replace(message, content="Goodbye") != message
    assert repr(Resync(rev=3)) == "Resync(rev=3)"
    assert "content='Hello'" in repr(message) and "sender_type=<Role.ADVISOR: 'advisor'>" in repr(message)
    # What the engine has made equals what Python makes.
    made = travelchat.Message(**{field.name: getattr(message, field.name) for field in dataclasses.fields(message)})
    assert made == message
    match Sent(message, True):
        case Sent(message=travelchat.Message(content=content), created=True):
            assert content == "Hello"
        case _:
            raise AssertionError


def test_secrets_do_not_show():
    token = travelchat.IssuedToken("0123456789abcdef" * 4, datetime.now(UTC))
    assert "4567" not in repr(token)
    credentials = travelchat.RequestCredentials("session=secret", "Bearer secret")
    assert "secret" not in repr(credentials)


def test_each_error_is_a_class_of_its_own():
    assert travelchat.NotFound.http_status == 404 and travelchat.NotFound.close_code == 4404
    assert travelchat.InvalidEmoji().code == "invalid_emoji"
    assert str(travelchat.StorageFull()) == "The message store is full. Nothing was saved."
    assert str(travelchat.NotFound("no such trip")) == "no such trip"
    kinds = travelchat.errors.by_code
    wire = yaml.safe_load((HERE.parents[2] / "docs/openapi.yaml").read_text())["components"]["schemas"]["ErrorCode"]
    assert set(kinds) == set(wire["enum"]) and all(code == kind.code for code, kind in kinds.items())
    assert all(issubclass(kind, travelchat.TravelchatError) for kind in kinds.values())
    assert pickle.loads(pickle.dumps(travelchat.NotFound("x"))).args == ("x",)


def test_roles_are_their_own_words():
    assert Role.ADVISOR == "advisor" and Participant.client("org", "carl").role is Role.CLIENT


def test_everything_public_has_a_docstring():
    """Modules, classes, functions, methods and properties; a constructor with arguments explains each of them."""
    undocumented: set[str] = set()
    seen: set[str] = set()

    def look_at(name: str, thing: object) -> None:
        seen.add(name)
        doc = (thing.__doc__ or "").strip()
        # A dataclass without one shows its constructor.
        if not doc or doc.startswith(f"{name.rpartition('.')[2]}("):
            undocumented.add(name)

    def look_at_members(name: str, kind: type) -> None:
        for member, value in vars(kind).items():
            if not member.startswith("_") and isinstance(value, FunctionType | classmethod | staticmethod | property):
                look_at(f"{name}.{member}", value)
        if "Args:" in (kind.__init__.__doc__ or ""):
            for parameter in list(inspect.signature(kind.__init__).parameters)[1:]:
                if not re.search(rf"^ +(\w+, )*{parameter}(, \w+)*: ", kind.__init__.__doc__, re.MULTILINE):
                    undocumented.add(f"{name}({parameter})")

    for module in (travelchat, *(vars(travelchat)[name] for name in MODULES)):
        look_at(module.__name__, module)
        for name, thing in vars(module).items():
            if name.startswith("_") or not getattr(thing, "__module__", "").startswith("travelchat"):
                continue
            if inspect.isfunction(thing) or inspect.isclass(thing):
                look_at(f"{module.__name__}.{name}", thing)
            if inspect.isclass(thing):
                look_at_members(f"{module.__name__}.{name}", thing)
    assert undocumented == set()
    assert {"travelchat.sync", "travelchat.sync.ChatEngine.send", "travelchat.server.Server.url"} <= seen


def imported_by(path: Path) -> set[str]:
    """The modules of the package that one of its modules names in an import, those for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The first way from a module to itself that is found; empty when there is none."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for other in sorted(imports.get(name, ())):
                if found := follow(other, [*way, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in imports if (found := follow(name, []))), [])


def test_no_module_imports_itself_through_others():
    imports = {path.stem: imported_by(path) for path in Path(travelchat.__file__).parent.glob("*.py")}
    assert "_base" in imports["server"] and "_core" in imports["_base"]
    assert circle(imports) == []
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]


def run_mypy(*arguments: str, path: Path | None = None) -> None:
    # Outside of the sources, so that the installed package is what it finds.
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(filter(None, [os.environ.get("MYPYPATH"), str(path or "")]))}
    ended = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=300, cwd="/", env=environment
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_module_shows_nothing_but_its_entry():
    from travelchat import _core

    shown = subprocess.run(["nm", "-D", "--defined-only", _core.__file__], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in shown.stdout.splitlines()] == ["PyInit__core"]


def test_the_types_are_strict():
    run_mypy("mypy", "--strict", "--cache-dir=/dev/null", "-p", "travelchat")
    run_mypy("mypy", "--strict", "--cache-dir=/dev/null", str(HERE / "typing_checks.py"))


def test_the_examples_are_strict():
    examples = HERE.parents[2] / "examples"
    run_mypy(
        "mypy",
        "--strict",
        "--cache-dir=/dev/null",
        str(examples / "fastapi" / "__main__.py"),
        str(examples / "bot" / "bot.py"),
        path=examples / "fastapi",
    )


def test_the_stubs_say_what_the_modules_have():
    run_mypy("mypy.stubtest", "travelchat", "--allowlist", str(HERE / "stubtest-allowed.txt"))
