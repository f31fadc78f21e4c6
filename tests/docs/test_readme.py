"""The README's commands, pasted into a shell as a newcomer would, and the links of all pages."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import process

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((REPOSITORY / "docs").glob("*.md"))

README = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def values(text: str) -> list[Any]:
    """JSON values one after another, as jq prints them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def test_the_walk_through_works_as_pasted(server: process.Server, tmp_path: Path) -> None:
    walk = blocks("sh")
    assert walk[0] == "BASE=http://127.0.0.1:8080\n"
    walk[0] = f"BASE={server.url}\n"
    end_of_block = "--- end of block ---"
    script = "".join(f"{block}echo '{end_of_block}'\n" for block in walk)
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=process.PATIENCE * len(walk))
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    base, demo, advisor, grant, question, answer, client, changes, rest = run.stdout.split(end_of_block + "\n")
    assert base == demo == rest == ""

    advisor_account, row = values(advisor)
    assert row["clientName"] and row["lastMessage"] and isinstance(row["unreadCount"], int)

    names, = values(grant)
    assert names["clientName"] and names["advisorName"]

    asked, = values(question)
    assert asked["content"] == "Is breakfast included?"
    assert asked["senderName"] == names["clientName"]

    first, second, answered = values(answer)
    assert (first, second) == (201, 200)
    assert answered["seq"] == asked["seq"] + 1
    assert answered["rev"] == asked["rev"] + 1
    assert answered["content"] == "It is, from seven to ten."
    assert answered["senderName"] in json.dumps(advisor_account, ensure_ascii=False)

    reaction, ok = values(client)
    assert reaction == {"reactorName": names["clientName"], "emoji": "👍"}
    assert ok == {"ok": True}

    changed = values(changes)
    latest = changed[-1]
    # Everything that the advisor had not seen before the question came in is not among them.
    assert all(message["rev"] > asked["rev"] for message in changed)
    assert (latest["seq"], latest["senderType"], latest["content"]) == (answered["seq"], "advisor", answered["content"])
    assert latest["rev"] == asked["rev"] + 3, "answered, reacted, seen"
    assert latest["seenAt"] is not None
    assert latest["reactions"] == ["👍"]


def test_the_commands_that_it_names_exist() -> None:
    for command in set(re.findall(r"\bscripts/[a-z]+", README)):
        assert (REPOSITORY / command).stat().st_mode & 0o100, command


def test_every_stage_of_the_tests_is_in_the_table_of_contributing() -> None:
    lists = re.findall(r"^(?:all|more)_stages=\((.*)\)$", (REPOSITORY / "scripts/test").read_text(), re.MULTILINE)
    table, = re.findall(r"^\| stage \|.*\n((?:\|.*\n)+)", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(" ".join(lists).split())


def test_its_program_is_the_example_that_is_built() -> None:
    program, = blocks("cpp")
    assert program == (REPOSITORY / "examples/cpp/main.cpp").read_text()


def anchors(page: Path) -> set[str]:
    """The ids that a page's headings get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_it_names_exists(page: Path) -> None:
    """Paths from the root of the repository, in backquotes."""
    roots = {path.name for path in REPOSITORY.iterdir()} - {"build"}
    for name in re.findall(r"`([\w.-]+(?:/[\w.{},*-]*)+)`", page.read_text()):
        if name.split("/")[0] in roots and not re.search(r"[*{]", name):
            assert (REPOSITORY / name).exists(), name
