"""Rules of the sources that no compiler holds: what may be included where, and that no exception vanishes unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

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


# ---- Who may include whom: docs/architecture.md ----


class Part(NamedTuple):
    headers: set[str]  # patterns of the project's headers that it may include, besides those of its own folder
    libraries: set[str] = set()


LIBRARIES = {"Beast": "boost/beast", "JSON": "boost/json", "SQLite": "sqlite3.h", "libpq": "libpq-fe.h", "NATS": "nats/",
             "OpenSSL": "openssl/", "utf8proc": "utf8proc.h"}
# The engine's interfaces and records.
ENGINE = {f"travelchat/{name}.hpp" for name in
          ("arguments", "asio_configuration", "backplane", "describe", "engine", "error", "event", "grouping", "local_backplane",
           "log", "memory_storage", "storage", "subscriber", "text_search", "transactional_storage", "types", "utf8", "validate",
           "version")}
STORED = {f"travelchat/{name}.hpp" for name in
          ("describe", "error", "event", "log", "storage", "text_search", "transactional_storage", "types", "utf8", "validate")}
RULES = {f"core/{name}.hpp" for name in ("decision", "digest", "letters", "options", "rules")}
PARTS = {
    "src/core": Part(ENGINE, {"OpenSSL", "utf8proc"}),
    "src/storage": Part(STORED),
    "src/storage/memory": Part(STORED | RULES | {"storage/*.hpp", "travelchat/memory_storage.hpp"}),
    "src/storage/sqlite": Part(STORED | RULES | {"storage/*.hpp", "travelchat/sqlite_storage.hpp"}, {"SQLite"}),
    "src/storage/postgres": Part(STORED | RULES | {"storage/*.hpp", "travelchat/postgres_storage.hpp"}, {"libpq"}),
    "src/backplane": Part({"core/digest.hpp", "core/logger.hpp", "core/options.hpp", "travelchat/backplane.hpp",
                           "travelchat/error.hpp", "travelchat/local_backplane.hpp", "travelchat/log.hpp",
                           "travelchat/nats_backplane.hpp", "travelchat/types.hpp"}, {"NATS"}),
    "src/wire": Part(ENGINE | {"travelchat/host.hpp", "travelchat/record_json.hpp", "travelchat/wire.hpp"}, {"JSON"}),
    "src/http": Part({"core/logger.hpp", "core/options.hpp", "travelchat/error.hpp", "travelchat/http.hpp",
                      "travelchat/log.hpp", "travelchat/utf8.hpp"}, {"Beast", "OpenSSL"}),
    "src/websocket": Part({"http/*.hpp", "travelchat/error.hpp", "travelchat/external_socket.hpp", "travelchat/http.hpp",
                           "travelchat/utf8.hpp"}, {"OpenSSL"}),
    "src/server": Part(ENGINE | {"http/*.hpp", "websocket/*.hpp", "wire/*.hpp", "core/chat_token.hpp", "core/clock.hpp",
                                 "core/logger.hpp", "core/options.hpp", "travelchat/beast_server.hpp",
                                 "travelchat/external_socket.hpp", "travelchat/host.hpp", "travelchat/http.hpp",
                                 "travelchat/wire.hpp"}, {"Beast"}),
}


def folders_of_src() -> set[str]:
    return {name_of(path.parent) for path in sources("src")}


def included(text: str) -> list[str]:
    return re.findall(r'^\s*#\s*include [<"]([^>"]+)[>"]', text, re.MULTILINE)


def strange_includes(folder: str, text: str) -> list[str]:
    """What a file of this folder includes and may not."""
    own = folder.removeprefix("src/")
    part = PARTS[folder]
    found = []
    for name in included(text):
        library = next((library for library, start in LIBRARIES.items() if name.startswith(start)), None)
        is_ours = name.startswith("travelchat/") or (REPOSITORY / "src" / name).is_file()
        if library and library not in part.libraries:
            found.append(name)
        # fnmatch's star would match a slash.
        if is_ours and not any(fnmatch(name, allowed) and name.count("/") == allowed.count("/")
                               for allowed in part.headers | {f"{own}/*.hpp"}):
            found.append(name)
    return found


def test_each_folder_has_rules() -> None:
    assert folders_of_src() == set(PARTS)


@pytest.mark.parametrize("folder", PARTS)
def test_a_part_includes_what_stands_below_it_and_nothing_else(folder: str) -> None:
    files = [path for path in sources(folder) if name_of(path.parent) == folder]
    assert files
    assert {name_of(path): names for path in files if (names := strange_includes(folder, path.read_text()))} == {}


def test_an_include_of_what_stands_above_would_be_found() -> None:
    text = '#include "http/outbox.hpp"\n#include "server/chat_server.hpp"\n#include <travelchat/engine.hpp>\n#include <string>\n'
    assert strange_includes("src/http", text) == ["server/chat_server.hpp", "travelchat/engine.hpp"]
    assert strange_includes("src/core", "#include <boost/json/value.hpp>\n#include <boost/asio/post.hpp>\n") == ["boost/json/value.hpp"]
    assert strange_includes("src/storage", '#include "storage/sqlite/rows.hpp"\n') == ["storage/sqlite/rows.hpp"]


def circle(graph: dict[str, list[str]]) -> list[str]:
    """Headers of which each includes the next one, and the last the first; empty: there is none."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name):]
        if name in done:
            return []
        for other in graph.get(name, []):
            if found := follow(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in graph if (found := follow(name, []))), [])


def test_no_headers_include_each_other_in_a_circle() -> None:
    graph = {path.relative_to(REPOSITORY / root).as_posix(): included(path.read_text())
             for root in ("src", "include") for path in sources(root) if path.suffix == ".hpp"}
    assert len(graph) > 80
    assert circle(graph) == []
    assert circle({"a": ["b"], "b": ["c", "d"], "d": ["b"]}) == ["b", "d"]
