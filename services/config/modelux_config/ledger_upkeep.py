"""What the ledger does by itself: charge what silent replicas hold, and forget what nobody asks for any more."""

from __future__ import annotations

import asyncio
import logging
import time

from modelux_config.ledger import Ledger
from modelux_config.ledger_rows import Retry
from modelux_config.statements import sql
from modelux_store.database import AlreadyExists, Unavailable

log = logging.getLogger(__name__)

REAP_EVERY_S = 10.0
PRUNE_EVERY = 6
"""Rounds of the reaper."""
_HOUR_US = 3_600_000_000
_PRUNES = ("prune_ops", "prune_leases", "prune_denials", "prune_replicas")


async def run(ledger: Ledger, silent_us: int) -> None:
    """Until cancelled. Of several config services each does it; they do not get in each other's way."""
    rounds = 0
    while True:
        try:
            amount = await ledger.reap(silent_us)
            if amount:
                log.warning("charged %d that silent spenders held", amount)
            if rounds % PRUNE_EVERY == 0:
                await prune(ledger, time.time_ns() // 1000)
        except (Unavailable, Retry, AlreadyExists) as error:
            log.warning("the ledger's upkeep waits: %s", str(error) or type(error).__name__)
        rounds += 1
        await asyncio.sleep(REAP_EVERY_S)


async def prune(ledger: Ledger, now_us: int) -> None:
    """Forgets old asks, ended leases, denials and replicas; accounts stay for good."""
    ages = {"day_8_us": now_us - 8 * 24 * _HOUR_US, "hour_us": now_us - _HOUR_US}
    for name in _PRUNES:
        async with ledger.database.transaction() as tx:
            await tx.execute(sql("ledger", name), ages)
