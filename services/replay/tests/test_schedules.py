"""Schedules over the service: kept, changed, audited, refused; and who may do so."""

from __future__ import annotations

import pytest
from replay_harness import Clock, Replay
from schedule_harness import DAY_US, HOUR_US, NOW_US, Scheduling

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb


@pytest.fixture
def schedules(acme: Replay) -> Scheduling:
    return Scheduling(acme)


async def test_a_schedule_is_kept_as_it_was_asked_for(schedules: Scheduling) -> None:
    made = await schedules.create()
    assert (made.spec.name, made.spec.time_zone, made.spec.experiment.mode) == ("nightly", "UTC", "routing_only")
    assert (made.next_at_us, made.last_at_us, made.runs) == (NOW_US + 6 * HOUR_US, 0, 0)
    assert await schedules.get(made.id) == made
    listed = await schedules.ask(pb.ListSchedulesRequest(), pb.ListSchedulesResponse)
    assert list(listed.schedules) == [made]


async def test_the_same_idempotency_key_answers_alike(schedules: Scheduling) -> None:
    first = await schedules.create(key="one")
    assert await schedules.create(key="one") == first
    other = pb.CreateScheduleRequest(spec=schedules.spec(name="other"))
    assert (await schedules.refused(other, pb.CreateScheduleResponse, key="one")).code == "idempotency_key_reused"


async def test_another_organization_finds_nothing(schedules: Scheduling, globex: Replay) -> None:
    made, others = await schedules.create(), Scheduling(globex)
    for request, answer in (
        (pb.GetScheduleRequest(id=made.id), pb.GetScheduleResponse),
        (pb.UpdateScheduleRequest(id=made.id, spec=others.spec()), pb.UpdateScheduleResponse),
        (pb.DeleteScheduleRequest(id=made.id), pb.DeleteScheduleResponse),
        (pb.FireScheduleRequest(id=made.id), pb.FireScheduleResponse),
    ):
        assert (await others.refused(request, answer)).status == 404
    listed = await others.ask(pb.ListSchedulesRequest(), pb.ListSchedulesResponse)
    assert not listed.schedules


async def test_pages_follow_each_other(schedules: Scheduling) -> None:
    made = [(await schedules.create(name=f"{number}")).id for number in range(5)]
    found, cursor = [], ""
    while True:
        page = await schedules.ask(pb.ListSchedulesRequest(limit=2, cursor=cursor), pb.ListSchedulesResponse)
        found += [each.id for each in page.schedules]
        if not (cursor := page.next_cursor):
            break
    assert found == sorted(made, reverse=True)


async def test_pausing_resuming_and_another_time(schedules: Scheduling, clock: Clock) -> None:
    made = await schedules.create()
    assert (await schedules.update(made.id, schedules.spec(paused=True))).next_at_us == 0
    clock.us += DAY_US
    resumed = await schedules.update(made.id, schedules.spec(cron="30 1 * * *", time_zone="Europe/Berlin"))
    # Summer time: 01:30 there is 23:30 UTC of the day before.
    assert resumed.next_at_us == NOW_US + DAY_US + 23 * HOUR_US + HOUR_US // 2
    assert resumed.updated_at_us == clock.us


async def test_what_cannot_run_any_more_can_be_paused_and_not_resumed(schedules: Scheduling) -> None:
    made, tenant = await schedules.create(), schedules.replay.tenant
    (credential,) = (await tenant("ListCredentials")).credentials
    await tenant("DeleteCredential", id=credential.id)
    made.spec.paused = True
    paused = await schedules.update(made.id, made.spec)
    assert (paused.spec.paused, paused.next_at_us) == (True, 0)
    paused.spec.paused = False
    request = pb.UpdateScheduleRequest(id=made.id, spec=paused.spec)
    problem = await schedules.refused(request, pb.UpdateScheduleResponse)
    assert problem.errors[0]["field"] == "experiment.candidateConfig.model"


async def test_a_deleted_one_is_gone(schedules: Scheduling) -> None:
    made = await schedules.create()
    await schedules.ask(pb.DeleteScheduleRequest(id=made.id), pb.DeleteScheduleResponse)
    assert (await schedules.refused(pb.GetScheduleRequest(id=made.id), pb.GetScheduleResponse)).status == 404
    assert not (await schedules.ask(pb.ListSchedulesRequest(), pb.ListSchedulesResponse)).schedules


async def test_every_deed_is_audited_under_the_key_that_did_it(schedules: Scheduling) -> None:
    made = await schedules.create()
    await schedules.update(made.id, schedules.spec(cron="0 7 * * *"))
    await schedules.fire(made.id)
    await schedules.ask(pb.DeleteScheduleRequest(id=made.id), pb.DeleteScheduleResponse)
    rows = (await schedules.replay.tenant("ListAudit", entity_id=made.id)).entries
    assert [each.action for each in reversed(rows)] == ["created", "updated", "fired", "deleted"]
    assert {each.entity for each in rows} == {"experiment_schedule"}
    assert '"0 6 * * *"' in rows[2].before_json
    assert '"0 7 * * *"' in rows[2].after_json


async def test_a_viewer_changes_nothing(schedules: Scheduling) -> None:
    made = await schedules.create()
    viewer = (await schedules.replay.tenant.with_role("viewer")).key
    for request, answer in (
        (pb.CreateScheduleRequest(spec=schedules.spec()), pb.CreateScheduleResponse),
        (pb.UpdateScheduleRequest(id=made.id, spec=schedules.spec(paused=True)), pb.UpdateScheduleResponse),
        (pb.DeleteScheduleRequest(id=made.id), pb.DeleteScheduleResponse),
        (pb.FireScheduleRequest(id=made.id), pb.FireScheduleResponse),
    ):
        assert (await schedules.refused(request, answer, secret=viewer)).code == "role_required"
    assert await schedules.get(made.id) == made


async def test_refusals_of_the_experiment_are_named_as_they_were_written(schedules: Scheduling) -> None:
    long = replay.ExperimentSpec(hypothesis="h" * 2_001)
    no_cap = replay.ExperimentSpec(mode="with_responses", sample=replay.Sample(size=1_000))
    for wrong, field in ((long, "experiment.hypothesis"), (no_cap, "experiment.spendCapUsd")):
        spec = schedules.spec()
        spec.experiment.MergeFrom(wrong)
        problem = await schedules.refused(pb.CreateScheduleRequest(spec=spec), pb.CreateScheduleResponse)
        assert (problem.status, problem.errors[0]["field"]) == (422, field)
        assert problem.detail.startswith(field)
    unknown = pb.CreateScheduleRequest(spec=schedules.spec({"model": "gpt-4o-mimi"}))
    problem = await schedules.refused(unknown, pb.CreateScheduleResponse)
    assert problem.errors[0]["field"] == "experiment.candidateConfig.model"


async def test_a_schedule_stays_in_its_project(schedules: Scheduling) -> None:
    made = await schedules.create()
    other = (await schedules.replay.tenant("CreateProject", name="other")).project.id
    request = pb.UpdateScheduleRequest(id=made.id, spec=schedules.spec(project_id=other))
    problem = await schedules.refused(request, pb.UpdateScheduleResponse)
    assert problem.errors[0]["field"] == "projectId"


async def test_a_project_of_nobody_is_not_found(schedules: Scheduling) -> None:
    request = pb.CreateScheduleRequest(spec=schedules.spec(project_id="proj_none"))
    assert (await schedules.refused(request, pb.CreateScheduleResponse)).status == 404
