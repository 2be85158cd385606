"""What a spender tells after a crash, after a later life, and to a database that forgot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_bench import LIMITS, SECOND, TEAM, USD, Bench, view
from ledger_world import MemoryTable

from routing_core.ledger.holder import Holder
from routing_core.ledger.messages import WHOLE, Granted, LeaseAnswer, LeaseReport
from routing_core.ledger.meters import Want
from routing_core.ledger.slots import Rows


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_ended_lease_is_remembered_for_a_database_that_forgets(bench: Bench) -> None:
    name = bench.lease(100)
    bench.spend(100, 100)
    bench.answer(now_us=SECOND)
    assert bench.holder.resync(2, []) == [LeaseReport(name, USD, 0, 100, 100, 0, 0, True)]
    bench.answer(now_us=2 * SECOND)
    assert bench.reports(61 * SECOND - 1) == {}
    assert len(bench.table.load()) == 1
    assert bench.reports(61 * SECOND) == {}
    assert bench.table.load() == []
    assert bench.holder.resync(3, []) == []


def test_an_orderly_end_leaves_nothing_behind(bench: Bench) -> None:
    bench.lease(100)
    bench.spend(60, 60)
    bench.holder.give_back()
    bench.answer()
    assert not bench.holder.empty()
    bench.holder.forget_ended()
    assert (bench.holder.empty(), bench.table.load()) == (True, [])


def test_a_life_that_ends_early_remembers_as_long() -> None:
    bench = Bench()
    bench.lease(100)
    bench.spend(100, 100)
    late = 10**15
    holder = Holder(bench.table, LIMITS)
    for report in holder.join("r1", 2, [], late):
        holder.answered(report, "closed", view())
    holder.reports(late + SECOND)
    assert len(bench.table.load()) == 1


def test_a_resync_tells_all_and_forfeits_what_nobody_remembers(bench: Bench) -> None:
    name = bench.lease(100)
    pending = bench.holder.ask("pending", [Want(TEAM, 5)], 0)
    bench.answer()
    known = [LeaseAnswer(lease_id, "active", view()) for lease_id in (name, "pending/0", "old/0")]
    told = bench.holder.resync(2, [*known, LeaseAnswer("gone/0", "active", None)])
    assert told == [
        LeaseReport("old/0", USD, 0, WHOLE, 0, 0, 0, True),
        LeaseReport(name, USD, 0, 100, 0, 0, 0, False),
    ]
    assert (bench.holder.epoch, bench.holder.fenced) == (2, False)
    bench.holder.granted(pending, [Granted("pending/0", 5, 0, view(TEAM))], 0)
    assert bench.holder.resync(1, [LeaseAnswer("x/0", "active", view())])[0].lease_id == "old/0"
    assert bench.holder.epoch == 2, "an earlier join, answered late"


def test_a_fenced_report_asks_for_a_new_join(bench: Bench) -> None:
    bench.lease(100)
    bench.answer("fenced")
    assert bench.holder.fenced
    assert len(bench.reports()) == 1


def test_a_full_table_forgets_ended_leases_and_refuses_more(bench: Bench) -> None:
    bench.table.room = 1
    bench.lease(100)
    bench.spend(100, 100)
    bench.answer(now_us=SECOND)
    second = bench.lease(50)
    bench.hold(50)
    third = bench.lease(30)
    assert bench.reserve(30) is None
    assert bench.reports() == {second: (50, 0, 0, 0, False), third: (0, 0, 0, 0, True)}


def test_after_a_crash_open_calls_are_charged_whole_and_the_rest_goes_back() -> None:
    bench = Bench()
    name = bench.lease(500)
    bench.spend(100, 40)
    bench.hold(70)
    bench.holder.dispatch(bench.hold(50))
    known = [LeaseAnswer(lease_id, "active", view()) for lease_id in (name, "never-written/0")]
    for epoch in (2, 3):  # and again, when that life ends before it was answered
        holder = Holder(bench.table, LIMITS)
        assert holder.join("r1", epoch, known, 0) == [
            LeaseReport("never-written/0", USD, 0, 0, 0, 0, 0, True),
            LeaseReport(name, USD, 0, 90, 90, 50, 0, True),
        ]
        assert (holder.replica_id, holder.epoch) == ("r1", epoch)
        assert holder.reserve([Want(USD, 1)], 0) is None
        assert holder.faults() == []


class Crash(Exception):
    """The process dies before a write."""


class CrashingTable(MemoryTable):
    left = 2**62

    def update(self, *args: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash
        super().update(*args)


STEPS = st.lists(st.tuples(st.sampled_from(["call", "unknown", "over", "free", "lease", "back"]), st.integers(1, 90)))


@given(STEPS, st.integers(0, 40))
def test_a_crash_at_any_write_charges_at_least_what_was_spent(steps: list[tuple[str, int]], writes: int) -> None:
    bench = Bench()
    table = bench.table = bench.holder._table = CrashingTable()
    bench.holder.rows = Rows(table)
    granted, paid, claims = 0, 0, {}
    table.left = writes
    try:
        for step, amount in [("lease", 50), ("lease", 70), *steps]:
            if step == "lease":
                claims[bench.lease(amount)] = amount
                granted += amount
            elif step == "back":
                bench.holder.give_back()
            elif (held := bench.reserve(amount)) is not None:
                bench.holder.dispatch(held)
                paid += 0 if step == "free" else amount // 2 if step == "call" else amount
                costs = [amount // 2 if step == "call" else amount + 5 * (step == "over")]
                if step == "free":
                    bench.holder.release(held)
                else:
                    bench.holder.settle(held, None if step == "unknown" else costs)
            assert bench.holder.faults() == []
            rows = {row.lease_id: (row.granted, row.settled, row.unknown, row.overrun) for row in table.load()}
            assert rows == {slot.lease_id: slot.report()[3:7] for slot in bench.holder._slots.values()}
    except Crash:
        pass
    table.left = 2**62
    known = [LeaseAnswer(lease_id, "active", view()) for lease_id in claims]
    reports = Holder(table, LIMITS).join("r1", 2, known, 0)
    assert {report.lease_id for report in reports} == set(claims)
    assert all(0 <= one.unknown <= one.settled == one.granted <= claims[one.lease_id] for one in reports)
    assert paid <= sum(report.settled for report in reports) <= granted


@given(STEPS, st.integers(0, 40), st.sets(st.integers(0, 40)))
def test_rows_written_together_charge_at_least_what_went_out(
    steps: list[tuple[str, int]], writes: int, turns: set[int]
) -> None:
    """Calls go out when their turn ends, after the rows were written: at once, or together with later ones."""
    bench = Bench()
    table = bench.table = bench.holder._table = CrashingTable()
    rows = bench.holder.rows = Rows(table)
    rows.together = True
    waiting, paid, claims = 0, 0, {}
    table.left = writes
    try:
        for number, (step, amount) in enumerate([("lease", 50), ("lease", 70), *steps]):
            if step == "lease":
                claims[bench.lease(amount)] = amount
            elif step == "back":
                bench.holder.give_back()
            elif (held := bench.reserve(amount)) is not None:
                bench.holder.dispatch(held)
                waiting += amount
                if step == "call" and number in turns:  # it ends in a later turn
                    rows.write()
                    paid, waiting = paid + waiting - amount + amount // 2, 0
                    bench.holder.settle(held, [amount // 2])
            if number in turns:
                rows.write()
                paid, waiting = paid + waiting, 0
        told = {report.lease_id: report for report in bench.holder.reports(0)}
        for row in table.load():
            report = told[row.lease_id]
            assert (row.granted, row.settled, row.unknown, row.overrun) == report[3:7]
    except Crash:
        pass
    table.left = 2**62
    reports = Holder(table, LIMITS).join("r1", 2, [LeaseAnswer(name, "active", view()) for name in claims], 0)
    assert paid <= sum(report.settled for report in reports)
