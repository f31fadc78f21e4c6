"""docs/library.md lists every option with its default, and every operation, as the headers have them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs/library.md").read_text()

SECONDS = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600, "s": 1, "min": 60, "h": 3600}
SIZES = {"KiB": 2**10, "MiB": 2**20}
BOOLEANS = {"true": True, "false": False}


def header(name: str) -> str:
    text = (REPOSITORY / "include/travelchat" / name).read_text()
    return re.sub(r"//.*", "", text)


def constant(name: str) -> int:
    """A number that headers have a name for."""
    for file in sorted(path.name for path in (REPOSITORY / "include/travelchat").glob("*.hpp")):
        if match := re.search(rf"^inline constexpr std::size_t {name} =\s+([^;]+);", header(file), re.MULTILINE):
            formula = match[1].replace("'", "").replace("/", "//")
            return eval(re.sub(r"[a-z]\w+", lambda part: str(constant(part[0])), formula), {"__builtins__": {}})
    raise AssertionError(f"no header has the constant {name}")


def value_in_code(initializer: str) -> object:
    """What a default comes to: numbers and sizes as numbers, durations in seconds, "N in WINDOW" as a pair."""
    text = initializer.strip().rstrip(";").removeprefix("=").strip().replace("'", "")
    if text.startswith("{") and "," in text:
        count, window = text.strip("{}").split(",", 1)
        return int(count), value_in_code(window.rstrip() if "}" in window else window + "}")
    if match := re.fullmatch(r"std::chrono::(\w+)\{(\d+)\}?", text):
        return SECONDS[match[1]] * int(match[2])
    if match := re.fullmatch(r"std::size_t\{(\d+)\} << (\d+)", text):
        return int(match[1]) << int(match[2])
    if re.fullmatch(r"\w*[a-z]\w*", text) and text not in BOOLEANS:
        return constant(text)
    if match := re.fullmatch(r"(\d+(?: \* \d+)*)", text):
        product = 1
        for factor in text.split("*"):
            product *= int(factor)
        return product
    if match := re.fullmatch(r'"(.*)"', text):
        return match[1]
    if match := re.fullmatch(r"\w+::(\w+)", text):
        return match[1]
    if text in BOOLEANS:
        return BOOLEANS[text]
    assert text in ("", "{}"), f"a default that this test cannot read: {initializer!r}"
    return None


def value_on_page(cell: str) -> object:
    if match := re.fullmatch(r"(\d+) in (.*)", cell):
        return int(match[1]), value_on_page(match[2])
    if match := re.fullmatch(r"(\d+) (s|min|h)", cell):
        return int(match[1]) * SECONDS[match[2]]
    if match := re.fullmatch(r"(\d+) (KiB|MiB)", cell):
        return int(match[1]) * SIZES[match[2]]
    if re.fullmatch(r"\d+(,\d{3})*", cell):
        return int(cell.replace(",", ""))
    if cell in BOOLEANS:
        return BOOLEANS[cell]
    return cell if cell not in ("", "see below") else None


def options_in_code(struct: str, file: str) -> dict[str, object]:
    body = re.search(rf"^struct {struct} \{{\n(.*?)^\}};", header(file), re.MULTILINE | re.DOTALL).group(1)
    members = {}
    for line in re.sub(r"(?<=[,=])\n\s+", " ", body).splitlines():
        if match := re.fullmatch(r"  [\w:<>( )]+ (\w+)( = [^;]+|\{.*\})?;\s*", line):
            members[match[1]] = value_in_code(match[2] or "")
    return members


def options_on_page(struct: str) -> dict[str, object]:
    table = re.search(rf"^`{struct}`[^\n]*:\n\n\|.*?\n\|[-|]+\|\n(.*?)\n(?:\n|\Z)", PAGE + "\n",
                      re.MULTILINE | re.DOTALL).group(1)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {name.strip("`"): value_on_page(default) for name, default, _ in cells}


@pytest.mark.parametrize("struct, file, least", [
    ("SqliteStorageOptions", "sqlite_storage.hpp", 3),
    ("NatsBackplaneOptions", "nats_backplane.hpp", 4),
    ("PostgresStorageOptions", "postgres_storage.hpp", 6),
    ("EngineOptions", "engine.hpp", 12),
    ("BeastServerOptions", "beast_server.hpp", 17),
    ("RateLimits", "beast_server.hpp", 4),
])
def test_every_option_is_listed_with_its_default(struct: str, file: str, least: int) -> None:
    in_code = options_in_code(struct, file)
    assert len(in_code) >= least, "the header is not read right"
    assert options_on_page(struct) == in_code


def test_every_operation_is_listed() -> None:
    in_code = set(re.findall(r"\basync_\w+", header("engine.hpp"))) - {"async_initiate", "async_result"}
    section = re.search(r"^## Engine\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL).group(1)
    listed = set()
    for cell in re.findall(r"^\| (`async_[^|]*)\|", section, re.MULTILINE):
        listed |= set(re.findall(r"`(async_\w+)`", cell))
    assert listed == in_code


def test_every_question_of_the_host_is_listed() -> None:
    in_code = set(re.findall(r"virtual void (\w+)\(", header("host.hpp")))
    section = re.search(r"^## Host\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL).group(1)
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == in_code
