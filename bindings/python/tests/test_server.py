"""The chat over HTTP and WebSocket: travelchat.Server, and travelchat.asgi.ChatApp in uvicorn, FastAPI and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
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


@both_ways
@pytest.mark.parametrize(("said", "status"), [({}, 403), ({"by_cookie": True}, 403), ({"by_cookie": False}, 200)])
async def test_another_origins_page_writes_by_no_cookie(serve, said, status):
    class Cautious(Agency):
        async def authenticate(self, credentials):
            return travelchat.Advisor("org", "ada", "Ada Advisor", **said)

    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Cautious()) as url:
        given, _, _ = await ask(url, "POST", "/api/conversations", {"clientId": "carl"}, origin="https://evil.example")
        assert given == status


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
        assert (await ask(url, "POST", path, {"content": "x" * 170_000}, **advisor))[0] == 413
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
async def test_metrics_are_for_those_whom_the_options_name(serve):
    async with ChatEngine(travelchat.memory()) as engine:
        async with serve(engine, Agency(), metrics="loopback") as url:
            assert (await ask(url, "GET", "/metrics"))[0] == 200
            assert (await ask(url, "GET", "/metrics", x_forwarded_for="192.0.2.1"))[0] == 404
        async with serve(engine, Agency(), metrics="token", metrics_token="0123456789abcdef") as url:
            assert (await ask(url, "GET", "/metrics"))[0] == 401
            assert (await ask(url, "GET", "/metrics", authorization="Bearer 0123456789abcdef"))[0] == 200
        async with serve(engine, Agency(), metrics="nobody") as url:
            assert (await ask(url, "GET", "/metrics"))[0] == 404

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                for step in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{step}.complete"})
                return
            await send({"type": "http.response.start", "status": 418, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async with serve(engine, Agency(), metrics="nobody", app=app) as url:
            assert (await ask(url, "GET", "/metrics"))[0] == 418
            assert (await ask(url, "GET", "/livez"))[0] == 200


@both_ways
async def test_a_picture_that_no_page_may_show_is_none(serve):
    class Careless(Agency):
        def find_trip(self, trip_id):
            return travelchat.SharedTrip(
                "lisbon", "org", "Lisbon", True, "secret", "carl", "Carl", "Ada", "javascript:alert(1)"
            )

        def find_clients(self, org_id, client_ids):
            return [travelchat.ClientCard(id, id.title(), "javascript:alert(1)") for id in client_ids]

    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Careless()) as url:
        assert (await grant(url))["advisorAvatar"] is None
        _, rows, _ = await ask(url, "GET", "/api/conversations", authorization="Bearer ada")
        assert [row["clientAvatarUrl"] for row in rows] == [None]


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


@both_ways
async def test_pages_have_a_limit_of_their_own(serve):
    limits = RateLimits(pages=travelchat.RateLimit(2, timedelta(seconds=60)))
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Agency(), rate_limits=limits) as url:
        answers = [await ask(url, "GET", "/api/conversations", authorization="Bearer ada") for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 200, 429]


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


@pytest.mark.parametrize("end", ["engine", "app"])
async def test_once_the_chat_has_ended_the_application_around_it_goes_on(end):
    app = FastAPI()

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    async with ChatEngine(travelchat.memory()) as engine:
        chat = ChatApp(engine, Agency(), app=app)
        async with by_uvicorn(chat) as url:
            conversation = await engine.open_conversation("org", "carl")
            await (engine.close() if end == "engine" else chat.aclose())
            assert (await ask(url, "GET", "/hello"))[:2] == (200, "hello")
            assert (await ask(url, "GET", "/elsewhere"))[0] == 404
            for method, path in [("GET", "/api/conversations"), ("POST", "/api/chat-token"), ("GET", "/livez")]:
                status, body, headers = await ask(url, method, path, authorization="Bearer ada")
                assert (status, body) == (503, {"message": travelchat.Closed.message, "code": "closed"})
                assert headers["content-type"] == "application/json"
            head, _, headers = await ask(url, "HEAD", "/livez")
            assert head == 503 and int(headers["content-length"]) > 0
            for subprotocols in (None, ["travelchat.v1", "auth.x"]):
                address = chat_address(url, conversation.id, "advisor", "ada")
                async with websockets.connect(address, subprotocols=subprotocols) as peer:
                    await soon(peer.wait_closed())
                    assert (peer.close_code, peer.subprotocol) == (1012, subprotocols[0] if subprotocols else None)


async def first_told(url: str, conversation_id: str) -> str:
    """The type of what a chat socket below this URL hears first."""
    query = f"conversationId={conversation_id}&userType=advisor&userId=ada"
    address = f"{url.replace('http', 'ws')}/ws/chat?{query}"
    async with websockets.connect(address, additional_headers={"authorization": "Bearer ada"}) as chat:
        return json.loads(await soon(chat.recv()))["type"]


@both_ways
async def test_with_a_base_path_all_that_is_the_chats_is_below_it(serve):
    app = FastAPI()
    app.get("/livez")(lambda: {"whose": "the application's"})
    app.get("/chat/about")(lambda: {"about": "the chat"})
    async with ChatEngine(travelchat.memory(), shards=1) as engine:
        conversation = await engine.open_conversation("org", "carl")
        async with serve(engine, Agency(), app=app, base_path="/chat", metrics="nobody") as url:
            for path in ("/api/conversations", "/livez"):
                status, _, _ = await ask(url, "GET", f"/chat{path}", authorization="Bearer ada")
                assert status == 200
            assert (await ask(url, "GET", "/api/conversations", authorization="Bearer ada"))[0] == 404
            assert (await ask(url, "GET", "/livez"))[:2] == (200, {"whose": "the application's"})
            assert (await ask(url, "GET", "/chat/about"))[:2] == (200, {"about": "the chat"})
            # Left to the application, which has none.
            assert (await ask(url, "GET", "/chat/metrics"))[:2] == (404, {"detail": "Not Found"})
            assert await first_told(f"{url}/chat", conversation.id) == "typing"


@pytest.mark.parametrize("options", [{}, {"base_path": "/chat"}, {"base_path": "/site/chat"}])
async def test_a_mounted_application_is_found_at_its_mount_with_and_without_the_same_base_path(options):
    app, site = FastAPI(), FastAPI()
    async with ChatEngine(travelchat.memory(), shards=1) as engine:
        conversation = await engine.open_conversation("org", "carl")
        app.mount("/chat", ChatApp(engine, Agency(), **options))
        site.mount("/site", app)
        async with by_uvicorn(site) as url:
            path = "/site/chat/api/conversations"
            assert (await ask(url, "GET", path, authorization="Bearer ada"))[0] == 200
            assert (await ask(url, "GET", path + "/chat", authorization="Bearer ada"))[0] == 404
            assert await first_told(f"{url}/site/chat", conversation.id) == "typing"


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
            with pytest.raises(OSError, match=r"Address already in use: 127\.0\.0\.1:\d+$"):
                async with Server(engine, Agency(), port=taken.getsockname()[1]):
                    raise AssertionError("it listens")
        with pytest.raises(ValueError, match="^port must be at least 0 and at most 65535, not 70000$"):
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


class Mute(Agency):
    """Knows who people are and where the trip goes, and never says so."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up = 0

    async def never(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1

    async def authenticate(self, credentials):
        await self.never()

    async def find_trip(self, trip_id):
        await self.never()


@both_ways
async def test_a_host_that_never_answers_is_cancelled_and_costs_nobody_else_anything(serve):
    host = Mute()
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    # One question may wait: were one kept, the next would be refused unasked. Each must have reached the host in that time,
    # however busy the machine is: of one that did not there is nothing to cancel.
    options: dict[str, Any] = {"host_timeout": timedelta(milliseconds=500), "max_host_calls": 1}
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, host, **options) as url:
        conversation = await engine.open_conversation("org", "carl")
        for _ in range(2):
            status, body, _ = await ask(url, "GET", "/api/conversations", authorization="Bearer ada")
            assert (status, body["code"]) == (503, "overloaded")
            status, body, _ = await ask(url, "GET", "/api/chat-token?tripId=lisbon&shareToken=secret")
            assert (status, body["code"]) == (503, "overloaded")
            async with websockets.connect(
                chat_address(url, conversation.id, "advisor", "ada"), additional_headers={"Authorization": "Bearer ada"}
            ) as socket:
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await soon(socket.recv())
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
    assert host.given_up == 6
    assert told == ["Mute.authenticate failed", "Mute.find_trip failed", "Mute.authenticate failed"] * 2


async def test_an_application_that_never_answers_is_cancelled_and_one_that_works_on_afterwards_is_not():
    given_up = 0
    worked_on = asyncio.Event()

    async def app(scope, receive, send):
        nonlocal given_up
        if scope["path"] == "/never":
            try:
                await asyncio.Event().wait()
            finally:
                given_up += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answered"})
        await asyncio.sleep(0.7)
        worked_on.set()

    asyncio.get_running_loop().set_exception_handler(lambda _, context: None)
    async with (
        ChatEngine(travelchat.memory()) as engine,
        by_server(engine, Agency(), app=app, host_timeout=timedelta(milliseconds=500)) as url,
    ):
        assert (await ask(url, "GET", "/never"))[0] == 503
        assert (await ask(url, "GET", "/behind"))[:2] == (200, "answered")
        await soon(worked_on.wait())
    assert given_up == 1


async def test_trailers_that_an_asgi_server_adds_to_the_headers_are_no_headers():
    async with ChatEngine(travelchat.memory()) as engine:
        conversation = await engine.open_conversation("org", "carl")
        app = ChatApp(engine, Agency())
        headers = [(b"host", b"x"), (b"content-type", b"application/json")]
        scope = {
            "type": "http", "method": "POST", "path": f"/api/conversations/{conversation.id}/messages",
            "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http",
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive():
            # What uvicorn does with httptools, whose callback is the same for both.
            headers.append((b"authorization", b"Bearer ada"))
            return {"type": "http.request", "body": b'{"content":"smuggled"}', "more_body": False}

        async def send(message):
            sent.append(message)

        await soon(app(scope, receive, send))
        assert sent[0]["status"] == 401
        await app.aclose()


async def test_the_limits_of_a_listening_server_are_options():
    limits = RateLimits(connections_per_address=1)
    async with ChatEngine(travelchat.memory()) as engine, by_server(engine, Agency(), rate_limits=limits) as url:
        address, port = url.removeprefix("http://").split(":")
        first_reader, first = await asyncio.open_connection(address, int(port))
        first.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await soon(first_reader.readline())).startswith(b"HTTP/1.1 200")
        second_reader, second = await asyncio.open_connection(address, int(port))
        with contextlib.suppress(ConnectionResetError):
            assert await soon(second_reader.read()) == b""
        for writer in (first, second):
            writer.close()


class Forgetful(Agency):
    """Its sessions and its trip's link can end."""

    def __init__(self) -> None:
        super().__init__()
        self.trip: Any = travelchat.SharedTrip("lisbon", "org", "Lisbon", True, "secret", "carl")
        self.live: Any = ["session-1", "session-2"]
        self.checked = asyncio.Event()

    async def authenticate(self, credentials):
        _, _, session = credentials.authorization.partition("Bearer ")
        return travelchat.Advisor("org", "ada", "Ada Advisor", session_id=session) if session else None

    def find_trip(self, trip_id):
        if isinstance(self.trip, Exception):
            raise self.trip
        return self.trip

    async def check_sessions(self, session_ids):
        self.checked.set()
        if isinstance(self.live, Exception):
            raise self.live
        return self.live and [id for id in session_ids if id in self.live]


often = {"session_check_interval": timedelta(milliseconds=20), "share_check_interval": timedelta(milliseconds=20)}


@contextlib.asynccontextmanager
async def advisor_listens(url: str, chat: str, session: str) -> AsyncIterator[Any]:
    address = chat_address(url, chat, "advisor", "ada")
    async with websockets.connect(address, additional_headers={"Authorization": f"Bearer {session}"}) as ada:
        assert json.loads(await soon(ada.recv()))["type"] == "typing"
        yield ada


@contextlib.asynccontextmanager
async def client_listens(url: str, chat: str, token: str) -> AsyncIterator[Any]:
    address = chat_address(url, chat, "client", "carl")
    async with websockets.connect(address, subprotocols=["travelchat.v1", f"auth.{token}"]) as carl:
        assert json.loads(await soon(carl.recv()))["type"] == "typing"
        yield carl


async def closed(peer: Any) -> int:
    await soon(peer.wait_closed())
    return peer.close_code


async def goes_on(engine: ChatEngine, chat: str, *peers: Any) -> None:
    sent = await engine.send(ADA, chat, "still here")
    for peer in peers:
        assert json.loads(await soon(peer.recv()))["message"]["id"] == sent.message.id


@both_ways
async def test_a_session_that_ends_closes_its_sockets(serve):
    host = Forgetful()
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, host, **often) as url:
        chat = (await grant(url))["conversationId"]
        async with (
            advisor_listens(url, chat, "session-1") as one,
            advisor_listens(url, chat, "session-2") as two,
            advisor_listens(url, chat, "session-3") as unknown,
        ):
            assert await closed(unknown) == 4401
            engine.end_session("session-1")
            assert await closed(one) == 4401
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            for outage in (RuntimeError("the database is away"), None):
                host.live = outage
                for _ in range(3):
                    host.checked.clear()
                    await soon(host.checked.wait())
                await goes_on(engine, chat, two)
            host.live = []
            assert await closed(two) == 4401


@both_ways
async def test_a_link_that_ends_takes_its_tokens_and_their_sockets_with_it(serve):
    host = Forgetful()
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, host, **often) as url:
        client = await grant(url)
        chat, token = client["conversationId"], client["chatToken"]

        async def read() -> int:
            path = f"/api/conversations/{chat}/messages"
            return (await ask(url, "GET", path, Authorization=f"Bearer {token}"))[0]

        async with client_listens(url, chat, token) as carl:
            assert await read() == 200
            trip, host.trip = host.trip, travelchat.StorageFailed()
            assert await read() == 200
            await goes_on(engine, chat, carl)
            host.trip = dataclasses.replace(trip, share_token="another")
            assert await closed(carl) == 4401
            assert await read() == 401


@both_ways
async def test_tokens_are_revoked_with_their_sockets(serve):
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Forgetful()) as url:
        grants = [await grant(url) for _ in range(3)]
        chat = grants[0]["conversationId"]
        async with contextlib.AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(client_listens(url, chat, g["chatToken"])) for g in grants]
            assert await engine.revoke_token(grants[0]["chatToken"])
            assert await closed(peers[0]) == 4401
            await goes_on(engine, chat, *peers[1:])
            assert await engine.revoke_tokens("org", trip_id="porto") == 0
            assert await engine.revoke_tokens("org", client_id="carl", trip_id="lisbon") == 2
            assert [await closed(peer) for peer in peers[1:]] == [4401, 4401]
        with pytest.raises(travelchat.InvalidArgument):
            await engine.revoke_tokens("org")
