"""100,000 events into `async for`: how many a second. Run in an environment that has the package (scripts/bench)."""

from __future__ import annotations

import asyncio
import statistics
import time

import travelchat

EVENTS = 100_000


async def main() -> None:
    writer = travelchat.Participant.advisor("org", "ada", "Ada")
    async with travelchat.ChatEngine(travelchat.memory(), max_replay=EVENTS + 1) as engine:
        conversation = await engine.open_conversation("org", "carl")
        for _ in range(EVENTS // 10_000):
            await asyncio.gather(*(engine.send(writer, conversation.id, "x" * 100) for _ in range(10_000)))
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
        print(f"{statistics.median(rates):,.0f} events/s (of {', '.join(f'{rate:,.0f}' for rate in rates)})")


asyncio.run(main())
