"""The servers that the bench compares: how each is started, and the plan by which the load generator reaches its rooms.

A server runs pinned to one core, in a data folder of its own, and is ended by the id of its process. A PostgreSQL or a
NATS that it needs is started with it, empty, and ends with it.
"""

import contextlib
import http.client
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

READY_SECONDS = 120
SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"


@dataclass
class Place:
    """Where a server is put, and for how many clients."""

    core: int  # also of its PostgreSQL and its NATS
    data_root: Path
    demo_clients: int


def cpu_seconds(pid, and_ended_children=False):
    """What the process has used so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, childrens_user, childrens_system = map(int, fields[11:15])
    ticks = user + system + (childrens_user + childrens_system if and_ended_children else 0)
    return ticks / os.sysconf("SC_CLK_TCK")


class Backing:
    """A PostgreSQL or a NATS of a server's own, by its script in tests/support. A context manager; it ends with us,
    even when we are killed, because then the script's standard input ends."""

    script = ""
    arguments = []
    log = ""
    version_in_log = ""

    def __init__(self, place):
        self.place = place
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.script}-", dir=place.data_root))
        self.process = None
        self.url = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.place.core), SUPPORT / self.script, "run", self.folder, *self.arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            errors = self.process.communicate()[1]
            self.__exit__()
            raise RuntimeError(f"{self.script} did not start:\n{errors}")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def errors(self):
        return (self.folder / self.log).read_text(errors="replace")[-2000:]

    def version(self):
        """As its log says."""
        found = re.search(self.version_in_log, (self.folder / self.log).read_text(errors="replace"))
        return found.group(1) if found else "unknown"

    def cpu_seconds(self):
        raise NotImplementedError


class Postgres(Backing):
    """As it comes, so with fsync and synchronous_commit on; the script's own small buffers set back to the default."""

    script = "postgres"
    log = "log"
    version_in_log = r"starting PostgreSQL ([0-9.]+)"
    arguments = ["--set", "shared_buffers=128MB"]

    def cpu_seconds(self):
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        total = cpu_seconds(postmaster, and_ended_children=True)
        for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += cpu_seconds(child)
        return total


class Nats(Backing):
    script = "nats"
    log = "0.log"
    version_in_log = r"Version: +([0-9.]+)"

    def cpu_seconds(self):
        return cpu_seconds(int((self.folder / "0.pid").read_text()))


class Server:
    """One running server. A context manager: leaving it ends the process and removes the data folder."""

    name = ""

    def __init__(self, place):
        self.place = place
        self.data = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=place.data_root))
        self.process = None
        self.address = None
        self.said = queue.SimpleQueue()  # what it prints once it is ready, by lines

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def __enter__(self):
        log = open(self.data / "stderr.log", "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.place.core), *map(str, self.command())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=self.environment())
        log.close()
        try:
            self.address = self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_ready(self):
        # The server may hang without a word; then the timer ends it, which ends the reading below.
        timer = threading.Timer(READY_SECONDS, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                found = re.search(rb"ready http://([0-9.]+:[0-9]+)", line)
                if found:
                    # It may not block on a full pipe later.
                    threading.Thread(target=self._listen, daemon=True).start()
                    return found.group(1).decode()
        finally:
            timer.cancel()
        raise RuntimeError(f"{self.name} did not get ready:\n{self.errors()}")

    def _listen(self):
        for line in self.process.stdout:
            self.said.put(line)

    def errors(self):
        return (self.data / "stderr.log").read_text(errors="replace")[-2000:]

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.data, ignore_errors=True)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no Rss in smaps_rollup")

    def cpu_seconds(self):
        """What each part has used so far, by its name."""
        return {"server": cpu_seconds(self.process.pid)}

    def loop_delay(self):
        """Of its event loop since the last time, in milliseconds by quantile; None for a server without one."""
        return None

    def plan(self, rooms):
        """The text of a plan (see load_client.hpp) for that many rooms."""
        raise NotImplementedError


@dataclass
class Seats:
    """At which nodes the sockets of a room's advisor and client are, and to which nodes these two post."""

    sockets: tuple = (0, 0)
    senders: tuple = (0, 0)


class ChatServer(Server):
    """What travelchat-server and the Node server have in common: the routes of the contract."""

    def __init__(self, place, storage=None, backplane=None):
        super().__init__(place)
        self.storage = storage  # the URL of a PostgreSQL; None: a SQLite file in the data folder
        self.backplane = backplane  # the URL of a NATS

    def environment(self):
        # Not on the command line, which everybody on the machine can read.
        given = {"STORAGE": self.storage, "BACKPLANE": self.backplane}
        return {**super().environment(), **{f"TRAVELCHAT_{name}": url for name, url in given.items() if url}}

    def _request(self, connection, method, path, body=None, headers=None):
        connection.request(method, path, body=None if body is None else json.dumps(body),
                           headers={"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {method} {path.split('?')[0]} answered {answer.status}: {text[:300]!r}")
        return answer, json.loads(text)

    def plan(self, rooms, addresses=None, seats=lambda room: Seats()):
        """`addresses` are the nodes that `seats` counts, when this one is not alone."""
        connection = http.client.HTTPConnection(self.address)
        _, demo = self._request(connection, "GET", "/api/demo")
        if len(demo["trips"]) < rooms:
            raise RuntimeError(f"{self.name}: the demo has {len(demo['trips'])} trips, {rooms} rooms were asked for")
        advisors = {}
        for advisor in demo["advisors"]:
            if advisor["orgId"] in advisors:
                continue
            answer, _ = self._request(connection, "POST", "/api/login",
                                      {"email": advisor["email"], "password": advisor["password"]})
            cookies = [value.split(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
            advisors[advisor["orgId"]] = (advisor["id"], "; ".join(cookies))

        lines = [f"server\t{address}" for address in addresses or [self.address]]
        for room, trip in enumerate(demo["trips"][:rooms]):
            query = urllib.parse.urlencode({"tripId": trip["id"], "shareToken": trip["shareToken"]})
            _, chat = self._request(connection, "GET", f"/api/chat-token?{query}")
            conversation, token = chat["conversationId"], chat["chatToken"]
            advisor_id, cookie = advisors[trip["orgId"]]
            socket = f"/ws/chat?conversationId={conversation}"
            route = f"/api/conversations/{conversation}/messages"
            at = seats(room)
            lines += [
                "room",
                f"socket\t{at.sockets[1]}\t{socket}&userType=client&userId={trip['clientId']}&chatToken={token}\t",
                f"socket\t{at.sockets[0]}\t{socket}&userType=advisor&userId={advisor_id}\t{cookie}",
                f'sender\t{at.senders[0]}\t{route}\t{cookie}\t{{"content":"\t"}}',
                f'sender\t{at.senders[1]}\t{route}/client\t\t{{"content":"\t","chatToken":"{token}"}}',
            ]
        connection.close()
        return "\n".join(lines) + "\n"


class Travelchat(ChatServer):
    name = "travelchat"
    executable = None

    def command(self):
        return [self.executable, "--listen", "127.0.0.1:0", "--data", self.data / "data",
                f"--demo={self.place.demo_clients}", "--rate-limits", "off", "--io-threads", "1"]


class Node(ChatServer):
    name = "node"
    script = Path(__file__).parent / "node-server" / "server.js"

    def command(self):
        return ["node", self.script, "--data", self.data / "data", f"--demo={self.place.demo_clients}"]

    def environment(self):
        return {**super().environment(), "NODE_ENV": "production"}

    def loop_delay(self):
        self.process.send_signal(signal.SIGUSR2)
        while True:
            line = self.said.get(timeout=30)
            if line.startswith(b"loop "):
                return json.loads(line.removeprefix(b"loop "))


class NodeWithTravelchat(Node):
    """The same application with travelchat attached to its HTTP server."""

    name = "node+travelchat"
    addon = None

    def command(self):
        return [*super().command(), "--travelchat"]

    def environment(self):
        return {**super().environment(), "TRAVELCHAT_ADDON": str(self.addon)}


class NodeWithMiddleware(NodeWithTravelchat):
    """The same with travelchat as one of the application's middlewares."""

    def command(self):
        return [*super().command(), "--middleware"]


class Cluster:
    """Nodes of one chat server on a PostgreSQL and, when they are several, a NATS. To the bench it is one server."""

    def __init__(self, place, server, nodes=1, seats=lambda room: Seats()):
        self.place = place
        self.server = server
        self.name = f"{server.name} on PostgreSQL"
        self.nodes = nodes
        self.seats = seats
        self.running = []
        self.backing = {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.backing["postgres"] = stack.enter_context(Postgres(self.place))
            if self.nodes > 1:
                self.backing["nats"] = stack.enter_context(Nats(self.place))
            urls = {"storage": self.backing["postgres"].url, "backplane": getattr(self.backing.get("nats"), "url", None)}
            # One by one: the first fills the empty database.
            for _ in range(self.nodes):
                self.running.append(stack.enter_context(self.server(self.place, **urls)))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def errors(self):
        return "\n".join([*(server.errors() for server in self.running), self.backing["postgres"].errors()])

    def loop_delay(self):
        return self.running[0].loop_delay()

    def cpu_seconds(self):
        return {"server": sum(server.cpu_seconds()["server"] for server in self.running),
                **{name: backing.cpu_seconds() for name, backing in self.backing.items()}}

    def plan(self, rooms):
        return self.running[0].plan(rooms, [server.address for server in self.running], self.seats)


class PythonHost(ChatServer):
    """examples/fastapi in a virtual environment that has the package (scripts/bench makes it)."""

    python = Path(__file__).resolve().parent.parent / "build" / "python" / "bench" / "bin" / "python"
    example = Path(__file__).resolve().parent.parent / "examples" / "fastapi"
    serve = ""

    def command(self):
        return [self.python, self.example, "--serve", self.serve, "--listen", "127.0.0.1:0", "--data", self.data / "data",
                f"--demo={self.place.demo_clients}", "--rate-limits", "off", "--io-threads", "1"]


class PythonServer(PythonHost):
    name = "python-server"
    serve = "server"


class PythonAsgi(PythonHost):
    name = "python-asgi"
    serve = "asgi"


class FastApi(ChatServer):
    name = "fastapi"
    script = Path(__file__).parent / "fastapi-server" / "server.py"

    def command(self):
        return [PythonHost.python, self.script, "--data", self.data / "data", f"--demo={self.place.demo_clients}"]


def of_checkout(server, checkout):
    """The same server as another checkout built it, or None for one that is none of ours."""
    server_class = server.keywords["server"] if isinstance(server, partial) else server
    release = checkout / "build" / "release"
    if not isinstance(server_class, type):
        return None
    if issubclass(server_class, Travelchat):
        theirs = {"executable": release / "examples" / "travel-lab" / "server" / "travelchat-server"}
    elif issubclass(server_class, NodeWithTravelchat):
        theirs = {"script": checkout / "bench" / "node-server" / "server.js",
                  "addon": release / "bindings" / "node" / "travelchat.node"}
    elif issubclass(server_class, PythonHost):
        theirs = {"python": checkout / "build" / "python" / "bench" / "bin" / "python",
                  "example": checkout / "examples" / "fastapi"}
    else:
        return None
    other = type(server_class.__name__, (server_class,), theirs)
    return partial(server, server=other) if isinstance(server, partial) else other


class BareLoop(Server):
    name = "bare"
    executable = None
    event_overhead = 0  # bytes of a travelchat event besides its content

    def command(self):
        return [self.executable, "--event-overhead", self.event_overhead]

    def plan(self, rooms):
        lines = [f"server\t{self.address}"]
        for room in range(rooms):
            lines += ["room", f"socket\t0\t/ws?room={room}\t", f'sender\t0\t/send?room={room}\t\t{{"content":"\t"}}']
        return "\n".join(lines) + "\n"


class BareLoopWithSync(BareLoop):
    """The bare loop that also flushes each round to the disk."""

    name = "bare+sync"

    def command(self):
        return [*super().command(), "--sync", self.data / "rounds"]
