"""Experiments with success criteria: what their end says, and which runs of a schedule tell a regression."""

from __future__ import annotations

import json
from typing import Any

import pytest
from replay_harness import Clock, Replay, fill, requests
from schedule_harness import DAY_US, FASTER, NOW_US, SLOWER, Scheduling, told
from test_life import run_to_the_end

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.topics import EXPERIMENT_COMPLETED, EXPERIMENT_REGRESSION_DETECTED
from modelux_replay.runs import Runs
from modelux_replay.scheduling.firing import Firer


@pytest.fixture
async def schedules(acme: Replay, runs: Runs) -> Scheduling:
    """Over a log of 400 requests, which the candidate of the tests answers in half the time."""
    await fill(runs.analytics, requests(acme.tenant, 400))
    return Scheduling(acme)


async def completed(runs: Runs) -> list[Any]:
    return await told(runs.experiments.database, EXPERIMENT_COMPLETED.name)


async def regressions(runs: Runs) -> list[str]:
    found = await told(runs.experiments.database, EXPERIMENT_REGRESSION_DETECTED.name)
    return [each.experiment_id for each in found]


async def one_off(acme: Replay, criteria: object) -> replay.ExperimentRecord:
    spec = acme.spec()
    spec.criteria_json = json.dumps(criteria).encode()
    return (await acme.ask(replay.CreateRequest(spec=spec), replay.CreateResponse)).experiment


@pytest.mark.parametrize(("criteria", "verdict"), [(FASTER, "pass"), (SLOWER, "fail"), (None, "")])
async def test_any_experiment_may_have_criteria(
    schedules: Scheduling, runs: Runs, criteria: object, verdict: str
) -> None:
    made = await (schedules.replay.create() if criteria is None else one_off(schedules.replay, criteria))
    await run_to_the_end(runs, made.id)
    found = await schedules.replay.get(made.id)
    (event,) = await completed(runs)
    assert (event.verdict, event.schedule_id) == (verdict, "")
    assert await regressions(runs) == []
    if criteria is None:
        assert found.verdict_json == b""
        return
    facts = json.loads(found.verdict_json)
    (predicate,) = facts["predicates"]
    assert (facts["verdict"], facts["confidence"], predicate["n"]) == (verdict, 0.95, 400)
    assert predicate["observed"] == pytest.approx(-50, abs=1)
    assert facts["sentence"].startswith({"pass": "Pass: p50_latency_delta_pct <= 0 holds", "fail": "Fail: "}[verdict])


async def test_criteria_that_cannot_be_read_are_refused(acme: Replay) -> None:
    spec = acme.spec()
    spec.criteria_json = b'{"predicates":[{"metric":"cost_delta","op":"<","value":1}]}'
    problem = await acme.refused(replay.CreateRequest(spec=spec), replay.CreateResponse)
    assert problem.errors[0]["field"] == "successCriteria.predicates[0].metric"
    assert "cost_delta_pct" in problem.errors[0]["hint"]


async def test_a_cancelled_run_is_inconclusive(acme: Replay, runs: Runs) -> None:
    made = await one_off(acme, SLOWER)
    await acme.ask(replay.CancelRequest(id=made.id), replay.CancelResponse)
    (event,) = await completed(runs)
    assert event.verdict == "inconclusive"
    facts = json.loads((await acme.get(made.id)).verdict_json)
    assert facts["sentence"] == "Inconclusive: the experiment was cancelled: Cancelled by a caller."


async def run_once(schedules: Scheduling, firer: Firer, clock: Clock, identifier: str, day: int) -> str:
    """Fires the day's run and lets it end; its id."""
    clock.us = NOW_US + (day * 24 + 6) * 3_600_000_000
    await firer.look()
    made = (await schedules.experiments(identifier))[-1]
    await run_to_the_end(firer.desk.runs, made.id)
    return made.id


async def test_each_failing_run_of_a_schedule_tells_a_regression_once(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    made = await schedules.create(criteria=SLOWER, window_s=7 * 86_400)
    ids = [await run_once(schedules, firer, clock, made.id, day) for day in range(2)]
    await run_to_the_end(firer.desk.runs, ids[0])
    runs = firer.desk.runs
    assert await regressions(runs) == ids
    events = await completed(runs)
    assert [(each.verdict, each.schedule_id) for each in events] == [("fail", made.id)] * 2
    (first, _) = await told(runs.experiments.database, EXPERIMENT_REGRESSION_DETECTED.name)
    assert first.sentence.startswith("Fail: p50_latency_delta_pct >= 0 is broken: -50")
    facts = [json.loads(each.verdict_json) for each in await schedules.experiments(made.id)]
    assert [each["look"] for each in facts] == [1, 2]
    assert facts[1]["confidence"] > facts[0]["confidence"] > 0.95
    found = await schedules.get(made.id)
    assert (found.last_experiment_id, found.last_verdict) == (ids[1], "fail")


async def test_two_of_three_runs_must_fail_where_the_rule_says_so(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    rule = {"alarm_needed": 2, "alarm_window": 3, "window_s": 7 * 86_400}
    made = await schedules.create(criteria=SLOWER, **rule)
    ids = []
    for day, criteria in enumerate((SLOWER, FASTER, SLOWER, FASTER, FASTER, SLOWER)):
        await schedules.update(made.id, schedules.spec(criteria=criteria, **rule))
        ids.append(await run_once(schedules, firer, clock, made.id, day))
    # Of the runs up to the third two failed; the last one is alone again.
    assert await regressions(firer.desk.runs) == [ids[2]]


async def test_a_run_of_a_deleted_schedule_still_has_its_verdict(
    schedules: Scheduling, firer: Firer, clock: Clock
) -> None:
    made = await schedules.create(criteria=SLOWER)
    clock.us = NOW_US + DAY_US
    await firer.look()
    (one,) = await schedules.experiments(made.id)
    await schedules.ask(pb.DeleteScheduleRequest(id=made.id), pb.DeleteScheduleResponse)
    await run_to_the_end(firer.desk.runs, one.id)
    assert await regressions(firer.desk.runs) == [one.id]


async def test_a_pass_tells_no_regression(schedules: Scheduling, firer: Firer, clock: Clock) -> None:
    made = await schedules.create(criteria=FASTER)
    await run_once(schedules, firer, clock, made.id, 0)
    assert (await schedules.get(made.id)).last_verdict == "pass"
    assert await regressions(firer.desk.runs) == []
