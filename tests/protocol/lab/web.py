"""HTTP as a third party speaks it: one request, one connection, the answer taken apart. Any thread.

Each request has a connection of its own, so that no test depends on how long a server keeps an idle one; keep-alive and
pipelining have tests of their own.
"""

from __future__ import annotations

import http.client
import json as jsonlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lab.process import PATIENCE


def strict_json(text: str | bytes) -> Any:
    """JSON as RFC 8259 wants it from a sender: no key twice, no NaN."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        assert len(members) == len(pairs), f"a key twice in {text!r}"
        return members

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON: {text!r}")

    return jsonlib.loads(text, object_pairs_hook=unique, parse_constant=refuse)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    cookies: list[str]  # Set-Cookie, one by one
    body: bytes

    def json(self) -> Any:
        assert self.headers.get("content-type", "").split(";")[0].strip() == "application/json", self
        return strict_json(self.body)

    def ok(self, status: int = 200) -> Any:
        """The JSON of an answer that has to have this status."""
        assert self.status == status, f"{status} expected, got {self.status}: {self.body[:500]!r}"
        return self.json()

    def error(self, status: int, code: str | None = None) -> dict[str, str]:
        """The error object of an answer that has to have this status: both members, nothing else, nothing internal."""
        assert self.status == status, f"{status} expected, got {self.status}: {self.body[:500]!r}"
        body = self.json()
        assert set(body) == {"message", "code"}, body
        assert isinstance(body["message"], str) and body["message"], body
        assert isinstance(body["code"], str) and body["code"], body
        for leak in ("SELECT", "INSERT", "sqlite", "SQLITE", "/tmp/", "exception"):
            assert leak not in body["message"], body
        if code is not None:
            assert body["code"] == code, body
        return body


def request(address: tuple[str, int], method: str, path: str, *, query: dict[str, Any] | None = None,
            json: Any = None, body: bytes | str | None = None, headers: dict[str, str] | None = None,
            source: str | None = None) -> Answer:
    """`json` is encoded and labelled as such; `body` goes as it is, labelled JSON unless `headers` say otherwise.
    `source` is the local address to speak from."""
    head = dict(headers or {})
    if json is not None:
        body = jsonlib.dumps(json)
    if body is not None:
        head.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
    elif method in ("POST", "PUT", "PATCH"):
        body = b""
        head.setdefault("Content-Type", "application/json")
    if query:
        path += "?" + urlencode(query)
    connection = http.client.HTTPConnection(
        *address, timeout=PATIENCE, source_address=(source, 0) if source else None)
    try:
        connection.request(method, path, body=body, headers={"Connection": "close", **head})
        response = connection.getresponse()
        return Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()},
            response.headers.get_all("Set-Cookie") or [], response.read())
    finally:
        connection.close()
