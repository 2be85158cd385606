"""A spender reserves from its leases alone, charges what calls cost, and gives back what it does not use."""

from __future__ import annotations

import pytest
from ledger_bench import CALLS, LIMITS, SECOND, TEAM, USD, Bench, view

from routing_core.ledger.holder import GrantAsk
from routing_core.ledger.messages import AnswerState, Ask, Granted, Reason
from routing_core.ledger.meters import Want


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
    bench.holder.lost(bench.holder.ask("op9", [Want(USD, 0)], 0))
    assert bench.reserve(0) is None, "a meter known, without a lease"
    bench.lease(20, usable_for_us=5)
    bench.lease(10)
    for now_us in (0, 7):
        held = bench.hold(0, now_us=now_us)
        assert held.parts[0][0].granted == (20 if now_us == 0 else 10)
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


def test_what_calls_under_way_hold_is_told_by_unit(bench: Bench) -> None:
    bench.lease(100)
    bench.lease(9, CALLS)
    bench.holder.dispatch(bench.hold(30, Want(CALLS, 1)))
    bench.hold(20)
    assert (bench.holder.reserved("usd"), bench.holder.reserved("calls")) == (50, 1)


def test_a_lease_that_does_not_add_up_is_found(bench: Bench) -> None:
    bench.lease(100)
    bench.hold(30).parts[0][0].free += 1
    assert bench.holder.faults() == ["op1/0: granted 100, settled, open, reserved, free are (0, 0, 30, 71)"]


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
    for wrong in ([1, 2], [], [-1]):
        with pytest.raises(ValueError, match="not the costs"):
            bench.holder.settle(held, wrong)
    bench.holder.settle(held, [1])
    assert bench.holder.faults() == []


def test_a_bound_is_never_negative(bench: Bench) -> None:
    bench.lease(100)
    with pytest.raises(ValueError, match="0 or more"):
        bench.reserve(100, Want(USD, -50))
    bench.hold(100)


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
    bench.holder.denied(bench.holder.ask("op11", [Want(TEAM, 5)], 0), None, "gone")
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
