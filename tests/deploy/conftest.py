"""What deploy/ and docs/deploy.md describe, for real: several nodes on one PostgreSQL and one NATS, nginx in front."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "protocol")]
pytest.register_assert_rewrite("lab")

from lab import process  # noqa: E402

SUPPORT = REPOSITORY / "tests" / "support"


class Service:
    """A server of tests/support. It runs until this process ends, however it does: its standard input is ours."""

    def __init__(self, name: str, folder: Path):
        self.program = str(SUPPORT / name)
        self.folder = folder
        self._running = subprocess.Popen([self.program, "run", str(folder)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.url = self._running.stdout.readline().strip()
        assert self.url, f"{name} did not start"

    def tell(self, command: str, *options: str) -> str:
        done = subprocess.run([self.program, command, str(self.folder), *options], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def end(self) -> None:
        self._running.stdin.close()
        self._running.wait(60)


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service("postgres", tmp_path_factory.mktemp("postgres") / "server")
    yield service
    service.end()


@pytest.fixture
def database(shared_postgres: Service, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    return shared_postgres.tell("createdb", f"test_{abs(hash(request.node.nodeid))}")


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Service]:
    """A server of the test's own, to be stopped."""
    service = Service("postgres", tmp_path / "postgres")
    yield service
    service.end()


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Service]:
    service = Service("nats", tmp_path / "nats")
    yield service
    service.end()


@pytest.fixture
def start_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., process.Server]]:
    """Starts nodes: `start_node(database, nats.url, demo=4)`. URLs go by the environment, as docs/deploy.md says."""
    nodes: list[process.Server] = []

    def start(storage: str, backplane: str = "", **options: object) -> process.Server:
        monkeypatch.setenv("TRAVELCHAT_STORAGE", storage)
        if backplane:
            monkeypatch.setenv("TRAVELCHAT_BACKPLANE", backplane)
        else:
            monkeypatch.delenv("TRAVELCHAT_BACKPLANE", raising=False)
        nodes.append(process.start(process.Options(**options)))
        return nodes[-1]

    yield start
    for node in nodes:
        node.discard()
        process.remove_data(node)
