"""Accounts grant what fits, take reports in any order, and never free what was not proved unspent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.ledger.books import (
    Account,
    Lease,
    change_cap,
    forfeit,
    grant,
    refusal,
    reinstate,
    report,
    sound,
    thresholds,
    usable_for,
)
from routing_core.ledger.messages import WHOLE, LeaseReport, Reason
from routing_core.ledger.meters import AccountView, Meter

METER = Meter("bud_1", "", "usd")


def account(cap: int = 1_000, settled: int = 0, leased: int = 0, **more: object) -> Account:
    return Account(METER, 0, 0, cap, settled=settled, leased=leased, **more)  # type: ignore[arg-type]


def leased(amount: int = 100, **more: int) -> tuple[Account, Lease]:
    return account(leased=amount), Lease("op/0", METER, 0, "r1", 1, amount, **more)


def told(granted: int = 100, settled: int = 0, unknown: int = 0, overrun: int = 0, closed: bool = False) -> LeaseReport:
    return LeaseReport("op/0", METER, 0, granted, settled, unknown, overrun, closed)


@pytest.mark.parametrize(
    ("row", "need", "want", "replicas", "amount"),
    [
        pytest.param(account(), 10, 100, 1, 100, id="all that is wanted"),
        pytest.param(account(), 10, 900, 1, 250, id="a fourth of what remains"),
        pytest.param(account(), 10, 900, 5, 50, id="a fair part among replicas"),
        pytest.param(account(), 10, 900, 0, 250, id="nobody else was heard of"),
        pytest.param(account(), 300, 900, 1, 300, id="the need, where the fair part is less"),
        pytest.param(account(), 300, 0, 1, 300, id="never below the need"),
        pytest.param(account(settled=900), 100, 900, 4, 100, id="exactly what remains"),
        pytest.param(account(settled=900), 101, 101, 1, None, id="one too many"),
        pytest.param(account(settled=500, leased=500), 1, 1, 1, None, id="nothing remains"),
        pytest.param(account(cap=0), 1, 1, 1, None, id="a cap of nothing"),
        pytest.param(account(settled=1_200, overrun=200), 1, 1, 1, None, id="overrun takes room"),
        pytest.param(account(settled=5_000, hard=False), 10, 900, 4, 900, id="an alert only never denies"),
    ],
)
def test_a_grant_gives(row: Account, need: int, want: int, replicas: int, amount: int | None) -> None:
    before = row.leased
    assert grant(row, need, want, replicas) == amount
    assert row.leased - before == (amount or 0)
    assert sound(row)


def test_a_need_below_one_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="need is 0"):
        grant(account(), 0, 10, 1)


@pytest.mark.parametrize(
    ("row", "now_us", "reason"),
    [
        pytest.param(account(), 5, None, id="it fits"),
        pytest.param(account(settled=991), 5, "exceeded", id="the cap"),
        pytest.param(account(aborted=True), 5, "run_aborted", id="an aborted run"),
        pytest.param(account(started_us=1, max_duration_us=5), 5, None, id="a run within its time"),
        pytest.param(account(started_us=1, max_duration_us=5), 6, "too_long", id="a run past its time"),
        pytest.param(
            account(settled=2_000, aborted=True, max_duration_us=1, hard=False),
            5,
            None,
            id="an alert only refuses nothing",
        ),
    ],
)
def test_a_refusal_says_why(row: Account, now_us: int, reason: Reason | None) -> None:
    assert refusal(row, 10, now_us) == reason


@pytest.mark.parametrize(
    ("end", "started", "duration", "hard", "usable"),
    [
        pytest.param(0, 0, 0, True, 0, id="without end"),
        pytest.param(100, 0, 0, True, 60, id="to the end of the window"),
        pytest.param(100, 10, 50, True, 20, id="to the end of the run"),
        pytest.param(50, 10, 500, True, 10, id="to what ends first"),
        pytest.param(0, 10, 50, False, 0, id="an alert only ends no run"),
        pytest.param(30, 0, 0, True, 1, id="over, which is not without end"),
    ],
)
def test_a_lease_may_be_spent(end: int, started: int, duration: int, hard: bool, usable: int) -> None:
    row = Account(METER, 0, end, 1, hard, started_us=started, max_duration_us=duration)
    assert usable_for(row, 40) == usable


def test_a_report_settles_and_gives_back() -> None:
    row, lease = leased()
    report(row, lease, told(granted=80, settled=30, unknown=10))
    assert (row.settled, row.leased, row.unknown) == (30, 50, 10)
    assert (lease.granted, lease.settled, lease.unknown, lease.state) == (80, 30, 10, "active")
    report(row, lease, told(granted=30, settled=30, unknown=10, closed=True))
    assert (row.settled, row.leased, lease.state) == (30, 0, "closed")


def test_closing_with_a_claim_forfeits_it() -> None:
    row, lease = leased()
    report(row, lease, told(granted=WHOLE, settled=30, closed=True))
    assert (row.settled, row.leased, row.forfeited, lease.state) == (100, 0, 70, "forfeited")
    assert forfeit(row, lease) == 0


@pytest.mark.parametrize("end", ["closed", "forfeited"])
def test_a_lease_that_ended_takes_overruns_alone(end: str) -> None:
    row, lease = leased()
    if end == "closed":
        report(row, lease, told(granted=0, closed=True))
    else:
        forfeit(row, lease)
    before = row.settled
    report(row, lease, told(settled=60, unknown=60, overrun=7))
    report(row, lease, told(settled=60, unknown=60, overrun=7))
    assert (row.settled, row.leased, row.unknown, row.overrun) == (before + 7, 0, 0, 7)
    assert lease.state == end


def test_a_call_beyond_its_bound_is_charged_beyond_the_cap() -> None:
    row = account(cap=100, leased=100)
    lease = Lease("op/0", METER, 0, "r1", 1, 100)
    report(row, lease, told(granted=100, settled=100, overrun=40))
    assert (row.settled, row.overrun, row.cap_cut) == (140, 40, 0)
    assert sound(row)
    assert grant(row, 1, 1, 1) is None


def test_a_lost_lease_is_put_back_even_beyond_the_cap() -> None:
    row = account(cap=1_000, settled=950)
    lease = reinstate(row, "r1", 3, told(granted=80, settled=60))
    assert (row.leased, row.cap_cut, lease.granted, lease.settled) == (80, 30, 80, 0)
    report(row, lease, told(granted=60, settled=60, closed=True))
    assert (row.settled, row.leased) == (1_010, 0)
    assert sound(row)


def test_a_lease_granted_smaller_the_second_time_is_charged_what_was_spent() -> None:
    row = account(cap=100, leased=50)
    lease = Lease("op/0", METER, 0, "r1", 1, 50)
    report(row, lease, told(granted=120, settled=110))
    assert (row.settled, row.leased, row.cap_cut, lease.granted) == (110, 0, 10, 110)
    assert sound(row)


def test_a_cap_is_lowered_and_raised_at_once() -> None:
    row = account(settled=600, leased=200, overrun=50)
    change_cap(row, 500, True)
    assert (row.cap, row.cap_cut) == (500, 250)
    assert sound(row)
    assert grant(row, 1, 1, 1) is None
    change_cap(row, 2_000, True)
    assert (row.cap_cut, grant(row, 1_200, 1_200, 1)) == (0, 1_200)
    change_cap(row, 1_000, False)
    assert row.cap_cut == 0
    change_cap(row, 1_000, True)
    assert (row.cap_cut, sound(row)) == (950, True)


def test_each_threshold_is_told_once() -> None:
    ppms = [950_000, 500_000, 800_000]
    row = account(settled=499)
    assert thresholds(row, ppms) == []
    row.settled = 800
    assert thresholds(row, ppms) == [500_000, 800_000]
    assert thresholds(row, ppms) == []
    row.settled = 2_000
    assert thresholds(row, ppms) == [950_000]
    assert thresholds(account(cap=0), ppms) == []
    assert thresholds(account(cap=0, settled=1, hard=False), ppms) == [500_000, 800_000, 950_000]


def test_an_account_that_does_not_add_up_is_found() -> None:
    assert not sound(account(settled=-1))
    assert not sound(account(settled=600, leased=401))
    assert sound(account(settled=600, leased=401, hard=False))
    assert sound(account(settled=600, leased=401, cap_cut=1))


def test_a_view_tells_how_it_stands() -> None:
    assert account(settled=5, leased=7).view() == AccountView(METER, 0, 0, 1_000, 5, 7, True)


@st.composite
def lives(draw: st.DrawFn) -> tuple[int, list[LeaseReport]]:
    """A lease, and the reports of its life in order: totals only grow, and the claim only shrinks."""
    granted = draw(st.integers(1, 100))
    amount, settled, unknown, overrun, reports = granted, 0, 0, 0, []
    for _ in range(draw(st.integers(1, 6))):
        spent = draw(st.integers(0, amount - settled))
        settled += spent
        unknown += draw(st.integers(0, spent))
        overrun += draw(st.integers(0, 5))
        amount -= draw(st.integers(0, amount - settled))
        reports.append(told(amount, settled, unknown, overrun))
    if draw(st.booleans()):
        reports.append(told(settled, settled, unknown, overrun, closed=True))
    return granted, reports


@given(lives(), st.data())
def test_repeated_and_reordered_reports_end_like_those_in_order(
    life: tuple[int, list[LeaseReport]], data: st.DataObject
) -> None:
    amount, reports = life
    row, lease = leased(amount)
    for one in reports:
        report(row, lease, one)
    shaken, other = leased(amount)
    repeats = data.draw(st.lists(st.sampled_from(reports)))
    for one in data.draw(st.permutations([*reports, *repeats])):
        report(shaken, other, one)
        assert sound(shaken)
        assert 0 <= other.unknown <= other.settled <= other.granted
        assert shaken.leased == (other.granted - other.settled if other.state == "active" else 0)
    assert _same(shaken, row)
    assert _same(other, lease)


def _same(one: Account | Lease, other: Account | Lease) -> bool:
    names = type(one).__slots__
    return all(getattr(one, name) == getattr(other, name) for name in names)


@given(st.lists(st.tuples(st.sampled_from(["grant", "spend", "close", "forfeit", "cap"]), st.integers(1, 600))))
def test_no_order_of_steps_breaks_an_account(steps: list[tuple[str, int]]) -> None:
    row = account()
    leases: list[Lease] = []
    for step, amount in steps:
        lease = leases[amount % len(leases)] if leases else None
        if step == "grant":
            got = grant(row, amount, 2 * amount, 2)
            if got is not None:
                leases.append(Lease(f"op{len(leases)}/0", METER, 0, "r1", 1, got))
        elif step == "cap":
            change_cap(row, amount, True)
        elif lease is not None and step == "forfeit":
            forfeit(row, lease)
        elif lease is not None:
            settled = min(lease.settled + amount, lease.granted)
            report(row, lease, told(settled if step == "close" else lease.granted, settled, closed=step == "close"))
        assert sound(row)
        assert row.leased == sum(one.granted - one.settled for one in leases if one.state == "active")
        assert row.forfeited == sum(one.granted - one.settled for one in leases if one.state == "forfeited")
        assert row.settled - row.forfeited == sum(one.settled for one in leases)
