"""Keep a spender running for as long as a process serves calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio

from modelux_ledger.line import Pace
from modelux_ledger.spender import Spender, boot_us
from routing_core.ledger.holder import LIMITS, Limits


@asynccontextmanager
async def spending(
    channel: grpc.aio.Channel,
    file: Path,
    *,
    limits: Limits = LIMITS,
    pace: Pace | None = None,
    clock: Callable[[], int] = boot_us,
) -> AsyncIterator[Spender]:
    """A spender that works as long as the block; leaving it gives everything back, so calls must have ended by then.

    Args:
        channel: to the ledger.
        file: the table of leases, in a folder that exists and is this process's own.
        limits: how much is asked for and kept.
        pace: how long things take.
        clock: microseconds that only go forward.
    """
    spender = Spender(channel, file, limits=limits, pace=pace, clock=clock)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(spender.run())
            try:
                yield spender
            finally:
                running.cancel()
    finally:
        await spender.close()
