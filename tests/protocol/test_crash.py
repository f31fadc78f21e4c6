"""kill -9 under load, at a size for every day; two hundred times is scripts/soak's."""

from __future__ import annotations

import asyncio

import pytest

from lab.crash import kill_again_and_again
from lab.process import Options

pytestmark = pytest.mark.concurrent


@pytest.mark.own_server
def test_after_five_kills_under_load_no_answered_message_is_lost_or_doubled():
    result = asyncio.run(kill_again_and_again(Options(demo=8), kills=5))
    assert result.kills == 5
    assert result.answered > 300
