"""One experiment replayed by several replicas: who takes what over, and that the results do not tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import ordered_simulator
import pytest
from replay_harness import Clock, Replay, fill, requests

from modelux.replay.v1 import replay_pb2 as pb
from modelux_bus.base import Bus, Message
from modelux_bus.consume import consume
from modelux_contracts.topics import EXPERIMENT_COMMANDS, EXPERIMENT_RESULTS, partitions
from modelux_ingest.experiments import ResultsWriter
from modelux_replay import sharing, window
from modelux_replay.called.sampling import window_of
from modelux_replay.consumer import Consumer
from modelux_replay.experiments import SILENT_US
from modelux_replay.pool import Done, packed
from modelux_replay.runs import Runs
from modelux_replay.units import Shared, Units
from modelux_replay.window import Slice
from modelux_store.outbox import relay

ROWS, UNITS = 2_000, 11  # ten, had none to end at a full hour
DONE = Done(5, (), b"summary", b"left")


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "SLICE_ROWS", ROWS // 10)


@dataclass
class Tap:
    """The bus as one replica sees it. Its results wait for `go_on`."""

    bus: Bus
    go_on: asyncio.Event
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    told: int = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        if messages and messages[0].topic == EXPERIMENT_RESULTS.name:
            self.waits.set()
            await self.go_on.wait()
            self.told += 1
        await self.bus.publish(messages)


def replica(runs: Runs, *, open_: bool = True) -> tuple[Runs, Tap]:
    """A replica of the service, which shares every run; its results wait unless they may go on."""
    tap = Tap(runs.bus, asyncio.Event())
    if open_:
        tap.go_on.set()
    one = replace(runs, bus=tap, alone_rows=0, simulating=asyncio.Lock(), beat_s=0.01)  # type: ignore[arg-type]  # as used
    return one, tap


@asynccontextmanager
async def around(runs: Runs) -> AsyncIterator[asyncio.TaskGroup]:
    """What a run needs beside it: somebody who writes its results."""
    await runs.bus.ensure(partitions())
    async with asyncio.TaskGroup() as tasks:
        handlers = {EXPERIMENT_RESULTS.name: ResultsWriter(runs.analytics).handle}
        writing = tasks.create_task(consume(runs.bus, "ingest", handlers, max_wait_s=0.05))
        yield tasks
        writing.cancel()


async def invited(runs: Runs) -> None:
    """Waits until there is something to take part in."""
    while await runs.units.waiting(runs.now_us()) is None:
        await asyncio.sleep(0.01)


async def helping(runs: Runs) -> None:
    """A replica that has nothing else to do."""
    while True:
        await sharing.help_out(runs, lambda: False)
        await asyncio.sleep(0.01)


async def outcome(acme: Replay, runs: Runs, identifier: str) -> tuple[bytes, list[dict[str, object]]]:
    """All that an experiment leaves."""
    found = await acme.get(identifier)
    assert (found.status, found.status_reason, found.rows_done) == ("completed", "", ROWS)
    query = (
        "SELECT toString(tuple(* EXCEPT (experiment_id, written_at))) AS whole FROM experiment_rows FINAL"
        " WHERE experiment_id = {id:String} ORDER BY row"
    )
    rows = await runs.analytics.rows(query, {"id": identifier})
    assert len(rows) == ROWS
    return found.summary_json, rows


async def alone(acme: Replay, runs: Runs) -> tuple[bytes, list[dict[str, object]]]:
    """What a run that is not shared leaves."""
    made = await acme.create()
    async with around(runs):
        await runs.run(made.id)
    return await outcome(acme, runs, made.id)


async def kept(runs: Runs) -> int:
    async with runs.experiments.database.transaction() as tx:
        rows = await tx.fetch_all("SELECT epoch FROM replay.shared_runs UNION ALL SELECT unit FROM replay.units")
    return len(rows)


@pytest.mark.parametrize("ordered", [False, True])
async def test_replicas_share_a_run_and_leave_what_one_alone_leaves(acme: Replay, runs: Runs, ordered: bool) -> None:
    if ordered:
        await acme.tenant("CreateBudget", name="all", scope="organization", cap_nano=1)
        runs = replace(runs, prepare=ordered_simulator.prepare)
    await fill(runs.analytics, requests(acme.tenant, ROWS))
    expected = await alone(acme, runs)
    made = await acme.create()
    (leader, first), (helper, second) = replica(runs, open_=False), replica(runs)
    async with around(runs) as tasks:
        other = tasks.create_task(helping(helper))
        leading = tasks.create_task(leader.run(made.id))
        await second.waits.wait()
        first.go_on.set()
        await leading
        other.cancel()
    assert min(first.told, second.told) >= 1
    assert first.told + second.told == UNITS * (2 if ordered else 1)
    assert await outcome(acme, runs, made.id) == expected
    assert await kept(runs) == 0


async def test_units_of_a_replica_that_died_are_taken_over(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, requests(acme.tenant, ROWS))
    expected = await alone(acme, runs)
    made = await acme.create()
    (leader, first), (helper, second) = replica(runs, open_=False), replica(runs, open_=False)
    async with around(runs) as tasks:
        dying = tasks.create_task(helping(helper))
        leading = tasks.create_task(leader.run(made.id))
        await asyncio.gather(first.waits.wait(), second.waits.wait())
        dying.cancel()
        await asyncio.wait([dying])  # else it may say that it lives by the later clock
        first.go_on.set()
        while first.told < UNITS - 2:
            await asyncio.sleep(0.01)
        assert not leading.done()
        clock.us += SILENT_US + 1
        await leading
    assert (second.told, first.told) == (0, UNITS)
    assert await outcome(acme, runs, made.id) == expected


async def test_a_run_whose_own_process_died_starts_anew_elsewhere(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, requests(acme.tenant, ROWS))
    expected = await alone(acme, runs)
    made = await acme.create()
    (leader, first), (helper, second) = replica(runs, open_=False), replica(runs)
    async with around(runs) as tasks:
        dying = tasks.create_task(leader.run(made.id))
        await asyncio.gather(first.waits.wait(), invited(runs))
        await sharing.help_out(helper, lambda: second.told > 2)
        assert second.told > 2
        dying.cancel()
        await asyncio.wait([dying])  # else it may say that it lives by the later clock
        clock.us += SILENT_US + 1
        await sharing.help_out(helper, lambda: False)
        assert second.told < UNITS, "nobody would sum up"
        assert await runs.experiments.waiting(clock()) == [made.id]
        await helper.run(made.id)
    assert (await runs.experiments.find(made.id)).epoch == 2  # type: ignore[union-attr]  # it is there
    assert await outcome(acme, runs, made.id) == expected


async def test_helpers_stop_with_a_cancelled_run(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, requests(acme.tenant, ROWS))
    made = await acme.create()
    (leader, first), (helper, second) = replica(runs, open_=False), replica(runs, open_=False)
    async with around(runs) as tasks:
        leading = tasks.create_task(leader.run(made.id))
        await asyncio.gather(first.waits.wait(), invited(runs))
        helps = tasks.create_task(sharing.help_out(helper, lambda: False))
        await second.waits.wait()
        await acme.ask(pb.CancelRequest(id=made.id), pb.CancelResponse)
        await asyncio.wait_for(asyncio.gather(leading, helps), 20)
    assert (first.told, second.told, await kept(runs)) == (0, 0, 0)
    assert (await acme.get(made.id)).status == "cancelled"


async def test_a_simulation_that_breaks_elsewhere_is_told_by_whoever_runs_it(
    acme: Replay, runs: Runs, clock: Clock
) -> None:
    await fill(runs.analytics, requests(acme.tenant, ROWS))
    made = await acme.create({"model": "gpt-4o"})
    one = await runs.experiments.claim(made.id, clock())
    assert one is not None
    whole = window_of(one)
    parts = await window.read_slices(runs.analytics, whole)
    run = Shared(one.id, one.epoch, whole.share_ppm, 1.0, False)
    assert await runs.units.put(run, parts)
    await runs.units.invite(run, packed(await runs.plan(one, whole)))
    helper, tap = replica(runs)
    await runs.bus.ensure(partitions())
    await sharing.help_out(helper, lambda: False)
    assert (tap.told, await kept(runs), (await acme.get(made.id)).status) == (0, 1 + UNITS, "running")
    clock.us += SILENT_US + 1
    await helper.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, await kept(runs)) == ("failed", 0)
    assert "log of the replay service" in found.status_reason


async def test_wake_ups_go_to_several_partitions_and_count_once(acme: Replay, runs: Runs) -> None:
    made = await acme.create()
    one = await runs.experiments.find(made.id)
    assert one is not None
    await runs.bus.ensure(partitions())
    consumer = Consumer(runs)
    await runs.bus.publish(sharing.wake_up(one) * 2)
    async with runs.bus.subscribe("test", [EXPERIMENT_COMMANDS.name]) as member:
        deliveries = await member.fetch(100, 1.0)
    assert {each.partition.number for each in deliveries} > {deliveries[0].partition.number}
    await consumer.handle(deliveries)
    assert consumer.asked.qsize() == 1


async def test_commands_wake_replicas_and_doubles_change_nothing(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, ROWS))
    expected = await alone(acme, runs)
    replicas = [replica(runs), replica(runs)]
    async with around(runs) as tasks:
        working = [tasks.create_task(relay(runs.experiments.database, runs.bus, poll_s=0.01))]
        for one, _ in replicas:
            consumer = Consumer(one)
            handlers = {EXPERIMENT_COMMANDS.name: consumer.handle}
            working += [tasks.create_task(consume(runs.bus, "replay", handlers, max_wait_s=0.05))]
            working += [tasks.create_task(consumer.work())]
        made = await acme.create()
        claimed = await runs.experiments.find(made.id)
        assert claimed is not None
        for _ in range(3):
            await runs.bus.publish(sharing.wake_up(claimed))
        await acme.until(made.id, "completed", "failed")
        for task in working:
            task.cancel()
    assert sum(tap.told for _, tap in replicas) == UNITS
    assert await outcome(acme, runs, made.id) == expected


async def test_a_unit_belongs_to_whoever_claimed_it_last(acme: Replay, runs: Runs, clock: Clock) -> None:
    units, made = Units(runs.experiments.database), await acme.create()
    one = await runs.experiments.claim(made.id, clock())
    assert one is not None
    run = Shared(one.id, one.epoch, 500, 2.0, True)
    parts = [Slice(0, 10, 3), Slice(10, 30, 4)]
    assert await units.put(run, parts)
    assert (await units.shared(one), await units.waiting(clock())) == (None, None), "nobody is invited yet"
    await units.invite(run, b"plan")
    assert await units.shared(one) == (run, b"plan")
    assert await units.waiting(clock()) == one.id
    first = [await units.claim(run, "a", clock()) for _ in range(3)]
    assert [(each.unit, each.part, each.first_row) for each in first if each] == [(0, parts[0], 0), (1, parts[1], 3)]
    assert await units.waiting(clock()) is None
    clock.us += SILENT_US
    assert await units.alive(run, "a", clock())
    clock.us += SILENT_US
    assert await units.claim(run, "b", clock()) is None, "its owner lives"
    clock.us += 1
    again = await units.claim(run, "b", clock())
    assert again is not None
    assert await units.waiting(clock()) is None, "the run itself is silent"
    assert not await units.finish(run, "a", again.unit, DONE)
    assert await units.finished(run, again.unit) is None
    assert await units.finish(run, "b", again.unit, DONE)
    assert not await units.finish(run, "b", again.unit, DONE)
    found = await units.finished(run, again.unit)
    assert found is not None
    assert (found.claimed, found.rows, found.summary, found.left) == (again, 5, b"summary", b"left")
    later = await runs.experiments.claim(made.id, clock())
    assert later is not None
    assert not await units.put(run, parts), "it was taken over"
    assert await units.put(replace(run, epoch=later.epoch), parts[:1])
    assert not await units.alive(run, "a", clock())
    assert await units.claim(run, "a", clock()) is None
