"""Schedules fire each due moment once: with several processes, over a crash, and whatever the clock does."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from replay_harness import Clock, Replay
from schedule_harness import DAY_US, HOUR_US, NOW_US, Scheduling, told

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.topics import EXPERIMENT_COMMANDS
from modelux_replay import experiments as experiments_module
from modelux_replay.desk import Limits
from modelux_replay.metrics import meters
from modelux_replay.scheduling.firing import Firer
from modelux_runtime.rpc import channel

DUE_US = NOW_US + 6 * HOUR_US


@pytest.fixture
def schedules(acme: Replay) -> Scheduling:
    return Scheduling(acme)


async def windows(schedules: Scheduling, identifier: str) -> list[int]:
    """Where the windows of a schedule's experiments end, oldest first."""
    return [each.window_end_us for each in await schedules.experiments(identifier)]


async def test_an_experiment_is_made_at_the_due_moment_and_not_before(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    made = await schedules.create()
    clock.us = DUE_US - 1
    await firer.look()
    assert await schedules.experiments(made.id) == []
    clock.us = DUE_US + 700_000
    await firer.look()
    await firer.look()
    (one,) = await schedules.experiments(made.id)
    assert (one.status, one.schedule_id, one.created_by) == ("pending", made.id, made.created_by)
    assert (one.window_start_us, one.window_end_us) == (DUE_US - 7 * DAY_US, DUE_US)
    assert one.spec.criteria_json == made.spec.criteria_json
    (command,) = await told(firer.schedules.database, EXPERIMENT_COMMANDS.name)
    assert command.experiment_id == one.id
    found = await schedules.get(made.id)
    assert (found.runs, found.last_at_us, found.next_at_us) == (1, DUE_US, DUE_US + DAY_US)
    assert firer.meters.value("schedules_fired", "experiment") == 1
    assert firer.meters.value("schedule_late_seconds") == pytest.approx(0.7)


async def test_of_what_was_missed_only_the_latest_is_made_up_for(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    made = await schedules.create(cron="*/5 * * * *")
    clock.us += 30 * DAY_US + 60_000_000
    for _ in range(3):
        await firer.look()
    assert await windows(schedules, made.id) == [NOW_US + 30 * DAY_US]


async def test_a_clock_set_forward_and_back_fires_no_moment_twice(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    made = await schedules.create(cron="0 * * * *")
    for hours in (1, 2, 50, 51, 2, 3, 4, 1, 3, 5, 49, 50, 51, 52):
        clock.us = NOW_US + hours * HOUR_US + 1
        await firer.look()
        await firer.look()
    found = await windows(schedules, made.id)
    # Back at 2 and 1 it finds out anew what comes next; 50 and 51 were dealt with the first time.
    assert sorted(found) == [NOW_US + hours * HOUR_US for hours in (1, 2, 3, 4, 5, 49, 50, 51, 52)]
    assert (await schedules.get(made.id)).runs == len(found)


async def test_a_small_step_back_changes_nothing(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    made = await schedules.create(cron="0 * * * *")
    clock.us = NOW_US + HOUR_US
    await firer.look()
    clock.us -= 2_000_000
    await firer.look()
    clock.us += 3_000_000
    await firer.look()
    assert await windows(schedules, made.id) == [NOW_US + HOUR_US]


async def test_of_several_replicas_one_fires(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    """Every transaction has a connection of its own, so that replicas differ by nothing else."""
    replicas = [replace(firer, meters=meters()) for _ in range(4)]
    made = [await schedules.create(name=f"{number}") for number in range(3)]
    for days in range(2):
        clock.us = DUE_US + days * DAY_US
        await asyncio.gather(*(each.look() for each in replicas))
    for each in made:
        assert await windows(schedules, each.id) == [DUE_US, DUE_US + DAY_US]
        assert (await schedules.get(each.id)).runs == 2
    assert sum(each.meters.value("schedules_fired", "experiment") for each in replicas) == 6
    assert len(await told(firer.schedules.database, EXPERIMENT_COMMANDS.name)) == 6


async def test_a_crash_between_the_claim_and_the_experiment_leaves_neither(
    schedules: Scheduling, firer: Firer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await schedules.create()
    clock.us = DUE_US

    async def die(*_: object) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr(experiments_module.outbox, "append", die)
        with pytest.raises(RuntimeError):
            await firer.look()
    assert await schedules.experiments(made.id) == []
    assert (await schedules.get(made.id)).next_at_us == DUE_US
    await firer.look()
    assert await windows(schedules, made.id) == [DUE_US]


async def test_a_replica_that_is_killed_while_it_fires_leaves_the_moment_to_another(
    schedules: Scheduling, firer: Firer, clock: Clock, tmp_path: Path
) -> None:
    made = await schedules.create()
    clock.us = DUE_US
    runs = firer.desk.runs
    arguments = (firer.schedules.database._url, runs.analytics.url, f"unix:{tmp_path}/config.sock", str(DUE_US))
    script = Path(__file__).with_name("firing_process.py")
    dying = await asyncio.create_subprocess_exec(sys.executable, script, *arguments)
    assert await dying.wait() == -signal.SIGKILL
    assert await schedules.experiments(made.id) == []
    await firer.look()
    assert await windows(schedules, made.id) == [DUE_US]
    assert len(await told(firer.schedules.database, EXPERIMENT_COMMANDS.name)) == 1


async def test_what_cannot_run_is_told_and_the_next_moment_is_waited_for(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    made = await schedules.create()
    (credential,) = (await schedules.replay.tenant("ListCredentials")).credentials
    await schedules.replay.tenant("DeleteCredential", id=credential.id)
    clock.us = DUE_US
    await firer.look()
    found = await schedules.get(made.id)
    assert (found.runs, found.next_at_us) == (0, DUE_US + DAY_US)
    assert "no credential of the project offers 'gpt-4o-mini'" in found.last_error
    await schedules.replay.tenant("CreateCredential", name="again", provider="openai", secret="sk-test-1234567890")
    clock.us = DUE_US + DAY_US
    await firer.look()
    found = await schedules.get(made.id)
    assert (found.runs, found.last_error) == (1, "")


async def test_while_config_is_away_a_due_moment_waits(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    made = await schedules.create()
    clock.us = DUE_US
    async with channel("unix:/nowhere/config.sock") as nobody:
        await replace(firer, desk=replace(firer.desk, channel=nobody)).look()
    assert (await schedules.get(made.id)).next_at_us == DUE_US
    await firer.look()
    assert await windows(schedules, made.id) == [DUE_US]


async def test_too_many_at_work_skip_a_run(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    made = await schedules.create()
    await schedules.replay.create()
    clock.us = DUE_US
    await replace(firer, desk=replace(firer.desk, limits=Limits(90, at_work=1))).look()
    found = await schedules.get(made.id)
    assert (found.runs, found.next_at_us) == (0, DUE_US + DAY_US)
    assert found.last_error.startswith("1 experiments of the organization wait or run already.")


async def test_paused_and_deleted_ones_do_not_fire(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    paused, deleted = await schedules.create(paused=True), await schedules.create()
    await schedules.ask(pb.DeleteScheduleRequest(id=deleted.id), pb.DeleteScheduleResponse)
    clock.us = DUE_US
    await firer.look()
    assert await schedules.experiments(paused.id) == await schedules.experiments(deleted.id) == []


async def test_a_schedule_outlives_the_key_that_set_it_up(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    tenant = schedules.replay.tenant
    key = await tenant("CreateManagementKey", name="leaving", role="editor")
    spec = schedules.spec()
    called = replay.ExperimentSpec(mode="with_responses", spend_cap_nano=10**9, sample=replay.Sample(size=1_000))
    spec.experiment.MergeFrom(called)
    request = pb.CreateScheduleRequest(spec=spec)
    made = (await schedules.ask(request, pb.CreateScheduleResponse, secret=key.secret)).schedule
    await tenant("RevokeManagementKey", id=key.key.id)
    clock.us = DUE_US
    await firer.look()
    (one,) = await schedules.experiments(made.id)
    assert one.budget_id
    (row,) = (await tenant("ListAudit", entity_id=one.budget_id)).entries
    assert row.actor == made.id


async def test_firing_now_is_beside_the_times(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    made = await schedules.create(paused=True)
    clock.us += HOUR_US
    first = await schedules.fire(made.id, key="once")
    assert (first.window_end_us, first.schedule_id) == (clock.us, made.id)
    assert await schedules.fire(made.id, key="once") == first
    clock.us += 2_000
    second = await schedules.fire(made.id)
    assert await schedules.experiments(made.id) == [first, second]
    found = await schedules.get(made.id)
    assert (found.runs, found.next_at_us) == (2, 0)
