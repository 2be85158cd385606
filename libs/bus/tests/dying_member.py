"""A group member that reads, commits nothing and dies: in this process, or as one of its own that is killed.

Run as a program it is that process: `python dying_member.py URL GROUP TOPIC ALIVE_S` prints one line for each record.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from modelux_bus import kafka, postgres
from modelux_bus.base import Bus, Rebalanced
from modelux_bus.memory import MemoryBus

LIBS = Path(__file__).parents[2]


@dataclass
class Dead:
    """What the member had read when it died."""

    read: list[bytes]


Die = Callable[[Bus, str, str], AbstractAsyncContextManager[Dead]]


@asynccontextmanager
async def die_in_process(bus: Bus, group: str, topic: str) -> AsyncIterator[Dead]:
    assert isinstance(bus, MemoryBus)
    async with bus.subscribe(group, [topic]) as member:
        batch = await member.fetch(1000, 5.0)
        bus.drop(member)
        yield Dead([delivery.message.value for delivery in batch])


def die_with_process(url: str, alive_s: float = 1.0) -> Die:
    @asynccontextmanager
    async def die(bus: Bus, group: str, topic: str) -> AsyncIterator[Dead]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__)),
            url,
            group,
            topic,
            str(alive_s),
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(LIBS / "bus")},
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(30):
                read = [bytes.fromhex((await process.stdout.readline()).decode())]
        finally:
            process.kill()
            await process.wait()
        yield Dead(read)

    return die


async def main(url: str, group: str, topic: str, alive_s: str) -> None:
    bus: Bus
    if url.startswith("kafka://"):
        bus = kafka.KafkaBus(url.removeprefix("kafka://"), kafka.Settings(session_s=1.5))
    else:
        bus = postgres.PostgresBus(url, postgres.Settings(alive_s=float(alive_s)))
    async with bus.subscribe(group, [topic]) as member:
        while True:
            try:
                for delivery in await member.fetch(1000, 1.0):
                    print(delivery.message.value.hex(), flush=True)
            except Rebalanced:
                continue


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
