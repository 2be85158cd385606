"""Have a judge look at runs of schedules whose criteria ask for it, and make their verdict anew by what it says."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

from modelux.judge.v1 import judge_pb2 as pb
from modelux.replay.v1 import replay_pb2 as replay
from modelux_contracts.errors import ProblemError
from modelux_replay.experiments import Experiment, Experiments, completed_event, experiment_of
from modelux_replay.scheduling.alarms import alarm, schedule_of
from modelux_replay.statements import sql
from modelux_replay.summary.criteria import Ended, conclude
from modelux_runtime.calls import call
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_S = 2.0
_SERVICE = "modelux.judge.v1.JudgeService"
_ENDED = ("completed", "failed", "cancelled")
_LATER = ("judge_unavailable", "store_unavailable", "config_unavailable", "too_many_runs")


@dataclass(frozen=True, slots=True)
class Judging:
    """Asks the judge service how a run stands instead of hearing of its end: so no crash can miss one.

    A judge run is made once for each experiment, whose id is the idempotency key, however many processes look.
    """

    experiments: Experiments
    channel: grpc.aio.Channel
    now_us: Callable[[], int]

    async def work(self) -> None:
        """Looks until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("judge runs wait: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Makes what is to be made, and takes up what has ended. Raises `Unavailable`."""
        async with self.experiments.database.transaction() as tx:
            rows = await tx.fetch_all(sql("judging", "waiting"))
        for row in rows:
            one = experiment_of(row)
            try:
                run = await self._run(one, str(row["judge_run_id"]))
            except ProblemError as error:
                problem = error.problem
                log.warning("the judge run of %s: %s", one.id, problem.detail)
                if problem.status < 500 and problem.code not in _LATER:
                    await self._conclude(one, None, f"The judge run was refused: {problem.detail}")
                continue
            if run.status in _ENDED:
                await self._conclude(one, json.loads(run.summary_json or b"null"), _note(run))

    async def _run(self, one: Experiment, identifier: str) -> pb.JudgeRecord:
        """The judge run of an experiment, as it stands. Raises `ProblemError`."""
        actor = replay.Actor(organization_id=one.organization_id, key_id=one.created_by, schedule_id=one.schedule_id)
        if identifier:
            asked = pb.GetRequest(actor=actor, experiment_id=one.id, id=identifier)
            return (await call(self.channel, _SERVICE, asked, pb.GetResponse)).run
        actor.idempotency_key = one.id
        async with self.experiments.database.transaction() as tx:
            wanted = await schedule_of(tx, one.schedule_id)
        spec = pb.JudgeSpec(experiment_id=one.id, judge_model=wanted.judge_model, rubric=wanted.judge_rubric)
        if wanted.HasField("judge_spend_cap_nano"):
            spec.spend_cap_nano = wanted.judge_spend_cap_nano
        made = (await call(self.channel, _SERVICE, pb.CreateRequest(actor=actor, spec=spec), pb.CreateResponse)).run
        async with self.experiments.database.transaction() as tx:
            await tx.execute(sql("judging", "made"), {"id": one.id, "judge_run_id": made.id})
        log.info("experiment %s is judged by %s", one.id, made.id)
        return made

    async def _conclude(self, one: Experiment, judged: Any, note: str) -> None:
        """Keeps the verdict with what the judge said, and tells a regression, once."""
        ended = Ended(one.status, one.status_reason, one.summary, judged, note)
        said = conclude(one.spec.criteria_json, one.look, ended)
        event = completed_event(one, one.status, one.status_reason, self.now_us())
        event.schedule_id = one.schedule_id
        values = {"id": one.id, "verdict": said.verdict, "verdict_facts": said.facts_json}
        async with self.experiments.database.transaction() as tx:
            if await tx.fetch_one(sql("judging", "judged"), values) is not None:
                await alarm(tx, event, one.look, said)


def _note(run: pb.JudgeRecord) -> str:
    """What is to be said of how it ended."""
    if run.status == "completed":
        return ""
    ended = "was cancelled" if run.status == "cancelled" else run.status
    return f"The judge run {run.id} {ended}: {run.status_reason}"
