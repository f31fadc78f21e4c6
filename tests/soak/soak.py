"""The long tests, each at full size, and what they counted. Run through scripts/soak."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "protocol"))

from lab import process
from lab.crash import kill_again_and_again, kill_nodes
from lab.outage import restart_nats, restart_postgres
from lab.people import Lab
from lab.process import Options
from lab.rolling import upgrade_under_load
from lab.storm import resume_storm


def storm(arguments: argparse.Namespace) -> str:
    server = process.start(Options(demo=4, io_threads=arguments.io_threads))
    try:
        room = Lab(server).room()
        result = asyncio.run(resume_storm(room, arguments.writers, arguments.messages, arguments.cuts,
                                          arguments.readers, arguments.seed))
        assert server.stop() == 0, server.logs[-4000:]
        return str(result)
    finally:
        server.discard()
        process.remove_data(server)


def kills(arguments: argparse.Namespace) -> str:
    return str(asyncio.run(kill_again_and_again(Options(demo=8, io_threads=arguments.io_threads), arguments.kills,
                                                seed=arguments.seed)))


def nodes(arguments: argparse.Namespace) -> str:
    return str(asyncio.run(kill_nodes(Options(demo=8, io_threads=arguments.io_threads), arguments.node_kills,
                                      seed=arguments.seed)))


def postgres(arguments: argparse.Namespace) -> str:
    return str(asyncio.run(restart_postgres(Options(demo=8, io_threads=arguments.io_threads), arguments.restarts,
                                            seed=arguments.seed)))


def nats(arguments: argparse.Namespace) -> str:
    return str(asyncio.run(restart_nats(Options(demo=8, io_threads=arguments.io_threads), arguments.restarts,
                                        arguments.outage, seed=arguments.seed)))


def fuzz(arguments: argparse.Namespace) -> str:
    """Each fuzzer for `minutes`. What it learns is kept beside it and is where the next run begins."""
    fuzzers = sorted(path for path in Path(arguments.fuzzers).glob("**/fuzz_*")
                     if path.is_file() and os.access(path, os.X_OK))
    assert fuzzers, f"no fuzz_* below {arguments.fuzzers}: configure with -DTRAVELCHAT_BUILD_FUZZERS=ON"
    done = []
    for fuzzer in fuzzers:
        corpus = fuzzer.parent / f"{fuzzer.name}-corpus"
        corpus.mkdir(exist_ok=True)
        words = REPOSITORY / "tests" / "fuzz" / f"{fuzzer.name.removeprefix('fuzz_')}.dict"
        run = subprocess.run(
            [str(fuzzer), str(corpus), *([f"-dict={words}"] if words.exists() else []), "-max_len=8192", "-timeout=10",
             f"-max_total_time={max(1, round(arguments.minutes * 60))}", "-print_final_stats=1",
             f"-artifact_prefix={fuzzer.parent}/{fuzzer.name}-found-"],
            capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{fuzzer.name} found something:\n{run.stderr[-8000:]}"
        executed = next(line.split()[-1] for line in run.stderr.splitlines()
                        if line.startswith("stat::number_of_executed_units"))
        done.append(f"{fuzzer.name} {int(executed):,} inputs in {arguments.minutes:g} min, nothing found")
    return "; ".join(done)


def upgrade(arguments: argparse.Namespace) -> str:
    if not arguments.before:
        return "left out: --before names the server of the version to come from"
    return upgrade_under_load([arguments.before], process.command())


def walks(arguments: argparse.Namespace) -> str:
    """The browser's client against a model server that loses, repeats and reorders what it can."""
    run = subprocess.run(["npx", "vitest", "run", "--project", "core", "tests/core/interleavings.test.ts"],
                         cwd=REPOSITORY / "bindings" / "web", capture_output=True, text=True,
                         env=os.environ | {"TRAVELCHAT_WALKS": str(arguments.walks)})
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    return f"{arguments.walks:,} random walks of four tabs, each ended in the truth of the server"


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "storm": storm, "kills": kills, "nodes": nodes, "postgres": postgres, "nats": nats, "upgrade": upgrade, "fuzz": fuzz,
    "walks": walks}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="The long tests, at full size unless said otherwise.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them when none is named")
    parser.add_argument("--writers", type=int, default=100, help="of the storm, default %(default)s")
    parser.add_argument("--messages", type=int, default=1_000, help="of each writer, default %(default)s")
    parser.add_argument("--readers", type=int, default=6, help="of the storm, default %(default)s")
    parser.add_argument("--cuts", type=int, default=200, help="of its readers, default %(default)s")
    parser.add_argument("--kills", type=int, default=200, help="kill -9 under load, default %(default)s")
    parser.add_argument("--node-kills", type=int, default=20, help="of one of three nodes, default %(default)s")
    parser.add_argument("--restarts", type=int, default=50, help="of PostgreSQL, and of NATS, default %(default)s")
    parser.add_argument("--outage", type=float, default=60, help="the long one of NATS in seconds, default %(default)s")
    parser.add_argument("--before", metavar="PATH", help="a travelchat-server of the version before, for the upgrade")
    parser.add_argument("--walks", type=int, default=3_000, help="of the browser's client, default %(default)s")
    parser.add_argument("--minutes", type=float, default=5, help="for each fuzzer, default %(default)s")
    parser.add_argument("--fuzzers", default=str(REPOSITORY / "build" / "fuzz"), help="where they are, default build/fuzz")
    parser.add_argument("--io-threads", type=int, default=2, help="of the server, default %(default)s")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of every choice made, default: the time")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    print(f"seed {arguments.seed}, server {' '.join(process.command())}", flush=True)
    for name in arguments.parts or PARTS:
        print(f"{name}: {PARTS[name](arguments)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
