"""Who has signed in: rows in a file of their own, and the same in memory."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIFETIME = timedelta(days=30)


class Sessions:
    """Used on the event loop only."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS sessions (digest BLOB PRIMARY KEY, advisor_id TEXT NOT NULL, expires_at REAL NOT NULL)"
        )
        self._live: dict[bytes, tuple[str, datetime]] = {
            digest: (advisor_id, datetime.fromtimestamp(expires_at, UTC))
            for digest, advisor_id, expires_at in self._database.execute("SELECT * FROM sessions")
        }

    def open(self, advisor_id: str) -> str:
        """The cookie's value; only its digest is kept."""
        token = secrets.token_hex(32)
        digest = hashlib.sha256(token.encode()).digest()
        expires_at = datetime.now(UTC) + LIFETIME
        self._database.execute("INSERT INTO sessions VALUES (?, ?, ?)", (digest, advisor_id, expires_at.timestamp()))
        self._live[digest] = (advisor_id, expires_at)
        return token

    def find(self, token: str) -> tuple[str, datetime] | None:
        session = self._live.get(hashlib.sha256(token.encode()).digest())
        return session if session and session[1] > datetime.now(UTC) else None

    @staticmethod
    def id_of(token: str) -> str:
        """What names the session to the chat."""
        return hashlib.sha256(token.encode()).hexdigest()

    def find_live(self, ids: Sequence[str]) -> list[str]:
        now = datetime.now(UTC)
        return [id for id in ids if (session := self._live.get(bytes.fromhex(id))) and session[1] > now]

    def end(self, token: str) -> None:
        digest = hashlib.sha256(token.encode()).digest()
        self._database.execute("DELETE FROM sessions WHERE digest = ?", (digest,))
        self._live.pop(digest, None)

    def close(self) -> None:
        self._database.close()
