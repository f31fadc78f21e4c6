"""What a database of the past holds, and what is asked about it then and now."""

from __future__ import annotations

from typing import Any

from lab.process import Server
from lab.web import request

PASSWORD = "a password of the past"

# By e-mail: the organization and the name.
ADVISORS = {
    "maya@meridian.example": ("Meridian Travel", "Maya Okafor"),
    "tom@meridian.example": ("Meridian Travel", "Tom Reyes"),
    "ines@atlas.example": ("Atlas Journeys", "Inês Duarte"),
}

# Each with the advisor who looks after them.
CLIENTS = {
    "Carl Jensen": "maya@meridian.example",
    "Dora Márquez": "maya@meridian.example",
    "Emeka Obi": "tom@meridian.example",
    "Lin Yu-ting": "ines@atlas.example",
    "Nobody Wrote": "ines@atlas.example",
}


def sign_in(server: Server, email: str) -> str:
    """A session's Cookie header."""
    answer = request(server.address, "POST", "/api/login", json={"email": email, "password": PASSWORD})
    answer.ok(200)
    return "; ".join(cookie.split(";")[0] for cookie in answer.cookies)


def history(server: Server, cookie: str, conversation_id: str) -> list[dict[str, Any]]:
    """All messages, oldest first."""
    pages: list[list[dict[str, Any]]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        answer = request(server.address, "GET", f"/api/conversations/{conversation_id}/messages", query=query,
                         headers={"Cookie": cookie})
        pages.append(answer.ok())
        if answer.headers["x-has-more"] == "false":
            return [message for page in reversed(pages) for message in page]
        query["before"] = pages[-1][0]["seq"]


def ask_everything(server: Server, trips: list[dict[str, Any]]) -> dict[str, Any]:
    """`lists` by advisor, `unread` by advisor, `histories` by conversation, and `since` by conversation and revision."""
    cookies = {email: sign_in(server, email) for email in ADVISORS}

    def ask(email: str, path: str, **query: Any) -> Any:
        return request(server.address, "GET", path, query=query, headers={"Cookie": cookies[email]}).ok()

    lists = {email: ask(email, "/api/conversations") for email in ADVISORS}
    revisions = {row["id"]: row["rev"] for rows in lists.values() for row in rows}
    since: dict[str, dict[str, Any]] = {}
    for trip in trips:
        identifier = trip["conversationId"]
        newest = revisions[identifier]
        points = sorted({max(newest - back, 0) for back in (0, 1, 7, 50)})
        since[identifier] = {str(rev): ask(trip["advisor"], f"/api/conversations/{identifier}/messages", since=rev)
                             for rev in points}
    return {
        "lists": lists,
        "unread": {email: ask(email, "/api/messages/unread-count")["count"] for email in ADVISORS},
        "histories": {trip["conversationId"]: history(server, cookies[trip["advisor"]], trip["conversationId"])
                      for trip in trips},
        "since": since,
    }
