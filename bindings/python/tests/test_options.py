"""Options are refused when they are given, by their names; and whatever a host answers that is no clear yes is none."""

from __future__ import annotations

import asyncio
import inspect
import os
import stat
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

import travelchat
from conftest import soon
from test_server import Agency, ask, both_ways
from travelchat import ChatEngine, RateLimit, RateLimits, Server
from travelchat.asgi import ChatApp

NOT_COUNTS = [None, "5", 1.5, True, -1, 2**70]
NOT_DURATIONS = [None, 5, 1.5, "5", timedelta(seconds=-1), timedelta(microseconds=1), timedelta.max]


def engine_options(kind: type) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(ChatEngine.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and isinstance(parameter.default, kind)
    ]


@pytest.mark.parametrize("name", engine_options(int))
@pytest.mark.parametrize("value", NOT_COUNTS)
def test_an_engine_refuses_what_is_no_count(name, value):
    storage = travelchat.memory()
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        ChatEngine(storage, **{name: value})
    # The storage was not taken.
    travelchat.sync.ChatEngine(storage).close()


@pytest.mark.parametrize("name", engine_options(timedelta))
@pytest.mark.parametrize("value", NOT_DURATIONS)
def test_an_engine_refuses_what_is_no_duration(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        ChatEngine(travelchat.memory(), **{name: value})


@pytest.mark.parametrize("kind", [ChatEngine, travelchat.sync.ChatEngine])
def test_what_does_not_fit_a_constructor_is_refused_in_its_own_name(kind):
    for make, problem in [
        (lambda: kind(), "ChatEngine: missing a required argument: 'storage'"),
        (lambda: kind(travelchat.memory(), 2), "ChatEngine: too many positional arguments"),
        (
            lambda: kind(travelchat.memory(), max_qued_writes=5),
            "ChatEngine has no option 'max_qued_writes', but has 'max_queued_writes'",
        ),
        (lambda: kind(travelchat.memory(), colour=5), "ChatEngine has no option 'colour'"),
    ]:
        with pytest.raises(TypeError) as refused:
            make()
        assert str(refused.value) == problem
    for made in (Server, ChatApp):
        with pytest.raises(TypeError, match=f"^{made.__name__} has no option 'alowed_origins', but has 'allowed_origins'$"):
            made(None, None, alowed_origins=[])
        with pytest.raises(TypeError, match=f"^{made.__name__}: missing a required argument: 'engine'$"):
            made()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: travelchat.sqlite("a\0b"), "path must be a path, and holds a NUL"),
        (lambda: travelchat.sqlite("/nowhere/\ud800"), "path must be a path, and holds a character that no path has here"),
        (lambda: travelchat.postgres("postgres://a\0b"), "url must be a connection URL, .*, and holds a NUL"),
        (lambda: travelchat.postgres("\ud800"), "url must be a connection URL, .*, and holds half of a surrogate pair"),
        (lambda: travelchat.nats("nats://a\ud800"), "each of servers must be a str, and holds half of a surrogate pair"),
        (lambda: travelchat.nats("nats://a", token="\udfff"), "token must be a str, and holds half of a surrogate pair"),
        (
            lambda: ChatEngine(travelchat.memory(), max_batch=10**5_000),
            "max_batch must be at least 0 and at most 9007199254740992, not one of more than 128 bits",
        ),
    ],
)
def test_text_that_cannot_be_passed_on_is_refused_by_its_name(make, problem):
    with pytest.raises(ValueError, match=f"^{problem}$"):
        make()


def test_half_a_second_between_sweeps_is_not_never():
    with pytest.raises(ValueError, match="^sweep_interval must be at least 0:00:01, or zero for never, not 0:00:00.5"):
        ChatEngine(travelchat.memory(), sweep_interval=timedelta(seconds=0.5))


@pytest.mark.parametrize("nobody", [None, "ada", {}])
def test_nobody_does_not_listen_to_everything(nobody):
    with travelchat.sync.ChatEngine(travelchat.memory(), shards=1, readers=1) as engine:
        conversation = engine.open_conversation("org", "carl")
        with pytest.raises(TypeError, match="^listener must be a travelchat.Participant, or left out"):
            engine.subscribe(conversation.id, listener=nobody)
        with engine.subscribe(conversation.id) as everything:
            assert isinstance(next(everything), travelchat.TypingChanged)


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (None, "storage must be what sqlite.*, not None"),
        ("chat.db", "storage must be what sqlite.*, not str"),
        (travelchat.Storage, "not the class Storage"),
        (SimpleNamespace(commit=print, ping=print), "SimpleNamespace has no method 'count_unread'"),
    ],
)
def test_an_engine_refuses_what_is_no_storage(storage, said):
    with pytest.raises(TypeError, match=said):
        ChatEngine(storage)


def test_a_refused_engine_takes_neither_storage_nor_backplane():
    storage = travelchat.memory()
    with pytest.raises(TypeError, match="^backplane must be what travelchat.nats"):
        ChatEngine(storage, backplane="nats://127.0.0.1:4222")
    travelchat.sync.ChatEngine(storage).close()
    with pytest.raises(ValueError, match="^storage: this one belongs to an engine already"):
        ChatEngine(storage)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: travelchat.sqlite(None), "path must be a path, not None"),
        (lambda: travelchat.sqlite(""), "path must be a path, and is empty"),
        (lambda: travelchat.sqlite("x.db", max_readers=-1), "max_readers must be at least 0, not -1"),
        (lambda: travelchat.sqlite("x.db", checkpoint_bytes=0), "checkpoint_bytes must be at least 1, not 0"),
        (lambda: travelchat.postgres(None), "url must be a connection URL, .* not None"),
        (lambda: travelchat.postgres(""), "url must be a connection URL, .* and is empty"),
        (lambda: travelchat.postgres("postgres://x", lanes=0), "lanes must be at least 1, not 0"),
        (lambda: travelchat.postgres("postgres://x", patience=2), "patience must be a timedelta, not int"),
        (lambda: travelchat.nats(None), "servers must be a list of URLs, not None"),
        (lambda: travelchat.nats([]), "servers must name at least one"),
        (lambda: travelchat.nats([""]), "each of servers must be a str, and is empty"),
        (lambda: travelchat.nats("nats://x", token=None), "token must be a str, not None"),
        (lambda: travelchat.nats("nats://x", subject_prefix=""), "subject_prefix must be a str, and is empty"),
        (lambda: RateLimit(-1), "the count of a RateLimit must be at least 0, not -1"),
        (lambda: RateLimit(None), "the count of a RateLimit must be an int, not None"),
        (lambda: RateLimit(5, timedelta(0)), "the window of a RateLimit must be at least"),
        (lambda: RateLimits(messages=None), "messages must be a RateLimit, .* not None"),
        (lambda: RateLimits(sockets_per_participant=None), "sockets_per_participant must be an int, not None"),
    ],
)
def test_a_storage_a_backplane_and_a_limit_refuse_what_is_wrong(make, said):
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        make()


SERVER_ONLY = {
    "address": [None, "", "localhost", 7],
    "port": [None, "80", -1, 65_536],
    "trusted_proxies": [None, "10.0.0.0/8", ["10.0.0.0/33"], [""], [None], 7],
    "tls_certificate": ["", 7],
    "max_header_bytes": NOT_COUNTS,
    **{
        name: NOT_DURATIONS
        for name in (
            "header_timeout",
            "body_timeout",
            "idle_timeout",
            "write_timeout",
            "ping_interval",
            "silence_timeout",
            "close_timeout",
            "handshake_timeout",
        )
    },
    "hsts_max_age": NOT_DURATIONS,
}
OF_BOTH = {
    "base_path": [None, 7, "chat", "/", "/chat/", "/a//b", "/..", "/a b", "/\u00e4", "/a\0"],
    "host": [None, Agency, "host", lambda credentials: None],
    "app": [7, "app"],
    "allowed_origins": [
        None,
        "https://chat.example",
        ["*"],
        ["null"],
        [""],
        [None],
        ["chat.example"],
        ["https://chat.example/"],
        ["https://Chat.example"],
        ["https://*.chat.example"],
    ],
    "rate_limits": [None, RateLimit(1), 0, False],
    "max_host_calls": [*NOT_COUNTS, 0],
    "max_body_bytes": [*NOT_COUNTS, 0],
    "max_frame_bytes": NOT_COUNTS,
    "max_fragments": NOT_COUNTS,
    "max_outbox_bytes": NOT_COUNTS,
    "max_connections": [*NOT_COUNTS, 0],
    "host_timeout": NOT_DURATIONS,
    "metrics": [None, "", "Everyone", "admin", True, ["loopback"]],
    "metrics_token": [None, "", "short", "0123456789 abcdef", 7],
    "session_check_interval": NOT_DURATIONS,
    "share_check_interval": NOT_DURATIONS,
}


def test_every_option_of_a_server_and_an_application_is_in_these_tests():
    given = set(inspect.signature(Server.__init__).parameters) - {"self", "engine", "tls_key"}
    assert given == {*SERVER_ONLY, *OF_BOTH}
    assert set(inspect.signature(ChatApp.__init__).parameters) - {"self", "engine"} == set(OF_BOTH)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(Server, name, value) for name, values in (SERVER_ONLY | OF_BOTH).items() for value in values]
    + [(ChatApp, name, value) for name, values in OF_BOTH.items() for value in values],
)
def test_a_server_refuses_what_is_wrong_by_its_name(kind, name, value):
    options = {"host": Agency(), name: value}
    if name == "tls_certificate":
        options["tls_key"] = value
    if name == "metrics_token":
        options["metrics"] = "token"
    with travelchat.sync.ChatEngine(travelchat.memory(), shards=1, readers=1) as engine:
        with pytest.raises((TypeError, ValueError), match=rf"^(each of )?{name} must be"):
            kind(engine, **options)


def test_a_token_for_metrics_that_nobody_is_asked_for_is_refused():
    with travelchat.sync.ChatEngine(travelchat.memory(), shards=1, readers=1) as engine:
        for kind in (Server, ChatApp):
            with pytest.raises(ValueError, match="^metrics_token must be left out"):
                kind(engine, Agency(), metrics_token="0123456789abcdef")


def test_a_server_stands_on_an_engine_that_is_open():
    with pytest.raises(TypeError, match="^engine must be a travelchat.ChatEngine or .*, not NativeStorage"):
        Server(travelchat.memory(), Agency())
    engine = travelchat.sync.ChatEngine(travelchat.memory())
    engine.close()
    for kind in (Server, ChatApp):
        with pytest.raises(travelchat.Closed):
            kind(engine, Agency())


def test_a_certificate_without_a_key_is_not_served_in_the_clear(tmp_path):
    with travelchat.sync.ChatEngine(travelchat.memory()) as engine:
        with pytest.raises(ValueError, match="belong together"):
            Server(engine, Agency(), tls_certificate=tmp_path / "chain.pem")
        with pytest.raises(FileNotFoundError):
            Server(engine, Agency(), tls_certificate=tmp_path / "chain.pem", tls_key=tmp_path / "key.pem")


class Awaitable:
    def __await__(self):
        yield from ()
        return travelchat.Advisor("org", "ada", "Ada")


def unawaited():
    async def look_up():
        return travelchat.Advisor("org", "ada", "Ada")

    return look_up()


ADA = {"org_id": "org", "id": "ada", "name": "Ada"}
NO_CLEAR_YES = {
    "True": lambda: True,
    "1": lambda: 1,
    "a str": lambda: "ada",
    "an empty str": lambda: "",
    "a dict": lambda: dict(ADA),
    "an object": lambda: SimpleNamespace(**ADA, avatar_url=None, expires_at=None, by_cookie=False),
    "a class": lambda: travelchat.Advisor,
    "NotImplemented": lambda: NotImplemented,
    "Ellipsis": lambda: ...,
    "a tuple": lambda: (travelchat.Advisor(**ADA),),
    "a trip": lambda: travelchat.SharedTrip("lisbon", "org", "Lisbon", True, "secret"),
    "an advisor of no organization": lambda: travelchat.Advisor(**{**ADA, "org_id": ""}),
    "an advisor of None": lambda: travelchat.Advisor(**{**ADA, "org_id": None}),
    "an advisor who is nobody": lambda: travelchat.Advisor(**{**ADA, "id": ""}),
    "an advisor by some cookie": lambda: travelchat.Advisor(**ADA, by_cookie=None),
    "an advisor by a str": lambda: travelchat.Advisor(**ADA, by_cookie="no"),
    "an advisor until noon": lambda: travelchat.Advisor(**ADA, expires_at=datetime(2100, 1, 1)),
    "an advisor until some number": lambda: travelchat.Advisor(**ADA, expires_at=4e9),
}


@both_ways
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "coroutine"])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_whatever_is_no_clear_yes_signs_nobody_in(serve, is_async):
    class Careless(Agency):
        answer = staticmethod(lambda: None)

        def authenticate(self, credentials):
            if is_async:
                return self.later()
            return self.answer()

        async def later(self):
            return self.answer()

    host = Careless()
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context["message"]))
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, host) as url:
        status, _, _ = await ask(url, "GET", "/api/conversations")
        assert status == 401
        # A coroutine that returns one, which nobody awaits.
        answers = {**NO_CLEAR_YES, **({"a coroutine": unawaited, "an awaitable": Awaitable} if is_async else {})}
        for name, answer in answers.items():
            Careless.answer = staticmethod(answer)
            status, body, _ = await ask(url, "GET", "/api/conversations")
            assert (status, body["code"]) == (500, "internal"), name
        assert failures == ["Careless.authenticate failed"] * len(answers)
        # And what is one.
        Careless.answer = staticmethod(lambda: travelchat.Advisor(**ADA, expires_at=datetime(2100, 1, 1, tzinfo=UTC)))
        assert (await ask(url, "GET", "/api/conversations"))[0] == 200


@both_ways
@pytest.mark.parametrize("asked", ["", "secret"])
async def test_a_trip_opens_only_when_it_clearly_says_so(serve, asked):
    class Careless(Agency):
        shared = ("", True)

        def find_trip(self, trip_id):
            token, is_shared = self.shared
            return travelchat.SharedTrip("lisbon", "org", "Lisbon", is_shared, token, "carl", "Carl", "Ada")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    no_limits = {"rate_limits": RateLimits.off()}
    async with ChatEngine(travelchat.memory()) as engine, serve(engine, Careless(), **no_limits) as url:
        for shared in (("", True), (asked, None), (asked, "yes"), (asked, 2), (asked, False), (None, True)):
            Careless.shared = shared
            for method, path, body in (
                ("POST", "/api/chat-token", {"tripId": "lisbon", "shareToken": asked}),
                ("GET", f"/api/chat-token?tripId=lisbon&shareToken={asked}", None),
            ):
                status, answer, _ = await ask(url, method, path, body)
                assert status >= 400 and "chatToken" not in answer, (shared, status)
        # A database's 1.
        Careless.shared = ("secret", 1)
        status, _, _ = await ask(url, "POST", "/api/chat-token", {"tripId": "lisbon", "shareToken": "secret"})
        assert status == 200


async def test_files_are_their_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        async with ChatEngine(travelchat.sqlite(tmp_path / "chat.db")) as engine:
            await soon(engine.open_conversation("org", "carl"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {name: 0o600 for name in ("chat.db", "chat.db-wal", "chat.db-shm", "chat.db-lock")}
