"""A full disk: writes are refused in words, reads go on, and all is well when there is room again."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import process
from lab.crash import check_files
from lab.people import Lab, Room, fresh_id
from lab.process import Options
from lab.web import request

pytestmark = [pytest.mark.own_server, pytest.mark.alone, pytest.mark.one_server, pytest.mark.unsanitized]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB. It takes root to mount one, which the tests are in CI and in a container."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "travelchat-test", str(tmp_path)],
                             check=False, capture_output=True, text=True)
    assert mounted.returncode == 0, f"this test needs root to mount a tmpfs of 8 MiB: {mounted.stderr.strip()}"
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """Takes all the room that is left."""
    with open(path, "wb", buffering=0) as ballast:
        for size in (65536, 4096, 1):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError as full:
                assert full.errno == errno.ENOSPC
    assert os.statvfs(path.parent).f_bavail == 0


def write_until_full(room: Room) -> tuple[list[dict], dict]:
    """What was stored before the disk was full, and the message that was refused for it."""
    stored = []
    for i in range(2_000):
        fields = {"content": f"{i} " + "x" * 9_000, "clientMessageId": fresh_id()}
        answer = room.client.post(f"{room.path}/messages/client", fields)
        if answer.status != 201:
            answer.error(507, "storage_full")
            return stored, fields
        stored.append(answer.json())
    raise AssertionError("the disk is never full")


def test_a_full_disk_refuses_writes_with_507_and_recovers_when_there_is_room(small_disk: Path):
    data_dir, ballast = small_disk / "data", small_disk / "ballast"
    server = process.start(Options(demo=2), data_dir)
    try:
        room = Lab(server).room()
        before = room.advisor_says("before")
        room.client.post(f"{room.path}/read/client").ok()
        room.advisor.post(f"{room.path}/read").ok()
        with room.client_listens() as client, room.advisor_listens() as advisor:
            fill(ballast)
            stored, refused = write_until_full(room)
            for message in stored:
                event = {"type": "new_message", "message": message, "rev": message["rev"]}
                client.expect(event)
                advisor.expect(event)
            rows, history = room.lab.snapshot(), room.history()
            assert [message["id"] for message in history[len(history) - len(stored):]] == [
                message["id"] for message in stored]

            # Again and again, and by everybody: refused in words each time, and nothing half-done.
            for _ in range(3):
                room.client.post(f"{room.path}/messages/client", refused).error(507, "storage_full")
            big = {"content": "y" * 10_000}
            room.advisor.post(f"{room.path}/messages", big).error(507, "storage_full")

            # Reads go on, from sockets as well as by HTTP.
            assert room.lab.snapshot() == rows
            assert room.history() == history
            assert room.client.get(f"{room.path}/messages", limit=1).ok() == history[-1:]
            assert request(server.address, "GET", "/livez").status == 200
            client.typing(True)
            assert advisor.next() == {"type": "typing", "advisorTyping": False, "clientTyping": True}
            with room.client_socket(since=before["rev"]) as resumed:
                resumed.next()
                events = resumed.until(lambda event: event["type"] == "caught_up")
                assert events[-1]["rev"] == room.rev
            client.typing(False)
            assert advisor.next()["clientTyping"] is False

            ballast.unlink()
            message = room.client.post(f"{room.path}/messages/client", refused).ok(201)
            assert message["seq"] == history[-1]["seq"] + 1
            # The next thing that anybody hears: of what was refused, nothing was told.
            for socket in (client, advisor):
                socket.expect({"type": "new_message", "message": message, "rev": message["rev"]})
            assert room.history() == [*history, message]
        assert server.stop() == 0, server.logs[-4000:]
        assert check_files(data_dir) >= 1
    finally:
        server.discard()
        if server.log_file:
            server.log_file.unlink(missing_ok=True)


def test_a_server_that_finds_no_room_to_start_says_so(small_disk: Path):
    data_dir = small_disk / "data"
    fill(small_disk / "ballast")
    with pytest.raises(process.StartFailed) as refusal:
        process.start(Options(demo=2), data_dir)
    assert refusal.value.returncode == 1
    assert "full" in refusal.value.logs or "space" in refusal.value.logs
