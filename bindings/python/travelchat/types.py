"""The chat's objects as values: participants, messages, reactions, conversations, and events about them.

All of them are frozen dataclasses with slots: equal by value, hashable, fit for ``match`` and ``dataclasses.replace``.
Times are aware datetimes in UTC with millisecond precision. Ids that the engine makes are strings of 36 characters
(lower-case UUIDs of version 7, so they sort by creation); ids of the host's own (organization, client, advisor, trip) are
1 to 128 printable ASCII characters.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypedDict

__all__ = [
    "ActiveTrip",
    "Advisor",
    "CaughtUp",
    "Change",
    "ChangeList",
    "ChangedMessage",
    "ClientCard",
    "Conversation",
    "ConversationQuery",
    "ConversationRow",
    "ConversationSummary",
    "ConversationUpdated",
    "DeleteToken",
    "DraftOptions",
    "Effects",
    "Emoji",
    "EngineStats",
    "Event",
    "Facts",
    "IssuedToken",
    "Mark",
    "MarkRow",
    "Marked",
    "Member",
    "MemberQuestion",
    "MemberRow",
    "Message",
    "MessageChanged",
    "MessageCreated",
    "MessagePage",
    "MessageQuery",
    "MessagesRead",
    "MessagesSeen",
    "NewMessage",
    "NewReaction",
    "OpeningQuestion",
    "Participant",
    "PruneChanges",
    "Pruned",
    "PushNotification",
    "Questions",
    "Reaction",
    "ReactionsChanged",
    "RemovedReaction",
    "RemovedTokens",
    "RepeatQuestion",
    "RequestCredentials",
    "Resync",
    "RevisionQuery",
    "Revisions",
    "RevokeTokens",
    "RewrittenMessage",
    "Role",
    "Sent",
    "SharedTrip",
    "SweepTokens",
    "TokenClaims",
    "TokenQuestion",
    "TokenRemoval",
    "TokenRow",
    "TouchedMessage",
    "TypingChanged",
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

    An advisor reaches every conversation of ``org_id``; a client those of ``org_id`` in which it is a member: its own, and
    those to which it was added. For others it answers as if the conversation did not exist.
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


class DraftOptions(TypedDict, total=False):
    """What a sender may say of a message besides its content: keyword arguments of `ChatEngine.send`."""

    client_message_id: str | None
    """1 to 64 letters, digits, hyphens and underscores; a repeat of it is recognized."""
    attachment_url: str | None
    """An http or https URL, or a path of the server that begins with one ``/``."""
    attachment_type: str | None
    attachment_name: str | None


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
class Member:
    """Somebody in a conversation, and how far they have come in it."""

    type: Role
    id: str
    name: str
    """As it was when they were last seen; empty: not known."""
    delivered_seq: int
    """Every message up to this ``seq`` has reached them."""
    seen_seq: int
    """Every message up to this ``seq`` they have seen; ``delivered_seq`` is never less."""


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
    epoch: str | None = field(default=None, repr=False)
    """Which history this is: made with the storage, and made anew after a restore. None: the storage keeps none."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new chat token. Only its SHA-256 is stored: it cannot be shown again."""

    token: str
    """64 hexadecimal characters."""
    expires_at: datetime

    def __repr__(self) -> str:
        # Whoever could read it in a log could use it.
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
class MessageChanged:
    """More of a message changed than its reactions and marks: it is now like this."""

    message: Message
    rev: int


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
    epoch: str | None = field(default=None, repr=False)
    """What ``rev`` is of; see `MessagePage`."""


@dataclass(frozen=True, slots=True)
class Resync:
    """Events were left out, up to ``rev``: load the conversation (or the list) again.

    The replay would have been too long, it started from a revision that does not exist or is of another epoch (then
    what was known is of none), or this subscriber fell more than ``max_pending`` events behind.
    """

    rev: int
    epoch: str | None = field(default=None, repr=False)
    """What ``rev`` is of; see `MessagePage`."""


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """A row of an organization's list changed. Only an inbox hears it."""

    summary: ConversationSummary


Event: TypeAlias = (
    TypingChanged
    | MessageCreated
    | MessageChanged
    | ReactionsChanged
    | MessagesSeen
    | MessagesRead
    | CaughtUp
    | Resync
    | ConversationUpdated
)


# ---- What a storage loads and stores; include/travelchat/transactional_storage.hpp says the same to C++ ----


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation as a storage keeps it, with members that only writes need."""

    conversation: Conversation
    unseen_count: int = 0
    """The advisors' messages that the client has not seen."""
    read_seq: int = 0
    """Every client's message up to this ``seq`` is read."""
    seen_seq: int = 0
    """Every advisor's message up to this ``seq`` is seen."""


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member as a storage keeps it."""

    conversation_id: str
    member: Member


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as a storage keeps it."""

    digest: bytes
    """Its SHA-256; the token itself is never told."""
    claims: TokenClaims
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpeningQuestion:
    """The conversation of this client, and its newest message."""

    org_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class RepeatQuestion:
    """The message that has all four."""

    conversation_id: str
    client_message_id: str
    sender_type: Role
    sender_id: str


@dataclass(frozen=True, slots=True)
class MemberQuestion:
    """This member, if there is one."""

    conversation_id: str
    type: Role
    id: str


@dataclass(frozen=True, slots=True)
class TokenQuestion:
    """The tokens of a conversation for a trip. Those that have expired may be left out."""

    conversation_id: str
    trip_id: str


@dataclass(frozen=True, slots=True)
class Questions:
    """The rows that a transaction's decision depends on. Missing rows are left out; rows that appear twice do no harm."""

    conversations: tuple[str, ...]
    """By id. Ascending: who locks rows locks them in this order."""
    openings: tuple[OpeningQuestion, ...]
    repeatable: tuple[RepeatQuestion, ...]
    messages: tuple[str, ...]
    """By id, whichever conversation they are of."""
    newest_of: tuple[str, ...]
    """Conversations whose newest message is wanted."""
    viewers: tuple[MemberQuestion, ...]
    """Members of whom the watermarks are wanted."""
    clients: tuple[MemberQuestion, ...]
    """Members of whom it is wanted whether they are there. A client's row in its own conversation may be left out."""
    tokens: tuple[TokenQuestion, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """The answer to `Questions`."""

    conversations: Sequence[ConversationRow] = ()
    """Of ``conversations`` and ``openings``."""
    messages: Sequence[Message] = ()
    """With their reactions."""
    members: Sequence[MemberRow] = ()
    """Of ``viewers`` and ``clients``."""
    tokens: Sequence[TokenRow] = ()
    """The oldest first."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be inserted; its reactions are among those of the `Effects`."""

    message: Message
    created_rev: int
    """The revision that brought it; ``message.rev`` may be a later one."""


@dataclass(frozen=True, slots=True)
class MarkRow:
    """An entry of what `Storage.list_changes` lists, and a change of messages that were there before.

    Of those with ``after_seq < seq <= up_to_seq``, an advisor (``viewer``) has read each of a client's that is not read, or a
    client has seen, at ``at``, each of an advisor's without ``seen_at``. These get ``rev``.
    """

    conversation_id: str
    viewer: Role
    after_seq: int
    up_to_seq: int
    rev: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TouchedMessage:
    """A message that was there before gets this ``rev``."""

    conversation_id: str
    message_id: str
    seq: int
    rev: int


@dataclass(frozen=True, slots=True)
class RewrittenMessage:
    """A message that was there before, or is among the new ones, is replaced by this one; its reactions are not part of it."""

    message: Message
    content_rev: int
    """See `Change`."""


@dataclass(frozen=True, slots=True)
class NewReaction:
    """Replaces this reactor's to this message, if there is one."""

    reaction: Reaction
    seq: int
    """Of the message."""
    rev: int
    """A message's reactions are listed in the order of these."""


@dataclass(frozen=True, slots=True)
class RemovedReaction:
    """A reaction to be deleted."""

    conversation_id: str
    message_id: str
    seq: int
    """Of the message."""
    reactor_type: Role
    reactor_id: str


@dataclass(frozen=True, slots=True)
class ChangedMessage:
    """An entry of what `Storage.list_changes` lists: this message changed, whatever of it.

    A new message has none: its ``created_rev`` tells.
    """

    conversation_id: str
    rev: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Effects:
    """The rows to write, each once. They may be stored in the order in which they stand here."""

    opened: tuple[ConversationRow, ...]
    """To be inserted."""
    conversations: tuple[ConversationRow, ...]
    """To be updated."""
    marks: tuple[MarkRow, ...]
    messages: tuple[NewMessage, ...]
    """To be inserted."""
    touched: tuple[TouchedMessage, ...]
    rewritten: tuple[RewrittenMessage, ...]
    removed_reactions: tuple[RemovedReaction, ...]
    reactions: tuple[NewReaction, ...]
    changes: tuple[ChangedMessage, ...]
    """To be inserted."""
    members: tuple[MemberRow, ...]
    """To be inserted, or to replace the member's row."""
    removed_tokens: tuple[bytes, ...]
    tokens: tuple[TokenRow, ...]
    """To be inserted, the oldest first."""


@dataclass(frozen=True, slots=True)
class DeleteToken:
    """Deletes one token."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class SweepTokens:
    """Deletes every token with ``expires_at <= now``."""

    now: datetime


@dataclass(frozen=True, slots=True)
class RevokeTokens:
    """Deletes the tokens of one client, of one trip, or of one client for one trip: one of the two is None at most."""

    org_id: str
    client_id: str | None
    trip_id: str | None


TokenRemoval: TypeAlias = DeleteToken | SweepTokens | RevokeTokens


@dataclass(frozen=True, slots=True)
class RemovedTokens:
    """What a `TokenRemoval` has done."""

    count: int
    """Tokens deleted."""
    digests: Sequence[bytes] = ()
    """`RevokeTokens`: which."""


@dataclass(frozen=True, slots=True)
class ConversationQuery:
    """Conversations of an organization.

    With ``text``, those in which a message's content contains it (in any case, see `travelchat.fold_text`), and those whose
    client is in ``client_ids``.
    """

    org_id: str
    text: str | None
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Messages of a conversation, by ``seq``.

    Without ``since_rev`` the newest ``limit`` ones (before ``before_seq``). With it the ``limit`` ones of smallest
    ``rev``; messages of one ``rev`` stay on one page, which may so be longer, but not than 1,000 messages: then it is
    `TooManyChanges`.
    """

    conversation_id: str
    before_seq: int | None
    since_rev: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class Mark:
    """That somebody has read or seen all there was."""

    viewer: Role
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One durable change of a conversation: of one message, or a mark.

    Of what is neither, as of a message that is gone, only ``rev`` is taken.
    """

    rev: int
    message: Message | None = None
    """As it is now, with its reactions."""
    created_rev: int = 0
    """Of ``message``: the revision that brought it."""
    content_rev: int = 0
    """Of ``message``: the newest revision that changed more of it than its reactions and marks; 0: none has."""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class ChangeList:
    """What changed in a conversation after a revision."""

    current_rev: int
    """The conversation's, read in the same snapshot."""
    too_many: bool = False
    """More than the limit, or the revision is beyond ``current_rev`` or before what is kept; then ``changes`` is empty."""
    changes: tuple[Change, ...] = ()
    """Every revision from the next one to ``current_rev``, in order."""
    epoch: str | None = None
    """See `Revisions`; read in the same snapshot."""


@dataclass(frozen=True, slots=True)
class RevisionQuery:
    """Asks for the newest revisions of conversations and organizations."""

    conversation_ids: tuple[str, ...]
    org_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revisions:
    """The answer to a `RevisionQuery`, in its order."""

    conversations: tuple[int, ...]
    """``rev`` of each conversation; 0: no such one."""
    organizations: tuple[int, ...]
    """A number that is different after a conversation of the organization was made or changed."""
    epoch: str | None = None
    """Identifies the history of the revisions: a lower-case UUID, made with the storage and made anew after a restore.
    None: the storage keeps none, and a restored backup is not noticed."""


@dataclass(frozen=True, slots=True)
class PruneChanges:
    """A bounded step over the conversations, in the order of their ids, that deletes changes which are kept no longer."""

    after: str | None
    """Where it begins: behind this conversation. None: with the first."""
    keep_revisions: int
    """Of each conversation the changes of its newest revisions stay, this many. 0: all of them."""
    older_than: datetime | None
    """Older ones are deleted, too. None: none is deleted for its age."""
    max_conversations: int
    """To be looked at, at the most."""
    max_changes: int
    """To be deleted, at the most."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a step has done."""

    count: int
    """Changes deleted."""
    next: str | None = None
    """The next step's ``after``. None: all conversations were looked at."""
    epoch: str | None = None
    """See `Revisions`."""


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
    by_cookie: bool = True
    """Whether a browser attaches the credential by itself, as it does a cookie: then requests that write must come from
    the server's own origin. False only when it does not, as with a Bearer token."""
    session_id: str | None = None
    """Names the session, so that its end reaches open sockets: by ``ChatEngine.end_session``, and by
    ``Host.check_sessions``. Not the credential itself; no other session ever has the same."""


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
