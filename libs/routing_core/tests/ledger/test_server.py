"""The five operations: all or none, the same answer twice, older lives fenced off, lost leases put back."""

from __future__ import annotations

import pytest
from ledger_world import lease_names

from routing_core.ledger import server
from routing_core.ledger.books import Account, Lease
from routing_core.ledger.messages import WHOLE, Ask, Denied, Granted, LeaseReport, op_of
from routing_core.ledger.meters import Meter
from routing_core.ledger.server import Op, Replica, Unit

USD = Meter("bud_1", "", "usd")
CALLS = Meter("bud_1", "", "calls")
GONE = Meter("bud_9", "", "usd")
NOW = 1_000_000


@pytest.fixture
def unit() -> Unit:
    """One replica in its first life, a budget of 1,000 nano-dollars and 10 calls."""
    made = Unit(NOW, replicas={"r1": Replica("r1", 7, 0)})
    for account in (Account(USD, 0, NOW + 500, 1_000), Account(CALLS, 0, 0, 10)):
        made.current[account.meter] = made.accounts[account.meter, 0] = account
    return made


def ask(unit: Unit, *asks: Ask, op: str = "op1", epoch: int = 7, final: bool = True) -> tuple[Granted, ...] | Denied:
    return server.grant(unit, "r1", epoch, op, asks, final=final)


def told(lease_id: str = "op1/0", granted: int = 100, settled: int = 0, closed: bool = False) -> LeaseReport:
    return LeaseReport(lease_id, USD, 0, granted, settled, 0, 0, closed)


def test_all_parts_of_an_ask_are_granted(unit: Unit) -> None:
    granted = ask(unit, Ask(CALLS, 1, 2), Ask(USD, 100, 100))
    assert isinstance(granted, tuple)
    assert [(one.lease_id, one.amount, one.usable_for_us) for one in granted] == [("op1/0", 2, 0), ("op1/1", 100, 500)]
    assert lease_names("op1", 2) == [one.lease_id for one in granted]
    assert {type(row) for row in unit.dirty} == {Account, Lease, Op, Replica}
    assert unit.replicas["r1"].heard_us == NOW


def test_one_short_part_denies_all_and_is_told(unit: Unit) -> None:
    denied = ask(unit, Ask(CALLS, 1, 1), Ask(USD, 1_001, 1_001))
    view = unit.current[USD].view()
    assert denied == Denied("exceeded", 1_001, view)
    assert (unit.current[CALLS].leased, unit.current[USD].exceeded, unit.leases) == (0, False, {})


def test_a_refusal_is_told_once(unit: Unit) -> None:
    ask(unit, Ask(USD, 990, 990))
    told = [server.refuse(unit, "r1", 7, USD, 11, run=False) for _ in range(2)]
    assert [(one.reason, one.needed, one.first) for one in told] == [("exceeded", 11, True), ("exceeded", 11, False)]
    assert (unit.current[USD].exceeded, unit.current[USD].aborted) == (True, False)


@pytest.mark.parametrize(
    ("needed", "run", "hard", "ends"),
    [
        pytest.param(11, True, True, True, id="not even if all came back"),
        pytest.param(10, True, True, False, id="if what is reserved comes back"),
        pytest.param(11, False, True, False, id="no run"),
        pytest.param(11, True, False, False, id="only alerts"),
    ],
)
def test_a_refusal_ends_a_run_that_can_never_go_on(unit: Unit, needed: int, run: bool, hard: bool, ends: bool) -> None:
    account = unit.current[USD]
    account.settled, account.leased, account.hard = 990, 10, hard
    told = server.refuse(unit, "r1", 7, USD, needed, run=run)
    assert (told.reason, account.aborted) == (("run_aborted", True) if ends else ("exceeded", False))
    assert account in unit.dirty


def test_a_refusal_by_a_budget_that_is_gone_or_of_an_older_life_changes_nothing(unit: Unit) -> None:
    assert server.refuse(unit, "r1", 7, GONE, 5, run=True) == Denied("gone", 5)
    assert server.refuse(unit, "r1", 6, USD, 5_000, run=True) == Denied("fenced")
    assert not unit.current[USD].exceeded


def test_a_denial_that_is_not_final_leaves_no_trace(unit: Unit) -> None:
    assert isinstance(ask(unit, Ask(USD, 1_001, 1_001), final=False), Denied)
    assert (unit.ops, unit.current[USD].exceeded) == ({}, False)
    unit.current[USD].cap = 2_000
    assert isinstance(ask(unit, Ask(USD, 1_001, 1_001)), tuple)


def test_a_repeated_ask_gets_the_same_answer(unit: Unit) -> None:
    first = ask(unit, Ask(USD, 100, 100))
    unit.now_us += 200
    again = ask(unit, Ask(USD, 100, 100))
    assert isinstance(first, tuple)
    assert isinstance(again, tuple)
    assert [(one.lease_id, one.amount, one.usable_for_us) for one in again] == [("op1/0", 100, 300)]
    assert unit.current[USD].leased == 100
    ask(unit, Ask(USD, 950, 950), op="op2")
    unit.current[USD].cap = 5_000
    assert ask(unit, Ask(USD, 950, 950), op="op2") == Denied("exceeded", 950, unit.current[USD].view())


@pytest.mark.parametrize("what", ["closed", "pruned", "another's", "account"])
def test_a_repeated_ask_is_closed_once_its_leases_ended(unit: Unit, what: str) -> None:
    ask(unit, Ask(USD, 100, 100))
    if what == "closed":
        server.report(unit, "r1", 7, [told(granted=0, closed=True)])
    elif what == "pruned":
        unit.leases.clear()
    elif what == "account":
        unit.accounts.clear()
    else:
        unit.leases["op1/0"].replica_id = "r2"
    assert ask(unit, Ask(USD, 100, 100)) == Denied("closed")


def test_an_ask_given_up_before_it_came_is_refused_when_it_comes(unit: Unit) -> None:
    (answer,) = server.report(unit, "r1", 7, [told(granted=0, closed=True)])
    assert answer.state == "closed"
    assert ask(unit, Ask(USD, 100, 100)) == Denied("closed")
    assert unit.current[USD].leased == 0


def test_older_lives_and_unknown_replicas_are_fenced_off(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100))
    assert ask(unit, Ask(USD, 1, 1), op="op2", epoch=6) == Denied("fenced")
    assert server.grant(unit, "r2", 1, "op3", [Ask(USD, 1, 1)]) == Denied("fenced")
    (answer,) = server.report(unit, "r1", 6, [told(granted=0, closed=True)])
    assert (answer.state, answer.account, unit.current[USD].leased) == ("fenced", None, 100)


def test_a_budget_that_is_gone_denies(unit: Unit) -> None:
    assert ask(unit, Ask(GONE, 5, 5)) == Denied("gone", 5)
    assert ask(unit, Ask(GONE, 5, 5)) == Denied("gone", 5)


def test_a_run_past_its_time_stays_aborted(unit: Unit) -> None:
    unit.current[USD].max_duration_us = NOW
    denied = ask(unit, Ask(USD, 1, 1))
    assert isinstance(denied, Denied)
    assert denied.reason == "too_long"
    unit.current[USD].max_duration_us = 0
    denied = ask(unit, Ask(USD, 1, 1), op="op2")
    assert isinstance(denied, Denied)
    assert denied.reason == "run_aborted"


@pytest.mark.parametrize("asks", [(Ask(USD, 1, 1), Ask(USD, 1, 1)), (Ask(USD, 0, 1),)], ids=["twice", "nothing"])
def test_a_malformed_ask_is_a_bug_of_the_caller(unit: Unit, asks: tuple[Ask, ...]) -> None:
    with pytest.raises(ValueError, match="each meter once"):
        ask(unit, *asks)


def test_a_join_names_the_leases_and_begins_a_later_life(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100))
    ask(unit, Ask(USD, 10, 10), op="op2")
    server.report(unit, "r1", 7, [told("op2/0", granted=0, closed=True)])
    joined = server.join(unit, "r1")
    assert joined.epoch == NOW
    assert [(one.lease_id, one.state) for one in joined.leases] == [("op1/0", "active")]
    assert server.join(unit, "r1").epoch == NOW + 1
    assert server.join(unit, "r2").leases == ()


def test_a_lease_that_the_database_lost_is_put_back(unit: Unit) -> None:
    (answer,) = server.report(unit, "r1", 7, [told("op5/0", granted=80, settled=30)])
    assert answer.state == "active"
    assert (unit.current[USD].settled, unit.current[USD].leased) == (30, 50)
    assert ask(unit, Ask(USD, 1, 1), op="op5") == Denied("closed"), "a late repeat of its ask"
    server.report(unit, "r1", 7, [told("op5/1", granted=10, settled=10)])
    assert unit.current[USD].settled == 40


@pytest.mark.parametrize(
    ("report", "view"),
    [
        pytest.param(told("op5/0", granted=WHOLE, closed=True), True, id="a claim on what nobody knows"),
        pytest.param(LeaseReport("op5/0", GONE, 0, 9, 9, 0, 0, False), False, id="a budget that is gone"),
    ],
)
def test_a_report_of_nothing_known_is_closed(unit: Unit, report: LeaseReport, view: bool) -> None:
    (answer,) = server.report(unit, "r1", 7, [report])
    assert (answer.state, answer.account is not None) == ("closed", view)
    assert unit.leases == {}


def test_a_replica_reports_on_its_own_leases_alone(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100))
    server.join(unit, "r2")
    (answer,) = server.report(unit, "r2", NOW, [told(granted=0, closed=True)])
    assert (answer.state, unit.current[USD].leased) == ("forfeited", 100)


def test_a_late_report_goes_to_the_window_of_its_lease(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100))
    fresh = unit.current[USD] = unit.accounts[USD, NOW] = Account(USD, NOW, 2 * NOW, 1_000)
    server.report(unit, "r1", 7, [told(granted=60, settled=60, closed=True)])
    assert (fresh.settled, unit.accounts[USD, 0].settled) == (0, 60)


def test_the_reaper_charges_what_a_silent_replica_held(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100), Ask(CALLS, 2, 2))
    server.report(unit, "r1", 7, [told(settled=30)])
    unit.now_us += server.SILENT_US - 1
    assert server.reap(unit, "r1") == 0
    unit.now_us += 1
    assert server.reap(unit, "r1") == 72
    assert (unit.current[USD].settled, unit.current[USD].forfeited, unit.current[USD].leased) == (100, 70, 0)
    assert (server.reap(unit, "r1"), server.reap(unit, "nobody")) == (0, 0)
    (answer,) = server.report(unit, "r1", 7, [told(settled=40)])
    assert (answer.state, unit.current[USD].settled) == ("forfeited", 100)


def test_an_operator_forfeits_one_lease(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100))
    assert (server.forfeit(unit, "op1/0"), server.forfeit(unit, "op1/0"), server.forfeit(unit, "op2/0")) == (100, 0, 0)


def test_a_cap_is_changed_only_where_it_differs(unit: Unit) -> None:
    account = unit.current[USD]
    server.change_cap(unit, account, 1_000, True)
    assert unit.dirty == set()
    server.change_cap(unit, account, 500, True)
    assert (account.cap, unit.dirty) == (500, {account})


def test_the_accounts_of_reports_are_locked_in_order(unit: Unit) -> None:
    ask(unit, Ask(USD, 100, 100))
    reports = [
        LeaseReport("op1/0", GONE, 9, 100, 0, 0, 0, False),
        LeaseReport("op7/0", CALLS, 5, 1, 1, 0, 0, False),
        LeaseReport("op8/0", GONE, 0, 0, 0, 0, 0, True),
        LeaseReport("op9/0", GONE, 0, WHOLE, 0, 0, 0, True),
    ]
    assert server.report_accounts(unit.leases, reports) == [(CALLS, 5), (USD, 0)]
    assert [op_of(report.lease_id) for report in reports] == ["op1", "op7", "op8", "op9"]
