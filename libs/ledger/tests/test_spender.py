"""Spending over a real gRPC connection against the ledger's own code: what is held, charged, given back and refused."""

from __future__ import annotations

import asyncio
import copy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from memory_ledger import MemoryLedger

from conftest import PACE, Starts
from modelux_ledger.asking import UNAVAILABLE, Refusal
from modelux_ledger.spender import Spender
from modelux_ledger.table import LeaseTable, TableLocked
from routing_core.ledger.meters import Meter, Want
from routing_core.ledger.slots import FULL, Held

METER = Meter("bud", "run-1", "usd")
ORG = Meter("org", "", "usd")
SOFT = Meter("soft", "", "usd")


def want(amount: int, meter: Meter = METER) -> tuple[Want, ...]:
    return (Want(meter, amount),)


async def held(spender: Spender, amount: int, meter: Meter = METER) -> Held:
    found = await spender.obtain(want(amount, meter))
    assert isinstance(found, Held), found
    return found


async def spend(spender: Spender, amount: int, cost: int | None, meter: Meter = METER) -> None:
    call = await held(spender, amount, meter)
    spender.dispatch(call)
    spender.settle(call, None if cost is None else [cost])


async def refused(spender: Spender, amount: int) -> Refusal:
    found = await spender.obtain(want(amount))
    assert isinstance(found, Refusal), found
    return found


async def test_without_budgets_it_does_nothing(ledger: MemoryLedger, starts: Starts, tmp_path: Path) -> None:
    async with starts() as spender:
        assert spender.reserve(want(1)) is None
        assert spender.view(METER) is None
        for _ in range(20):
            await asyncio.sleep(0)
    assert ledger.calls == []
    assert not (tmp_path / "leases").exists()


async def test_what_was_spent_is_charged_and_the_rest_comes_back(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        wants = (Want(METER, 100), Want(ORG, 100))
        call = await spender.obtain(wants)
        assert isinstance(call, Held)
        assert spender.reserved() == 200
        spender.dispatch(call)
        spender.settle(call, [60, 60])
        await ledger.until(lambda: ledger.account(METER).settled == ledger.account(ORG).settled == 60)
        released = await held(spender, 40)
        spender.release(released)
        assert spender.reserved() == 0
    async with starts():  # an orderly end leaves nothing to be told
        pass
    assert ledger.calls.count("Join") == 1
    for meter in (METER, ORG):
        account = ledger.account(meter)
        assert (account.settled, account.leased, account.unknown, account.forfeited) == (60, 0, 0, 0)


async def test_calls_are_served_from_the_slice_without_asking(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        await spend(spender, 10, 10)
        before = len(ledger.asks)
        await spend(spender, 10, 5)  # asks for more than this call: the rate is known by now
        served = 0
        while (call := spender.reserve(want(10))) is not None:
            spender.release(call)
            served += 1
            if served == 50:
                break
        assert served == 50
        assert len(ledger.asks) <= before + 1


async def test_many_calls_that_wait_share_an_ask(ledger: MemoryLedger, starts: Starts) -> None:
    ledger.held["Grant"] = asyncio.Event()
    async with starts() as spender, asyncio.TaskGroup() as group:
        calls = [group.create_task(held(spender, 5)) for _ in range(100)]
        await ledger.until(lambda: ledger.asks)
        ledger.held["Grant"].set()
        for call in calls:
            spender.release(await call)
    assert len(ledger.asks) <= 2
    assert ledger.account(METER).settled == ledger.account(METER).leased == 0


async def test_asks_do_not_hurry_reports(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts(pace=replace(PACE, report_s=60.0)) as spender:
        for run in range(20):
            await held(spender, 5, METER._replace(value=f"run-{run}"))
        assert ledger.calls.count("Grant") == 20
        assert ledger.calls.count("Report") <= 1, "what was recovered is told right after joining, the rest in its time"


async def test_of_many_calls_that_wait_as_many_go_out_as_there_is_money(ledger: MemoryLedger, starts: Starts) -> None:
    ledger.held["Grant"] = asyncio.Event()
    async with starts() as spender, asyncio.TaskGroup() as group:
        waiting = [group.create_task(spender.obtain(want(90))) for _ in range(100)]
        await ledger.until(lambda: ledger.asks)
        ledger.held["Grant"].set()
        answers = [await each for each in waiting]
        calls = [each for each in answers if isinstance(each, Held)]
        refusals = [each for each in answers if isinstance(each, Refusal)]
        assert (len(calls), len(refusals)) == (11, 89)
        assert {(each.reason, each.needed) for each in refusals} == {("exceeded", 90)}
        assert len(ledger.asks) < 20
        assert spender.counts.denials == 89
        for call in calls:
            spender.dispatch(call)
            spender.settle(call, [90])
    assert ledger.account(METER).settled == 990


async def test_a_refusal_for_good_is_told_after_what_calls_have_cost(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts(pace=replace(PACE, report_s=60.0)) as spender:
        await spend(spender, 800, 800)
        told = await spender.refused(METER, 200, "req_1")
        assert (told.reason, told.needed) == ("exceeded", 200)
        told = await spender.refused(METER, 201, "req_2")
        assert told.account is not None
        assert (told.reason, told.account.settled) == ("run_aborted", 800)
        ledger.down = True
        assert (await spender.refused(METER, 201, "req_3")).reason == "budget_store_unavailable"


async def test_a_refusal_tells_how_the_account_stands(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        await spend(spender, 800, 800)
        refusal = await refused(spender, 300)
        assert (refusal.reason, refusal.needed) == ("exceeded", 300)
        account = refusal.account
        assert account is not None
        assert (account.meter, account.cap, account.settled + account.leased) == (METER, 1000, 800)
        view = spender.view(METER)
        assert view is not None
        assert (view.settled + view.leased, view.hard) == (800, True)
        assert (await refused_gone(spender)).reason == "gone"


async def refused_gone(spender: Spender) -> Refusal:
    found = await spender.obtain(want(1, Meter("deleted", "", "usd")))
    assert isinstance(found, Refusal)
    return found


async def test_an_account_that_only_alerts_refuses_nothing(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        await spend(spender, 500, 500, SOFT)
    assert ledger.account(SOFT).settled == 500


async def test_what_nobody_knows_is_charged_whole(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        await spend(spender, 70, None)
        assert spender.counts.unknown == 1
    account = ledger.account(METER)
    assert (account.settled, account.unknown, account.leased) == (70, 70, 0)


async def test_a_grant_whose_answer_is_lost_goes_back(ledger: MemoryLedger, starts: Starts) -> None:
    ledger.deaf.add("Grant")
    async with starts() as spender:
        refusal = await refused(spender, 100)
        assert refusal == Refusal(UNAVAILABLE)
        assert spender.counts.lost == 1
        assert len({ask.op_id for ask in ledger.asks}) == 1  # the repeat is the same ask
        await ledger.until(lambda: ledger.account(METER).leased == 0)
        ledger.deaf.clear()
        await until_there(spender)
        await spend(spender, 1000, 1000)
    assert ledger.account(METER).settled == 1000


async def until_there(spender: Spender, amount: int = 1) -> None:
    """Until the ledger answered again: a refusal until then comes at once."""
    async with asyncio.timeout(30):
        while not isinstance(call := await spender.obtain(want(amount)), Held):
            await asyncio.sleep(0.001)
    spender.release(call)


async def test_while_the_ledger_is_away_slices_go_on_and_asks_are_refused_at_once(
    ledger: MemoryLedger, starts: Starts
) -> None:
    async with starts() as spender:
        spender.release(await held(spender, 200))
        ledger.down = True
        assert (await refused(spender, 500)).reason == UNAVAILABLE
        asked = len(ledger.asks)
        for _ in range(50):
            assert (await refused(spender, 500)).reason == UNAVAILABLE
        assert len(ledger.asks) == asked
        await spend(spender, 50, 50)  # of the slice
        ledger.down = False
        await until_there(spender, 300)
        await spend(spender, 300, 300)
    account = ledger.account(METER)
    assert (account.settled, account.leased, account.unknown) == (350, 0, 0)


async def test_while_the_ledger_is_away_calls_go_on_without_accounts_that_only_alert(
    ledger: MemoryLedger, starts: Starts
) -> None:
    wants = (Want(METER, 10), Want(SOFT, 10))
    ledger.down = True
    async with starts() as spender:
        assert await spender.obtain(wants, {SOFT}) == Refusal(UNAVAILABLE)
        alone = await spender.obtain(wants[1:], {SOFT})
        assert isinstance(alone, Held)
        spender.dispatch(alone)
        spender.settle(alone, [])
        ledger.down = False
        await until_there(spender, 100)
        ledger.down = True
        both = await spender.obtain(wants, {SOFT})
        assert isinstance(both, Held)
        assert both.wants == [wants[0]]
        spender.dispatch(both)
        spender.settle(both, [10])
        ledger.down = False
    assert ledger.account(METER).settled == 10


async def test_a_negative_bound_is_refused(starts: Starts) -> None:
    async with starts() as spender:
        with pytest.raises(ValueError, match="a bound is 0 or more"):
            await spender.obtain(want(-1))


async def test_a_ledger_that_is_not_there_at_the_start_is_waited_for(ledger: MemoryLedger, starts: Starts) -> None:
    ledger.down = True
    async with starts() as spender:
        assert (await refused(spender, 1)).reason == UNAVAILABLE
        ledger.down = False
        await until_there(spender)
        await spend(spender, 10, 10)
    assert ledger.account(METER).settled == 10


async def test_a_ledger_that_hangs_is_not_waited_for_long(ledger: MemoryLedger, starts: Starts) -> None:
    ledger.held["Grant"] = asyncio.Event()
    async with starts(pace=replace(PACE, patience_s=0.05, grant_s=0.02)) as spender:
        assert (await refused(spender, 1)).reason == UNAVAILABLE
    ledger.held["Grant"].set()


async def test_a_call_that_is_cancelled_while_it_waits_holds_nothing(ledger: MemoryLedger, starts: Starts) -> None:
    ledger.held["Grant"] = asyncio.Event()
    async with starts() as spender, asyncio.TaskGroup() as group:
        waiting = [group.create_task(spender.obtain(want(100))) for _ in range(3)]
        await ledger.until(lambda: ledger.asks)
        waiting[0].cancel()
        ledger.held["Grant"].set()
        for call in [await each for each in waiting[1:]]:
            assert isinstance(call, Held)
            spender.release(call)
        assert spender.reserved() == 0
    assert ledger.account(METER).leased == ledger.account(METER).settled == 0


async def test_what_a_killed_process_left_is_charged_exactly(
    ledger: MemoryLedger, starts: Starts, tmp_path: Path
) -> None:
    async with starts() as spender:
        await spend(spender, 100, 30)
        under_way = await held(spender, 200)
        spender.dispatch(under_way)
        await held(spender, 50)  # never dispatched
        shutil.copy(tmp_path / "leases", tmp_path / "next")  # what the next process finds
        ledger.down = True  # nor could the first one report anything
        async with starts("next"):
            ledger.down = False
            await ledger.until(lambda: ledger.account(METER).leased == 0)
            account = ledger.account(METER)
            assert (account.settled, account.unknown, account.forfeited) == (230, 200, 0)
        ledger.down = True


async def test_after_another_boot_all_leases_are_left_to_be_forfeited(
    ledger: MemoryLedger, starts: Starts, tmp_path: Path
) -> None:
    LeaseTable(tmp_path / "leases", b"0123456789abcdef").close()
    async with starts() as first:
        await held(first, 100)
        content = bytearray((tmp_path / "leases").read_bytes())
        for header in (0, 512):
            content[header + 8] ^= 1  # of the boot id; its check fails as one of another boot would
        (tmp_path / "next").write_bytes(content)
        async with starts("next") as second:
            await spend(second, 10, 10)
            assert len(ledger.unit.replicas) == 2
            assert ledger.account(METER).leased >= 100


async def test_idle_slices_come_back_when_another_replica_is_short(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts("one") as one, starts("two") as two:
        one.release(await held(one, 600))
        await ledger.until(lambda: len(ledger.recalls) == 1)
        await spend(two, 500, 500)
        assert ledger.account(METER).settled + ledger.account(METER).leased <= 1000


async def test_a_later_life_elsewhere_makes_it_join_again(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        await spend(spender, 10, 10)
        (replica,) = ledger.unit.replicas.values()
        replica.epoch += 1
        await spend(spender, 400, 400)
        assert ledger.calls.count("Join") == 2
    account = ledger.account(METER)
    assert (account.settled, account.leased, account.forfeited) == (410, 0, 0)


async def test_a_database_set_back_to_an_older_state_is_told_again(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts(pace=replace(PACE, resync_s=0.0)) as spender:
        spender.release(await held(spender, 1))
        older = copy.deepcopy(ledger.unit)
        await spend(spender, 300, 300)
        await ledger.until(lambda: ledger.account(METER).settled == 300)
        ledger.unit = older
        await ledger.until(lambda: ledger.account(METER).settled == 300)
    assert ledger.account(METER).leased == 0


async def test_a_table_without_room_refuses(
    ledger: MemoryLedger, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeaseTable, "add", lambda *_: FULL)
    async with starts() as spender:
        assert (await refused(spender, 100)).reason == UNAVAILABLE
        assert len(ledger.asks) < 20
    assert ledger.account(METER).leased == 0


async def test_two_processes_cannot_spend_from_one_table(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        await spend(spender, 1, 1)
        with pytest.RaisesGroup(TableLocked, flatten_subgroups=True):
            async with starts():
                await asyncio.Event().wait()


async def test_a_call_that_ends_after_the_close_stays_charged_whole(ledger: MemoryLedger, starts: Starts) -> None:
    async with starts() as spender:
        call = await held(spender, 100)
        late = await held(spender, 100)
        spender.dispatch(call)
    spender.settle(call, [1])
    spender.release(late)
    with pytest.raises(ValueError, match="the spender is closed"):
        spender.dispatch(late)
    async with starts():
        await ledger.until(lambda: ledger.account(METER).leased == 0)
    assert ledger.account(METER).settled == 100
