"""The words of the chat as values: participants, messages, reactions, conversations, and what happens to them.

All of them are frozen dataclasses with slots: equal by value, hashable, fit for ``match`` and ``dataclasses.replace``.
Times are aware datetimes in UTC with millisecond precision. Ids that the engine makes are strings of 36 characters
(lower-case UUIDs of version 7, so they sort by creation); ids of the host's own (organization, client, advisor, trip) are
1 to 128 printable ASCII characters.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

__all__ = [
    "ActiveTrip",
    "Advisor",
    "AppendMessage",
    "CaughtUp",
    "Change",
    "ChangeKind",
    "ChangeList",
    "ClientCard",
    "Conversation",
    "ConversationQuery",
    "ConversationSummary",
    "ConversationUpdated",
    "DeleteToken",
    "Emoji",
    "EngineStats",
    "Event",
    "IssuedToken",
    "MarkConversation",
    "Marked",
    "Message",
    "MessageCreated",
    "MessagePage",
    "MessageQuery",
    "MessagesRead",
    "MessagesSeen",
    "OpenConversation",
    "Participant",
    "PushNotification",
    "PutReaction",
    "PutToken",
    "Reaction",
    "ReactionsChanged",
    "RequestCredentials",
    "Resync",
    "RevisionQuery",
    "Revisions",
    "Role",
    "Sent",
    "SharedTrip",
    "SweepTokens",
    "TokenClaims",
    "TypingChanged",
    "Write",
    "Written",
]


class Role(enum.StrEnum):
    """Which side of the conversation somebody is on."""

    ADVISOR = "advisor"
    CLIENT = "client"


class Emoji(enum.StrEnum):
    """The six reactions."""

    HEART = "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}"
    THUMBS_UP = "\N{THUMBS UP SIGN}"
    JOY = "\N{FACE WITH TEARS OF JOY}"
    OPEN_MOUTH = "\N{FACE WITH OPEN MOUTH}"
    SAD = "\N{CRYING FACE}"
    THUMBS_DOWN = "\N{THUMBS DOWN SIGN}"


@dataclass(frozen=True, slots=True)
class Participant:
    """Whoever acts on a conversation, as the host has authenticated them.

    An advisor reaches every conversation of ``org_id``; a client the one whose client is ``id`` in ``org_id``. What lies
    outside answers as if it did not exist.
    """

    org_id: str
    role: Role
    id: str
    name: str = ""
    """For people; stored beside what they write."""

    @classmethod
    def advisor(cls, org_id: str, id: str, name: str = "") -> Participant:
        """An advisor of the organization, or a program that speaks for it."""
        return cls(org_id, Role.ADVISOR, id, name)

    @classmethod
    def client(cls, org_id: str, id: str, name: str = "") -> Participant:
        """A client of the organization."""
        return cls(org_id, Role.CLIENT, id, name)


@dataclass(frozen=True, slots=True)
class Reaction:
    """One person's reaction to one message; there is at most one."""

    id: str
    message_id: str
    conversation_id: str
    org_id: str
    reactor_type: Role
    reactor_id: str
    reactor_name: str
    emoji: Emoji
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is now."""

    id: str
    conversation_id: str
    org_id: str
    sender_type: Role
    sender_id: str
    sender_name: str
    content: str
    """Trimmed, 1 to 10,000 code points."""
    is_read: bool
    """A client's message: an advisor has read it."""
    seen_at: datetime | None
    """An advisor's message: when the client saw it."""
    created_at: datetime
    attachment_url: str | None
    attachment_type: str | None
    attachment_name: str | None
    reactions: tuple[Reaction, ...]
    """Oldest first."""
    seq: int
    """1, 2, 3 ... within the conversation, without gaps."""
    rev: int
    """The conversation's revision that last changed this message."""
    client_message_id: str | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One for each client of an organization."""

    id: str
    org_id: str
    client_id: str
    created_at: datetime
    last_message_at: datetime | None
    last_seq: int
    """``seq`` of the newest message; 0 when there is none."""
    rev: int
    """Raised by one with every durable change."""
    unread_count: int
    """The client's messages that no advisor has read."""


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A row of an advisor's list."""

    conversation: Conversation
    last_message: Message | None
    """Without its reactions."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a live chat token stands for."""

    org_id: str
    client_id: str
    trip_id: str
    conversation_id: str
    expires_at: datetime


# ---- What the use cases answer ----


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is stored."""

    message: Message
    created: bool
    """False: an earlier request with this ``client_message_id`` stored it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What marking a conversation did."""

    at: datetime
    count: int
    """How many messages it changed; 0: nobody was told."""
    rev: int
    """The conversation's, afterwards."""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A stretch of a conversation, by ``seq``."""

    messages: tuple[Message, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new chat token. Only its SHA-256 is stored: it cannot be shown again."""

    token: str
    """64 hexadecimal characters."""
    expires_at: datetime

    def __repr__(self) -> str:
        # A token in a log is a key under the mat.
        return f"IssuedToken(token='{self.token[:4]}...', expires_at={self.expires_at!r})"


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counts since the engine was made, and gauges of now."""

    messages: int
    """Committed, without repeats."""
    commits: int
    """Transactions."""
    writes: int
    """Commands in them."""
    failed_commits: int
    deliveries: int
    """Events handed to subscribers."""
    queued_writes: int
    """Now."""
    subscribers: int
    """Now."""
    rooms: int
    """Conversations with a subscriber, now."""
    catch_ups: int
    """Times that a conversation's listeners were told from the storage what they had missed."""


# ---- What happens ----


@dataclass(frozen=True, slots=True)
class TypingChanged:
    """Somebody began or stopped typing. Never replayed."""

    advisor_typing: bool
    client_typing: bool


@dataclass(frozen=True, slots=True)
class MessageCreated:
    """A message is stored."""

    message: Message
    rev: int
    """What the message brought; ``message.rev`` may be newer in a replay."""


@dataclass(frozen=True, slots=True)
class ReactionsChanged:
    """A reaction was set or removed."""

    message_id: str
    reactions: tuple[Reaction, ...]
    """All of the message's, oldest first."""
    rev: int


@dataclass(frozen=True, slots=True)
class MessagesSeen:
    """The client has seen the advisor's messages."""

    seen_at: datetime
    rev: int


@dataclass(frozen=True, slots=True)
class MessagesRead:
    """An advisor has read the client's messages."""

    read_at: datetime
    rev: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The end of a replay: everything up to ``rev`` has been delivered."""

    rev: int


@dataclass(frozen=True, slots=True)
class Resync:
    """Events were left out, up to ``rev``: load the conversation (or the list) again.

    The replay would have been too long, it started from a revision that does not exist, or this subscriber fell more
    than ``max_pending`` events behind.
    """

    rev: int


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """A row of an organization's list changed. Only an inbox hears it."""

    summary: ConversationSummary


Event: TypeAlias = (
    TypingChanged
    | MessageCreated
    | ReactionsChanged
    | MessagesSeen
    | MessagesRead
    | CaughtUp
    | Resync
    | ConversationUpdated
)


# ---- What a storage is asked; include/travelchat/storage.hpp says the same to C++ ----


@dataclass(frozen=True, slots=True)
class OpenConversation:
    """Get or create. ``conversation_id`` is used only when there is none yet for the organization and the client."""

    conversation_id: str
    org_id: str
    client_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """Stores a message. ``sender`` decides what it may reach: else `NotFound`.

    With a ``client_message_id`` that this sender already used in this conversation: the first message again (``changed``
    false) when content and attachment are equal, else `IdempotencyConflict`. A client's message raises ``unread_count``.
    """

    message_id: str
    conversation_id: str
    sender: Participant
    content: str
    client_message_id: str | None
    attachment_url: str | None
    attachment_type: str | None
    attachment_name: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class PutReaction:
    """Sets this reactor's one reaction, or removes it when ``emoji`` is None.

    Setting what is set, or removing what is not there, changes nothing and raises no revision. A replaced reaction keeps
    its id, takes the new emoji and ``now``, and moves to the end of the message's list. `NotFound` also when the message
    is not in that conversation.
    """

    reaction_id: str
    conversation_id: str
    message_id: str
    reactor: Participant
    emoji: Emoji | None
    now: datetime


@dataclass(frozen=True, slots=True)
class MarkConversation:
    """By a client: sets ``seen_at`` on every advisor's message that has none. By an advisor: sets ``is_read`` on every
    client's message and ``unread_count`` to 0. One revision for all of them, none when nothing changed.
    """

    conversation_id: str
    viewer: Participant
    now: datetime


@dataclass(frozen=True, slots=True)
class PutToken:
    """Stores a token's digest; the oldest live ones of the same client and trip beyond ``max_live`` are deleted.

    `NotFound` when the claims' conversation is not that of their client.
    """

    digest: bytes
    claims: TokenClaims
    now: datetime
    max_live: int


@dataclass(frozen=True, slots=True)
class DeleteToken:
    """Deletes one token. ``changed`` says whether it was there."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class SweepTokens:
    """Deletes every token with ``expires_at <= now``."""

    now: datetime


Write: TypeAlias = (
    OpenConversation | AppendMessage | PutReaction | MarkConversation | PutToken | DeleteToken | SweepTokens
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write brought."""

    changed: bool = False
    """False: an answer to a repeat or to a write without effect; nobody is told."""
    conversation: Conversation | None = None
    """The row after the write. None for tokens only."""
    message: Message | None = None
    """AppendMessage: the message, with its reactions when it is a repeat."""
    reactions: tuple[Reaction, ...] = ()
    """PutReaction: all of the message's, oldest first."""
    last_message: Message | None = None
    """OpenConversation, MarkConversation by an advisor: the newest, without reactions."""
    count: int = 0
    """MarkConversation: messages marked; SweepTokens, DeleteToken: tokens deleted."""
    evicted: tuple[bytes, ...] = ()
    """PutToken: the older tokens that made room."""


@dataclass(frozen=True, slots=True)
class ConversationQuery:
    """Conversations of an organization.

    With ``text``, those in which a message's content contains it (ASCII letters without regard to case), and those whose
    client is in ``client_ids``.
    """

    org_id: str
    text: str | None
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Messages of a conversation, by ``seq``.

    Without ``since_rev`` the newest ``limit`` ones (before ``before_seq``). With it the ``limit`` ones of smallest
    ``rev``; messages of one ``rev`` stay on one page, which may so be longer.
    """

    conversation_id: str
    before_seq: int | None
    since_rev: int | None
    limit: int


class ChangeKind(enum.StrEnum):
    """What a `Change` is about."""

    MESSAGE = "message"
    REACTION = "reaction"
    SEEN = "seen"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Change:
    """One durable change of a conversation. The message or its reactions stand in it as they are now."""

    kind: ChangeKind
    rev: int
    message: Message | None = None
    """MESSAGE: the row with its reactions."""
    message_id: str | None = None
    """REACTION: whose."""
    reactions: tuple[Reaction, ...] = ()
    """REACTION: all of them."""
    at: datetime | None = None
    """SEEN, READ: when."""


@dataclass(frozen=True, slots=True)
class ChangeList:
    """What changed in a conversation after a revision."""

    current_rev: int
    """The conversation's, read in the same snapshot."""
    too_many: bool = False
    """More than the limit, or the revision is beyond ``current_rev``; then ``changes`` is empty."""
    changes: tuple[Change, ...] = ()
    """Every revision from the next one to ``current_rev``, in order."""


@dataclass(frozen=True, slots=True)
class RevisionQuery:
    """Where things stand."""

    conversation_ids: tuple[str, ...]
    org_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revisions:
    """The answer to a `RevisionQuery`, in its order."""

    conversations: tuple[int, ...]
    """``rev`` of each conversation; 0: no such one."""
    organizations: tuple[int, ...]
    """A figure that another one follows whenever a conversation of the organization is made or changes."""


# ---- What the chat asks its host; see travelchat.Host ----


@dataclass(frozen=True, slots=True)
class RequestCredentials:
    """The credentials of a request, as they came."""

    cookie: str
    """The Cookie header; empty when absent."""
    authorization: str
    """The Authorization header; empty when absent."""
    scope: Mapping[str, Any] | None = None
    """Within an ASGI application: the request's scope, in which middleware leaves what it knows."""

    def __repr__(self) -> str:
        # Credentials do not belong in logs.
        cookie, authorization = ("..." if text else "" for text in (self.cookie, self.authorization))
        return f"RequestCredentials({cookie=}, {authorization=})"


@dataclass(frozen=True, slots=True)
class Advisor:
    """Who has signed in."""

    org_id: str
    id: str
    name: str
    avatar_url: str | None = None
    expires_at: datetime | None = None
    """When the session ends; an open socket is closed then. None: open-ended."""
    by_cookie: bool = False
    """A cookie was the credential: then requests that write must come from the server's own origin."""


@dataclass(frozen=True, slots=True)
class ActiveTrip:
    """The trip that a client is on, or goes on next."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class ClientCard:
    """What a conversation list shows of a client."""

    id: str
    name: str
    avatar_url: str | None = None
    active_trip: ActiveTrip | None = None


@dataclass(frozen=True, slots=True)
class SharedTrip:
    """A trip and its share link."""

    id: str
    org_id: str
    title: str
    share_enabled: bool
    share_token: str
    client_id: str | None = None
    client_name: str | None = None
    advisor_name: str | None = None
    advisor_avatar_url: str | None = None


@dataclass(frozen=True, slots=True)
class PushNotification:
    """A client wrote; for every advisor of the organization."""

    org_id: str
    title: str
    body: str
    url: str
