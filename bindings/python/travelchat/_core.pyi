# The compiled half of the package, used by engine.py, sync.py, server.py and asgi.py. Not for use by itself.
import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, final

from .errors import TravelchatError
from .types import EngineStats, Event, Participant

@final
class ErrorRow:
    @property
    def code(self) -> str: ...
    @property
    def http_status(self) -> int: ...
    @property
    def close_code(self) -> int: ...
    @property
    def message(self) -> str: ...

def error_table() -> list[ErrorRow]: ...
def fold_text(text: str) -> str:
    """Makes texts equal that differ only in case or in how their letters are composed: by it the storages of this package
    find messages, and a storage or a `search_clients` of one's own finds alike.
    """
@final
class NativeStorage:
    """A storage of the library's own, until an engine takes it."""

def open_sqlite(path: str | os.PathLike[str], max_readers: int, checkpoint_bytes: int) -> NativeStorage: ...
def open_postgres(
    url: str, lanes: int, max_readers: int, patience: timedelta, connect_timeout: timedelta
) -> NativeStorage: ...
def memory_storage() -> NativeStorage: ...
@final
class NativeBackplane:
    """A backplane, until an engine takes it."""

def make_nats(servers: list[str], subject_prefix: str, token: str, key: str) -> NativeBackplane: ...
@final
class ArrivalQueue:
    """A queue of values from the engine's threads to one Python thread."""

    def __init__(self) -> None: ...
    def fileno(self) -> int: ...
    def wait(self) -> None: ...
    def take(self) -> list[tuple[int, Any, TravelchatError | None]]: ...

@final
class Feed:
    """One listener's events."""

    def __init__(self, queue: ArrivalQueue, token: int, max_pending: int) -> None: ...
    def take(self, max_events: int) -> list[Event]: ...
    def end(self) -> None: ...
    def closed(self) -> TravelchatError | None: ...

@final
class Listening:
    """A listener's place in a room."""

    def set_typing(self, is_typing: bool) -> None: ...
    def end(self) -> None: ...

@final
class Engine:
    """The engine itself. Each call answers at ``queue`` with ``token``."""

    def __init__(self, storage: object, backplane: NativeBackplane | None, **options: int | timedelta) -> None: ...
    def close(self) -> None: ...
    def stats(self) -> EngineStats: ...
    def open_conversation(self, queue: ArrivalQueue, token: int, org_id: str, client_id: str, /) -> None: ...
    def find_conversation(self, queue: ArrivalQueue, token: int, id: str, /) -> None: ...
    def list_conversations(
        self, queue: ArrivalQueue, token: int, org_id: str, text: str | None, client_ids: Iterable[str], /
    ) -> None: ...
    def count_unread(self, queue: ArrivalQueue, token: int, org_id: str, /) -> None: ...
    def send(
        self,
        queue: ArrivalQueue,
        token: int,
        sender: Participant,
        draft: dict[str, str | None],
        /,
    ) -> None: ...
    def list_messages(
        self,
        queue: ArrivalQueue,
        token: int,
        reader: Participant,
        conversation_id: str,
        before: int | None,
        since: int | None,
        limit: int,
        epoch: str | None,
        /,
    ) -> None: ...
    def react(
        self, queue: ArrivalQueue, token: int, reactor: Participant, conversation_id: str, message_id: str, emoji: str, /
    ) -> None: ...
    def unreact(
        self, queue: ArrivalQueue, token: int, reactor: Participant, conversation_id: str, message_id: str, /
    ) -> None: ...
    def mark(self, queue: ArrivalQueue, token: int, viewer: Participant, conversation_id: str, /) -> None: ...
    def issue_token(
        self,
        queue: ArrivalQueue,
        token: int,
        org_id: str,
        client_id: str,
        trip_id: str,
        conversation_id: str,
        share_token: str | None,
        /,
    ) -> None: ...
    def authenticate_token(self, queue: ArrivalQueue, token: int, chat_token: str, /) -> None: ...
    def revoke_token(self, queue: ArrivalQueue, token: int, chat_token: str, /) -> None: ...
    def revoke_tokens(
        self, queue: ArrivalQueue, token: int, org_id: str, client_id: str | None, trip_id: str | None, /
    ) -> None: ...
    def end_session(self, session_id: str, /) -> None: ...
    def sweep_tokens(self, queue: ArrivalQueue, token: int, /) -> None: ...
    def prune_changes(self, queue: ArrivalQueue, token: int, /) -> None: ...
    def begin_epoch(self, queue: ArrivalQueue, token: int, /) -> None: ...
    def ping(self, queue: ArrivalQueue, token: int, /) -> None: ...
    def subscribe(
        self,
        queue: ArrivalQueue,
        token: int,
        feed: Feed,
        conversation_id: str,
        listener: Participant | None,
        since: int | None,
        epoch: str | None,
        /,
    ) -> None: ...
    def subscribe_inbox(self, queue: ArrivalQueue, token: int, feed: Feed, org_id: str, /) -> None: ...

@final
class HostReply:
    """Takes the host's answer to one question."""

    def succeed(self, value: Any) -> None: ...
    def fail(self, exception: TravelchatError) -> None: ...

@final
class HttpReply:
    """Takes the application's response to one request."""

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...

@final
class Socket:
    """A WebSocket whose frames Python has."""

    def take(self, sent: int) -> tuple[str | None, list[str], int, tuple[int, str] | None] | None: ...
    def receive_text(self, text: str) -> None: ...
    def receive_binary(self) -> None: ...
    def closed(self) -> None: ...

default_max_body_bytes: int

@final
class Server:
    """The HTTP and WebSocket server on an engine."""

    def __init__(self, engine: Engine, max_host_calls: int, calls_application: bool, **options: Any) -> None: ...
    def answer_at(self, queue: ArrivalQueue, token: int, http_token: int) -> None: ...
    def start(self) -> None: ...
    def port(self) -> int: ...
    def metrics(self) -> str: ...
    def serves(self, target: bytes) -> bool: ...
    def handle(
        self,
        queue: ArrivalQueue,
        token: int,
        method: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        remote_address: str,
        is_secure: bool,
        context: int,
        /,
    ) -> None: ...
    def open_socket(
        self,
        queue: ArrivalQueue,
        token: int,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        remote_address: str,
        is_secure: bool,
        context: int,
        /,
    ) -> Socket: ...
    def end(self, grace: timedelta) -> None: ...
