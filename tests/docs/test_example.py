"""examples/cpp, run as its page in the README says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab import process
from lab.web import request

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_example_is_a_chat_server(tmp_path: Path) -> None:
    built = Path(os.environ.get("TRAVELCHAT_EXAMPLE", REPOSITORY / "build/dev/examples/cpp/travelchat-embedding"))
    with subprocess.Popen([built, tmp_path / "chat.db"], stdout=subprocess.PIPE, text=True) as running:
        try:
            host, port = running.stdout.readline().strip().removeprefix("travelchat ready http://").split(":")
            address = host, int(port)
            advisor = {"Authorization": "Bearer the-advisors-key"}
            request(address, "GET", "/api/conversations", headers={"Authorization": "Bearer a-guess"}).error(401)
            assert request(address, "GET", "/api/conversations", headers=advisor).ok() == []

            link = {"tripId": "lisbon", "shareToken": "the-share-token"}
            grant = request(address, "POST", "/api/chat-token", json=link).ok()
            assert (grant["clientName"], grant["advisorName"]) == ("Carl", "Ada")
            sent = request(address, "POST", f"/api/conversations/{grant['conversationId']}/messages/client",
                           json={"content": "Hello", "chatToken": grant["chatToken"]}).ok(201)
            assert running.stdout.readline() == "New message from Carl\n"

            row, = request(address, "GET", "/api/conversations", headers=advisor).ok()
            assert (row["clientName"], row["activeTrip"]["title"], row["unreadCount"]) == ("Carl", "Lisbon", 1)
            assert row["lastMessage"]["id"] == sent["id"]
            running.terminate()
            assert running.wait(process.PATIENCE) == 0
        finally:
            running.kill()
