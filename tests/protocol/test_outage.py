"""PostgreSQL and NATS that go away under load, at a size for every day; fifty times is scripts/soak's."""

from __future__ import annotations

import asyncio

import pytest

from lab.outage import restart_nats, restart_postgres
from lab.process import Options

# They bring two nodes themselves, whatever the suite runs against.
pytestmark = [pytest.mark.own_server, pytest.mark.reference, pytest.mark.alone, pytest.mark.long, pytest.mark.one_server]


def test_when_postgresql_comes_back_without_a_shutdown_every_node_serves_again_and_nothing_is_lost_or_doubled():
    result = asyncio.run(restart_postgres(Options(demo=8), restarts=2))
    # How long a try waits for a connection decides which of the two it is; none is answered meanwhile.
    assert result.held + result.refused >= 2 * 16, "a restart was not felt by every writer"
    assert result.resumed >= 2 * 4


def test_without_nats_every_socket_stays_open_and_hears_each_change_once():
    result = asyncio.run(restart_nats(Options(demo=8), restarts=2, outage=3))
    assert result.down.other_node > result.live.same_node, "NATS was not missed"
    assert result.answered > 300
