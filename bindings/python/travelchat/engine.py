"""The chat engine for asyncio."""

# The types of answers come from _core, which mypy cannot see.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self, Unpack

from . import _core, _options
from ._base import BATCH_SIZE, EVERYTHING, EngineBase, Everything
from ._bridge import Bridge, running_bridge
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
    """The events of a conversation or an inbox, as an asynchronous iterator: ``async for event in subscription``.

    It listens from the moment it is made. The iteration ends when the engine closes or after `close`; it raises
    `NotFound` when there is no such conversation, and `StorageFailed` when the history could not be read. Dropping the
    object ends it too. At most ``max_pending`` events wait for the iteration; beyond that they are replaced by one
    `Resync`, and what comes later follows.

    It belongs to the event loop in which it was made; one task iterates over it.
    """

    def __init__(self, start: Any, args: tuple[Any, ...], max_pending: int, *, reports_typing: bool) -> None:
        _options.count("max_pending", max_pending, 1)
        self._bridge: Bridge = running_bridge()
        self._reports_typing = reports_typing
        self._token = self._bridge.listen(self)
        self._feed = _core.Feed(self._bridge.queue, self._token, max_pending)
        self._listening: _core.Listening | None = None
        self._closed = False
        self._wakeup: asyncio.Future[None] | None = None
        self._batch: Iterator[Event] = iter(())
        try:
            self._joining: asyncio.Future[_core.Listening] | None = self._bridge.call(start, self._feed, *args)
        except BaseException:
            self._bridge.unlisten(self._token)
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        for event in self._batch:
            return event
        return await self._next_batch()

    async def __aenter__(self) -> Self:
        """Waits until the subscription is established: every event from then on is delivered."""
        await self._joined()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    async def set_typing(self, is_typing: bool) -> None:
        """Says that the listener types or has stopped. Repeat it while typing continues: it ends by itself after the
        engine's ``typing_timeout``. ValueError for a subscription without ``listener``.
        """
        if not self._reports_typing:
            raise ValueError("only a subscription with a listener can say that somebody types")
        await self._joined()
        if self._listening is not None:
            self._listening.set_typing(is_typing)

    def close(self) -> None:
        """Ends it; an iteration that waits ends as well. Idempotent."""
        self._closed = True
        self._bridge.unlisten(self._token)
        self._batch = iter(())
        if self._joining is not None and self._joining.done() and not self._joining.cancelled():
            self._joining.exception()  # marks it as retrieved: nobody awaits this future any more
        self._joining = None
        if self._listening is not None:
            self._listening.end()
            self._listening = None
        self._wake()

    def _on_arrival(self, _: object) -> None:
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def _joined(self) -> None:
        joining = self._joining
        if joining is None:
            return
        # Shielded: cancelling the wait for an event must not cancel the subscription.
        listening = await asyncio.shield(joining)
        if self._joining is joining:
            self._listening = listening
            self._joining = None

    async def _next_batch(self) -> Event:
        has_waited = False
        if self._joining is not None:
            await self._joined()
            has_waited = True
        while not self._closed:
            reason = self._feed.closed()
            events = self._feed.take(BATCH_SIZE)
            if events:
                if not has_waited:
                    # Events come faster than they are taken: without this, no other task of the loop would run.
                    try:
                        await asyncio.sleep(0)
                    except asyncio.CancelledError:
                        self._batch = iter(events)
                        raise
                    if self._closed:
                        break
                self._batch = iter(events)
                return next(self._batch)
            if reason is not None:
                self.close()
                if reason.code == by_code["closed"].code:
                    break
                raise reason
            if self._wakeup is not None and not self._wakeup.done():
                raise RuntimeError("another task iterates over this subscription")
            self._wakeup = self._bridge.loop.create_future()
            await self._wakeup
            has_waited = True
        raise StopAsyncIteration


class ChatEngine(EngineBase):
    """Every use case of a conversation, for asyncio.

    ::

        async with ChatEngine(sqlite("chat.db")) as engine:
            conversation = await engine.open_conversation("org", "carl")
            await engine.send(Participant.advisor("org", "ada", "Ada"), conversation.id, "Hello!")

    It may be used from several event loops at once, and from one after another. A call that is cancelled ends at once; a
    write that was handed over is carried out nevertheless, so whoever repeats one gives it a ``client_message_id``. Every
    call can raise `Closed`, and `Overloaded` when too much is waiting; what touches the storage, `StorageFailed`.
    An engine does not survive a fork: in the child every call raises RuntimeError.
    """

    async def open_conversation(self, org_id: str, client_id: str) -> Conversation:
        """The organization's conversation with this client, made when there is none.

        Raises:
            InvalidArgument: an id is malformed.
        """
        return await self._call(self._core.open_conversation, org_id, client_id)

    async def find_conversation(self, conversation_id: str) -> Conversation:
        """For a caller that checks itself who may see it.

        Raises:
            NotFound: there is none.
        """
        return await self._call(self._core.find_conversation, conversation_id)

    async def list_conversations(
        self, org_id: str, *, text: str | None = None, client_ids: Iterable[str] = ()
    ) -> tuple[ConversationSummary, ...]:
        """The organization's conversations, newest activity first.

        Args:
            text: Only those with a message that contains it, in any case (see `travelchat.fold_text`) ...
            client_ids: ... and those of these clients.
        """
        return await self._call(self._core.list_conversations, org_id, text, client_ids)

    async def count_unread(self, org_id: str) -> int:
        """The clients' messages in the organization that no advisor has read."""
        return await self._call(self._core.count_unread, org_id)

    async def send(
        self,
        sender: Participant,
        conversation_id: str,
        content: str,
        **more: Unpack[DraftOptions],
    ) -> Sent:
        """Stores a message and tells everybody who listens. Returns once it is on disk.

        Args:
            more: What else a message may have, by name: see `DraftOptions`. The same ``client_message_id`` again from the
                same sender gives the first message again, whatever happened in between.

        Raises:
            InvalidContent: not 1 to 10,000 characters, or nothing but white space.
            InvalidClientMessageId, InvalidArgument: it is malformed; an attachment is.
            NotFound: no such conversation, or not within the sender's reach.
            IdempotencyConflict: the sender used this ``client_message_id`` for another message.
            StorageFull: nothing was stored.
        """
        return await self._call(
            self._core.send, sender, {"conversation_id": conversation_id, "content": content, **more}
        )

    async def list_messages(
        self,
        reader: Participant,
        conversation_id: str,
        *,
        before: int | None = None,
        since: int | None = None,
        limit: int = 100,
        epoch: str | None = None,
    ) -> MessagePage:
        """A page of messages by ``seq``: the newest, those ``before`` a ``seq``, or those changed ``since`` a ``rev``.

        Raises:
            NotFound: no such conversation, or not within the reader's reach.
            InvalidArgument: ``limit`` is not 1 to 200, ``before`` is 0, or both ``before`` and ``since`` are given.
            EpochChanged: ``epoch``, of which the caller's copy is, is not the storage's any more.
            TooManyChanges: the page by ``since`` would have more than 1,000 messages; load the newest ones instead.
        """
        return await self._call(self._core.list_messages, reader, conversation_id, before, since, limit, epoch)

    async def react(
        self, reactor: Participant, conversation_id: str, message_id: str, emoji: Emoji | str
    ) -> tuple[Reaction, ...]:
        """Sets the reactor's one reaction to a message. Returns all of the message's, oldest first.

        Raises:
            InvalidEmoji: not one of the six.
            NotFound: no such message, or not within the reactor's reach.
        """
        return await self._call(self._core.react, reactor, conversation_id, message_id, emoji)

    async def unreact(self, reactor: Participant, conversation_id: str, message_id: str) -> tuple[Reaction, ...]:
        """Removes it. Returns what is left.

        Raises:
            NotFound: no such message, or not within the reactor's reach.
        """
        return await self._call(self._core.unreact, reactor, conversation_id, message_id)

    async def mark(self, viewer: Participant, conversation_id: str) -> Marked:
        """By a client: the advisor's messages are seen. By an advisor: the client's messages are read.

        Raises:
            NotFound: no such conversation, or not within the viewer's reach.
        """
        return await self._call(self._core.mark, viewer, conversation_id)

    async def issue_token(
        self, org_id: str, client_id: str, trip_id: str, conversation_id: str, *, share_token: str | None = None
    ) -> IssuedToken:
        """A chat token for the client of that conversation.

        Args:
            share_token: The share link's, when the token is for whoever has the link: it is refused once the trip is no
                longer shared by this very link. None: the application's own, which ends by its time or by being revoked.

        Raises:
            NotFound: the conversation is not that client's.
            InvalidArgument: an id is malformed.
        """
        return await self._call(self._core.issue_token, org_id, client_id, trip_id, conversation_id, share_token)

    async def authenticate_token(self, chat_token: str) -> TokenClaims:
        """What a token stands for.

        Raises:
            Unauthenticated: malformed, unknown, revoked or expired.
        """
        return await self._call(self._core.authenticate_token, chat_token)

    async def revoke_token(self, chat_token: str) -> bool:
        """Ends a token, and closes whoever listens by it with 4401, on every node. Whether it was there."""
        return await self._call(self._core.revoke_token, chat_token)

    async def revoke_tokens(self, org_id: str, *, client_id: str | None = None, trip_id: str | None = None) -> int:
        """The same for all tokens of a client, of a trip, or of a client for a trip. Returns how many there were.

        Raises:
            InvalidArgument: neither was given, or an id is malformed.
        """
        return await self._call(self._core.revoke_tokens, org_id, client_id, trip_id)

    async def sweep_tokens(self) -> int:
        """Deletes expired tokens now. Returns how many."""
        return await self._call(self._core.sweep_tokens)

    async def prune_changes(self) -> int:
        """Deletes changes beyond ``max_kept_changes`` and ``max_change_age`` now. Returns how many."""
        return await self._call(self._core.prune_changes)

    async def begin_epoch(self) -> str:
        """To be called once after the storage was restored from a backup: every subscriber gets a `Resync`.

        Returns the new epoch. `NotFound`: the storage keeps none.
        """
        return await self._call(self._core.begin_epoch)

    async def ping(self) -> None:
        """A cheap read from the storage, for readiness probes."""
        await self._call(self._core.ping)

    def subscribe(
        self,
        conversation_id: str,
        *,
        since: int | None = None,
        epoch: str | None = None,
        listener: Participant | Everything = EVERYTHING,
        max_pending: int = 10_000,
    ) -> Subscription:
        """Follows a conversation: first who is typing, then (with ``since``) what changed after that revision and
        `CaughtUp` or `Resync`, then everything as it happens, without a gap and nothing twice.

        Args:
            epoch: What ``since`` is of, as a page or an event has told it: another one than the storage's is a `Resync`.
            listener: Who listens; only within their reach (else `NotFound`), and their own typing is left out. Left out
                itself, by a program that reads everything; None is nobody, and raises TypeError.
            max_pending: Events that may wait for the iteration.
        """
        return self._subscribe(Subscription, conversation_id, since, epoch, listener, max_pending)

    def subscribe_inbox(self, org_id: str, *, max_pending: int = 10_000) -> Subscription:
        """Follows the organization's list of conversations: a `ConversationUpdated` for each change of a row."""
        return Subscription(self._core.subscribe_inbox, (org_id,), max_pending, reports_typing=False)

    async def close(self) -> None:
        """Carries out what was accepted, ends every subscription, and gives the storage free. Idempotent."""
        running_bridge()  # the loop of a parent might never hear that the thread below has ended
        self._closed = True
        # In a thread: a storage or a host written in Python may need this loop meanwhile.
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        running_bridge()  # raises now what __aexit__ would raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, start: Any, *args: Any) -> Any:
        return await running_bridge().call(start, *args)
