"""kill -9 under load, at a size for every day; two hundred times is scripts/soak's."""

from __future__ import annotations

import asyncio

import pytest

from lab.crash import kill_again_and_again, kill_nodes
from lab.process import Options

pytestmark = [pytest.mark.own_server, pytest.mark.one_server, pytest.mark.unsanitized]


@pytest.mark.nodes
@pytest.mark.concurrent
def test_after_five_kills_under_load_no_answered_message_is_lost_or_doubled():
    result = asyncio.run(kill_again_and_again(Options(demo=8), kills=5))
    assert result.kills == 5
    assert result.answered > 300


# It brings three nodes itself, whatever the suite runs against.
@pytest.mark.reference
@pytest.mark.alone
@pytest.mark.long
def test_the_sockets_of_a_killed_node_resume_at_another_and_its_typing_ends():
    result = asyncio.run(kill_nodes(Options(demo=8), kills=2))
    assert result.moved >= 2
    assert result.answered > 300
