"""The chat engine for programs without an event loop: scripts, Django views, threads.

The same calls as `travelchat.ChatEngine`, with the same errors; each blocks its thread, and no other: the GIL is given
away meanwhile. Any number of threads may use one engine.

The signatures are those of `travelchat.ChatEngine` once more, because type checkers and `help` read them where they stand;
tests/test_sync.py compares the two.
"""

# The types of answers come from _core, which mypy cannot see.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self, Unpack

from . import _core, _options
from ._base import BATCH_SIZE, EVERYTHING, EngineBase, Everything
from ._bridge import Waiter, thread_waiter
from .errors import by_code
from .types import (
    Conversation,
    ConversationSummary,
    DraftOptions,
    Emoji,
    Event,
    IssuedToken,
    Marked,
    MessagePage,
    Participant,
    Reaction,
    Sent,
    TokenClaims,
)

__all__ = ["ChatEngine", "Subscription"]


class Subscription:
    """The events of a conversation or an inbox: ``for event in subscription``, which waits for the next one.

    See `travelchat.Subscription`; here the iteration belongs to one thread at a time, and `close` is for any.
    """

    def __init__(self, start: Any, args: tuple[Any, ...], max_pending: int, *, reports_typing: bool) -> None:
        _options.count("max_pending", max_pending, 1)
        self._waiter = Waiter()
        self._reports_typing = reports_typing
        self._feed = _core.Feed(self._waiter.queue, 0, max_pending)
        self._closed = False
        self._batch: Iterator[Event] = iter(())
        self._listening: _core.Listening = self._waiter.call(start, self._feed, *args)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        for event in self._batch:
            return event
        while not self._closed:
            reason = self._feed.closed()
            events = self._feed.take(BATCH_SIZE)
            if events:
                self._batch = iter(events)
                return next(self._batch)
            if reason is not None:
                self.close()
                if reason.code == by_code["closed"].code:
                    break
                raise reason
            # It may return without an event; then the next round finds none and waits again.
            self._waiter.queue.wait()
            self._waiter.queue.take()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def set_typing(self, is_typing: bool) -> None:
        """See `travelchat.Subscription.set_typing`."""
        if not self._reports_typing:
            raise ValueError("only a subscription with a listener can say that somebody types")
        self._listening.set_typing(is_typing)

    def close(self) -> None:
        """Ends it; an iteration that waits, in whatever thread, ends as well. Idempotent."""
        self._closed = True
        self._listening.end()
        self._feed.end()


class ChatEngine(EngineBase):
    """Every use case of a conversation; each call blocks its thread until the answer is there.

    ::

        with travelchat.sync.ChatEngine(sqlite("chat.db")) as engine:
            engine.send(Participant.advisor("org", "ada", "Ada"), conversation_id, "Your flight leaves at 9:15.")

    `travelchat.ChatEngine` says of each call what it does and raises.
    """

    def open_conversation(self, org_id: str, client_id: str) -> Conversation:
        """The organization's conversation with this client, made when there is none."""
        return self._call(self._core.open_conversation, org_id, client_id)

    def find_conversation(self, conversation_id: str) -> Conversation:
        """For a caller that checks itself who may see it. `NotFound`."""
        return self._call(self._core.find_conversation, conversation_id)

    def list_conversations(
        self, org_id: str, *, text: str | None = None, client_ids: Iterable[str] = ()
    ) -> tuple[ConversationSummary, ...]:
        """The organization's conversations, newest activity first; with ``text``, those that match."""
        return self._call(self._core.list_conversations, org_id, text, client_ids)

    def count_unread(self, org_id: str) -> int:
        """The clients' messages in the organization that no advisor has read."""
        return self._call(self._core.count_unread, org_id)

    def send(
        self,
        sender: Participant,
        conversation_id: str,
        content: str,
        **more: Unpack[DraftOptions],
    ) -> Sent:
        """Stores a message and tells everybody who listens. Returns once it is on disk."""
        return self._call(
            self._core.send, sender, {"conversation_id": conversation_id, "content": content, **more}
        )

    def list_messages(
        self,
        reader: Participant,
        conversation_id: str,
        *,
        before: int | None = None,
        since: int | None = None,
        limit: int = 100,
        epoch: str | None = None,
    ) -> MessagePage:
        """A page of messages by ``seq``: the newest, those ``before`` a ``seq``, or those changed ``since`` a ``rev``."""
        return self._call(self._core.list_messages, reader, conversation_id, before, since, limit, epoch)

    def react(
        self, reactor: Participant, conversation_id: str, message_id: str, emoji: Emoji | str
    ) -> tuple[Reaction, ...]:
        """Sets the reactor's one reaction to a message. Returns all of the message's, oldest first."""
        return self._call(self._core.react, reactor, conversation_id, message_id, emoji)

    def unreact(self, reactor: Participant, conversation_id: str, message_id: str) -> tuple[Reaction, ...]:
        """Removes it. Returns what is left."""
        return self._call(self._core.unreact, reactor, conversation_id, message_id)

    def mark(self, viewer: Participant, conversation_id: str) -> Marked:
        """By a client: the advisor's messages are seen. By an advisor: the client's messages are read."""
        return self._call(self._core.mark, viewer, conversation_id)

    def issue_token(
        self, org_id: str, client_id: str, trip_id: str, conversation_id: str, *, share_token: str | None = None
    ) -> IssuedToken:
        """A chat token for the client of that conversation; see `travelchat.ChatEngine.issue_token`."""
        return self._call(self._core.issue_token, org_id, client_id, trip_id, conversation_id, share_token)

    def authenticate_token(self, chat_token: str) -> TokenClaims:
        """What a token stands for. `Unauthenticated`: malformed, unknown, revoked or expired."""
        return self._call(self._core.authenticate_token, chat_token)

    def revoke_token(self, chat_token: str) -> bool:
        """Ends a token, and closes whoever listens by it with 4401, on every node. Whether it was there."""
        return self._call(self._core.revoke_token, chat_token)

    def revoke_tokens(self, org_id: str, *, client_id: str | None = None, trip_id: str | None = None) -> int:
        """The same for all tokens of a client, of a trip, or of a client for a trip. Returns how many there were."""
        return self._call(self._core.revoke_tokens, org_id, client_id, trip_id)

    def sweep_tokens(self) -> int:
        """Deletes expired tokens now. Returns how many."""
        return self._call(self._core.sweep_tokens)

    def prune_changes(self) -> int:
        """Deletes changes beyond ``max_kept_changes`` and ``max_change_age`` now. Returns how many."""
        return self._call(self._core.prune_changes)

    def begin_epoch(self) -> str:
        """To be called once after the storage was restored from a backup: every subscriber gets a `Resync`.

        Returns the new epoch. `NotFound`: the storage keeps none.
        """
        return self._call(self._core.begin_epoch)

    def ping(self) -> None:
        """A cheap read from the storage."""
        self._call(self._core.ping)

    def subscribe(
        self,
        conversation_id: str,
        *,
        since: int | None = None,
        epoch: str | None = None,
        listener: Participant | Everything = EVERYTHING,
        max_pending: int = 10_000,
    ) -> Subscription:
        """Follows a conversation; returns once the subscription is established."""
        return self._subscribe(Subscription, conversation_id, since, epoch, listener, max_pending)

    def subscribe_inbox(self, org_id: str, *, max_pending: int = 10_000) -> Subscription:
        """Follows the organization's list of conversations."""
        return Subscription(self._core.subscribe_inbox, (org_id,), max_pending, reports_typing=False)

    def close(self) -> None:
        """Carries out what was accepted, ends every subscription, and gives the storage free. Idempotent."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, start: Any, *args: Any) -> Any:
        return thread_waiter().call(start, *args)
