#!/usr/bin/env python3
"""The patches of docs/changing.md: copies of the project with them, what they touch, and how they are made anew.

    patches.py copy FOLDER [NAME...]     makes FOLDER the project with these patches, all of them when none is named
    patches.py renew NAME                makes build/changing/NAME the same as a repository of its own, in which the patch
                                         is what differs from its one commit; what no longer applies stands in *.rej
    patches.py save NAME                 takes the patch from there

Needs git as a program; the project itself may be without a repository.
"""

from __future__ import annotations

import difflib
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
WORK = REPOSITORY / "build/changing"
NAMES = ("field", "event", "rule")
# What is made of the project's files and lies among them.
MADE = {"build", "node_modules", "dist", "__pycache__", ".travelchat", ".git"}


def patch_of(name: str) -> Path:
    return HERE / f"{name}.patch"


def touched(name: str) -> list[str]:
    """The files that a patch changes, in its order."""
    return re.findall(r"^\+\+\+ b/(.+)$", patch_of(name).read_text(), re.MULTILINE)


def is_production(path: str) -> bool:
    """Neither a test nor prose. Specifications, SQL and what is generated from them count."""
    *folders, file = path.split("/")
    if {"test", "tests"} & set(folders) or re.search(r"_tests?\.\w+$", file):
        return False
    return not (file in ("CHANGELOG.md", "README.md") or (folders == ["docs"] and file.endswith(".md")))


def files() -> list[str]:
    """Of the project as it stands here, also what is not committed yet."""
    if (REPOSITORY / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY,
                                capture_output=True, text=True, check=True).stdout
        return [path for path in listed.split("\0") if path and (REPOSITORY / path).is_file()]
    found = []
    for folder, folders, names in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in MADE]
        found += [(Path(folder) / name).relative_to(REPOSITORY).as_posix() for name in names]
    return found


def git(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    # A folder within another repository is none of that one's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    return subprocess.run(["git", *words], cwd=folder, env=environment, check=check, text=True, capture_output=True)


def apply(folder: Path, names: Iterable[str]) -> None:
    """Raises CalledProcessError, with what git says, when one does not apply as it is."""
    for name in names:
        git(folder, "apply", "--whitespace=nowarn", str(patch_of(name)))


def place(source: Path, target: Path) -> None:
    """Leaves a file with its time when it is the same already, so that nothing is built again."""
    if target.is_file() and not target.is_symlink() and not source.is_symlink() and filecmp.cmp(source, target, shallow=False):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not source.is_symlink():
        target.chmod(source.stat().st_mode & 0o777)


def copy(folder: Path, names: Iterable[str] = NAMES) -> None:
    names = list(names)
    changed = {path for name in names for path in touched(name)}
    with tempfile.TemporaryDirectory() as made:
        patched = Path(made).resolve()
        for path in changed:
            if (REPOSITORY / path).is_file():
                place(REPOSITORY / path, patched / path)
        apply(patched, names)
        wanted = {path for path in [*files(), *changed] if (patched if path in changed else REPOSITORY).joinpath(path).is_file()}
        for path in wanted:
            place((patched if path in changed else REPOSITORY) / path, folder / path)
    for at, folders, present in os.walk(folder):
        folders[:] = [name for name in folders if name not in MADE]
        for name in present:
            path = (Path(at) / name).relative_to(folder).as_posix()
            if path not in wanted:
                (folder / path).unlink()
    for path in sorted({path.rsplit("/", 1)[0] for path in wanted if path.endswith("/package.json")}):
        packages = REPOSITORY / path / "node_modules"
        link = folder / path / "node_modules"
        if packages.is_dir() and not link.exists():
            link.symlink_to(packages)


# The line that begins a test, in each of the languages.
TESTS = {
    ".cpp": re.compile(r'^TEST_CASE\("(.*?)"'),
    ".py": re.compile(r"^(?:async )?def (test_\w+)"),
    ".mjs": re.compile(r"^ *test\('(.*?)'"),
}


def tests_in(folder: Path) -> dict[str, list[str]]:
    """By file, the tests of a copy that differ from those here."""
    found: dict[str, list[str]] = {}
    for path in sorted({path for name in NAMES for path in touched(name) if not is_production(path)}):
        begins = TESTS.get(Path(path).suffix)
        if begins is None:
            continue
        before = (REPOSITORY / path).read_text().splitlines() if (REPOSITORY / path).is_file() else []
        after = (folder / path).read_text().splitlines()
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        lines = {line for kind, _, _, start, end in matcher.get_opcodes() if kind != "equal" for line in range(start, end)}
        current, names = None, {}
        for number, line in enumerate(after):
            if match := begins.match(line):
                current = match[1]
            if number in lines and current is not None and line.strip():
                names[current] = None
        if names:
            found[path] = list(names)
    return found


def renew(name: str) -> int:
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    copy(folder, [])
    git(folder, "init", "--quiet")
    (folder / ".git/info/exclude").write_text("node_modules\n*.rej\n*.orig\n")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=patches", "-c", "user.email=patches", "commit", "--quiet", "--message=the project")
    done = git(folder, "apply", "--reject", "--whitespace=nowarn", str(patch_of(name)), check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
    print(f"{folder}: {'mend what is in *.rej' if done.returncode else 'the patch applies'}")
    return done.returncode


def save(name: str) -> int:
    folder = WORK / name
    if not (folder / ".git").is_dir():
        sys.exit(f"patches: there is nothing in {folder}; make it with: patches.py renew {name}")
    git(folder, "add", "--all", "--intent-to-add")
    patch_of(name).write_text(git(folder, "diff", "--no-color", "--no-ext-diff").stdout)
    return 0


def main(words: list[str]) -> int:
    match words:
        case ["copy", folder, *names] if set(names) <= set(NAMES):
            copy(Path(folder).resolve(), names or NAMES)
            return 0
        case ["renew", name] if name in NAMES:
            return renew(name)
        case ["save", name] if name in NAMES:
            return save(name)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
