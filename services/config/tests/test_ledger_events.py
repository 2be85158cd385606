"""What happens to accounts is told once, with the commit; runs end at their limits."""

from __future__ import annotations

from typing import Any

import pytest
from config_harness import Tenant
from ledger_harness import budget, events, join, run_guard

from modelux.events.v1.budget_pb2 import BudgetAlert, BudgetExceeded, RunAborted
from modelux_config.ledger import Ledger
from modelux_store.database import Database

DOWNGRADE = {"cap": 100, "action": "downgrade", "downgrade_to": "gpt-4o-mini", "downgrade_at_ppm": 800_000}


async def test_shares_of_the_cap_are_told_once(ledger: Ledger, acme: Tenant, database: Database) -> None:
    meter = await budget(acme, 100, alert_percents={"values": [10, 50, 100]})
    spender = await join(ledger)
    for amount in (9, 1, 5, 45, 40):
        await spender.tell(await spender.take(meter, amount), amount)
    told = await events(database, meter, BudgetAlert)
    assert [(e.threshold_ppm, e.settled, e.cap) for e in told] == [
        (100_000, 10, 100),
        (500_000, 60, 100),
        (1_000_000, 100, 100),
    ]
    assert {e.organization_id for e in told} == {acme.organization_id}


async def test_a_refusal_is_told_once_and_remembered(ledger: Ledger, acme: Tenant, database: Database) -> None:
    meter, spender = await budget(acme, 100), await join(ledger)
    await spender.take(meter, 95)
    request_id = "req_" + "0" * 26
    await spender.refused(meter, 30)
    assert not await events(database, meter, BudgetExceeded), "something cheaper may fit"
    await spender.refuse(meter, 10, request_id)
    await spender.refuse(meter, 20)
    (event,) = await events(database, meter, BudgetExceeded)
    assert (event.needed, event.leased, event.action) == (10, 95, "block")
    (standing,) = (await acme("ExplainBudget", budget_id=meter.budget_id, needed_nano=6)).standings
    assert (standing.would_pass, standing.reason) == (False, "exceeded")
    assert [(d.needed, d.request_id) for d in standing.denials] == [(20, ""), (10, request_id)]
    assert (await acme("ExplainBudget", budget_id=meter.budget_id, needed_nano=5)).would_pass
    assert not await events(database, meter, RunAborted), "an organization is no run"


@pytest.mark.parametrize(
    ("terms", "unit", "first", "then", "limit"),
    [
        pytest.param({"cap": 100}, "usd", 90, 11, "cost", id="cost"),
        pytest.param({"max_calls": 2}, "calls", 2, 1, "calls", id="calls"),
        pytest.param(DOWNGRADE, "usd", 70, 31, "cost", id="nothing cheaper fits"),
    ],
)
async def test_a_run_ends_at_its_limit_for_good(
    ledger: Ledger,
    acme: Tenant,
    database: Database,
    terms: dict[str, Any],
    unit: str,
    first: int,
    then: int,
    limit: str,
) -> None:
    meter, spender = (await run_guard(acme, **terms))._replace(unit=unit), await join(ledger)
    await spender.tell(await spender.take(meter, first), first)
    assert (await spender.refused(meter, then)).reason == "exceeded"
    assert (await spender.refuse(meter, then)).reason == "run_aborted"
    assert (await spender.refused(meter, 1)).reason == "run_aborted", "even where there is room again"
    assert (await spender.refuse(meter, then)).reason == "run_aborted"
    (event,) = await events(database, meter, RunAborted)
    assert (event.tag, event.value, event.limit) == ("run_id", "run_1", limit)
    await spender.take(meter._replace(value="run_2"), first)


async def test_a_run_goes_on_while_a_call_under_way_may_give_back_what_another_needs(
    ledger: Ledger, acme: Tenant, database: Database
) -> None:
    meter, spender = await run_guard(acme, **DOWNGRADE), await join(ledger)
    lease = await spender.take(meter, 90)
    assert (await spender.refuse(meter, 11)).reason == "exceeded"
    await spender.tell(lease, 20)
    await spender.take(meter, 80)
    assert not await events(database, meter, RunAborted)
    assert len(await events(database, meter, BudgetExceeded)) == 1


async def test_a_run_ends_when_its_time_is_over(ledger: Ledger, acme: Tenant, database: Database) -> None:
    meter = (await run_guard(acme, cap=10**9, max_duration_s=60))._replace(unit="calls")
    spender = await join(ledger)
    assert 0 < (await spender.take(meter, 1)).usable_for_us <= 60_000_000
    async with database.transaction() as tx:
        await tx.execute("UPDATE ledger.account SET started_us = started_us - 60000000 WHERE value = 'run_1'")
    assert (await spender.refused(meter, 1)).reason == "too_long"
    (event,) = await events(database, meter, RunAborted)
    assert (event.limit, event.cap) == ("duration", 60)


async def test_a_budget_that_alerts_refuses_nothing(ledger: Ledger, acme: Tenant, database: Database) -> None:
    meter, spender = await budget(acme, 100, action="alert"), await join(ledger)
    lease = await spender.take(meter, 5_000)
    assert not lease.account.hard
    await spender.tell(lease, 5_000)
    assert [e.threshold_ppm for e in await events(database, meter, BudgetAlert)] == [
        500_000,
        800_000,
        950_000,
        1_000_000,
    ]
