"""A complete host of the chat in FastAPI: `python examples/fastapi --demo`, then http://127.0.0.1:8000/api/demo.

Two ways of serving it:
  --serve asgi     uvicorn serves everything; the chat is an ASGI application around FastAPI's
  --serve server   travelchat.Server serves everything; what is not the chat's goes to FastAPI
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from datetime import timedelta
from pathlib import Path

import uvicorn
from fastapi import FastAPI

import travelchat
from directory import DemonstrationRefused, Directory
from host import TravelLabHost
from routes import make_app
from sessions import Sessions
from travelchat.asgi import ChatApp


log = logging.getLogger("travel-lab")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"at": self.formatTime(record), "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The chat within a FastAPI application.")
    parser.add_argument("--listen", default="127.0.0.1:8000", metavar="HOST:PORT")
    parser.add_argument("--data", type=Path, default=Path(".travelchat-fastapi"), metavar="DIR")
    parser.add_argument("--storage", metavar="URL", help="postgres://... for the chat; without it, a file in the data folder")
    parser.add_argument("--demo", type=int, nargs="?", const=20, metavar="CLIENTS")
    parser.add_argument("--serve", choices=("asgi", "server"), default="asgi")
    parser.add_argument("--web", type=Path, metavar="DIR", help="built pages of examples/travel-lab/web")
    parser.add_argument("--allowed-origin", action="append", default=[], metavar="ORIGIN")
    parser.add_argument("--trusted-proxy", action="append", default=[], metavar="NETWORK")
    parser.add_argument("--rate-limits", choices=("on", "off"), default="on")
    parser.add_argument("--io-threads", type=int, default=0)
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="warning")
    for name, seconds in (("token-lifetime", 86_400), ("ping-interval", 25), ("silence-timeout", 35)):
        parser.add_argument(f"--{name}", type=float, default=seconds, metavar="SECONDS")
    return parser.parse_args()


async def load_demo(engine: travelchat.ChatEngine, directory: Directory) -> None:
    """A few words in every conversation; in the first of them, 5,000 messages."""
    for number, client in enumerate(directory.clients.values()):
        conversation = await engine.open_conversation(client.org_id, client.id)
        advisor = directory.advisors[client.advisor_id]
        sides = (
            travelchat.Participant.client(client.org_id, client.id, client.full_name),
            travelchat.Participant.advisor(advisor.org_id, advisor.id, advisor.full_name),
        )
        lines = ("Could we leave a day later?", "I have moved it.", "That suits us much better.", "With pleasure.")
        count = 5_000 if number == 0 else 4
        await asyncio.gather(
            *(engine.send(sides[n % 2], conversation.id, lines[n % len(lines)]) for n in range(count))
        )


class AnnouncedServer(uvicorn.Server):
    """Says where it is once it listens."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            print(f"travelchat ready {self._url}", flush=True)


async def serve_asgi(given: argparse.Namespace, chat: ChatApp, address: str, port: int) -> None:
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    config = uvicorn.Config(
        chat,
        # Never more: at "info" it writes the query strings of sockets, at "debug" their headers, and both hold tokens.
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(given.trusted_proxy),
        forwarded_allow_ips=given.trusted_proxy,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        ws_ping_interval=given.ping_interval,
        ws_ping_timeout=given.silence_timeout - given.ping_interval,
        ws_per_message_deflate=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=4,
    )
    await AnnouncedServer(config, f"http://{address}:{listener.getsockname()[1]}").serve(sockets=[listener])


async def serve_beast(server: travelchat.Server, stop: asyncio.Event) -> None:
    async with server:
        print(f"travelchat ready {server.url}", flush=True)
        await stop.wait()


async def main(given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    address, _, port = given.listen.rpartition(":")
    address = address.strip("[]")
    given.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        if given.storage:
            # In a thread: it waits for the database.
            storage = await asyncio.to_thread(travelchat.postgres, given.storage)
            directory = Directory(given.data / "travel-lab.db", given.demo)
        else:
            database = given.data / "travelchat.db"
            # One file: first the chat's own tables, then those of this application.
            travelchat.sync.ChatEngine(travelchat.sqlite(database)).close()
            directory = Directory(database, given.demo)
            storage = travelchat.sqlite(database)
        sessions = stack.enter_context(contextlib.closing(Sessions(given.data / "sessions.db")))
        engine = await stack.enter_async_context(
            travelchat.ChatEngine(
                storage,
                shards=given.io_threads,
                token_lifetime=timedelta(seconds=given.token_lifetime),
            )
        )
        if directory.is_new_demo:
            await load_demo(engine, directory)
        host = TravelLabHost(directory, sessions)
        app: FastAPI = make_app(engine, directory, sessions, host, given.web, given.demo is not None)
        limits = travelchat.RateLimits.off() if given.rate_limits == "off" else travelchat.RateLimits()
        log.info("serving by %s", given.serve)
        if given.serve == "asgi":
            chat = ChatApp(engine, host, app=app, allowed_origins=given.allowed_origin, rate_limits=limits)
            await serve_asgi(given, chat, address, int(port))
        else:
            server = travelchat.Server(
                engine,
                host,
                app=app,
                address=address,
                port=int(port),
                allowed_origins=given.allowed_origin,
                trusted_proxies=given.trusted_proxy,
                rate_limits=limits,
                ping_interval=timedelta(seconds=given.ping_interval),
                silence_timeout=timedelta(seconds=given.silence_timeout),
            )
            await serve_beast(server, stop)


if __name__ == "__main__":
    # uvicorn raises the signal again that ended it, when everything is closed already: it must not end the process then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    given = options()
    # `sqlite3` makes the files that hold sessions and password hashes: with this, only their owner may read them.
    os.umask(0o077)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    log.setLevel(given.log_level.upper())
    try:
        asyncio.run(main(given))
    except DemonstrationRefused as refused:
        sys.exit(str(refused))
