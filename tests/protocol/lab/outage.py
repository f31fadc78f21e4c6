"""What several nodes share goes away under load, again and again, and comes back: PostgreSQL, and NATS."""

from __future__ import annotations

import asyncio
import math
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lab import process
from lab.load import Delays, Site, under_load
from lab.process import PATIENCE, REPOSITORY, SLOWNESS, Options, cluster
from lab.traffic import HttpConnection

# From the moment at which PostgreSQL takes connections again until every node serves.
SERVING_AGAIN_S = 5.0
# From the moment at which NATS takes connections again until nothing of what it did not carry is missing anywhere.
GAPS_CLOSED_S = 2.0
# Until a node without NATS has found in the database what the others stored: it looks every second.
FOUND_WITHOUT_NATS_S = 3.0


class Shared:
    """A server of tests/support in a folder of its own."""

    def __init__(self, script: str, folder: str):
        self._script = str(REPOSITORY / "tests" / "support" / script)
        self.folder = Path(folder) / script

    def run(self, verb: str, *options: str) -> None:
        done = subprocess.run([self._script, verb, str(self.folder), *options], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr

    @property
    def url(self) -> str:
        return (self.folder / "url").read_text().strip()

    def ready_since(self, log: str, words: str, form: str) -> float:
        """As its log says, in local time; who has started it notices later. time.time()"""
        line = [line for line in (self.folder / log).read_text().splitlines() if line.endswith(words)][-1]
        when = re.search(r"\d{4}[-/]\S+ [\d:.]+", line)[0]
        return datetime.strptime(when, form).timestamp()


@contextmanager
def shared(script: str) -> Iterator[Shared]:
    with tempfile.TemporaryDirectory(prefix="travelchat-outage-") as folder:
        it = Shared(script, folder)
        it.run("start")
        try:
            yield it
        finally:
            it.run("stop")


# ---- PostgreSQL ----


@dataclass
class PostgresResult:
    restarts: int
    answered: int
    repeated: int  # answered with 200: committed by a try that the server could not answer
    held: int  # tries sent before PostgreSQL was back and answered after
    refused: int  # tries answered with 500 or 503, and sockets sent away, while there was no database
    resumed: int  # sockets that were cut and came back
    heard: int
    serving_again: float  # the longest time until every node had answered a message
    last_failure: float  # the longest time after which something was still refused
    seconds: float

    def __str__(self) -> str:
        return (f"{self.restarts} restarts of PostgreSQL, {self.answered} messages answered ({self.repeated} of them by a "
                f"repeat), {self.held} tries held and {self.refused} refused, {self.resumed} sockets cut and resumed, "
                f"{self.heard} events heard, 0 lost, 0 doubled; every node served again within {self.serving_again:.2f} s, "
                f"the last refusal came {self.last_failure:.2f} s after PostgreSQL was back; {self.seconds:.1f} s")


async def restart_postgres(options: Options, restarts: int, nodes: int = 2, writers: int = 16,
                           seed: int = 1) -> PostgresResult:
    """Without a shutdown, as after a crash. Sockets stay open all the time, but for one in each room that is cut and has to
    resume while there is no database."""
    started = time.monotonic()
    chance = random.Random(seed)
    with shared("postgres") as postgres:
        server = process.start(replace(options, command=cluster(nodes, postgres=postgres.url)))
        try:
            returns = []
            serving_again = last_failure = 0.0
            async with under_load(server, writers) as site:
                for _ in range(restarts):
                    site.may_fail_until = math.inf
                    for promised in site.rooms:
                        chance.choice([it for it in site.listeners if it.promised is promised]).cut()
                    await asyncio.to_thread(postgres.run, "stop", "--immediate")
                    stopped = time.time()
                    await asyncio.to_thread(postgres.run, "start")
                    back = postgres.ready_since("log", "database system is ready to accept connections", "%Y-%m-%d %H:%M:%S.%f")
                    assert back >= stopped - 0.001  # the log has milliseconds
                    # From then on a refusal is a failure.
                    site.may_fail_until = back + SERVING_AGAIN_S * SLOWNESS
                    await site.until(lambda: all(node.newest_answered > stopped for node in site.running),
                                     "every node answers a message again")
                    took = time.time() - back
                    assert took <= SERVING_AGAIN_S * SLOWNESS, f"served again only after {took:.1f} s"
                    serving_again = max(serving_again, took)
                    await site.until(lambda: all(listener.node for listener in site.listeners), "every socket is open")
                    await site.more_answers(chance.randrange(20, 400))
                    last_failure = max(last_failure, site.last_failure - back)
                    returns.append(back)
            assert server.stop() == 0, server.logs[-4000:]
            held = sum(sent < back < answered for sent, answered in site.answered for back in returns)
            return PostgresResult(restarts, site.answers, site.repeated, held, site.failures, site.lost_sockets, site.heard,
                                  serving_again, last_failure, time.monotonic() - started)
        finally:
            server.discard()
            process.remove_data(server)


# ---- NATS ----


@dataclass
class NatsResult:
    restarts: int
    outage: float  # of the one that lasted
    answered: int
    heard: int
    gaps_closed: float  # the longest time after NATS was back until everybody knew what was stored without it
    live: Delays  # while NATS was up
    down: Delays  # while it was not
    seconds: float

    def __str__(self) -> str:
        return (f"{self.restarts} restarts of NATS and an outage of {self.outage:g} s, {self.answered} messages answered, "
                f"{self.heard} events heard, 0 missed, 0 doubled; gaps closed within {self.gaps_closed:.2f} s; without NATS "
                f"heard after at most {self.down.same_node:.2f} s at the same node and {self.down.other_node:.2f} s at "
                f"others; {self.seconds:.1f} s")


async def _until_ready(site: Site, status: str) -> None:
    """Every node says so of itself."""
    http = HttpConnection()
    async with asyncio.timeout(PATIENCE * 3):
        for node in site.running:
            while (await http.request(node.address, "GET", "/readyz"))[2]["status"] != status:
                await site.more_answers(1)
    http.close()


async def restart_nats(options: Options, restarts: int, outage: float, nodes: int = 2, writers: int = 16,
                       seed: int = 1) -> NatsResult:
    """By turns killed and stopped; the last time it stays away for `outage` seconds. No socket is closed all the time."""
    started = time.monotonic()
    chance = random.Random(seed)
    with shared("nats") as nats:
        server = process.start(replace(options, command=cluster(nodes, nats=nats.url)))
        try:
            gaps_closed = 0.0
            live, down = Delays(), Delays()
            async with under_load(server, writers) as site:
                for i in range(restarts + 1):
                    site.delays = live
                    await site.more_answers(chance.randrange(20, 400))
                    site.delays = down
                    await asyncio.to_thread(nats.run, ("kill", "stop")[i % 2])
                    await _until_ready(site, "degraded")
                    if i < restarts:
                        await site.more_answers(chance.randrange(20, 400))
                    else:
                        await asyncio.sleep(outage)
                    stopped = time.time()
                    await asyncio.to_thread(nats.run, "restart")
                    back = nats.ready_since("0.log", "Server is ready", "%Y/%m/%d %H:%M:%S.%f")
                    assert back >= stopped
                    stored = {id(promised): promised.answered_rev for promised in site.rooms}
                    await site.until(lambda: all(it.rev >= stored[id(it.promised)] for it in site.listeners),
                                     "everybody knows what was stored without NATS")
                    took = time.time() - back
                    assert took <= GAPS_CLOSED_S * SLOWNESS, f"gaps were closed only after {took:.1f} s"
                    gaps_closed = max(gaps_closed, took)
                    await _until_ready(site, "ready")
            assert site.lost_sockets == 0
            assert down.same_node <= FOUND_WITHOUT_NATS_S * SLOWNESS, f"{down.same_node:.1f} s late at the same node"
            assert down.other_node <= FOUND_WITHOUT_NATS_S * SLOWNESS, f"{down.other_node:.1f} s late at another node"
            assert server.stop() == 0, server.logs[-4000:]
            return NatsResult(restarts, outage, site.answers, site.heard, gaps_closed, live, down,
                              time.monotonic() - started)
        finally:
            server.discard()
            process.remove_data(server)
