"""What a later version has left in the database is told as far as this one knows it, and its revisions count."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import process
from lab.people import SILENT, Lab

pytestmark = [pytest.mark.alone, pytest.mark.own_server, pytest.mark.reference, pytest.mark.one_server]

# By a version that changes messages (7) and does what has nothing to do with one (9).
LATER = """
    UPDATE travelchat_messages SET content = 'edited later', rev = :rev + 1, content_rev = :rev + 1
      WHERE id = :message;
    INSERT INTO travelchat_changes SELECT conversation_pk, :rev + 1, 7, seq, seq, created_at
      FROM travelchat_messages WHERE id = :message;
    INSERT INTO travelchat_changes SELECT conversation_pk, :rev + 2, 9, 0, 0, created_at
      FROM travelchat_messages WHERE id = :message;
    UPDATE travelchat_conversations SET rev = :rev + 2
      WHERE pk = (SELECT conversation_pk FROM travelchat_messages WHERE id = :message);
"""


def test_a_message_that_a_later_version_changed_is_replayed_as_it_is_now(
        launch: Callable[..., process.Server]):
    server = launch(demo=4)
    room = Lab(server).room()
    trip = {"id": room.client.trip_id, "shareToken": room.client.share_token, "clientId": room.client.id,
            "clientName": room.client.name, "orgId": room.client.org_id}
    message = room.client_says("as it was sent")
    rev = message["rev"]
    assert server.stop() == 0

    with sqlite3.connect(Path(server.data_dir) / "travelchat.db") as database:
        names = {"rev": rev, "message": bytes.fromhex(message["id"].replace("-", ""))}
        for statement in LATER.split(";"):
            database.execute(statement, names)
    database.close()

    room = Lab(launch(demo=4, data_dir=server.data_dir)).room_of(trip)
    edited = room.advisor.get(f"{room.path}/messages").ok()[-1]
    assert edited == {**message, "content": "edited later", "rev": rev + 1}
    with room.client_socket(since=rev) as socket:
        socket.expect(SILENT)
        socket.expect({"type": "message_update", "message": edited, "rev": rev + 1})
        socket.expect({"type": "caught_up", "rev": rev + 2, "epoch": room.epoch})
        # What comes next follows on what nobody here knows.
        assert room.client_says("live")["rev"] == rev + 3
        assert socket.next()["rev"] == rev + 3
