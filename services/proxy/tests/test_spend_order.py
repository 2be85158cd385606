"""The table of leases tells what calls hold before their bytes leave, and what they cost before anybody is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio

from modelux_ledger.spender import Spender
from modelux_ledger.table import LeaseTable
from modelux_providers.outbox import Outbox
from routing_core.ledger.holder import Holder
from routing_core.ledger.messages import Granted
from routing_core.ledger.meters import AccountView, Meter, Want

METER = Meter("bud", "", "usd")


class Wire:
    """A connection that notes what the table says when its bytes leave."""

    def __init__(self, table: LeaseTable) -> None:
        self.table = table
        self.seen: list[tuple[int, int]] = []

    def flush(self) -> None:
        self.seen += [(row.open, row.settled) for row in self.table.load()]


async def test_the_table_is_written_once_per_turn_and_before_the_bytes(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    calls, answers = Outbox(loop), Outbox(loop)
    table = LeaseTable(tmp_path / "leases", b"0123456789abcdef")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/none") as channel:
        spender = Spender(channel, tmp_path / "unused")
        spender.write_together(calls, answers)
        holder = spender._holder = Holder(table)
        spender.write_together()
        ask = holder.ask("op", [Want(METER, 100)], 0)
        view = AccountView(METER, 0, 0, 1000, 0, 100, True)
        holder.granted(ask, [Granted("op/0", 100, 0, view)], 0)
        out, back = Wire(table), Wire(table)
        first, second = (holder.reserve([Want(METER, 30)], 0) for _ in range(2))
        assert first is not None
        assert second is not None
        for held in (first, second):
            spender.dispatch(held)
        calls.add(out)
        assert [(row.open, row.settled) for row in table.load()] == [(0, 0)], "written before the end of the turn"
        await asyncio.sleep(0)
        assert out.seen == [(60, 0)]
        spender.settle(first, [20])
        answers.add(back)
        await asyncio.sleep(0)
        assert back.seen == [(30, 20)]
        spender.settle(second, None)
        assert [(row.open, row.settled) for row in table.load()] == [(30, 20)]
        assert [report.settled for report in holder.reports(0)] == [50]
        assert [(row.open, row.settled) for row in table.load()] == [(0, 50)], "told before it was written"
    table.close()
