"""docs/changing.md says what three changes cost: its patches apply, and touch the files that it lists and no others."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/changing"))

import patches  # noqa: E402

PAGE = (REPOSITORY / "docs/changing.md").read_text()
# The section of each, and how many files of the product it may touch.
CHANGES = {"field": ("A field of a message", 10), "event": ("A durable event", 14), "rule": ("A rule", 1)}


def listed(name: str) -> list[str]:
    title, _ = CHANGES[name]
    section = re.search(rf"^## {title}\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_patch_has_a_section() -> None:
    assert set(CHANGES) == set(patches.NAMES) == {path.stem for path in patches.HERE.glob("*.patch")}


@pytest.mark.parametrize("name", CHANGES)
def test_a_patch_touches_what_the_page_lists_and_no_more_than_its_limit(name: str) -> None:
    product = [path for path in patches.touched(name) if patches.is_production(path)]
    assert sorted(listed(name)) == sorted(product)
    assert len(product) <= CHANGES[name][1]
    # It brings tests of its own.
    assert any(path.endswith((".cpp", ".py", ".mjs")) and "tests/" in path for path in patches.touched(name))


@pytest.mark.parametrize("names", [["field"], ["event"], ["rule"], ["field", "event", "rule"], ["rule", "event", "field"]], ids="+".join)
def test_a_patch_applies_alone_and_beside_the_others(names: list[str], tmp_path: Path) -> None:
    for path in {path for name in names for path in patches.touched(name)}:
        if (REPOSITORY / path).is_file():
            patches.place(REPOSITORY / path, tmp_path / path)
    patches.apply(tmp_path, names)


def test_what_is_neither_a_test_nor_prose_is_counted() -> None:
    counted = ["docs/openapi.yaml", "src/storage/postgres/columns.sql", "bindings/web/src/core/wire.ts", "examples/bot/bot.py"]
    others = ["docs/library.md", "CHANGELOG.md", "bindings/node/README.md", "tests/protocol/lab/people.py",
              "bindings/node/test/types.ts", "bindings/web/tests/core/world.ts", "tests/conformance/marks_test.cpp"]
    assert [path for path in counted + others if patches.is_production(path)] == counted
