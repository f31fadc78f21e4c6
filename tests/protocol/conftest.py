"""Fixtures: a server per module, and a room per test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
# So that a failed `assert` inside them says what it compared.
pytest.register_assert_rewrite("lab")

from lab import process
from lab.people import Lab, Room


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    # Two at a time on one server would hear each other's changes.
    if process.is_external() and getattr(config.option, "numprocesses", None):
        config.option.numprocesses = 0
        config.option.dist = "no"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Files with what takes long first: at the end one worker would run them while the others have nothing left to do.
    first = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in first)
    if process.is_external():
        skip = pytest.mark.skip(reason="TRAVELCHAT_URL names a server that these tests may not start, stop or configure")
        for item in items:
            if item.get_closest_marker("own_server"):
                item.add_marker(skip)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[process.Server]:
    """One for the whole module, without rate limits, with the module's OPTIONS if it has any. That it ends with 0 is part
    of every module's result."""
    running = process.start(getattr(request.module, "OPTIONS", process.Options()))
    try:
        yield running
        assert running.is_running, f"the server died:\n{running.logs[-4000:]}"
        assert running.stop() == 0, f"the server did not end with 0:\n{running.logs[-4000:]}"
    finally:
        running.discard()
        process.remove_data(running)


@pytest.fixture(scope="module")
def lab(server: process.Server) -> Lab:
    return Lab(server)


@pytest.fixture
def room(lab: Lab) -> Room:
    return lab.room()


@pytest.fixture
def long_room(lab: Lab) -> Room:
    """The demo's conversation of 5,000 messages."""
    for org_id in lab.org_ids:
        advisor = lab.advisors_of(org_id)[0]
        for row in advisor.conversations():
            if row["lastMessage"] and row["lastMessage"]["seq"] >= 5_000:
                return lab.room_of(next(trip for trip in lab.trips if trip["clientId"] == row["clientId"]))
    raise AssertionError("the demo has no conversation of 5,000 messages")


@pytest.fixture
def launch() -> Iterator[Callable[..., process.Server]]:
    """Starts servers with options of their own: `launch(rate_limits=None, extra=["--token-lifetime", "2"])`, a second
    one on the same files with `data_dir=`. All of them are gone when the test is over."""
    servers: list[process.Server] = []

    def start(data_dir: Path | None = None, **options: object) -> process.Server:
        servers.append(process.start(process.Options(**options), data_dir))
        return servers[-1]

    yield start
    for running in servers:
        running.discard()
    for running in servers:
        process.remove_data(running)
