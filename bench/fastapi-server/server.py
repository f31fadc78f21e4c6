"""The chat of the specification on FastAPI, uvicorn with `websockets`, and SQLite with synchronous=FULL: the baseline of
scripts/bench for the Python package, written as that stack's competent user would: one JSON encoding for each broadcast, one
commit for each message off the loop. It has the routes that the bench measures and those it needs to get there.

    python server.py --data DIR [--demo=CLIENTS]

Prints "ready http://HOST:PORT" once it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import socket
import sqlite3
import threading
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Cookie, FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--demo", type=int, default=20)
options = parser.parse_args()

options.data.mkdir(parents=True, exist_ok=True)
database = sqlite3.connect(options.data / "fastapi.sqlite", check_same_thread=False, isolation_level=None)
database.executescript("""
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE messages (
  id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, org_id TEXT NOT NULL, sender_type TEXT NOT NULL,
  sender_id TEXT NOT NULL, sender_name TEXT NOT NULL, content TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX messages_by_conversation ON messages (conversation_id, created_at);
""")
writing = threading.Lock()

ORG = "org"
ADVISOR = {"email": "ada@example.com", "password": "demo", "id": "ada", "orgId": ORG}
trips = [
    {
        "id": f"trip-{n}",
        "shareToken": secrets.token_hex(16),
        "clientId": f"client-{n}",
        "clientName": f"Client {n}",
        "orgId": ORG,
    }
    for n in range(options.demo)
]
conversations = {trip["id"]: str(uuid.uuid4()) for trip in trips}
sessions: set[str] = set()
tokens: dict[str, dict[str, str]] = {}
rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)

app = FastAPI()


class Login(BaseModel):
    email: str
    password: str


class FromAdvisor(BaseModel):
    content: str


class FromClient(BaseModel):
    content: str
    chatToken: str


@app.get("/api/demo")
async def demo() -> dict[str, Any]:
    return {"advisors": [ADVISOR], "trips": trips}


@app.post("/api/login")
async def login(login: Login) -> Any:
    from fastapi.responses import JSONResponse

    if (login.email, login.password) != (ADVISOR["email"], ADVISOR["password"]):
        raise HTTPException(401)
    sid = secrets.token_hex(16)
    sessions.add(sid)
    response = JSONResponse({"ok": True})
    response.set_cookie("sid", sid, httponly=True)
    return response


@app.get("/api/chat-token")
async def chat_token(tripId: str, shareToken: str) -> dict[str, str]:
    trip = next((trip for trip in trips if trip["id"] == tripId and trip["shareToken"] == shareToken), None)
    if trip is None:
        raise HTTPException(404)
    token = secrets.token_hex(32)
    tokens[token] = trip
    return {"chatToken": token, "conversationId": conversations[tripId], "clientId": trip["clientId"]}


def store(message: dict[str, Any]) -> None:
    row = [message[name] for name in ("id", "conversationId", "orgId", "senderType", "senderId", "senderName")]
    with writing:
        database.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, message["content"], message["createdAt"])
        )


async def broadcast(conversation_id: str, event: dict[str, Any]) -> None:
    text = json.dumps(event, separators=(",", ":"))
    room = rooms[conversation_id]
    outcomes = await asyncio.gather(*(peer.send_text(text) for peer in room), return_exceptions=True)
    for peer, outcome in zip(list(room), outcomes):
        if isinstance(outcome, BaseException):
            room.discard(peer)


async def create(conversation_id: str, sender_type: str, sender_id: str, name: str, content: str) -> dict[str, Any]:
    message = {
        "id": str(uuid.uuid4()),
        "conversationId": conversation_id,
        "orgId": ORG,
        "senderType": sender_type,
        "senderId": sender_id,
        "senderName": name,
        "content": content.strip(),
        "isRead": False,
        "seenAt": None,
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "attachmentUrl": None,
        "attachmentType": None,
        "attachmentName": None,
        "reactions": [],
    }
    await run_in_threadpool(store, message)
    await broadcast(conversation_id, {"type": "new_message", "message": message})
    return message


@app.post("/api/conversations/{id}/messages", status_code=201)
async def from_advisor(id: str, draft: FromAdvisor, sid: str | None = Cookie(None)) -> dict[str, Any]:
    if sid not in sessions:
        raise HTTPException(401)
    return await create(id, "advisor", ADVISOR["id"], "Ada Advisor", draft.content)


@app.post("/api/conversations/{id}/messages/client", status_code=201)
async def from_client(id: str, draft: FromClient) -> dict[str, Any]:
    trip = tokens.get(draft.chatToken)
    if trip is None:
        raise HTTPException(401)
    return await create(id, "client", trip["clientId"], trip["clientName"], draft.content)


@app.websocket("/ws/chat")
async def chat(peer: WebSocket, conversationId: str, chatToken: str | None = None, sid: str | None = Cookie(None)) -> None:
    await peer.accept()
    if chatToken not in tokens and sid not in sessions:
        await peer.close(4401)
        return
    await peer.send_text('{"type": "typing", "advisorTyping": false, "clientTyping": false}')
    rooms[conversationId].add(peer)
    try:
        while True:
            await peer.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        rooms[conversationId].discard(peer)


listener = socket.create_server(("127.0.0.1", 0))
print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(
    uvicorn.Config(
        app, log_level="error", access_log=False, ws="websockets", ws_per_message_deflate=False, timeout_keep_alive=60
    )
).run(sockets=[listener])
