# The exceptions that errors.py makes from the engine's table; tests/test_types.py compares the two.
from typing import ClassVar

class TravelchatError(Exception):
    """Whatever the chat refuses or fails to do. Each kind is a subclass of its own."""

    code: ClassVar[str]
    """The kind's name for programs, as in a JSON body."""
    http_status: ClassVar[int]
    """What HTTP answers."""
    close_code: ClassVar[int]
    """What a WebSocket is closed with."""
    message: ClassVar[str]
    """What people are told."""
    def __init__(self, message: str | None = None) -> None: ...

by_code: dict[str, type[TravelchatError]]

class InvalidArgument(TravelchatError):
    """A parameter is malformed."""

class MissingField(TravelchatError):
    """A required field is missing."""

class MalformedJson(TravelchatError):
    """This is not acceptable JSON."""

class InvalidContent(TravelchatError):
    """A message needs 1 to 10,000 characters of text, not only white space."""

class InvalidEmoji(TravelchatError):
    """This emoji is not one of the reactions."""

class InvalidClientMessageId(TravelchatError):
    """clientMessageId takes 1 to 64 letters, digits, hyphens and underscores."""

class TripWithoutClient(TravelchatError):
    """This trip has no client to chat with."""

class Unauthenticated(TravelchatError):
    """Please sign in again."""

class Forbidden(TravelchatError):
    """This credential does not allow that."""

class CrossOrigin(TravelchatError):
    """Requests from this origin are not allowed."""

class SharingDisabled(TravelchatError):
    """This trip is not shared by this link."""

class NotFound(TravelchatError):
    """There is nothing here."""

class MethodNotAllowed(TravelchatError):
    """This method is not allowed here."""

class RequestTimeout(TravelchatError):
    """The request took too long to arrive."""

class IdempotencyConflict(TravelchatError):
    """This clientMessageId was already used for another message."""

class EpochChanged(TravelchatError):
    """The conversations were restored from a backup. Please load this one again."""

class PayloadTooLarge(TravelchatError):
    """That is too large."""

class UnsupportedMediaType(TravelchatError):
    """Only JSON is accepted here."""

class RateLimited(TravelchatError):
    """Too many requests. Please wait a moment."""

class HeadersTooLarge(TravelchatError):
    """The request headers are too large."""

class TooSlow(TravelchatError):
    """The connection fell too far behind."""

class StorageFailed(TravelchatError):
    """The message store failed. Please try again."""

class StorageFull(TravelchatError):
    """The message store is full. Nothing was saved."""

class StorageLocked(TravelchatError):
    """The message store is in use by another process."""

class StorageIncompatible(TravelchatError):
    """The message store was made by another version, or by another program."""

class Overloaded(TravelchatError):
    """The server is busy. Please try again."""

class Closed(TravelchatError):
    """The server is restarting."""

class Internal(TravelchatError):
    """Something went wrong."""

class TooManyChanges(TravelchatError):
    """More has changed since then than a page can hold. Please load this one again."""

class UpgradeRequired(TravelchatError):
    """This address takes WebSocket connections, version 13."""

__all__ = [
    "TravelchatError",
    "InvalidArgument",
    "MissingField",
    "MalformedJson",
    "InvalidContent",
    "InvalidEmoji",
    "InvalidClientMessageId",
    "TripWithoutClient",
    "Unauthenticated",
    "Forbidden",
    "CrossOrigin",
    "SharingDisabled",
    "NotFound",
    "MethodNotAllowed",
    "RequestTimeout",
    "IdempotencyConflict",
    "EpochChanged",
    "PayloadTooLarge",
    "UnsupportedMediaType",
    "RateLimited",
    "HeadersTooLarge",
    "TooSlow",
    "StorageFailed",
    "StorageFull",
    "StorageLocked",
    "StorageIncompatible",
    "Overloaded",
    "Closed",
    "Internal",
    "TooManyChanges",
    "UpgradeRequired",
]
