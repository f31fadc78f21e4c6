"""The documents are tested with the protocol tests' tools: their server, their people, their sockets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "protocol")]

from lab import process  # noqa: E402


@pytest.fixture(scope="session")
def server() -> Iterator[process.Server]:
    running = process.start()
    try:
        yield running
        assert running.stop() == 0, running.logs[-4000:]
    finally:
        running.discard()
        process.remove_data(running)
