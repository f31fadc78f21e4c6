"""What is fetched is pinned by its digest: scripts/supply says so of this tree, and says what is wrong with another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY

DIGEST = "sha256:" + "5" * 64
IMAGES = {"DEBIAN_IMAGE", "NGINX_IMAGE", "POSTGRES_IMAGE", "NATS_IMAGE"}


def supply(root: Path) -> list[str]:
    done = subprocess.run([sys.executable, str(REPOSITORY / "scripts" / "supply"), "--root", str(root)],
                          capture_output=True, text=True)
    assert not done.stderr, done.stderr
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout.splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what is looked at."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY,
                            capture_output=True, text=True, check=True).stdout.splitlines()
    for name in listed:
        looked_at = name.startswith(("scripts/", "deploy/")) or re.search(r"requirements\.(in|txt)$|package-lock\.json$|wheel-dep", name)
        if looked_at and (REPOSITORY / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, tmp_path / name)
    assert supply(tmp_path) == []
    return tmp_path


def test_everything_that_is_fetched_here_is_pinned():
    assert supply(REPOSITORY) == []


@pytest.mark.parametrize("file, pattern, replacement, complaint", [
    ("tests/protocol/requirements.txt", r"(?s)^(pytest==\S+) \\\n.*?(?=^\S)", r"\1\n", "pytest has no digest"),
    ("tests/protocol/requirements.txt", r"^pytest==\S+", "pytest", "pytest has no version"),
    ("tests/protocol/requirements.in", r"^pytest==\S+", "pytest==1.2.3", "pytest==1.2.3 of requirements.in is not in it"),
    ("scripts/bootstrap", r"--require-hashes", "", "pip without --require-hashes"),
    ("bindings/node/package-lock.json", r'"integrity": "sha512-[^"]+"', '"integrity": ""', "has no digest"),
    ("bindings/python/wheel-dependencies", r"^(fetch sqlite \S+) [0-9a-f]{64}", r"\1", "no digest: fetch sqlite"),
    ("bindings/python/wheel-dependencies", r"^fetch sqlite .*", "curl -fsSL https://x.example/sqlite.tar.gz | tar -xz",
     "only `fetch` fetches"),
    ("bindings/python/wheel-dependencies", r"sha256sum --check --quiet", "cat", "compares digests"),
    ("deploy/compose.yaml", r"image: \$\{NATS_IMAGE.*", "image: nats:2.10", "the image nats:2.10 has no digest"),
    ("deploy/compose.yaml", r"\$\{NATS_IMAGE:\?[^}]*\}", "${NATS_IMAGE:-nats:2.10}", "has no digest"),
    ("deploy/Dockerfile", r"^ARG DEBIAN_IMAGE$", "ARG DEBIAN_IMAGE=debian:12", "the image ${DEBIAN_IMAGE} has no digest"),
    ("deploy/Dockerfile", r"^FROM \S+$", "FROM debian:12-slim", "the image debian:12-slim has no digest"),
])
def test_what_is_not_pinned_is_told(tree: Path, file: str, pattern: str, replacement: str, complaint: str):
    text, count = re.subn(pattern, replacement, (tree / file).read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    (tree / file).write_text(text)
    found = supply(tree)
    assert found and complaint in "\n".join(found), found


def test_digests_of_every_processor_are_listed():
    for name in ("tests/protocol", "tests/docs", "bindings/python/tests"):
        text = (REPOSITORY / name / "requirements.txt").read_text()
        compiled = {"tests/protocol": "cffi", "tests/docs": "rpds-py", "bindings/python/tests": "pydantic-core"}[name]
        hashes = re.search(rf"(?ms)^{compiled}==.*?(?=^\S|\Z)", text)[0].count("--hash=")
        assert hashes > 30, name  # one for each Python, system and processor


# ---- Images ----


def pin_images(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """deploy/pin-images with this in place of docker."""
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    return subprocess.run([str(REPOSITORY / "deploy" / "pin-images")], capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})


def test_images_are_pinned_by_what_the_registry_says(tmp_path: Path):
    done = pin_images(tmp_path, f'[ "$1 $2 $3 $4" = "buildx imagetools inspect --format" ] && echo {DIGEST}')
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set(lines) == IMAGES
    assert all(re.fullmatch(rf"[a-z]+:[\w.-]+@{DIGEST}", image) for image in lines.values()), lines
    # They are what compose.yaml asks for, and nothing else is.
    text = (REPOSITORY / "deploy" / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == IMAGES | {"POSTGRES_PASSWORD"}
    assert yaml.safe_load(text)["x-node"]["build"]["args"].keys() == {"DEBIAN_IMAGE"}


@pytest.mark.parametrize("script", ["exit 1", "echo latest", f'case $* in *nats*) exit 1;; *) echo {DIGEST};; esac'])
def test_without_a_digest_nothing_is_pinned(tmp_path: Path, script: str):
    done = pin_images(tmp_path, script)
    assert done.returncode != 0 and done.stdout == ""
