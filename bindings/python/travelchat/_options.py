"""Options are checked when they are given: a wrong one is refused by its name, with what came and what would be right.

None does not stand for the default: it is what a look-up of a misspelled environment variable gives.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import ipaddress
import os
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar, cast

Init = TypeVar("Init", bound=Callable[..., None])

# The engine counts in nanoseconds of 64 bits.
_LONGEST = timedelta(days=36_500)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s\"'<>*A-Z]+")
HOST_METHODS = ("authenticate", "check_sessions", "find_trip", "find_clients", "search_clients", "notify")


def refuse_type(name: str, wanted: str, value: object) -> TypeError:
    """The exception for a value of another type. It does not show the value, which may be a secret in the wrong place."""
    what = "None" if value is None else f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return TypeError(f"{name} must be {wanted}, not {what}")


def _refuse_misfits(of: type, init: Callable[..., None], given: tuple[object, ...], options: dict[str, object]) -> None:
    known = inspect.signature(init)
    for name in options:
        if name not in known.parameters:
            near = difflib.get_close_matches(name, list(known.parameters)[1:], n=1)
            hint = f", but has {near[0]!r}" if near else ""
            raise TypeError(f"{of.__name__} has no option {name!r}{hint}")
    try:
        known.bind(None, *given, **options)
    except TypeError as error:
        raise TypeError(f"{of.__name__}: {error}") from None


def check_arguments(init: Init) -> Init:
    """Decorates a constructor: arguments that do not fit it are refused in the name of the object's own class, which may
    inherit it, and a name that is not known with the one that it is near to."""

    @functools.wraps(init)
    def construct(self: object, *given: object, **options: object) -> None:
        _refuse_misfits(type(self), init, given, options)
        init(self, *given, **options)

    return cast(Init, construct)


def count(name: str, value: object, least: int = 0, most: int = 2**53) -> int:
    # True is an int to Python.
    if not isinstance(value, int) or isinstance(value, bool):
        raise refuse_type(name, "an int", value)
    if not least <= value <= most:
        # Python writes no int of more than 4,300 digits.
        shown = value if value.bit_length() <= 128 else "one of more than 128 bits"
        raise ValueError(f"{name} must be at least {least}{'' if value < least else f' and at most {most}'}, not {shown}")
    return value


def duration(
    name: str, value: object, least: timedelta = timedelta(milliseconds=1), *, zero: str | None = None
) -> timedelta:
    """``zero``: what no time at all stands for, where it is allowed."""
    if not isinstance(value, timedelta):
        raise refuse_type(name, "a timedelta", value)
    if zero is not None and value == timedelta(0):
        return value
    if not least <= value <= _LONGEST:
        bound = f"at least {least}" if value < least else f"at most {_LONGEST.days} days"
        also = "" if zero is None else f", or zero for {zero}"
        raise ValueError(f"{name} must be {bound}{also}, not {value}")
    return value


def text(name: str, value: object, *, wanted: str = "a str", may_be_empty: bool = False) -> str:
    if not isinstance(value, str):
        raise refuse_type(name, wanted, value)
    if value == "" and not may_be_empty:
        raise ValueError(f"{name} must be {wanted}, and is empty")
    if "\0" in value:
        raise ValueError(f"{name} must be {wanted}, and holds a NUL")
    if any("\ud800" <= one <= "\udfff" for one in value):
        raise ValueError(f"{name} must be {wanted}, and holds half of a surrogate pair")
    return value


def one_of(name: str, value: object, names: tuple[str, ...]) -> str:
    wanted = " or ".join([", ".join(repr(one) for one in names[:-1]), repr(names[-1])])
    if not isinstance(value, str):
        raise refuse_type(name, wanted, value)
    if value not in names:
        raise ValueError(f"{name} must be {wanted}, not {value!r}")
    return value


def path(name: str, value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise refuse_type(name, "a path", value)
    found = os.fsdecode(value)
    if not found:
        raise ValueError(f"{name} must be a path, and is empty")
    if "\0" in found:
        raise ValueError(f"{name} must be a path, and holds a NUL")
    try:
        os.fsencode(found)
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be a path, and holds a character that no path has here") from None
    return found


def readable_file(name: str, value: object) -> str:
    """The system's own error when it cannot be read."""
    found = path(name, value)
    with open(found, "rb"):
        return found


def texts(name: str, values: object, wanted: str) -> list[str]:
    # A str is an iterable of its letters.
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise refuse_type(name, f"a list of {wanted}", values)
    found = list(values)
    for value in found:
        text(f"each of {name}", value)
    return found


def origins(name: str, values: object) -> list[str]:
    found = texts(name, values, "origins")
    for value in found:
        if not _ORIGIN.fullmatch(value):
            raise ValueError(
                f"each of {name} must be an origin as browsers write it, like 'https://chat.example', without a path or a"
                f" wildcard and in lower case, not {value!r}"
            )
    return found


def networks(name: str, values: object) -> list[str]:
    found = texts(name, values, "addresses and networks")
    for value in found:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(
                f"each of {name} must be an address or a network, like '10.0.0.0/8', not {value!r}"
            ) from None
    return found


def address(name: str, value: object) -> str:
    found = text(name, value)
    try:
        ipaddress.ip_address(found)
    except ValueError:
        raise ValueError(
            f"{name} must be an address of this machine, like '127.0.0.1', or '0.0.0.0' or '::' for all, not {found!r}"
        ) from None
    return found


def methods(name: str, value: object, names: Iterable[str], wanted: str) -> None:
    """An object with these methods; not its class."""
    missing = [method for method in names if not callable(getattr(value, method, None))]
    if isinstance(value, type) or len(missing) == len(list(names)):
        raise refuse_type(name, wanted, value)
    if missing:
        raise TypeError(f"{name} must be {wanted}: {type(value).__name__} has no method {missing[0]!r}")


def application(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise refuse_type(name, "an ASGI application or None", value)
    return value
