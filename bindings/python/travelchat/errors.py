"""One exception for each kind of error, made from the engine's own table (errors.pyi names them for type checkers)."""

from __future__ import annotations

from typing import ClassVar

from . import _core


class TravelchatError(Exception):
    """Whatever the chat refuses or fails to do. Each kind is a subclass of its own."""

    code: ClassVar[str]
    http_status: ClassVar[int]
    close_code: ClassVar[int]
    message: ClassVar[str]

    def __init__(self, message: str | None = None) -> None:
        super().__init__(self.message if message is None else message)


def _class_of(row: _core.ErrorRow) -> type[TravelchatError]:
    name = "".join(word.capitalize() for word in row.code.split("_"))
    doc = f"{row.message}\n\nHTTP {row.http_status}, WebSocket close code {row.close_code}."
    members = {"code": row.code, "http_status": row.http_status, "close_code": row.close_code, "message": row.message}
    return type(name, (TravelchatError,), {"__module__": __name__, "__doc__": doc, **members})


# `Internal` stands for whatever has no row.
by_code: dict[str, type[TravelchatError]] = {row.code: _class_of(row) for row in _core.error_table()}
TravelchatError.code = "internal"
TravelchatError.http_status = by_code["internal"].http_status
TravelchatError.close_code = by_code["internal"].close_code
TravelchatError.message = by_code["internal"].message

globals().update({kind.__name__: kind for kind in by_code.values()})
__all__ = ["TravelchatError", *(kind.__name__ for kind in by_code.values())]
