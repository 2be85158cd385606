"""What ends an experiment, what starts it again, and what a second process may not do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from replay_harness import Clock, Replay, fill, requests

from modelux.replay.v1 import replay_pb2 as pb
from modelux_bus.base import Message
from modelux_bus.consume import InvalidMessage, consume
from modelux_bus.memory import MemoryBus
from modelux_contracts.errors import ProblemError
from modelux_contracts.topics import EXPERIMENT_COMMANDS, EXPERIMENT_RESULTS, partitions
from modelux_ingest.experiments import ResultsWriter
from modelux_replay.consumer import Consumer
from modelux_replay.experiments import LOST_US, SILENT_US, STATUSES, TRANSITIONS, Changed, completed_event
from modelux_replay.runs import LIMIT_S, Runs


class Interrupting(MemoryBus):
    """Lets something happen when the first results are published."""

    def __init__(self, happens: asyncio.Event) -> None:
        super().__init__()
        self.happens, self.go_on = happens, asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        await super().publish(messages)
        if messages and messages[0].topic == EXPERIMENT_RESULTS.name and not self.happens.is_set():
            self.happens.set()
            await self.go_on.wait()


async def ingesting(runs: Runs) -> None:
    await consume(runs.bus, "ingest", {EXPERIMENT_RESULTS.name: ResultsWriter(runs.analytics).handle}, max_wait_s=0.05)


async def run_to_the_end(runs: Runs, identifier: str) -> None:
    """One run, with somebody who writes its results."""
    await runs.bus.ensure(partitions())
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(ingesting(runs))
        await runs.run(identifier)
        writing.cancel()


async def stored(runs: Runs, identifier: str) -> list[dict[str, object]]:
    query = "SELECT row, request_id, candidate_cost_nano, trace FROM experiment_rows FINAL"
    order = " WHERE experiment_id = {id:String} ORDER BY row"
    return await runs.analytics.rows(query + order, {"id": identifier})


async def test_a_run_is_cancelled_between_two_batches(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, requests(acme.tenant, 4_900))
    made = await acme.create()
    bus = Interrupting(asyncio.Event())
    interrupted = replace(runs, bus=bus)
    await bus.ensure(partitions())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(interrupted.run(made.id))
        await bus.happens.wait()
        cancelled = await acme.ask(pb.CancelRequest(id=made.id), pb.CancelResponse)
        clock.us += 2_000_000
        bus.go_on.set()
        await running
    assert cancelled.experiment.status == "cancelled"
    found = await acme.get(made.id)
    assert (found.status, found.summary_json, found.rows_done < found.rows_total) == ("cancelled", b"", True)
    again = await acme.ask(pb.CancelRequest(id=made.id), pb.CancelResponse)
    assert again.experiment.finished_at_us == found.finished_at_us


async def test_a_run_that_waits_lives_and_still_hears_that_it_is_cancelled(
    acme: Replay, runs: Runs, clock: Clock
) -> None:
    await fill(runs.analytics, requests(acme.tenant, 100))
    made = await acme.create()
    bus = Interrupting(asyncio.Event())
    await bus.ensure(partitions())
    waiting = replace(runs, bus=bus, beat_s=0.01)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(waiting.run(made.id))
        await bus.happens.wait()
        clock.us += 2 * SILENT_US
        async with asyncio.timeout(20):
            while await runs.experiments.waiting(clock()):
                await asyncio.sleep(0.01)
        await acme.ask(pb.CancelRequest(id=made.id), pb.CancelResponse)
        await running
    assert not bus.go_on.is_set()
    assert (await acme.get(made.id)).status == "cancelled"


async def test_a_run_whose_process_died_is_taken_over_and_ends_alike(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, requests(acme.tenant, 2_600))
    whole = await acme.create(name="never interrupted")
    await run_to_the_end(runs, whole.id)
    made = await acme.create(name="interrupted")
    dead = await runs.experiments.claim(made.id, clock())
    assert dead is not None
    assert await runs.experiments.progress(dead, rows_total=2_600, rows_done=1_000, now_us=clock())
    clock.us += SILENT_US // 2
    assert await runs.experiments.waiting(clock()) == []
    assert await runs.experiments.claim(made.id, clock()) is None, "somebody is at it"
    clock.us += SILENT_US
    assert await runs.experiments.waiting(clock()) == [made.id]
    await run_to_the_end(runs, made.id)
    found, first = await acme.get(made.id), await acme.get(whole.id)
    assert found.status == first.status == "completed"
    assert json.loads(found.summary_json) == json.loads(first.summary_json)
    assert await stored(runs, made.id) == await stored(runs, whole.id)
    assert not await runs.experiments.progress(dead, rows_total=2_600, rows_done=2_000, now_us=clock())
    with pytest.raises(Changed):
        await runs.experiments.end(dead, "failed", clock(), completed=completed_event(dead, "failed", "", clock()))


async def test_a_command_that_got_lost_is_made_up_for(acme: Replay, runs: Runs, clock: Clock) -> None:
    made = await acme.create()
    assert await runs.experiments.waiting(clock()) == []
    clock.us += LOST_US + 1
    assert await runs.experiments.waiting(clock()) == [made.id]


async def test_an_empty_window_completes_and_says_so(acme: Replay, runs: Runs) -> None:
    made = await acme.create()
    await run_to_the_end(runs, made.id)
    found = await acme.get(made.id)
    assert (found.status, found.rows_total) == ("completed", 0)
    assert json.loads(found.summary_json)["sentence"].startswith("nothing to compare")


async def test_a_simulation_that_breaks_fails_with_a_reason(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 10))
    made = await acme.create({"model": "gpt-4o"})
    await run_to_the_end(runs, made.id)
    found = await acme.get(made.id)
    assert found.status == "failed"
    assert "log of the replay service" in found.status_reason
    assert "ValueError" not in found.status_reason


async def test_half_an_hour_is_the_limit(acme: Replay, runs: Runs, clock: Clock) -> None:
    made = await acme.create()
    await runs.experiments.claim(made.id, clock())
    clock.us += LIMIT_S * 1_000_000
    await run_to_the_end(runs, made.id)
    found = await acme.get(made.id)
    assert (found.status, found.status_reason) == ("failed", "It took longer than 30 minutes.")


async def test_the_same_idempotency_key_creates_once(acme: Replay) -> None:
    made = await acme.create(key="k1")
    assert (await acme.create(key="k1")).id == made.id
    with pytest.raises(ProblemError, match="used for another request"):
        await acme.create(key="k1", name="another")
    assert len((await acme.ask(pb.ListRequest(), pb.ListResponse)).experiments) == 1


async def test_lists_go_on_where_they_stopped(acme: Replay, globex: Replay, clock: Clock) -> None:
    made = []
    for number in range(5):
        clock.us += 1_000
        made.append((await acme.create(name=str(number))).id)
    first = await acme.ask(pb.ListRequest(limit=2), pb.ListResponse)
    second = await acme.ask(pb.ListRequest(limit=3, cursor=first.next_cursor), pb.ListResponse)
    assert [each.id for each in (*first.experiments, *second.experiments)] == made[::-1]
    assert second.next_cursor == ""
    assert not (await acme.ask(pb.ListRequest(status="failed"), pb.ListResponse)).experiments
    assert not (await globex.ask(pb.ListRequest(cursor=first.next_cursor), pb.ListResponse)).experiments
    problem = await acme.refused(pb.ListRequest(cursor="sim_"), pb.ListResponse)
    assert problem.code == "invalid_cursor"


async def test_what_is_no_command_goes_to_the_dead_letters(runs: Runs) -> None:
    await runs.bus.ensure(partitions())
    await runs.bus.publish([Message(EXPERIMENT_COMMANDS.name, b"k", b"\xff", "1")])
    async with runs.bus.subscribe("test", [EXPERIMENT_COMMANDS.name]) as member:
        deliveries = await member.fetch(10, 1.0)
    with pytest.raises(InvalidMessage):
        await Consumer(runs).handle(deliveries)


def test_every_status_has_its_transitions_and_ends_stay() -> None:
    assert set(TRANSITIONS) == set(STATUSES)
    ended = {"completed", "failed", "cancelled"}
    assert {status for status, following in TRANSITIONS.items() if not following} == ended
