"""A holder with a table and the ledger's answers at hand."""

from __future__ import annotations

from ledger_world import MemoryTable

from routing_core.ledger.holder import Holder, Limits
from routing_core.ledger.messages import AnswerState, Granted
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.ledger.slots import Held

USD = Meter("bud_1", "", "usd")
CALLS = Meter("bud_1", "", "calls")
TEAM = Meter("bud_2", "team-a", "usd")
SECOND = 1_000_000
LIMITS = Limits(slice_us=5 * SECOND, idle_us=5 * SECOND, retain_us=60 * SECOND)


def view(meter: Meter = USD, settled: int = 0, leased: int = 0, start: int = 0) -> AccountView:
    return AccountView(meter, start, 0, 10_000, settled, leased, True)


class Bench:
    """A holder that joined, with the ledger's answers at hand."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.table = MemoryTable()
        self.holder = Holder(self.table, limits)
        self.holder.join("r1", 1, [], 0)
        self.asks = 0

    def lease(self, amount: int, meter: Meter = USD, now_us: int = 0, usable_for_us: int = 0, start: int = 0) -> str:
        self.asks += 1
        ask = self.holder.ask(f"op{self.asks}", [Want(meter, 2**50)], now_us)
        name = f"op{self.asks}/0"
        granted = Granted(name, amount, usable_for_us, view(meter, leased=amount, start=start))
        assert self.holder.granted(ask, [granted], now_us)
        return name

    def reserve(self, amount: int, *more: Want, now_us: int = 0) -> Held | None:
        return self.holder.reserve((Want(USD, amount), *more), now_us)

    def hold(self, amount: int, *more: Want, now_us: int = 0) -> Held:
        held = self.reserve(amount, *more, now_us=now_us)
        assert held is not None
        return held

    def spend(self, amount: int, cost: int | None) -> None:
        held = self.hold(amount)
        self.holder.dispatch(held)
        self.holder.settle(held, None if cost is None else [cost])

    def reports(self, now_us: int = 0) -> dict[str, tuple[int, int, int, int, bool]]:
        assert self.holder.faults() == []
        return {one.lease_id: tuple(one[3:]) for one in self.holder.reports(now_us)}  # type: ignore[misc]

    def answer(self, state: AnswerState = "active", now_us: int = 0) -> None:
        for report in self.holder.reports(now_us):
            done: AnswerState = "closed" if report.closed and state == "active" else state
            self.holder.answered(report, done, view(report.meter))
