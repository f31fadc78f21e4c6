"""Organizations, advisors, clients and their trips: an application's own rows, read once and kept in memory."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS organizations (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS advisors (
  id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations (id), email TEXT NOT NULL UNIQUE,
  full_name TEXT NOT NULL, password_hash TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clients (
  id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations (id),
  advisor_id TEXT NOT NULL REFERENCES advisors (id), full_name TEXT NOT NULL, email TEXT) STRICT;
CREATE TABLE IF NOT EXISTS trips (
  id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organizations (id),
  advisor_id TEXT NOT NULL REFERENCES advisors (id), client_id TEXT REFERENCES clients (id), title TEXT NOT NULL,
  destination TEXT NOT NULL, starts_on TEXT NOT NULL, ends_on TEXT NOT NULL, summary TEXT NOT NULL,
  share_enabled INTEGER NOT NULL, share_token TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS demo_logins (
  position INTEGER PRIMARY KEY, advisor_id TEXT NOT NULL REFERENCES advisors (id), password TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Organization:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Advisor:
    id: str
    org_id: str
    email: str
    full_name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    org_id: str
    advisor_id: str
    full_name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Trip:
    id: str
    org_id: str
    advisor_id: str
    client_id: str | None
    title: str
    destination: str
    starts_on: str
    ends_on: str
    summary: str
    share_enabled: int
    share_token: str
    created_at: int

    def is_opened_by(self, token: str) -> bool:
        """Whether this is the token of its link, compared in constant time. An empty token opens no trip."""
        return bool(self.share_enabled and token) and hmac.compare_digest(
            token.encode("utf-8", "replace"), self.share_token.encode()
        )


@dataclass(frozen=True, slots=True)
class DemoLogin:
    advisor_id: str
    password: str


def hash_password(password: str, salt: bytes | None = None) -> str:
    salt = salt or secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()}"


# Compared with where no advisor has the e-mail address, so that the answer takes as long as to a wrong password.
DUMMY_HASH = hash_password(secrets.token_hex())


def verify_password(password: str, stored: str) -> bool:
    """Takes as long for a password that is wrong."""
    salt = bytes.fromhex(stored.split("$")[1])
    return hmac.compare_digest(hash_password(password, salt), stored)


class DemonstrationRefused(Exception):
    """The data is a demonstration's, and nobody asked for one."""


class Directory:
    """What the application knows of people and trips."""

    def __init__(self, file: Path, demo_clients: int | None) -> None:
        # Where the chat is in the same file, no engine has it now: while one has, this connection would be a second writer,
        # and SQLite's write-ahead log allows the storage no other.
        database = sqlite3.connect(file)
        try:
            database.executescript(SCHEMA)
            is_empty = not database.execute("SELECT 1 FROM organizations").fetchone()
            self.is_new_demo = demo_clients is not None and is_empty
            if demo_clients is not None and is_empty:
                write_demo(database, demo_clients)
            database.commit()
            if demo_clients is None and database.execute("SELECT 1 FROM demo_logins").fetchone():
                raise DemonstrationRefused(
                    f"{file} holds the demonstration, whose passwords everybody knows: start with --demo, "
                    "or take another folder"
                )

            def rows(sql: str) -> list[tuple[Any, ...]]:
                return database.execute(sql).fetchall()

            self.organizations = {row[0]: Organization(*row) for row in rows("SELECT * FROM organizations")}
            self.advisors = {row[0]: Advisor(*row) for row in rows("SELECT * FROM advisors")}
            self.clients = {row[0]: Client(*row) for row in rows("SELECT * FROM clients ORDER BY full_name, id")}
            self.trips = {row[0]: Trip(*row) for row in rows("SELECT * FROM trips ORDER BY created_at DESC")}
            self.logins = [
                DemoLogin(*row) for row in rows("SELECT advisor_id, password FROM demo_logins ORDER BY position")
            ]
        finally:
            database.close()
        self.by_email = {advisor.email.lower(): advisor for advisor in self.advisors.values()}
        self._trips_of: dict[str, list[Trip]] = {}
        for trip in self.trips.values():
            if trip.client_id:
                self._trips_of.setdefault(trip.client_id, []).append(trip)

    def clients_of(self, org_id: str) -> list[Client]:
        return [client for client in self.clients.values() if client.org_id == org_id]

    def trips_of(self, client_id: str) -> list[Trip]:
        return self._trips_of.get(client_id, [])

    def active_trip(self, client_id: str) -> Trip | None:
        return next(iter(self.trips_of(client_id)), None)


PASSWORD = "demo-travel"
ADVISORS = [
    ("Maya Okafor", "maya@meridian.example", 0),
    ("Sophie Lindqvist", "sophie@blueatlas.example", 1),
    ("Daniel Reyes", "daniel@meridian.example", 0),
    ("Tom Becker", "tom@blueatlas.example", 1),
]
FIRST_NAMES = ["Amelia", "Bruno", "Chiara", "Diego", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas"]
LAST_NAMES = ["Moreau", "Nakamura", "Olsen", "Petrova", "Quinn", "Rossi", "Silva", "Tanaka"]
PLACES = ["Lisbon", "Kyoto", "Patagonia", "Marrakesh", "Reykjavik"]


def write_demo(database: sqlite3.Connection, clients: int) -> None:
    """Two organizations with two advisors each, and clients with a shared trip each."""
    organizations = [(str(uuid.uuid4()), name) for name in ("Meridian Travel", "Blue Atlas Journeys")]
    database.executemany("INSERT INTO organizations VALUES (?, ?)", organizations)
    password = hash_password(PASSWORD)
    advisors = [
        (str(uuid.uuid4()), organizations[organization][0], email, name, password)
        for name, email, organization in ADVISORS
    ]
    database.executemany("INSERT INTO advisors VALUES (?, ?, ?, ?, ?)", advisors)
    database.executemany(
        "INSERT INTO demo_logins (advisor_id, password) VALUES (?, ?)", [(row[0], PASSWORD) for row in advisors]
    )
    now = int(time.time() * 1000)
    for number in range(clients):
        advisor = advisors[number % len(advisors)]
        name = f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {LAST_NAMES[number % len(LAST_NAMES)]}"
        place = PLACES[number % len(PLACES)]
        client = (str(uuid.uuid4()), advisor[1], advisor[0], name, f"traveller{number + 1}@clients.example")
        database.execute("INSERT INTO clients VALUES (?, ?, ?, ?, ?)", client)
        for client_id, shared in ((client[0], 1), *([(client[0], 0), (None, 1)] if number < 2 else [])):
            age = 0 if shared else 86_400_000
            database.execute(
                "INSERT INTO trips VALUES (?, ?, ?, ?, ?, ?, '2027-04-02', '2027-04-09', ?, ?, ?, ?)",
                (str(uuid.uuid4()), advisor[1], advisor[0], client_id, f"{place} in spring", place)
                + (f"A week in {place}.", shared, secrets.token_hex(16), now - age),
            )
