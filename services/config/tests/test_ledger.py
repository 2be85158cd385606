"""The ledger over a real PostgreSQL: caps hold under concurrency, repeats do no harm, nothing is lost."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from config_harness import Installation, Tenant
from ledger_harness import Spender, budget, join, run_guard, spend

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux_config import ledger_upkeep
from modelux_config.ledger import Ledger
from routing_core.ledger.messages import Ask, Denied, Granted
from routing_core.ledger.meters import Meter


async def test_a_grant_is_leased_and_a_report_settles_it(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme), await join(ledger)
    lease = await spender.take(meter, 300)
    assert (lease.amount, lease.account.cap, lease.account.leased, lease.usable_for_us) == (300, 1_000, 300, 0)
    assert await spender.tell(lease, 120, claim=200, closed=False, unknown=20) == "active"
    account = (await spend(acme, meter))["usd"]
    assert (account.settled, account.leased, account.unknown, account.remaining) == (120, 80, 20, 800)
    assert await spender.tell(lease, 150, unknown=20) == "closed"
    assert await spender.tell(lease, 120, claim=200, closed=False) == "closed", "an older report"
    account = (await spend(acme, meter))["usd"]
    assert (account.settled, account.leased, account.unknown, account.remaining) == (150, 0, 20, 850)


async def test_all_is_granted_or_nothing(ledger: Ledger, acme: Tenant) -> None:
    wide, narrow, spender = await budget(acme, 1_000), await budget(acme, 10), await join(ledger)
    answer = await spender.grant(Ask(wide, 100, 100), Ask(narrow, 11, 11))
    assert isinstance(answer, Denied)
    assert (answer.reason, answer.needed, answer.account and answer.account.meter) == ("exceeded", 11, narrow)
    assert (await spend(acme, wide))["usd"].leased == 0


async def test_a_repeated_ask_gets_the_same_lease(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme), await join(ledger)
    answers = await asyncio.gather(*[spender.grant(Ask(meter, 100, 100), op_id="ask") for _ in range(10)])
    assert {answer[0].lease_id for answer in answers if not isinstance(answer, Denied)} == {"ask/0"}
    assert (await spend(acme, meter))["usd"].leased == 100


async def test_fifty_asks_at_once_never_pass_the_cap(ledger: Ledger, other: Ledger, acme: Tenant) -> None:
    meter = await budget(acme, 1_000)
    spenders = [await join(each) for each in (ledger, other, ledger, other)]
    # The account does not exist before: the asks make it.
    answers = await asyncio.gather(*[spenders[n % 4].grant(Ask(meter, 30, 30)) for n in range(50)])
    granted = [answer[0].amount for answer in answers if not isinstance(answer, Denied)]
    assert granted == [30] * 33
    account = (await spend(acme, meter))["usd"]
    assert (account.leased, account.remaining, account.exceeded) == (990, 10, False)


async def test_slices_of_many_meters_asked_in_any_order_do_not_block_each_other(ledger: Ledger, acme: Tenant) -> None:
    run = await run_guard(acme, cap=10**6)
    team = await budget(acme, 10**6)
    spenders = [await join(ledger) for _ in range(3)]
    meters = [run._replace(value=f"run_{n}") for n in range(8)] + [team]

    async def ask(n: int) -> tuple[Granted, ...] | Denied:
        order = [meters[(n * step) % 9] for step in range(1, 4)] if n % 9 and n % 3 else [team, meters[n % 8]]
        return await spenders[n % 3].grant(*[Ask(meter, 10, 10) for meter in dict.fromkeys(order)])

    answers = await asyncio.gather(*[ask(n) for n in range(60)])
    assert not [answer for answer in answers if isinstance(answer, Denied)]


async def test_idle_slices_are_called_back_for_whoever_is_short(ledger: Ledger, other: Ledger, acme: Tenant) -> None:
    meter = await budget(acme, 100)
    idle, short = await join(ledger), await join(other)
    lease = await idle.take(meter, 80)

    async def give_back() -> None:
        async for meters in ledger.recalls.subscribe(idle.replica_id):
            assert meters == [meter]
            await idle.tell(lease, 5)
            return

    async with asyncio.TaskGroup() as group:
        group.create_task(give_back())
        await asyncio.sleep(0)
        assert (await short.take(meter, 90)).amount == 90


async def test_an_edited_budget_calls_its_slices_back(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await run_guard(acme, cap=1_000), await join(ledger)
    await spender.take(meter, 10)
    told = ledger.recalls.subscribe(spender.replica_id)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(anext(told))
        await asyncio.sleep(0)
        await acme("UpdateBudget", id=meter.budget_id, cap_nano=500)
    assert first.result() == [meter]
    await told.aclose()


async def test_a_lower_cap_holds_with_the_next_ask_and_a_higher_one_frees(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme, 1_000), await join(ledger)
    lease = await spender.take(meter, 600)
    await acme("UpdateBudget", id=meter.budget_id, cap_nano=500)
    assert (await spender.refused(meter, 1)).account.cap == 500  # type: ignore[union-attr]  # exceeded: it has one
    assert (await spend(acme, meter))["usd"].remaining == 0
    await spender.tell(lease, 400)
    await spender.take(meter, 100)
    await acme("UpdateBudget", id=meter.budget_id, cap_nano=2_000)
    await spender.take(meter, 1_500)


async def test_a_budget_that_is_gone_grants_nothing_and_still_settles(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme), await join(ledger)
    lease = await spender.take(meter, 100)
    await acme("UpdateBudget", id=meter.budget_id, disabled=True)
    assert (await spender.refused(meter, 1)).reason == "gone"
    await acme("DeleteBudget", id=meter.budget_id)
    assert (await spender.refused(meter, 1)).reason == "gone"
    assert (await spender.refused(Meter("bud_nobody", "", "usd"), 1)).reason == "gone"
    assert await spender.tell(lease, 60) == "closed"
    async with ledger.database.transaction() as tx:
        row = await tx.fetch_one("SELECT settled, leased FROM ledger.account WHERE budget_id = %s", (meter.budget_id,))
    assert row == {"settled": 60, "leased": 0}


async def test_an_older_life_is_fenced_off_and_a_new_one_hears_of_its_leases(ledger: Ledger, acme: Tenant) -> None:
    meter, old = await budget(acme), await join(ledger)
    lease = await old.take(meter, 100)
    joined = await ledger.join(old.replica_id)
    assert [answer.lease_id for answer in joined.leases] == [lease.lease_id]
    assert joined.epoch > old.epoch
    assert (await old.refused(meter, 1)).reason == "fenced"
    assert await old.tell(lease, 10) == "fenced"
    assert await Spender(ledger, old.replica_id, joined.epoch).tell(lease, 10) == "closed"


async def test_what_a_silent_replica_holds_is_charged_once(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme), await join(ledger)
    lease = await spender.take(meter, 100)
    await spender.tell(lease, 30, claim=100, closed=False)
    assert await ledger.reap(3_600_000_000) == 0
    async with ledger.database.transaction() as tx:
        await tx.execute("UPDATE ledger.replica SET heard_us = 1 WHERE replica_id = %s", (spender.replica_id,))
    assert sum(await asyncio.gather(ledger.reap(3_600_000_000), ledger.reap(3_600_000_000))) == 70
    account = (await spend(acme, meter))["usd"]
    assert (account.settled, account.leased, account.forfeited) == (100, 0, 70)
    assert await spender.tell(lease, 50) == "forfeited"


async def test_an_overrun_is_told_beside_what_was_settled(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme, 100), await join(ledger)
    await spender.tell(await spender.take(meter, 100), 100, overrun=7)
    account = (await spend(acme, meter))["usd"]
    assert (account.settled, account.overrun, account.remaining) == (100, 7, 0)
    assert (await spender.refused(meter, 1)).reason == "exceeded"


async def test_windows_have_accounts_of_their_own_and_the_history_stays(ledger: Ledger, acme: Tenant) -> None:
    meter = await budget(acme, 100, period="hour")
    spender = await join(ledger)
    lease = await spender.take(meter, 100)
    assert 0 < lease.usable_for_us <= 3_600_000_000
    await spender.tell(lease, 100)
    async with ledger.database.transaction() as tx:
        back = "window_start_us = window_start_us - 3600000000, window_end_us = window_end_us - 3600000000"
        await tx.execute(f"UPDATE ledger.account SET {back} WHERE budget_id = '{meter.budget_id}'")  # noqa: S608
    await spender.take(meter, 40)
    account = (await spend(acme, meter))["usd"]
    assert (account.leased, account.settled) == (40, 0)
    history = (await acme("ReconcileBudget", id=meter.budget_id)).accounts
    assert [(a.settled, a.leased) for a in history] == [(0, 40), (100, 0)]
    assert history[1].resets_at_us == history[0].window_start_us


async def test_the_values_that_spent_most_come_first(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await run_guard(acme, cap=1_000), await join(ledger)
    for name, amount in (("a", 10), ("b", 300), ("c", 20)):
        await spender.take(meter._replace(value=name), amount)
    page = await acme("GetBudgetSpend", id=meter.budget_id, page={"limit": 2})
    assert [a.value for a in page.accounts] == ["b", "c"]
    rest = await acme("GetBudgetSpend", id=meter.budget_id, page={"limit": 2, "cursor": page.next_cursor})
    assert ([a.value for a in rest.accounts], rest.next_cursor) == (["a"], "")
    assert [a.value for a in (await acme("ReconcileBudget", id=meter.budget_id, value="c")).accounts] == ["c"]


async def test_a_lease_that_the_database_lost_is_put_back(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme, 100), await join(ledger)
    lease = await spender.take(meter, 60)
    async with ledger.database.transaction() as tx:
        for table in ("account", "lease", "grant_op"):
            await tx.execute(f"TRUNCATE ledger.{table}")
    assert await spender.tell(lease, 10, claim=60, closed=False) == "active"
    account = (await spend(acme, meter))["usd"]
    assert (account.settled, account.leased) == (10, 50)


async def test_old_rows_are_forgotten_and_accounts_stay(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme, 100), await join(ledger)
    await spender.tell(await spender.take(meter, 10), 10)
    await spender.take(meter, 20)
    await spender.refused(meter, 90)
    await spender.refuse(meter, 90)
    counts = "SELECT (SELECT count(*) FROM ledger.lease WHERE replica_id = %(r)s) AS leases,"
    counts += " (SELECT count(*) FROM ledger.grant_op WHERE replica_id = %(r)s) AS ops,"
    counts += " (SELECT count(*) FROM ledger.denial WHERE replica_id = %(r)s) AS denials"
    hour_us = 3_600_000_000
    async with ledger.database.transaction() as tx:
        now = await tx.fetch_one("SELECT (extract(epoch FROM now()) * 1000000)::bigint AS us")
    assert now is not None
    left = []
    for later_us in (0, 2 * hour_us, 9 * 24 * hour_us):
        await ledger_upkeep.prune(ledger, int(str(now["us"])) + later_us)
        async with ledger.database.transaction() as tx:
            row = await tx.fetch_one(counts, {"r": spender.replica_id})
        assert row is not None
        left.append(tuple(row.values()))
    assert left == [(2, 3, 1), (2, 2, 1), (1, 0, 0)]
    assert (await spend(acme, meter))["usd"].settled == 10


async def test_the_wire_refuses_what_no_spender_sends(installation: Installation) -> None:
    method = installation.channel.unary_unary(
        "/modelux.ledger.v1.LedgerService/Grant",
        request_serializer=pb.GrantRequest.SerializeToString,
        response_deserializer=pb.GrantResponse.FromString,
    )
    want = pb.Want(meter=pb.Meter(budget_id="b", unit="usd"), need=1, want=1)
    for wants in ([], [want, want], [want] * 65, [pb.Want(meter=want.meter, need=0)]):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(pb.GrantRequest(replica_id="r", op_id="o", wants=wants))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    answer = await method(pb.GrantRequest(replica_id="r", op_id="o", wants=[want]))
    assert answer.denied.reason == "fenced"
