"""100,000 events (or as many as the argument says) into `async for`: prints as JSON how many a second, the median of five
times. Run in an environment that has the package (scripts/bench)."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

import travelchat

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000


async def main() -> None:
    writer = travelchat.Participant.advisor("org", "ada", "Ada")
    async with travelchat.ChatEngine(travelchat.memory(), max_replay=EVENTS + 1) as engine:
        conversation = await engine.open_conversation("org", "carl")
        for start in range(0, EVENTS, 10_000):
            some = range(start, min(EVENTS, start + 10_000))
            await asyncio.gather(*(engine.send(writer, conversation.id, "x" * 100) for _ in some))
        rates = []
        for _ in range(5):
            async with engine.subscribe(conversation.id, since=0, max_pending=EVENTS + 10) as events:
                begin = time.perf_counter()
                count = 0
                async for event in events:
                    count += 1
                    if isinstance(event, travelchat.CaughtUp):
                        break
                rates.append(count / (time.perf_counter() - begin))
                assert count == EVENTS + 2  # who is typing, and CaughtUp
        print(json.dumps({"eventsPerSecond": statistics.median(rates)}))


asyncio.run(main())
