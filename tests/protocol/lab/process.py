"""The server under test: started, stopped and killed here and nowhere else.

Which server that is, the environment says:

- TRAVELCHAT_SERVER: the command to start, split as a shell would; the operator options (`--listen`, `--data`, `--demo`,
  `--rate-limits`, `--io-threads` ...) are appended to it. It prints `travelchat ready http://HOST:PORT` on standard
  output once it answers, ends with 0 after SIGTERM, and may be a script in front of several processes: all of them are
  in its process group and die with it.
- TRAVELCHAT_URL: a server that somebody else runs, with `--demo` and `--rate-limits off`. Tests that need options,
  signals or files of their own are skipped, each with that reason.
- neither: the newest `travelchat-server` below build/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[3]

# Generous: it only ends a test that has failed already. Sanitizers and valgrind may want more.
PATIENCE = float(os.environ.get("TRAVELCHAT_TEST_PATIENCE", "20"))

# How much slower than an ordinary build the server may be, where a test holds it to a figure.
SLOWNESS = max(1.0, PATIENCE / 20)

_READY = re.compile(r"travelchat ready (https?://\S+)")


class StartFailed(Exception):
    """The process ended, or stayed silent, before it was ready."""

    def __init__(self, returncode: int | None, logs: str):
        super().__init__(f"the server did not start (exit code {returncode}):\n{logs[-4000:]}")
        self.returncode = returncode
        self.logs = logs


@dataclass(frozen=True)
class Options:
    demo: int | None = 40
    rate_limits: str | None = "off"  # None: the server's defaults
    io_threads: int = 2
    extra: Sequence[str] = field(default_factory=tuple)
    command: Sequence[str] | None = None  # instead of what the environment says

    def arguments(self, data_dir: Path) -> list[str]:
        arguments = ["--listen", "127.0.0.1:0", "--data", str(data_dir), "--io-threads", str(self.io_threads)]
        if self.demo is not None:
            arguments.append(f"--demo={self.demo}")
        if self.rate_limits is not None:
            arguments += ["--rate-limits", self.rate_limits]
        return arguments + list(self.extra)


def is_external() -> bool:
    return bool(os.environ.get("TRAVELCHAT_URL"))


def command() -> list[str]:
    configured = os.environ.get("TRAVELCHAT_SERVER")
    if configured:
        return shlex.split(configured)
    built = [path for path in (REPOSITORY / "build").glob("**/travelchat-server") if os.access(path, os.X_OK)]
    if not built:
        raise FileNotFoundError(
            "no travelchat-server below build/: build it, or name one in TRAVELCHAT_SERVER (see tests/protocol/README.md)"
        )
    return [str(max(built, key=lambda path: path.stat().st_mtime))]


def cluster(nodes: int, *, respawn: bool = False, postgres: str | None = None, nats: str | None = None) -> list[str]:
    """The command for several nodes as one server, on the PostgreSQL and the NATS at these URLs or on their own."""
    environment = {"TRAVELCHAT_NODE_SERVER": os.environ.get("TRAVELCHAT_NODE_SERVER") or shlex.join(command())}
    if postgres:
        environment["TRAVELCHAT_POSTGRES"] = postgres
    if nats:
        environment["TRAVELCHAT_NATS"] = nats
    return ["env", *(f"{name}={value}" for name, value in environment.items()),
            str(REPOSITORY / "tests" / "protocol" / "cluster"), "--nodes", str(nodes), *(["--respawn"] if respawn else [])]


class Server:
    """A running server. `url` has no trailing slash; `data_dir` is where its files are."""

    def __init__(self, url: str, data_dir: Path | None = None, process: subprocess.Popen[str] | None = None,
                 log_file: Path | None = None, reader: threading.Thread | None = None):
        self.url = url
        self.data_dir = data_dir
        self._process = process
        self.log_file = log_file
        self._reader = reader

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.split("://", 1)[1].rsplit(":", 1)
        return host, int(port)

    @property
    def authority(self) -> str:
        return self.url.split("://", 1)[1]

    @property
    def nodes(self) -> list[tuple[str, int]]:
        """The addresses of its nodes, where it is several (tests/protocol/cluster); else none."""
        urls = [urlsplit(node["url"]) for node in self._cluster["nodes"]] if self._cluster else []
        return [(url.hostname, url.port) for url in urls]

    @property
    def node_pids(self) -> list[int]:
        return [node["pid"] for node in self._cluster["nodes"]] if self._cluster else []

    @property
    def _cluster(self) -> dict[str, Any] | None:
        file = self.data_dir / "cluster.json" if self.data_dir else None
        return json.loads(file.read_text()) if file and file.exists() else None

    @property
    def database_url(self) -> str | None:
        """Of the PostgreSQL that it keeps everything in; None when that is files."""
        return self._cluster["database"] if self._cluster else None

    def at_rest(self) -> dict[str, bytes]:
        """Everything that it keeps, by where: its files, and a dump of the database that several nodes share."""
        kept = {str(path): path.read_bytes() for path in self.data_dir.rglob("*") if path.is_file()}
        if self._cluster:
            dump = subprocess.run(["pg_dump", "--dbname", self._cluster["database"]], capture_output=True, check=True)
            kept["database"] = dump.stdout
        return kept

    @property
    def pid(self) -> int:
        assert self._process, "this server was not started here"
        return self._process.pid

    @property
    def logs(self) -> str:
        """What it has written to standard error so far."""
        return self.log_file.read_text(errors="replace") if self.log_file else ""

    @property
    def is_running(self) -> bool:
        return self._process is None or self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = PATIENCE) -> int:
        assert self._process
        code = self._process.wait(timeout)
        self._reader.join(timeout)
        return code

    def stop(self) -> int:
        """SIGTERM; the exit code. A server that stays is killed, and that is a failure."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server ignored SIGTERM for {PATIENCE} s:\n{self.logs[-4000:]}") from None

    def kill(self) -> None:
        """kill -9 for it and everything it started."""
        assert self._process
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()

    def discard(self) -> None:
        """Ends it whatever state it is in. For tear-down; never fails a test that has passed."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.kill()


def start(options: Options = Options(), data_dir: Path | None = None, log_file: Path | None = None) -> Server:
    """Starts a server and returns once it answers. Without `data_dir` it gets a new folder, without `log_file` a new
    file to log to; either goes with `remove_data`. Raises StartFailed."""
    if is_external():
        return Server(os.environ["TRAVELCHAT_URL"].rstrip("/"))
    is_own_folder = data_dir is None
    if data_dir is None:
        data_dir = Path(tempfile.mkdtemp(prefix="travelchat-data-"))
    if log_file is None:
        handle, log_name = tempfile.mkstemp(prefix="travelchat-log-", suffix=".txt")
        os.close(handle)
        log_file = Path(log_name)
    with open(log_file, "a") as log:
        process = subprocess.Popen(
            [*(options.command or command()), *options.arguments(data_dir)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
    ready = threading.Event()
    url: list[str] = []

    def read() -> None:
        # To its end: a server must never wait for somebody to read what it prints.
        for line in process.stdout:
            match = _READY.search(line)
            if match:
                url.append(match.group(1).rstrip("/"))
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, name="server output", daemon=True)
    reader.start()
    server = Server("", data_dir, process, log_file, reader)
    deadline = time.monotonic() + 3 * PATIENCE
    if not ready.wait(deadline - time.monotonic()):
        server.kill()
        raise StartFailed(None, server.logs)
    if not url:
        returncode = server.wait()
        logs = server.logs
        log_file.unlink()
        if is_own_folder:
            shutil.rmtree(data_dir, ignore_errors=True)
        raise StartFailed(returncode, logs)
    server.url = url[0]
    return server


def remove_data(server: Server) -> None:
    if server.data_dir:
        shutil.rmtree(server.data_dir, ignore_errors=True)
    if server.log_file:
        server.log_file.unlink(missing_ok=True)
