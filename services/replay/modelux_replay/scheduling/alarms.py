"""Tell a regression: when the runs of a schedule fail as often as its alarm rule asks for."""

from __future__ import annotations

from typing import cast

from experiment_core.sequential import persistent
from modelux.events.v1.experiment_pb2 import ExperimentCompleted, ExperimentRegressionDetected
from modelux.replay.v1.schedule_pb2 import ScheduleSpec
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_REGRESSION_DETECTED
from modelux_replay.statements import sql
from modelux_replay.summary.criteria import Concluded, asks_a_judge
from modelux_store import outbox
from modelux_store.database import Transaction


async def alarm(tx: Transaction, completed: ExperimentCompleted, look: int, said: Concluded) -> None:
    """Told within the transaction that ends the run, so once for each run that fails; never for one of no schedule."""
    if said.verdict != "fail" or not completed.schedule_id:
        return
    rule = await schedule_of(tx, completed.schedule_id)
    needed, of = max(rule.alarm_needed, 1), max(rule.alarm_window, 1)
    before = await _verdicts_before(tx, completed.schedule_id, look, of - 1)
    failed = [each == "fail" for each in reversed(before)]
    if not persistent([*failed, True], needed, of):
        return
    topic = EXPERIMENT_REGRESSION_DETECTED.name
    event = ExperimentRegressionDetected(
        schedule_id=completed.schedule_id,
        experiment_id=completed.experiment_id,
        organization_id=completed.organization_id,
        project_id=completed.project_id,
        name=completed.name,
        at_us=completed.at_us,
        sentence=said.sentence,
        verdict_json=said.facts_json.encode(),
    )
    identity = f"{completed.experiment_id}.regression"
    key = completed.organization_id.encode()
    await outbox.append(tx, Message(topic, key, codec.encode(event), identity, codec.headers(topic)))


async def want_judge(tx: Transaction, completed: ExperimentCompleted, criteria_json: bytes, said: Concluded) -> None:
    """Marks a completed run whose criteria ask for a judge and are open without one, where its schedule names one."""
    if completed.status != "completed" or said.verdict != "inconclusive" or not completed.schedule_id:
        return
    if asks_a_judge(criteria_json) and (await schedule_of(tx, completed.schedule_id)).judge_model:
        await tx.execute(sql("judging", "want"), {"id": completed.experiment_id})


async def schedule_of(tx: Transaction, schedule_id: str) -> ScheduleSpec:
    """Of an experiment that names it, also when it was deleted since."""
    row = await tx.fetch_one(sql("schedules", "find"), {"id": schedule_id})
    assert row is not None, f"an experiment names the schedule {schedule_id}, which never was"
    return ScheduleSpec.FromString(cast(bytes, row["spec"]))


async def _verdicts_before(tx: Transaction, schedule_id: str, look: int, limit: int) -> list[str]:
    """Of the runs before that have one, newest first."""
    values = {"schedule_id": schedule_id, "look": look, "limit": limit}
    return [cast(str, row["verdict"]) for row in await tx.fetch_all(sql("schedules", "last_runs"), values)]
