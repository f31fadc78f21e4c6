"""Epochs: a restored backup is not taken for the history that clients have seen."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import process
from lab.people import SILENT, UUID_V7, Lab, Room

pytestmark = pytest.mark.one_server

OTHER = "019345a0-0000-7000-8000-0000000000e1"


@pytest.mark.nodes
@pytest.mark.host
def test_every_page_names_the_epoch(room: Room):
    epoch = room.epoch
    assert re.fullmatch(UUID_V7, epoch)
    for query in ({}, {"limit": 1}, {"since": room.rev}, {"before": 2}, {"epoch": epoch}):
        assert room.advisor.get(f"{room.path}/messages", **query).headers["x-epoch"] == epoch
    assert room.client.get(f"{room.path}/messages").headers["x-epoch"] == epoch


@pytest.mark.nodes
@pytest.mark.host
def test_a_socket_that_names_the_epoch_is_caught_up(room: Room):
    rev = room.rev
    missed = room.client_says("missed")
    with room.advisor_socket(since=rev, epoch=room.epoch) as socket:
        socket.expect(SILENT)
        assert socket.next()["message"] == missed
        socket.expect({"type": "caught_up", "rev": missed["rev"], "epoch": room.epoch})


@pytest.mark.nodes
@pytest.mark.host
@pytest.mark.parametrize("side", ["advisor", "client"])
def test_a_socket_that_names_another_epoch_is_told_to_load_the_conversation_again(room: Room, side: str):
    opens = room.advisor_socket if side == "advisor" else room.client_socket
    rev = room.rev
    for since in (rev, rev - 1, 0):
        with opens(since=since, epoch=OTHER) as socket:
            socket.expect(SILENT)
            socket.expect({"type": "resync", "rev": rev, "epoch": room.epoch})
            rev = room.hears_nothing_more(socket)["rev"]


@pytest.mark.nodes
@pytest.mark.host
def test_a_page_for_another_epoch_is_refused(room: Room):
    for query in ({"since": 0}, {"before": 2}, {}):
        room.advisor.get(f"{room.path}/messages", epoch=OTHER, **query).error(409, "epoch_changed")


@pytest.mark.parametrize("epoch", ["", "1", OTHER[:-1], OTHER + "0", OTHER.upper(), "{" + OTHER + "}", "null"])
def test_a_malformed_epoch_is_refused(room: Room, epoch: str):
    with room.untouched():
        room.advisor.get(f"{room.path}/messages", epoch=epoch).error(400, "invalid_argument")
        room.advisor.get(f"{room.path}/messages", since=0, epoch=epoch).error(400, "invalid_argument")
        with room.advisor_socket(since=0, epoch=epoch) as socket:
            assert socket.close_code() == 4400


def new_epoch(data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*process.command(), "new-epoch", "--data", str(data_dir)], capture_output=True, text=True,
                          timeout=process.PATIENCE)


@pytest.mark.alone
@pytest.mark.own_server
@pytest.mark.reference
def test_a_restored_backup_that_has_grown_past_what_a_client_saw_is_a_resync(
        launch: Callable[..., process.Server], tmp_path: Path):
    server = launch(demo=4)
    room = Lab(server).room()
    assert server.stop() == 0
    backup = tmp_path / "backup"
    shutil.copytree(server.data_dir, backup)

    server = launch(demo=4, data_dir=server.data_dir)
    room = Lab(server).room_of({"id": room.client.trip_id, "shareToken": room.client.share_token,
                                "clientId": room.client.id, "clientName": room.client.name, "orgId": room.client.org_id})
    epoch = room.epoch
    seen = room.client_says("seen by the client, and not in the backup")
    refused = new_epoch(server.data_dir)
    assert refused.returncode == 1 and "in use by another process" in refused.stderr
    assert server.stop() == 0

    begun = new_epoch(backup)
    assert begun.returncode == 0, begun.stderr
    restored = launch(demo=4, data_dir=backup)
    room = Lab(restored).room_of({"id": room.client.trip_id, "shareToken": room.client.share_token,
                                  "clientId": room.client.id, "clientName": room.client.name,
                                  "orgId": room.client.org_id})
    assert room.epoch != epoch and room.epoch in begun.stdout
    for number in range(3):
        last = room.advisor_says(f"what the client would take for the next {number}")
    assert last["rev"] > seen["rev"]
    with room.client_socket(since=seen["rev"], epoch=epoch) as socket:
        socket.expect(SILENT)
        socket.expect({"type": "resync", "rev": last["rev"], "epoch": room.epoch})


@pytest.mark.alone
@pytest.mark.own_server
@pytest.mark.reference
def test_a_new_epoch_needs_a_database(tmp_path: Path):
    refused = new_epoch(tmp_path / "nowhere")
    assert refused.returncode == 1
    assert refused.stderr.startswith("travelchat-server: there is no database ")
    assert not (tmp_path / "nowhere").exists()
