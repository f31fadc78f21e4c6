"""The chat over HTTP and WebSocket: travelchat.Server, and travelchat.asgi.ChatApp in uvicorn, FastAPI and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
import websockets
from fastapi import FastAPI

import travelchat
from conftest import ADA, CARL, soon
from travelchat import ChatEngine, PushNotification, RateLimits, RequestCredentials, Server
from travelchat.asgi import ChatApp


class Agency(travelchat.Host):
    """Ada has a key, Carl a trip."""

    def __init__(self) -> None:
        self.notified: asyncio.Queue[PushNotification] = asyncio.Queue()
        self.asked: list[RequestCredentials] = []

    async def authenticate(self, credentials):
        self.asked.append(credentials)
        await asyncio.sleep(0)
        if credentials.authorization == "Bearer ada":
            return travelchat.Advisor("org", "ada", "Ada Advisor")
        return None

    def find_trip(self, trip_id):
        if trip_id != "lisbon":
            return None
        return travelchat.SharedTrip("lisbon", "org", "Lisbon", True, "secret", "carl", "Carl Client", "Ada Advisor")

    def find_clients(self, org_id, client_ids):
        return [travelchat.ClientCard(id, id.title(), None, travelchat.ActiveTrip("lisbon", "Lisbon")) for id in client_ids]

    async def search_clients(self, org_id, text):
        return ["carl"] if text in "Carl" else []

    async def notify(self, notification):
        self.notified.put_nowait(notification)


@contextlib.asynccontextmanager
async def by_server(engine: ChatEngine, host: travelchat.Host, **options: Any) -> AsyncIterator[str]:
    async with Server(engine, host, port=0, **options) as server:
        yield server.url


@contextlib.asynccontextmanager
async def by_asgi(engine: ChatEngine, host: travelchat.Host, **options: Any) -> AsyncIterator[str]:
    async with by_uvicorn(ChatApp(engine, host, **options)) as url:
        yield url


@contextlib.asynccontextmanager
async def by_uvicorn(app: Any) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=4, lifespan="on")
    )
    started = asyncio.Event()
    startup = server.startup

    async def and_tell(sockets=None):
        await startup(sockets=sockets)
        started.set()

    server.startup = and_tell
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await soon(started.wait())
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


both_ways = pytest.mark.parametrize("serve", [by_server, by_asgi])


async def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    def blocking() -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None:
                names.setdefault("content-type", "application/json")
            connection.request(method, path, content, names)
            response = connection.getresponse()
            text = response.read().decode()
            is_json = response.headers.get("content-type", "").startswith("application/json")
            return response.status, json.loads(text) if is_json and text else text, response.headers

    return await asyncio.to_thread(blocking)


async def grant(url: str) -> dict[str, str]:
    status, body, _ = await ask(url, "POST", "/api/chat-token", {"tripId": "lisbon", "shareToken": "secret"})
    assert status == 200
    return body


def chat_address(url: str, conversation_id: str, who: str, id: str) -> str:
    return f"ws{url.removeprefix('http')}/ws/chat?conversationId={conversation_id}&userType={who}&userId={id}"


@both_ways
async def test_an_advisor_and_a_client_talk(serve):
    host = Agency()
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, host) as url:
        client = await grant(url)
        chat = client["conversationId"]
        assert (client["clientName"], client["advisorName"]) == ("Carl Client", "Ada Advisor")
        async with (
            websockets.connect(
                chat_address(url, chat, "client", "carl"), subprotocols=["travelchat.v1", f"auth.{client['chatToken']}"]
            ) as carl,
            websockets.connect(
                chat_address(url, chat, "advisor", "ada"), additional_headers={"Authorization": "Bearer ada"}
            ) as ada,
        ):
            assert carl.subprotocol == "travelchat.v1"
            for peer in (carl, ada):
                assert json.loads(await soon(peer.recv()))["type"] == "typing"
            await carl.send('{"type":"typing","isTyping":true}')
            assert json.loads(await soon(ada.recv())) == {
                "type": "typing",
                "advisorTyping": False,
                "clientTyping": True,
            }
            status, sent, _ = await ask(
                url,
                "POST",
                f"/api/conversations/{chat}/messages/client",
                {"content": "Is breakfast included?", "chatToken": client["chatToken"]},
            )
            assert status == 201
            assert json.loads(await soon(carl.recv())) == {"type": "new_message", "message": sent, "rev": 1}
            assert json.loads(await soon(ada.recv())) == {"type": "new_message", "message": sent, "rev": 1}
            notification = await soon(host.notified.get())
            assert (notification.org_id, notification.body) == ("org", "Is breakfast included?")
            # What is written by the engine's own calls arrives there too.
            answered = await engine.send(ADA, chat, "From seven to ten.")
            frames = [json.loads(await soon(carl.recv())) for _ in range(1)]
            assert frames[0]["message"]["id"] == answered.message.id
        status, rows, headers = await ask(url, "GET", "/api/conversations?q=Car", authorization="Bearer ada")
        assert status == 200 and headers["Cache-Control"] == "no-store"
        assert [(row["clientName"], row["activeTrip"]["title"]) for row in rows] == [("Carl", "Lisbon")]


@both_ways
async def test_what_is_refused_is_refused_as_the_contract_says(serve):
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Agency()) as url:
        conversation = await engine.open_conversation("org", "carl")
        path = f"/api/conversations/{conversation.id}/messages"
        assert (await ask(url, "GET", path))[:2] == (
            401,
            {"message": "Please sign in again.", "code": "unauthenticated"},
        )
        advisor = {"authorization": "Bearer ada"}
        assert (await ask(url, "POST", path, {"content": " "}, **advisor))[1]["code"] == "invalid_content"
        assert (await ask(url, "POST", path, {"content": "x" * 70_000}, **advisor))[0] == 413
        assert (await ask(url, "POST", path, {"content": "x"}, content_type="text/plain", **advisor))[0] == 415
        assert (await ask(url, "PUT", path, **advisor))[0] == 405
        assert (await ask(url, "GET", "/nothing", **advisor))[1]["code"] == "not_found"
        status, body, headers = await ask(url, "HEAD", "/livez")
        assert (status, body) == (200, "") and int(headers["Content-Length"]) > 0
        for claim, code in (
            (chat_address(url, conversation.id, "advisor", "ada"), 4401),
            (chat_address(url, conversation.id, "admin", "ada"), 4400),
        ):
            async with websockets.connect(claim) as refused:
                with pytest.raises(websockets.ConnectionClosed):
                    await soon(refused.recv())
                assert refused.close_code == code
        async with websockets.connect(
            chat_address(url, conversation.id, "advisor", "ada"), additional_headers={"Authorization": "Bearer ada"}
        ) as peer:
            await soon(peer.recv())
            await peer.send(b"binary")
            with pytest.raises(websockets.ConnectionClosed):
                await soon(peer.recv())
            assert peer.close_code == 1003
        assert (await engine.find_conversation(conversation.id)).rev == 0


@both_ways
async def test_a_host_that_fails_costs_one_request(serve):
    class Failing(Agency):
        async def authenticate(self, credentials):
            match credentials.authorization:
                case "Bearer defect":
                    raise ZeroDivisionError("a defect")
                case "Bearer busy":
                    raise travelchat.Overloaded
                case "Bearer nonsense":
                    return "Ada"
            return await super().authenticate(credentials)

        def find_trip(self, trip_id):
            raise ZeroDivisionError("a defect")

        def notify(self, notification):
            raise ZeroDivisionError("a defect")

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Failing()) as url:
        path = "/api/messages/unread-count"
        assert (await ask(url, "GET", path, authorization="Bearer defect"))[0] == 500
        assert (await ask(url, "GET", path, authorization="Bearer busy"))[0] == 503
        assert (await ask(url, "GET", path, authorization="Bearer nonsense"))[0] == 500
        assert (await ask(url, "GET", "/api/chat-token?tripId=lisbon&shareToken=secret"))[0] == 500
        assert (await ask(url, "GET", path, authorization="Bearer ada"))[1] == {"count": 0}
    said = [str(report.get("exception")) for report in reports]
    assert said == [
        "a defect",
        "whoever has signed in must be a travelchat.Advisor, not str",
        "a defect",
    ]
    assert reports[0]["message"] == "Failing.authenticate failed"


@both_ways
async def test_closing_the_engine_ends_its_sockets_with_1012(serve):
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Agency()) as url:
        conversation = await engine.open_conversation("org", "carl")
        async with websockets.connect(
            chat_address(url, conversation.id, "advisor", "ada"), additional_headers={"Authorization": "Bearer ada"}
        ) as peer:
            await soon(peer.recv())
            await engine.close()
            with pytest.raises(websockets.ConnectionClosed):
                await soon(peer.recv())
            assert peer.close_code == 1012


@both_ways
async def test_limits_are_kept(serve):
    limits = RateLimits(messages=travelchat.RateLimit(2, timedelta(seconds=60)))
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Agency(), rate_limits=limits) as url:
        conversation = await engine.open_conversation("org", "carl")
        path = f"/api/conversations/{conversation.id}/messages"
        answers = [await ask(url, "POST", path, {"content": "x"}, authorization="Bearer ada") for _ in range(3)]
        assert [status for status, _, _ in answers] == [201, 201, 429]
        assert "Retry-After" in answers[2][2]


async def test_other_paths_go_to_the_application_both_ways():
    app = FastAPI()

    @app.post("/hello/{name}")
    async def hello(name: str, q: str = "", body: dict[str, str] | None = None) -> dict[str, Any]:
        return {"name": name, "q": q, "body": body}

    async with ChatEngine(travelchat.memory()) as engine:
        async with (
            by_server(engine, Agency(), app=app) as native,
            by_uvicorn(ChatApp(engine, Agency(), app=app)) as around,
        ):
            for url in (native, around):
                status, body, _ = await ask(url, "POST", "/hello/J%C3%BCrgen?q=a%20b", {"k": "v"})
                assert (status, body) == (200, {"name": "J\xfcrgen", "q": "a b", "body": {"k": "v"}})
                assert (await ask(url, "GET", "/hello/x"))[0] == 405
                assert (await ask(url, "GET", "/livez"))[0] == 200


async def test_it_is_mounted_in_fastapi_and_finds_what_middleware_left():
    host = Agency()
    app = FastAPI()

    class Sign:
        """Middleware of one's own, which has looked up the session already."""

        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "lifespan":
                scope["signed_in"] = "ada"
            await self.app(scope, receive, send)

    async def authenticate(credentials: RequestCredentials) -> travelchat.Advisor:
        assert credentials.scope is not None and credentials.scope["signed_in"] == "ada"
        return travelchat.Advisor("org", "ada", "Ada Advisor")

    host.authenticate = authenticate
    app.add_middleware(Sign)
    async with ChatEngine(travelchat.memory()) as engine:
        app.mount("/chat", ChatApp(engine, host))
        conversation = await engine.open_conversation("org", "carl")
        async with by_uvicorn(app) as url:
            assert (await ask(url, "GET", "/chat/api/messages/unread-count"))[1] == {"count": 0}
            async with websockets.connect(chat_address(f"{url}/chat", conversation.id, "advisor", "ada")) as peer:
                assert json.loads(await soon(peer.recv()))["type"] == "typing"


async def test_a_port_that_is_taken_is_the_systems_error():
    async with ChatEngine(travelchat.memory()) as engine:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with pytest.raises(OSError, match="Address already in use"):
                async with Server(engine, Agency(), port=taken.getsockname()[1]):
                    raise AssertionError("it listens")
        with pytest.raises(TypeError, match="port cannot be"):
            Server(engine, Agency(), port=70_000)
        with pytest.raises(ValueError, match="belong together"):
            Server(engine, Agency(), tls_key="key.pem")


def test_the_host_answers_on_the_loop_that_is_running():
    """A test client makes a loop for each request; so may `asyncio.run` twice."""

    async def once(app: ChatApp) -> int:
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/messages/unread-count",
            "headers": [(b"host", b"x"), (b"authorization", b"Bearer ada")],
        }
        await soon(app(scope, receive, send))
        return messages[0]["status"]

    engine = ChatEngine(travelchat.memory())
    app = ChatApp(engine, Agency())
    assert [asyncio.run(once(app)) for _ in range(3)] == [200, 200, 200]
    asyncio.run(engine.close())


@both_ways
async def test_two_hundred_sockets_hear_every_message_in_order(serve):
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Agency(), rate_limits=RateLimits.off()) as url:
        conversation = await engine.open_conversation("org", "carl")
        address = chat_address(url, conversation.id, "advisor", "ada")
        async with contextlib.AsyncExitStack() as stack:
            peers = [
                await stack.enter_async_context(
                    websockets.connect(address, additional_headers={"Authorization": "Bearer ada"})
                )
                for _ in range(200)
            ]
            for peer in peers:
                await soon(peer.recv())
            await asyncio.gather(*(engine.send(CARL, conversation.id, f"{n}") for n in range(20)))
            for peer in peers:
                heard = [json.loads(await soon(peer.recv()))["rev"] for _ in range(20)]
                assert heard == list(range(1, 21))


async def test_a_trusted_proxy_says_whose_request_it_is():
    limits = RateLimits(chat_tokens=travelchat.RateLimit(1, timedelta(seconds=60)))
    wanted = {"tripId": "lisbon", "shareToken": "secret"}

    async def statuses(*addresses: str, **options: Any) -> list[int]:
        async with (
            ChatEngine(travelchat.memory()) as engine,
            by_server(engine, Agency(), rate_limits=limits, **options) as url,
        ):
            return [(await ask(url, "POST", "/api/chat-token", wanted, x_forwarded_for=a))[0] for a in addresses]

    asked = ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    assert await statuses(*asked, trusted_proxies=["127.0.0.0/8"]) == [200, 200, 429]
    assert await statuses(*asked) == [200, 429, 429]
