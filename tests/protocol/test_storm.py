"""The resume storm at a size for every day; the whole one is scripts/soak's."""

from __future__ import annotations

import asyncio

import pytest

from lab.people import Room
from lab.storm import resume_storm

pytestmark = [pytest.mark.concurrent, pytest.mark.nodes]


def test_twenty_writers_and_readers_that_are_cut_twenty_times_agree_in_the_end(room: Room):
    result = asyncio.run(resume_storm(room, writers=20, messages=100, cuts=20))
    assert result.messages == 2_000
    assert result.replayed > 0, "no cut was felt"
