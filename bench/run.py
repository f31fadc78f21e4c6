#!/usr/bin/env python3
"""Measures travelchat-server against a bare broadcast loop and a Node server, and several of its nodes together.

Each repetition runs every server of a scenario in turn, each freshly started and pinned to one core, with the load
generator on another. Figures are medians over the repetitions, ratios are medians of the ratios within a repetition, so
that a machine that drifts weighs on both sides. scripts/bench builds what this needs and calls it.

bench/results.json keeps what each scenario measured last, and when; the page is made from it, so that some scenarios can
be measured again without the others. What each repetition gave is in build/bench-results/SCENARIO.json.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from servers import (BareLoop, BareLoopWithSync, Cluster, FastApi, Nats, Node, NodeWithMiddleware, NodeWithTravelchat,
                     Place, Postgres, PythonAsgi, PythonHost, PythonServer, Seats, Travelchat, of_checkout)

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "bench" / "results.json"
RAW_RESULTS = ROOT / "build" / "bench-results"


# ---- What is measured ----


@dataclass
class Entry:
    """One column of a scenario: a server, and what the load generator does differently for it."""

    label: str
    server: object  # called with a Place
    extra: list = field(default_factory=list)


@dataclass
class Figure:
    """A row of the table: how to read it from a run, and how to show it."""

    title: str
    read: object  # of a run's result
    unit: str


@dataclass
class Target:
    """What the project promised: a ratio of two columns of one figure, or a bound on one column."""

    title: str
    figure: str
    of: str
    against: str | None  # None: the figure of `of` itself
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value):
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def bound(self, unit):
        number, sign = (self.at_least, "≥") if self.at_least is not None else (self.at_most, "≤")
        return f"{sign} {number:g}" + (" ×" if self.against else f" {unit}")


@dataclass
class Scenario:
    name: str
    title: str
    method: str
    load: list  # arguments of travelchat-load
    check: list  # arguments that make it small, for --check
    entries: list
    figures: list
    targets: list
    rooms: int = 1
    check_rooms: int = 1
    measures_memory: bool = False
    lasts: float = 1  # times the usual seconds
    program: list | None = None  # a command that measures by itself and prints the result, instead of servers and load


def quantile(of, name):
    return lambda result: result[of][name] / 1000


DELIVERIES = Figure("deliveries", lambda r: r["deliveriesPerSecond"], "/s")
MESSAGES = Figure("messages answered", lambda r: r["messagesPerSecond"], "/s")
P50 = Figure("delivery p50", quantile("delivery", "p50"), "ms")
P99 = Figure("delivery p99", quantile("delivery", "p99"), "ms")
P999 = Figure("delivery p99.9", quantile("delivery", "p999"), "ms")
ANSWER_P99 = Figure("answer p99", quantile("answer", "p99"), "ms")


def cpu_figure(title, part):
    """Microseconds of a part's CPU for each message that was answered, all its processes and threads together."""
    return Figure(title, lambda r: r["cpuSeconds"].get(part, 0) / max(r["messages"], 1) * 1e6, "µs")


def core_figure(title, cpu):
    """How many messages a core of a part would take; 0 when none of its CPU was seen, as in a moment of --check."""
    return Figure(title, lambda r: 1e6 / cpu.read(r) if cpu.read(r) else 0, "/s")


SERVER_CPU = cpu_figure("server CPU for a message", "server")
POSTGRES_CPU = cpu_figure("PostgreSQL CPU for a message", "postgres")
NATS_CPU = cpu_figure("NATS CPU for a message", "nats")
SERVER_CORE = core_figure("messages that a core of servers would take", SERVER_CPU)
POSTGRES_CORE = core_figure("messages that a core of PostgreSQL would take", POSTGRES_CPU)

EVENTS = Figure("events", lambda r: r["eventsPerSecond"], "/s")

BYTES = Figure("server RSS for each socket", lambda r: r["bytesPerSocket"], "bytes")
BYTES_AFTER_TOKENS = Figure("of that, after the tokens were made", lambda r: r["bytesAfterTokens"], "bytes")
TOTAL = Figure("server RSS with all open", lambda r: r["totalBytes"] / 2**20, "MiB")

TRAVELCHAT = Entry("travelchat", Travelchat)
BARE = Entry("bare loop", BareLoop)
SYNCED = Entry("bare loop + fdatasync", BareLoopWithSync)
NODE = Entry("Node", Node)
LOOP_P50 = Figure("event loop late, p50", lambda r: r["loopDelay"]["p50"], "ms")
LOOP_P99 = Figure("event loop late, p99", lambda r: r["loopDelay"]["p99"], "ms")
EMBEDDED = Entry("travelchat in Express", NodeWithTravelchat)
MIDDLEWARE = Entry("travelchat as a middleware", NodeWithMiddleware)
WS = Entry("ws in Express", Node)

# The advisor's and the client's socket at nodes that follow one another, so that every message crosses, and each of the
# two posts to its own: what a proxy does that knows nothing of conversations.
def spread(nodes):
    return lambda room: Seats(*[(room % nodes, (room + 1) % nodes)] * 2)


def nodes(label, count, seats=None):
    return Entry(label, partial(Cluster, server=Travelchat, nodes=count, seats=seats or spread(count)))


SCENARIOS = [
    Scenario(
        "fanout", "Fan-out: 1 room × 1,000 sockets, 16 messages in flight",
        "A message counts as done, and the next one goes, once it is answered and all 1,000 sockets have it. For "
        "travelchat and Node it is durable by then.",
        ["--sockets-per-room", "1000", "--connections", "16", "--in-flight", "16"],
        ["--sockets-per-room", "20"],
        [TRAVELCHAT, BARE, SYNCED, NODE],
        [DELIVERIES, P50, P99, P999],
        [Target("fan-out against the bare loop", "deliveries", "travelchat", "bare loop", at_least=0.7),
         Target("fan-out against Node", "deliveries", "travelchat", "Node", at_least=10)]),
    Scenario(
        "rooms", "Rooms: 2,000 rooms × 2 sockets, durable messages",
        "512 keep-alive connections, each with one message under way, round robin over the rooms; advisor and client "
        "write by turns.",
        ["--sockets-per-room", "2", "--connections", "512", "--in-flight", "512"],
        ["--connections", "8", "--in-flight", "8"],
        [TRAVELCHAT, NODE, SYNCED],
        [MESSAGES, P50, P99, ANSWER_P99],
        [Target("durable messages against Node", "messages answered", "travelchat", "Node", at_least=12)],
        rooms=2000, check_rooms=20),
    Scenario(
        "paced", "Paced: 1 room × 1,000 sockets, 20 messages/s (20,000 deliveries/s)",
        "Messages go by the clock. Latency counts from the time a message was due.",
        ["--sockets-per-room", "1000", "--connections", "16", "--rate", "20"],
        ["--sockets-per-room", "20"],
        [TRAVELCHAT, BARE, SYNCED, NODE],
        [P50, P99, P999],
        [Target("p99 at 20,000 deliveries/s, one room", "delivery p99", "travelchat", "bare loop", at_most=1.3)]),
    Scenario(
        "paced-rooms", "Paced: 100 rooms × 10 sockets, 2,000 messages/s (20,000 deliveries/s)",
        "As above. Node is left out: it cannot keep 2,000 durable messages/s. A message waits for its fsync, which "
        "the bare loop does not do, so the one that does is the fair measure of what can be reached.",
        ["--sockets-per-room", "10", "--connections", "128", "--rate", "2000"],
        ["--sockets-per-room", "2", "--rate", "200"],
        [TRAVELCHAT, BARE, SYNCED],
        [P50, P99, P999],
        [Target("p99 at 20,000 deliveries/s, 100 rooms", "delivery p99", "travelchat", "bare loop", at_most=1.3),
         Target("the same against a loop that flushes too", "delivery p99", "travelchat", "bare loop + fdatasync",
                at_most=1.3)],
        rooms=100, check_rooms=5),
    Scenario(
        "express-fanout", "In Express, fan-out: 1 room × 1,000 sockets, 16 messages in flight",
        "One Express application, with its sessions and tables: its chat once by the specification, with `ws` and "
        "better-sqlite3, and once by travelchat in the same process (bindings/node, `attachChat`). All threads of the "
        "process share the core.",
        ["--sockets-per-room", "1000", "--connections", "16", "--in-flight", "16"],
        ["--sockets-per-room", "20"],
        [EMBEDDED, WS],
        [DELIVERIES, P50, P99, LOOP_P50, LOOP_P99],
        [Target("fan-out in Express against ws", "deliveries", "travelchat in Express", "ws in Express", at_least=8)]),
    Scenario(
        "express-rooms", "In Express, rooms: 2,000 rooms × 2 sockets, durable messages",
        "The rooms of above, in the same application. As a middleware (`chatRoutes`), every request of the chat passes through "
        "Express first.",
        ["--sockets-per-room", "2", "--connections", "512", "--in-flight", "512"],
        ["--connections", "8", "--in-flight", "8"],
        [EMBEDDED, MIDDLEWARE, WS],
        [MESSAGES, P50, P99, ANSWER_P99, LOOP_P50, LOOP_P99],
        [Target("durable messages in Express against ws", "messages answered", "travelchat in Express", "ws in Express",
                at_least=4)],
        rooms=2000, check_rooms=20),
    Scenario(
        "express-paced", "In Express, paced: 1 room × 1,000 sockets, 20 messages/s (20,000 deliveries/s)",
        "How late the event loop runs meanwhile is what everything else in the application waits: a timer of 1 ms, and by "
        "how much each of its rounds exceeds that (`monitorEventLoopDelay`).",
        ["--sockets-per-room", "1000", "--connections", "16", "--rate", "20"],
        ["--sockets-per-room", "20"],
        [EMBEDDED, WS],
        [LOOP_P50, LOOP_P99, P50, P99],
        [Target("event loop at 20,000 deliveries/s", "event loop late, p99", "travelchat in Express", None, at_most=2)]),
    Scenario(
        "memory", "Memory: 10,000 idle authenticated sockets",
        "2,000 rooms × 5 sockets, opened with their credentials. The server's resident memory with all of them open, "
        "less what it was right after its start: so the logins, the 2,000 tokens and the rooms are in it.",
        ["--sockets-per-room", "5", "--connections", "0", "--hold"],
        [],
        [TRAVELCHAT, NODE],
        [BYTES, BYTES_AFTER_TOKENS, TOTAL],
        [Target("memory of an idle socket", "server RSS for each socket", "travelchat", None, at_most=4096)],
        rooms=2000, check_rooms=20, measures_memory=True),
    Scenario(
        "stalled", "A stalled reader among 1,000: 50 messages/s of 8,000 bytes",
        "One more socket of the room stops reading. First the kernel's buffers for it fill up (4 MB), then the "
        "server's queue (1 MiB), then it is cut, about 12 s in. What the others get is measured all the while.",
        ["--sockets-per-room", "1000", "--connections", "16", "--rate", "50", "--content-bytes", "8000"],
        ["--sockets-per-room", "20"],
        [Entry("with it", Travelchat, ["--stalled", "1"]), Entry("without", Travelchat)],
        [P50, P99, P999, Figure("stalled sockets cut", lambda r: r.get("stalledClosed", 0), "")],
        [Target("others' p99 with a stalled reader", "delivery p99", "with it", "without", at_most=1.1)],
        lasts=2),
    Scenario(
        "postgres", "PostgreSQL: 2,000 rooms × 2 sockets, durable messages",
        "The rooms of above, with everything in a PostgreSQL: for travelchat by `--storage`, for Node through `pg` with a "
        "pool of 10, named statements, and one statement (one round trip, one commit) for a message. Each run has a "
        "PostgreSQL of its own, just started and empty, with fsync and synchronous_commit on, pinned to the core of its "
        "server: what is measured is what one core of server and database together can do.",
        ["--sockets-per-room", "2", "--connections", "512", "--in-flight", "512"],
        ["--connections", "8", "--in-flight", "8"],
        [nodes("travelchat", 1), Entry("Node", partial(Cluster, server=Node))],
        [MESSAGES, P50, P99, ANSWER_P99, SERVER_CPU, POSTGRES_CPU],
        [Target("durable messages against Node, both on PostgreSQL", "messages answered", "travelchat", "Node",
                at_least=5)],
        rooms=2000, check_rooms=20),
    Scenario(
        "hop", "From node to node: 100 rooms × 2 sockets, 200 messages/s",
        "Two travelchat nodes on one PostgreSQL and one NATS; every message is posted to the first. Its sockets are "
        "all at that node, or all at the other one, to which NATS carries the message after its commit: the difference "
        "is the price of the hop. One process that has neither a NATS nor a second node is beside them.",
        ["--sockets-per-room", "2", "--connections", "64", "--rate", "200"],
        ["--connections", "8", "--rate", "50"],
        [nodes("one process", 1), nodes("two nodes: the same", 2, lambda room: Seats()),
         nodes("two nodes: the other", 2, lambda room: Seats(sockets=(1, 1)))],
        [P50, P99, P999, ANSWER_P99],
        [],
        rooms=100, check_rooms=5),
    Scenario(
        "nodes", "Nodes: 2,000 rooms × 2 sockets on 1, 2 and 3 processes, durable messages",
        "Travelchat nodes on one PostgreSQL and, from two on, one NATS. The two sockets of a room are at different "
        "nodes, and each side posts to its own. **All nodes, PostgreSQL and NATS share one core**, with the load generator "
        "on the other, so more nodes cannot answer more messages here: that the sum falls shows what nodes cost, and "
        "nothing about what they bring. What can be carried over to other machines is the CPU that a message costs, in "
        "all nodes together. It is written by one node, in a commit that it shares only with messages of the same node, "
        "and delivered by those where its conversation has sockets: for two people at most two, however many nodes "
        "there are. So nodes with a core each answer about that many times what a core takes, until PostgreSQL has "
        "used up its own; both are computed below from the CPU, not measured.",
        ["--sockets-per-room", "2", "--connections", "512", "--in-flight", "512"],
        ["--connections", "8", "--in-flight", "8"],
        [nodes("1 process", 1), nodes("2 nodes", 2), nodes("3 nodes", 3)],
        [MESSAGES, DELIVERIES, P50, P99, SERVER_CPU, POSTGRES_CPU, NATS_CPU, SERVER_CORE, POSTGRES_CORE],
        [],
        rooms=2000, check_rooms=20),
    Scenario(
        "python", "The Python package: 1 room × 1,000 sockets, 4 messages in flight",
        "`examples/fastapi` served by `travelchat.Server`, and by uvicorn with `travelchat.asgi`, against the same chat "
        "written in FastAPI on uvicorn with `websockets`.",
        ["--sockets-per-room", "1000", "--connections", "4", "--in-flight", "4"],
        ["--sockets-per-room", "20"],
        [Entry("travelchat.Server", PythonServer), Entry("travelchat.asgi", PythonAsgi), Entry("FastAPI", FastApi)],
        [DELIVERIES, P50, P99],
        [Target("travelchat.Server against FastAPI", "deliveries", "travelchat.Server", "FastAPI", at_least=10),
         Target("travelchat.asgi against FastAPI", "deliveries", "travelchat.asgi", "FastAPI", at_least=1.5)]),
    Scenario(
        "python-events", "The Python package: 100,000 events into `async for`",
        "One subscription that resumes from the beginning, on storage in memory (`bench/python_events.py`).",
        [], ["1000"],
        [Entry("async for", None)],
        [EVENTS],
        [Target("events into async for", "events", "async for", None, at_least=200_000)],
        program=[PythonHost.python, ROOT / "bench" / "python_events.py"]),
]


# ---- Running ----


class Bench:
    def __init__(self, options, data_root):
        self.options = options
        self.data_root = data_root
        self.load = options.build / "bench" / "travelchat-load"

    def load_command(self, plan, scenario, extra):
        command = ["taskset", "-c", str(self.options.load_core), str(self.load), "--plan", plan, "--rooms",
                   str(self.rooms(scenario)), *scenario.load]
        if self.options.check:
            command += scenario.check
        if not scenario.measures_memory:
            command += ["--warmup", str(self.options.warmup), "--seconds", str(self.options.seconds * scenario.lasts)]
        return command + extra

    def rooms(self, scenario):
        return scenario.check_rooms if self.options.check else scenario.rooms

    def run_once(self, scenario, entry):
        if scenario.program:
            command = scenario.program + (scenario.check if self.options.check else [])
            return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        with self.running(scenario, entry) as measure:
            return measure()

    @contextlib.contextmanager
    def running(self, scenario, entry):
        """The entry's server while it runs: a function that measures it once."""
        place = Place(self.options.server_core, self.data_root, demo_clients=max(20, self.rooms(scenario)))
        with entry.server(place) as server, \
                tempfile.NamedTemporaryFile("w", dir=self.data_root, suffix=".plan") as plan:
            at_start = self.settled_memory(server) if scenario.measures_memory else 0
            plan.write(server.plan(self.rooms(scenario)))
            plan.flush()
            command = self.load_command(plan.name, scenario, entry.extra)

            def measure():
                if scenario.measures_memory:
                    return self.measure_memory(server, command, at_start, self.rooms(scenario) * 5)
                try:
                    return self.measure_load(server, command, self.options.seconds * scenario.lasts)
                except RuntimeError as error:
                    raise RuntimeError(f"{entry.label}, {scenario.name}: {error}\n{server.errors()}") from error

            yield measure

    def measure_load(self, server, command, seconds):
        cpu = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
            timer = threading.Timer(seconds + self.options.warmup + 120, load.kill)
            timer.start()
            try:
                for line in load.stdout:
                    if line in ("begin\n", "end\n"):
                        cpu[line.strip()] = server.cpu_seconds()
                        loop = server.loop_delay()
                    elif line.startswith("{"):
                        result = json.loads(line)
                errors = load.stderr.read().strip()
            except BaseException:
                load.kill()
                raise
            finally:
                timer.cancel()
        if load.returncode != 0:
            raise RuntimeError(errors or f"the load generator ended with {load.returncode}")
        if result["undelivered"]:
            raise RuntimeError(f"{result['undelivered']} messages did not arrive")
        result["cpuSeconds"] = {part: used - cpu["begin"][part] for part, used in cpu["end"].items()}
        if loop:
            result["loopDelay"] = loop
        return result

    def measure_memory(self, server, command, at_start, sockets):
        before = self.settled_memory(server)
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if load.stdout.readline() != "open\n":
                raise RuntimeError(f"{server.name}: the sockets could not be opened")
            after = self.settled_memory(server)
        finally:
            load.stdin.close()
            try:
                load.wait(20)
            except subprocess.TimeoutExpired:
                load.kill()
                load.wait()
        if load.returncode != 0:
            raise RuntimeError(f"{server.name}: a socket was lost while idle")
        return {"bytesPerSocket": (after - at_start) / sockets, "bytesAfterTokens": (after - before) / sockets,
                "totalBytes": after, "loadBusy": 0}

    @staticmethod
    def settled_memory(server):
        """Resident bytes, once two readings half a second apart agree to 16 KiB."""
        previous = server.resident_bytes()
        for _ in range(40):
            time.sleep(0.5)
            current = server.resident_bytes()
            if abs(current - previous) <= 16 * 1024:
                return current
            previous = current
        return previous

    def measure_event_overhead(self):
        """What a travelchat event weighs besides its content; the bare loop sends events as long."""
        probe = Scenario("probe", "", "", ["--sockets-per-room", "1", "--connections", "1", "--in-flight", "1"], [],
                         [], [], [])
        result = self.run_once(probe, TRAVELCHAT)
        return result["eventBytes"] - result["contentBytes"]

    def run(self, scenario):
        """Results by entry label, one of each repetition."""
        results = {entry.label: [] for entry in scenario.entries}
        with contextlib.ExitStack() as stack:
            measures = {}
            # Two versions of one server: both stay up, so that their measurements follow each other within seconds. A
            # machine's own ups and downs are slower than that, and larger than what is to be seen.
            if self.options.before and not scenario.measures_memory:
                measures = {entry.label: stack.enter_context(self.running(scenario, entry))
                            for entry in scenario.entries}
            for repetition in range(self.options.repetitions):
                # Another one goes first each time, so that no server is always the one after another.
                shift = repetition % len(scenario.entries)
                for entry in scenario.entries[shift:] + scenario.entries[:shift]:
                    print(f"  {scenario.name} {repetition + 1}/{self.options.repetitions}: {entry.label} … ", end="",
                          file=sys.stderr, flush=True)
                    measure = measures.get(entry.label)
                    result = measure() if measure else self.run_once(scenario, entry)
                    results[entry.label].append(result)
                    print(", ".join(f"{f.title} {show(f.read(result), f.unit)}" for f in scenario.figures) +
                          (f", load {result['loadBusy']:.0%} busy" if "loadBusy" in result else ""),
                          file=sys.stderr, flush=True)
        return results


SCENARIO_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def beside(scenario, checkout):
    """Each of our servers in the scenario, and right after it the same from another checkout."""
    entries = []
    for entry in scenario.entries:
        if before := of_checkout(entry.server, checkout):
            entries += [entry, replace(entry, label=f"{entry.label}, before", server=before)]
    figures = scenario.figures
    # What a noisy machine moves least.
    if not scenario.measures_memory and SERVER_CPU not in figures:
        figures = [*figures, SERVER_CPU]
    return replace(scenario, entries=entries, targets=[], figures=figures)


# ---- Reporting ----


def show(value, unit):
    if value >= 100 or isinstance(value, int):
        text = f"{value:,.0f}"
    elif value >= 10:
        text = f"{value:.1f}"
    else:
        text = f"{value:.2f}"
    return f"{text}{unit}" if unit in ("/s", "") else f"{text} {unit}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def summarize(scenario, results):
    """What bench/results.json keeps of a scenario: median, least and most of each figure, and the ratios."""
    figures = {}
    for figure in scenario.figures:
        figures[figure.title] = {}
        for entry in scenario.entries:
            values = [figure.read(result) for result in results[entry.label]]
            figures[figure.title][entry.label] = [statistics.median(values), min(values), max(values)]
    ratios = {}
    for target in scenario.targets:
        if target.against:
            read = next(f.read for f in scenario.figures if f.title == target.figure)
            pairs = zip(results[target.of], results[target.against])
            ratios[target.title] = statistics.median(read(of) / read(against) for of, against in pairs)
    return {"figures": figures, "ratios": ratios}


def figures_table(scenario, summary):
    rows = []
    for figure in scenario.figures:
        row = [figure.title]
        for entry in scenario.entries:
            median, least, most = summary["figures"][figure.title][entry.label]
            cell = show(median, figure.unit)
            if least != most:
                cell += f" ({show(least, '')} – {show(most, '')})"
            row.append(cell)
        rows.append(row)
    return table(["", *(entry.label for entry in scenario.entries)], rows)


def comparison(scenario, results):
    """Of each figure what is now against what was before: medians, and of the ratios within a repetition the median and
    the range."""
    rows = []
    for entry in scenario.entries[::2]:
        pairs = list(zip(results[entry.label], results[f"{entry.label}, before"]))
        for figure in scenario.figures:
            now, before = ([figure.read(pair[side]) for pair in pairs] for side in (0, 1))
            ratios = [a / b for a, b in zip(now, before) if b]
            if ratios:
                rows.append([scenario.name, entry.label, figure.title, show(statistics.median(now), figure.unit),
                             show(statistics.median(before), figure.unit), f"**{statistics.median(ratios):.3f}**",
                             f"{min(ratios):.3f} – {max(ratios):.3f}"])
    return rows


def judge(scenario, summary):
    """A row of the table of targets for each of the scenario's."""
    rows = []
    for target in scenario.targets:
        unit = next(f.unit for f in scenario.figures if f.title == target.figure)
        medians = {label: values[0] for label, values in summary["figures"][target.figure].items()}
        shown = show(medians[target.of], unit)
        if target.against:
            shown += " / " + show(medians[target.against], unit)
            measured = summary["ratios"][target.title]
            result = f"**{measured:.2f} ×**"
        else:
            measured = medians[target.of]
            result = f"**{shown}**"
        rows.append([target.title, shown, result, target.bound(unit), "yes" if target.holds(measured) else "NO"])
    return rows


TARGET_HEAD = ["what", "figures", "result", "target", "holds"]


def output_of(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
                              cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def flush_microseconds(folder):
    """Median time of a 4 KiB append with fdatasync: what every durable figure here rests on."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(300):
            file.write(bytes(4096))
            file.flush()
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def session_facts(options, data_root, event_overhead, versions):
    """Where and of what a run of this program measured."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    commit = output_of("git", "rev-parse", "--short=12", "HEAD")
    if commit != "unknown" and output_of("git", "status", "--porcelain", "--", "src", "include", "examples",
                                         "bench", ":!bench/results.json"):
        commit += " with local changes"
    return {
        "source": commit,
        "machine": f"{model}, {os.cpu_count()} cores, Linux {platform.release()}",
        "load average before the run": f"{options.load_average:.2f}",
        "disk": f"{output_of('findmnt', '-n', '-o', 'FSTYPE', '-T', str(data_root))}, "
                f"4 KiB append + fdatasync {flush_microseconds(data_root):.0f} µs",
        "compiler": output_of("c++", "--version").splitlines()[0],
        "Node": output_of("node", "--version"),
        **versions,
        "repetitions": f"{options.repetitions} of {options.seconds:g} s, {options.warmup:g} s to warm up",
        "a message": f"100 bytes of content, {100 + event_overhead} bytes as an event",
    }


PREAMBLE = """# Performance

Generated by `scripts/bench`; do not edit. The server runs pinned to one core, the load generator to another. The
**bare loop** is the limit: one epoll thread that does nothing but broadcast, with no credentials, no JSON and no
database, sending in one call for each socket all that a round of its loop brought, in events as long as travelchat's.
Given **+ fdatasync**, it also appends each round to a file and flushes it before sending, as anything durable must.
**Node** is the specification on its own stack: Express, `ws` and better-sqlite3 with `synchronous=FULL`, or PostgreSQL
where a section says so.

Every delivery to every socket is timed, from the time in the message's content to when the load generator has read it.
Figures are medians (and ranges) over the repetitions; a ratio is the median of those within a repetition. Sections can be
measured at different times; each says when, and the table at the end tells more.
"""


class Results:
    """bench/results.json: the summaries by scenario, and the facts of the sessions that measured them."""

    def __init__(self):
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        self.sessions = kept.get("sessions", {})
        self.scenarios = kept.get("scenarios", {})

    def take(self, name, session, facts, summary):
        self.sessions[session] = facts
        self.scenarios[name] = {"session": session, **summary}
        used = {scenario["session"] for scenario in self.scenarios.values()}
        self.sessions = {session: self.sessions[session] for session in sorted(used)}

    def save(self):
        text = json.dumps({"sessions": self.sessions, "scenarios": self.scenarios}, indent=1, ensure_ascii=False)
        # Three numbers to a line read, and differ, better than one.
        text = re.sub(r"\[[^][]*\]", lambda numbers: re.sub(r"\s+", " ", numbers.group()), text)
        RESULTS.write_text(text.replace("[ ", "[").replace(" ]", "]") + "\n")

    def measured(self):
        return [(scenario, self.scenarios[scenario.name]) for scenario in SCENARIOS if scenario.name in self.scenarios]

    def section(self, scenario):
        summary = self.scenarios[scenario.name]
        facts = self.sessions[summary["session"]]
        return (f"## {scenario.title}\n\n{scenario.method}\n\n{figures_table(scenario, summary)}\n"
                f"Measured {summary['session']}, source {facts['source']}, {facts['repetitions']}.\n")

    def verdicts(self, only=None):
        return table(TARGET_HEAD, [row for scenario, summary in self.measured() if not only or scenario.name in only
                                   for row in judge(scenario, summary)])

    def page(self):
        names = list(dict.fromkeys(name for facts in self.sessions.values() for name in facts))
        where = table(["", *self.sessions],
                      [[name, *(facts.get(name, "–") for facts in self.sessions.values())] for name in names])
        sections = "\n".join(self.section(scenario) for scenario, _ in self.measured())
        return f"{PREAMBLE}\n## Targets\n\n{self.verdicts()}\n{sections}\n## Where\n\n{where}"


# ---- Command line ----


def parse_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help="where the executables are")
    parser.add_argument("--only", metavar="SCENARIO", nargs="+", action="extend", choices=sorted(SCENARIO_BY_NAME),
                        help="only these; the page keeps its other sections: " + ", ".join(SCENARIO_BY_NAME))
    parser.add_argument("--before", type=Path, metavar="CHECKOUT",
                        help="compare with the travelchat of another checkout, where scripts/bench has built it: its servers "
                        "and ours by turns, and the ratios of their figures. Writes no page")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page anew from " +
                        str(RESULTS.relative_to(ROOT)))
    parser.add_argument("--quick", action="store_true", help="one short repetition")
    parser.add_argument("--check", action="store_true",
                        help="a few sockets for a moment: does the bench itself work? Judges no figure")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--seconds", type=float, help="of one measurement")
    parser.add_argument("--warmup", type=float, help="seconds before it")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--output", type=Path, help=f"write the page here, and keep nothing (otherwise it is {PAGE.relative_to(ROOT)}, not after "
                        "--quick and --check)")
    options = parser.parse_args()

    brief = options.quick or options.check
    if options.repetitions is None:
        options.repetitions = 1 if brief else 5
    if options.seconds is None:
        options.seconds = 0.3 if options.check else 3 if options.quick else 10
    if options.warmup is None:
        options.warmup = 0.1 if options.check else 1 if options.quick else 2
    options.build = options.build.resolve()
    if options.before:
        options.before = options.before.resolve()
    options.keeps = options.output is None and not brief and not options.before
    if options.keeps or (options.page and options.output is None):
        options.output = PAGE
    options.load_average = os.getloadavg()[0]
    return options


def probe_backing(options, scenarios, data_root):
    """That PostgreSQL and NATS are there, before the first scenario: their versions, when a scenario needs them."""
    if not any(isinstance(entry.server, partial) for scenario in scenarios for entry in scenario.entries):
        return {}
    place = Place(options.server_core, data_root, demo_clients=0)
    with Postgres(place) as postgres, Nats(place) as nats:
        return {"PostgreSQL": postgres.version(), "NATS": nats.version()}


def measure(options, results):
    Travelchat.executable = options.build / "examples" / "travel-lab" / "server" / "travelchat-server"
    NodeWithTravelchat.addon = options.build / "bindings" / "node" / "travelchat.node"
    BareLoop.executable = options.build / "bench" / "travelchat-bare-loop"
    if not options.check and options.load_average > 0.5:
        print(f"warning: the load average is {options.load_average:.2f}; figures will be off", file=sys.stderr)

    scenarios = [s for s in SCENARIOS if not options.only or s.name in options.only]
    # Beside the build: a temporary folder may be in memory, where a flush costs nothing.
    data_root = options.build / "bench-data"
    data_root.mkdir(parents=True, exist_ok=True)
    versions = probe_backing(options, scenarios, data_root)
    bench = Bench(options, data_root)
    BareLoop.event_overhead = bench.measure_event_overhead()
    session = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    facts = session_facts(options, data_root, BareLoop.event_overhead, versions)

    if options.before:
        rows = []
        for scenario in (beside(s, options.before) for s in scenarios if not s.program):
            if scenario.entries:
                rows += comparison(scenario, bench.run(scenario))
        print(table(["scenario", "server", "figure", "now", "before", "now / before", "range"], rows))
        return
    for scenario in scenarios:
        raw = bench.run(scenario)
        if options.check:
            continue
        results.take(scenario.name, session, facts, summarize(scenario, raw))
        RAW_RESULTS.mkdir(parents=True, exist_ok=True)
        (RAW_RESULTS / f"{scenario.name}.json").write_text(json.dumps({"session": session, **facts, "runs": raw}))
        if options.keeps:
            results.save()
        print(f"\n{results.section(scenario)}", flush=True)


def main():
    options = parse_options()
    # So that an end by signal, too, unwinds through the servers' context managers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    results = Results()
    if not options.page:
        try:
            measure(options, results)
        except (OSError, RuntimeError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    if options.check:
        print("the bench works")
        return 0
    if not options.before:
        print(results.verdicts(options.only))
    if options.output:
        options.output.write_text(results.page())
        print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
