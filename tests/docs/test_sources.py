"""Rules of the sources that no compiler holds: no exception vanishes unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

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
