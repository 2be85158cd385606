"""Verdicts that wait for a judge: one judge run for each experiment, taken up once, whatever becomes of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from replay_harness import Clock, Replay
from schedule_harness import HOUR_US, NOW_US, Scheduling, told

from modelux.judge.v1 import judge_pb2 as judge
from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.errors import Problem
from modelux_contracts.topics import EXPERIMENT_COMPLETED, EXPERIMENT_REGRESSION_DETECTED
from modelux_replay.experiments import completed_event
from modelux_replay.runs import Runs
from modelux_replay.scheduling.firing import Firer
from modelux_replay.scheduling.judging import Judging
from modelux_runtime.calls import refuse
from modelux_runtime.rpc import channel, serving

WORSE = {"metric": "judge_worse_pct_upper_ci", "op": "<=", "value": 10}
SUMMARY = {
    "coverage": {"evaluable": 1_000},
    "deltas": {"error_rate": {"percentage_points": {"value": 0.0, "lower": -0.2, "upper": 0.2}}},
}
Context = grpc.aio.ServicerContext[Message, Message]


def saying(worse: float, lower: float, upper: float) -> bytes:
    traffic = {"worse": {"value": worse, "lower": lower, "upper": upper}}
    return json.dumps({"judged_count": 300, "traffic": traffic}).encode()


@dataclass
class PlayedJudge:
    """A judge service of the tests' own."""

    target: str
    status: str = "running"
    summary: bytes = b""
    refusal: Problem | None = None
    asked: list[judge.CreateRequest] = field(default_factory=list)

    def register(self, server: grpc.aio.Server) -> None:
        handlers = {
            "Create": _unary(self._create, judge.CreateRequest, judge.CreateResponse),
            "Get": _unary(self._get, judge.GetRequest, judge.GetResponse),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("modelux.judge.v1.JudgeService", handlers),)
        )

    def record(self) -> judge.JudgeRecord:
        return judge.JudgeRecord(id="jr_1", status=self.status, status_reason="The cap.", summary_json=self.summary)

    async def _create(self, request: Any, context: Context) -> Message:
        if self.refusal is not None:
            return await refuse(context, self.refusal)
        self.asked.append(request)
        return judge.CreateResponse(run=self.record())

    async def _get(self, request: Any, context: Context) -> Message:
        assert request.id == "jr_1"
        return judge.GetResponse(run=self.record())


def _unary(method: Any, request: type[Message], response: type[Message]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[PlayedJudge]:
    found = PlayedJudge(f"unix:{tmp_path}/judge.sock")
    async with serving(found.target, found.register):
        yield found


@pytest.fixture
async def judging(played: PlayedJudge, runs: Runs, clock: Clock) -> AsyncIterator[Judging]:
    async with channel(played.target) as connection:
        yield Judging(runs.experiments, connection, clock)


async def judged_run(acme: Replay, firer: Firer, clock: Clock, *further: dict[str, object]) -> str:
    """The first run of a schedule with a judge, completed; its id."""
    schedules = Scheduling(acme)
    spec = schedules.spec(criteria={"predicates": [WORSE, *further]}, judge_model="gpt-4o", judge_rubric="Be strict.")
    spec.judge_spend_cap_nano = 2_000_000_000
    called = replay.ExperimentSpec(mode="with_responses", spend_cap_nano=10**9, sample=replay.Sample(size=1_000))
    spec.experiment.MergeFrom(called)
    made = await schedules.ask(pb.CreateScheduleRequest(spec=spec), pb.CreateScheduleResponse)
    clock.us = NOW_US + 6 * HOUR_US
    await firer.look()
    (one,) = await schedules.experiments(made.schedule.id)
    experiments = firer.desk.experiments
    running = await experiments.claim(one.id, clock.us)
    assert running is not None
    event = completed_event(running, "completed", "", clock.us)
    await experiments.end(running, "completed", clock.us, completed=event, summary=json.dumps(SUMMARY))
    return one.id


async def verdict(acme: Replay, identifier: str) -> tuple[str, str]:
    facts = json.loads((await acme.get(identifier)).verdict_json)
    return facts["verdict"], facts["sentence"]


async def test_the_verdict_is_made_anew_once_the_judge_has_ended(
    acme: Replay, firer: Firer, clock: Clock, judging: Judging, played: PlayedJudge
) -> None:
    identifier = await judged_run(acme, firer, clock)
    assert (await verdict(acme, identifier))[0] == "inconclusive"
    await judging.look()
    await judging.look()
    (asked,) = played.asked
    assert (asked.spec.experiment_id, asked.spec.judge_model, asked.spec.rubric) == (identifier, "gpt-4o", "Be strict.")
    assert asked.spec.spend_cap_nano == 2_000_000_000
    assert asked.actor.idempotency_key == identifier
    assert asked.actor.schedule_id.startswith("sch_")
    assert (await verdict(acme, identifier))[0] == "inconclusive"
    played.status, played.summary = "completed", saying(0.03, 0.02, 0.05)
    await judging.look()
    assert (await verdict(acme, identifier))[1].startswith("Pass: judge_worse_pct_upper_ci <= 10 holds: 3 [")
    database = firer.schedules.database
    assert await told(database, EXPERIMENT_REGRESSION_DETECTED.name) == []
    (event,) = await told(database, EXPERIMENT_COMPLETED.name)
    assert event.verdict == "inconclusive"


async def test_a_judge_who_finds_it_worse_tells_a_regression_once(
    acme: Replay, firer: Firer, clock: Clock, judging: Judging, played: PlayedJudge
) -> None:
    identifier = await judged_run(acme, firer, clock)
    played.status, played.summary = "completed", saying(0.3, 0.25, 0.35)
    for _ in range(3):
        await judging.look()
    assert (await verdict(acme, identifier))[0] == "fail"
    (event,) = await told(firer.schedules.database, EXPERIMENT_REGRESSION_DETECTED.name)
    assert event.experiment_id == identifier
    assert event.sentence.startswith("Fail: judge_worse_pct_upper_ci <= 10 is broken: 30 [")


async def test_a_refused_judge_run_leaves_it_open_and_says_why(
    acme: Replay, firer: Firer, clock: Clock, judging: Judging, played: PlayedJudge
) -> None:
    identifier = await judged_run(acme, firer, clock)
    played.refusal = Problem(503, "config_unavailable", "Not available", "Config is away.", "")
    await judging.look()
    assert "refused" not in (await verdict(acme, identifier))[1]
    played.refusal = Problem(409, "no_pairs", "Conflict", "No pair is in the buckets.", "")
    await judging.look()
    found = await verdict(acme, identifier)
    assert found[0] == "inconclusive"
    assert found[1].endswith("The judge run was refused: No pair is in the buckets.")
    played.refusal = None
    await judging.look()
    assert played.asked == []


async def test_a_judge_run_that_failed_leaves_it_open(
    acme: Replay, firer: Firer, clock: Clock, judging: Judging, played: PlayedJudge
) -> None:
    identifier = await judged_run(acme, firer, clock)
    played.status = "failed"
    await judging.look()
    found = await verdict(acme, identifier)
    assert found[0] == "inconclusive"
    assert found[1].endswith("The judge run jr_1 failed: The cap.")


async def test_what_is_decided_already_is_not_judged(
    acme: Replay, firer: Firer, clock: Clock, judging: Judging, played: PlayedJudge
) -> None:
    broken = {"metric": "error_rate_delta_pct", "op": "<=", "value": -5}
    identifier = await judged_run(acme, firer, clock, broken)
    assert (await verdict(acme, identifier))[0] == "fail"
    await judging.look()
    assert played.asked == []


async def test_while_the_judge_is_away_it_waits(acme: Replay, firer: Firer, clock: Clock, runs: Runs) -> None:
    identifier = await judged_run(acme, firer, clock)
    async with channel("unix:/nowhere/judge.sock") as nobody:
        await Judging(runs.experiments, nobody, clock).look()
    assert (await verdict(acme, identifier))[0] == "inconclusive"
