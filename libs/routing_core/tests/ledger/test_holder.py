"""A spender reserves from its leases alone, gives back what it does not use, and tells the truth after a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import MemoryTable

from routing_core.ledger.holder import GrantAsk, Holder, Limits
from routing_core.ledger.messages import WHOLE, AnswerState, Ask, Granted, LeaseAnswer, LeaseReport, Reason
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


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_call_is_reserved_on_every_meter_or_on_none(bench: Bench) -> None:
    bench.lease(100)
    assert bench.reserve(50, Want(CALLS, 1)) is None
    bench.lease(2, CALLS)
    assert bench.reserve(50, Want(CALLS, 3)) is None
    bench.hold(100, Want(CALLS, 2))
    assert bench.reserve(1) is None
    assert bench.holder.faults() == []


def test_a_call_without_budgets_is_held_by_nothing(bench: Bench) -> None:
    held = bench.holder.reserve((), 0)
    assert held is not None
    bench.holder.dispatch(held)
    bench.holder.settle(held, ())


def test_a_want_of_nothing_is_held(bench: Bench) -> None:
    assert bench.reserve(0) is None
    bench.lease(10, usable_for_us=5)
    bench.lease(10)
    for now_us in (0, 7):
        held = bench.hold(0, now_us=now_us)
        bench.holder.dispatch(held)
        bench.holder.settle(held, [0])
    assert bench.holder.faults() == []


@pytest.mark.parametrize(
    ("cost", "settled", "unknown", "overrun"),
    [
        pytest.param(40, 40, 0, 0, id="what it cost"),
        pytest.param(100, 100, 0, 0, id="all of it"),
        pytest.param(130, 100, 0, 30, id="more than was held"),
        pytest.param(None, 100, 100, 0, id="nobody knows what"),
    ],
)
def test_a_call_is_charged(bench: Bench, cost: int | None, settled: int, unknown: int, overrun: int) -> None:
    name = bench.lease(500)
    bench.spend(100, cost)
    assert bench.reports() == {name: (500, settled, unknown, overrun, False)}
    (row,) = bench.table.load()
    assert (row.settled, row.open, row.unknown, row.overrun) == (settled, 0, unknown, overrun)


def test_a_call_that_needs_several_leases_is_charged_to_them_in_turn(bench: Bench) -> None:
    names = [bench.lease(60), bench.lease(50), bench.lease(40)]
    held = bench.hold(140, now_us=3)
    bench.holder.dispatch(held)
    assert [row.open for row in bench.table.load()] == [60, 50, 30]
    bench.holder.settle(held, [90])
    assert bench.reports() == {
        name: (amount, settled, 0, 0, amount == settled)
        for name, amount, settled in zip(names, (60, 50, 40), (60, 30, 0), strict=True)
    }
    held = bench.hold(60)
    bench.holder.dispatch(held)
    bench.holder.settle(held, [75])
    assert sum(report[3] for report in bench.reports().values()) == 15


def test_what_did_not_go_out_is_released(bench: Bench) -> None:
    name = bench.lease(100)
    bench.holder.release(bench.hold(100))
    held = bench.hold(100)
    bench.holder.dispatch(held)
    bench.holder.release(held)
    assert bench.reports() == {name: (100, 0, 0, 0, False)}
    bench.hold(100)


def test_a_call_goes_out_once_and_ends_once(bench: Bench) -> None:
    bench.lease(100)
    held = bench.hold(10)
    with pytest.raises(ValueError, match="reserved"):
        bench.holder.settle(held, [1])
    bench.holder.dispatch(held)
    with pytest.raises(ValueError, match="dispatched"):
        bench.holder.dispatch(held)
    bench.holder.settle(held, [1])
    for again in (lambda: bench.holder.settle(held, [1]), lambda: bench.holder.release(held)):
        with pytest.raises(ValueError, match="ended"):
            again()


def test_costs_are_told_for_every_want(bench: Bench) -> None:
    bench.lease(100)
    held = bench.hold(10)
    bench.holder.dispatch(held)
    with pytest.raises(ValueError, match="zip"):
        bench.holder.settle(held, [1, 2])


def test_an_ask_is_for_what_is_missing_and_for_some_seconds(bench: Bench) -> None:
    wants = (Want(USD, 100), Want(TEAM, 70), Want(USD, 30))
    assert bench.holder.ask("a", wants, 0).asks == (Ask(USD, 130, 130), Ask(TEAM, 70, 70))
    bench.lease(1_000)
    for _ in range(10):
        bench.holder.release(bench.hold(90))
    assert bench.holder.ask("b", wants, SECOND // 2).asks == (Ask(TEAM, 70, 70),)
    bench.hold(950)
    assert bench.holder.ask("c", wants, 2 * SECOND).asks[0] == Ask(USD, 80, (900 + 950) // 2 * 5)
    assert bench.holder.ask("d", [Want(USD, 60)], 3 * SECOND).asks == (Ask(USD, 10, (900 + 950) // 4 * 5),)


def test_meters_that_run_dry_are_told_beforehand(bench: Bench) -> None:
    bench.lease(1_000)
    assert bench.holder.low(0) == []
    for _ in range(9):
        bench.hold(100)
    assert bench.holder.low(SECOND) == [USD]


def test_a_lease_is_not_spent_past_its_end_counted_from_the_sending(bench: Bench) -> None:
    name = bench.lease(100, now_us=1_000, usable_for_us=500)
    held = bench.hold(60, now_us=1_499)
    assert bench.reserve(1, now_us=1_500) is None
    assert bench.reports(1_499) == {name: (100, 0, 0, 0, False)}
    assert bench.reports(1_500) == {name: (60, 0, 0, 0, False)}
    bench.holder.dispatch(held)
    bench.holder.settle(held, [20])
    assert bench.reserve(1, now_us=1_501) is None
    assert bench.reports(1_501) == {name: (20, 20, 0, 0, True)}


def test_a_fresh_lease_takes_over_from_one_that_ended(bench: Bench) -> None:
    bench.lease(100, usable_for_us=10)
    late = bench.lease(50, now_us=20, start=10)
    assert [(slot.lease_id, part) for slot, part in bench.hold(30, now_us=20).parts] == [(late, 30)]
    assert bench.reserve(21, now_us=20) is None


def test_what_is_idle_goes_back_and_the_lease_ends(bench: Bench) -> None:
    name = bench.lease(100)
    bench.spend(50, 30)
    assert bench.reports(LIMITS.idle_us - 1) == {name: (100, 30, 0, 0, False)}
    assert bench.reports(LIMITS.idle_us) == {name: (30, 30, 0, 0, True)}
    assert bench.reserve(1) is None
    bench.answer(now_us=LIMITS.idle_us)
    assert bench.reports(LIMITS.idle_us) == {}


def test_a_lease_spent_to_the_end_is_closed(bench: Bench) -> None:
    name = bench.lease(100)
    bench.spend(100, 100)
    assert bench.reports() == {name: (100, 100, 0, 0, True)}


def test_a_recall_gives_back_what_no_call_holds(bench: Bench) -> None:
    name, team = bench.lease(100), bench.lease(40, TEAM)
    held = bench.hold(60)
    bench.holder.recall([USD, CALLS])
    assert bench.reports() == {name: (60, 0, 0, 0, False), team: (40, 0, 0, 0, False)}
    bench.holder.release(held)
    bench.hold(60)
    bench.holder.give_back()
    assert bench.reports()[team] == (0, 0, 0, 0, True)


def test_what_is_answered_is_not_told_again_until_it_changes(bench: Bench) -> None:
    name = bench.lease(100)
    early = bench.holder.reports(0)
    bench.answer()
    assert bench.reports() == {}
    bench.spend(10, 5)
    assert bench.reports() == {name: (100, 5, 0, 0, False)}
    bench.answer()
    bench.holder.answered(early[0], "active", None)
    assert bench.reports() == {name: (100, 5, 0, 0, False)}, "a late answer only costs a repeat"


@pytest.mark.parametrize("state", ["forfeited", "closed"])
def test_a_lease_that_the_ledger_ended_is_spent_no_more(bench: Bench, state: AnswerState) -> None:
    name = bench.lease(100)
    held = bench.hold(60)
    bench.answer(state)
    assert bench.reserve(1) is None
    bench.holder.dispatch(held)
    bench.holder.settle(held, [70])
    assert bench.reports() == {name: (100, 60, 0, 10, True)}, "the overrun is still to be told"
    bench.answer(state)
    assert bench.reports() == {}


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


def test_an_ask_given_up_is_closed_and_its_late_answer_is_ignored(bench: Bench) -> None:
    ask = bench.holder.ask("op9", [Want(USD, 50), Want(TEAM, 5)], 0)
    bench.holder.lost(ask)
    assert not bench.holder.granted(ask, [Granted("op9/0", 50, 0, view()), Granted("op9/1", 5, 0, view(TEAM))], 0)
    bench.holder.denied(ask, None, "exceeded")
    bench.holder.lost(ask)
    assert bench.reports() == {"op9/0": (0, 0, 0, 0, True), "op9/1": (0, 0, 0, 0, True)}
    bench.answer("closed")
    assert bench.reports() == {}


@pytest.mark.parametrize(
    ("reason", "given_up", "fenced"), [("exceeded", 0, False), ("closed", 1, False), ("fenced", 1, True)]
)
def test_a_denied_ask_takes_nothing(bench: Bench, reason: Reason, given_up: int, fenced: bool) -> None:
    ask = bench.holder.ask("op9", [Want(USD, 50)], 0)
    bench.holder.denied(ask, view(settled=9_999), reason)
    assert (len(bench.reports()), bench.holder.fenced) == (given_up, fenced)
    assert not bench.holder.granted(ask, [Granted("op9/0", 50, 0, view())], 0)


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


def test_the_view_leaves_out_what_lies_idle_here(bench: Bench) -> None:
    assert bench.holder.view(USD, 0) is None
    bench.lease(100, usable_for_us=50)
    bench.hold(30)
    told = bench.holder.view(USD, 0)
    assert told == view(leased=30)
    assert bench.holder.view(USD, 50) is None, "its window is over"
    bench.lease(10, now_us=60, start=55)
    assert bench.holder.view(USD, 60) == view(leased=0, start=55)
    for report in bench.holder.reports(60):
        bench.holder.answered(report, "active", view(settled=7, leased=40, start=report.window_start_us or 55))
    assert bench.holder.view(USD, 60) == view(settled=7, leased=30, start=55)


def test_a_denial_tells_how_the_account_stands(bench: Bench) -> None:
    ask = bench.holder.ask("op9", [Want(USD, 50)], 0)
    bench.holder.denied(ask, view(settled=9_990), "exceeded")
    assert bench.holder.view(USD, 5) == view(settled=9_990)
    stranger = GrantAsk("op10", ())
    bench.holder._asks["op10"] = stranger
    bench.holder.denied(stranger, view(TEAM), "exceeded")
    assert bench.holder.view(TEAM, 0) is None


def test_a_meter_out_of_use_is_forgotten(bench: Bench) -> None:
    bench.lease(10)
    bench.answer(now_us=LIMITS.idle_us)
    assert bench.holder.view(USD, LIMITS.idle_us) is not None
    bench.holder.reports(LIMITS.retain_us)
    assert bench.holder.view(USD, LIMITS.retain_us) is None


def test_a_lease_granted_after_its_meter_was_forgotten_is_taken(bench: Bench) -> None:
    ask = bench.holder.ask("op9", [Want(USD, 5)], 0)
    bench.holder.reports(LIMITS.retain_us)
    assert bench.holder.granted(ask, [Granted("op9/0", 5, 0, view())], LIMITS.retain_us)
    bench.hold(5)


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
    known = [LeaseAnswer(lease_id, "active", replace(view())) for lease_id in claims]
    reports = Holder(table, LIMITS).join("r1", 2, known, 0)
    assert {report.lease_id for report in reports} == set(claims)
    assert all(0 <= one.unknown <= one.settled == one.granted <= claims[one.lease_id] for one in reports)
    assert paid <= sum(report.settled for report in reports) <= granted
