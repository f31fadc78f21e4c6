"""Rules of the sources that no compiler holds: what may be included where, and that no exception vanishes unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in (".cpp", ".hpp") and not {"node_modules", "build"} & set(path.relative_to(REPOSITORY).parts):
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def block(text: str, start: int) -> str:
    """What stands between the brace at `start` and the one that ends it."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + 1 : at]
    raise AssertionError("a brace is not closed")


def caught_unnamed(text: str) -> list[str]:
    return [block(text, found.end() - 1) for found in re.finditer(r"catch \(\.\.\.\) \{", text)]


def is_accounted_for(handler: str) -> bool:
    """It is thrown on, or a log is told, or a comment says why nobody is."""
    return bool(re.search(r"\bthrow;|\bcaught\(|\bwrite\(LogLevel::|//", handler))


def test_whatever_is_caught_is_thrown_on_or_told_to_a_log_or_a_comment_says_why_not() -> None:
    handlers = [(name_of(path), handler) for path in sources("src", "include", "examples", "bindings/node/native", "bindings/python/src")
                for handler in caught_unnamed(path.read_text())]
    assert len(handlers) > 10
    assert [where for where, handler in handlers if not is_accounted_for(handler)] == []


def test_a_handler_that_says_nothing_would_be_found() -> None:
    [silent] = caught_unnamed("try { f(); } catch (...) { g({1}); }")
    assert not is_accounted_for(silent)


# ---- Includes ----

# The applications and bindings: what they need of the library is public, so that another one can be written.
EMBEDDERS = ["examples", "bindings/node/native", "bindings/python/src", "bench"]
# The one that CMake makes.
PUBLIC = {path.name for path in (REPOSITORY / "include/travelchat").glob("*.hpp")} | {"version.hpp"}


def private_includes(path: Path, text: str) -> list[str]:
    """What it includes that is neither of its own folder, or one above it, nor a public header."""
    own = [path.parent, *path.parent.parents]
    return [
        name
        for bracket, name in re.findall(r'#\s*include ([<"])([^>"]+)', text)
        if (name.startswith("travelchat/") and name.removeprefix("travelchat/") not in PUBLIC)
        or (bracket == '"' and not name.startswith("travelchat/") and not any((folder / name).is_file() for folder in own[:2]))
    ]


@pytest.mark.parametrize("folder", EMBEDDERS)
def test_an_application_and_a_binding_include_public_headers_only(folder: str) -> None:
    found = [path for path in sources(folder) if path.parts[-2] != "tests"]
    assert found
    assert {name_of(path): names for path in found if (names := private_includes(path, path.read_text()))} == {}


def test_an_application_and_a_binding_are_built_without_the_private_headers() -> None:
    lists = [path for folder in ("examples", "bindings", "bench") for path in (REPOSITORY / folder).rglob("CMakeLists.txt")
             if "node_modules" not in path.parts]
    assert len(lists) > 5
    assert [name_of(path) for path in lists if re.search(r"PROJECT_SOURCE_DIR\}/src\b", path.read_text())] == []


def test_a_private_header_would_be_found() -> None:
    path = REPOSITORY / "examples/cpp/main.cpp"
    text = '#include "core/clock.hpp"\n#include <travelchat/nothing.hpp>\n#include <travelchat/engine.hpp>\n#include <string>\n'
    assert private_includes(path, text) == ["core/clock.hpp", "travelchat/nothing.hpp"]
