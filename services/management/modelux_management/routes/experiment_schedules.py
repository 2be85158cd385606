"""Schedules: experiments that repeat themselves over a rolling window, judged by success criteria."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field, JsonValue

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.authorized import Authorized, Routes
from modelux_management.experiment_views import Experiment, ExperimentHead, experiment, experiment_head
from modelux_management.replays import Replays
from modelux_management.routes.experiments import CRITERIA, Replayed, criteria_json
from modelux_management.schedule_views import SPANS, Schedule, schedule
from modelux_management.wire import Body, Data, Deleted, Listing, NanoUsd, PageQuery, listing

routes = Routes("experiment-schedules")

_PATH = "/experiment-schedules"
_Text = Annotated[str, Field(max_length=200)]
_Count = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_SPAN = re.compile(r"(\d{1,6})([mhdw])")


class AlarmBody(Body):
    """When experiment.regression_detected is told. Left out: for each run that fails."""

    failures: _Count = Field(description="So many runs must fail ...")
    of: _Count = Field(description="... of so many in a row, the last among them.")


class JudgeBody(Body):
    """A judge run that follows each run of mode with_responses."""

    judge_model: _Text = Field(description="A model, or @slug.")
    rubric: str = Field("", description="Left out: the default one.")
    spend_cap_usd: NanoUsd | None = Field(None, description="What each judge run may cost at most.")


class ScheduledBody(Replayed):
    """The experiment that is made each time. Project, name, window and criteria are the schedule's."""

    hypothesis: str = Field("", description="What it is meant to answer; at most 2,000 characters, never parsed.")


class ScheduleBody(Body):
    """A schedule, whole: PUT takes all of it anew."""

    project_id: _Text = ""
    name: str = Field("", description="At most 200 characters; its experiments are named so too.")
    cron: str = Field("", description="Minute, hour, day of month, month, day of week, e.g. `0 6 * * MON-FRI`.")
    time_zone: _Text = Field("", description="IANA name, e.g. Europe/Berlin. Left out: UTC.")
    window: _Text = Field("", description="Length of the window that ends at the due moment: 30m, 24h, 7d or 2w.")
    experiment: ScheduledBody
    success_criteria: JsonValue = Field(None, description=CRITERIA)
    alarm: AlarmBody | None = None
    judge: JudgeBody | None = None
    paused: bool = Field(False, description="Fires by hand alone.")

    def spec(self) -> pb.ScheduleSpec:
        """As the replay service takes it, which checks every field."""
        made = self.experiment.spec()
        made.hypothesis = self.experiment.hypothesis
        alarm, judge = self.alarm, self.judge
        return pb.ScheduleSpec(
            project_id=self.project_id,
            name=self.name,
            cron=self.cron,
            time_zone=self.time_zone,
            window_s=_seconds(self.window),
            experiment=made,
            criteria_json=criteria_json(self.success_criteria),
            paused=self.paused,
            alarm_needed=alarm.failures if alarm else 0,
            alarm_window=alarm.of if alarm else 0,
            judge_model=judge.judge_model if judge else "",
            judge_rubric=judge.rubric if judge else "",
            judge_spend_cap_nano=judge.spend_cap_usd if judge else None,
        )


class SchedulesQuery(PageQuery):
    """Which schedules."""

    project_id: _Text = Field("", description="Only this project's.")


@routes.endpoint("POST", _PATH, "Repeat an experiment by a schedule", role="editor", status=201)
async def create_experiment_schedule(caller: Authorized, body: ScheduleBody, request: Request) -> Data[Schedule]:
    wanted = pb.CreateScheduleRequest(spec=body.spec())
    found = await _replays(request).schedule(caller, wanted, pb.CreateScheduleResponse)
    return Data(data=schedule(found.schedule))


@routes.endpoint("GET", _PATH, "List the schedules, newest first", role="viewer")
async def list_experiment_schedules(
    caller: Authorized, query: Annotated[SchedulesQuery, QueryParameters()], request: Request
) -> Listing[Schedule]:
    wanted = pb.ListSchedulesRequest(project_id=query.project_id, limit=query.limit, cursor=query.cursor)
    found = await _replays(request).schedule(caller, wanted, pb.ListSchedulesResponse)
    return listing([schedule(each) for each in found.schedules], found.next_cursor)


@routes.endpoint("GET", _PATH + "/{schedule_id}", "Show a schedule", role="viewer")
async def get_experiment_schedule(caller: Authorized, schedule_id: str, request: Request) -> Data[Schedule]:
    found = await _replays(request).schedule(caller, pb.GetScheduleRequest(id=schedule_id), pb.GetScheduleResponse)
    return Data(data=schedule(found.schedule))


@routes.endpoint("PUT", _PATH + "/{schedule_id}", "Change a schedule", role="editor")
async def update_experiment_schedule(
    caller: Authorized, schedule_id: str, body: ScheduleBody, request: Request
) -> Data[Schedule]:
    """Its runs go on counting: they share one error budget, whatever is changed."""
    wanted = pb.UpdateScheduleRequest(id=schedule_id, spec=body.spec())
    found = await _replays(request).schedule(caller, wanted, pb.UpdateScheduleResponse)
    return Data(data=schedule(found.schedule))


@routes.endpoint("POST", _PATH + "/{schedule_id}/pause", "Pause a schedule", role="editor")
async def pause_experiment_schedule(caller: Authorized, schedule_id: str, request: Request) -> Data[Schedule]:
    """It fires by hand alone. An experiment that runs goes on."""
    return await _paused(caller, schedule_id, request, paused=True)


@routes.endpoint("POST", _PATH + "/{schedule_id}/resume", "Resume a schedule", role="editor")
async def resume_experiment_schedule(caller: Authorized, schedule_id: str, request: Request) -> Data[Schedule]:
    """It fires at its next due moment. What was missed meanwhile is not made up for."""
    return await _paused(caller, schedule_id, request, paused=False)


@routes.endpoint("POST", _PATH + "/{schedule_id}/fire", "Run a schedule's experiment now", role="editor", status=201)
async def fire_experiment_schedule(caller: Authorized, schedule_id: str, request: Request) -> Data[Experiment]:
    """Beside its times, over the window that ends now; also where it is paused."""
    found = await _replays(request).schedule(caller, pb.FireScheduleRequest(id=schedule_id), pb.FireScheduleResponse)
    return Data(data=experiment(found.experiment))


@routes.endpoint("GET", _PATH + "/{schedule_id}/experiments", "List a schedule's experiments", role="viewer")
async def list_scheduled_experiments(
    caller: Authorized, schedule_id: str, query: Annotated[PageQuery, QueryParameters()], request: Request
) -> Listing[ExperimentHead]:
    """Newest first, each with its verdict."""
    replays = _replays(request)
    await replays.schedule(caller, pb.GetScheduleRequest(id=schedule_id), pb.GetScheduleResponse)
    wanted = replay.ListRequest(schedule_id=schedule_id, limit=query.limit, cursor=query.cursor)
    found = await replays.ask(caller, wanted, replay.ListResponse)
    return listing([experiment_head(each) for each in found.experiments], found.next_cursor)


@routes.endpoint("DELETE", _PATH + "/{schedule_id}", "Delete a schedule; its experiments stay", role="editor")
async def delete_experiment_schedule(caller: Authorized, schedule_id: str, request: Request) -> Data[Deleted]:
    wanted = pb.DeleteScheduleRequest(id=schedule_id)
    await _replays(request).schedule(caller, wanted, pb.DeleteScheduleResponse)
    return Data(data=Deleted(id=schedule_id))


async def _paused(caller: Authorized, schedule_id: str, request: Request, *, paused: bool) -> Data[Schedule]:
    replays = _replays(request)
    found = await replays.schedule(caller, pb.GetScheduleRequest(id=schedule_id), pb.GetScheduleResponse)
    spec = found.schedule.spec
    if spec.paused == paused:
        return Data(data=schedule(found.schedule))
    spec.paused = paused
    wanted = pb.UpdateScheduleRequest(id=schedule_id, spec=spec)
    changed = await replays.schedule(caller, wanted, pb.UpdateScheduleResponse)
    return Data(data=schedule(changed.schedule))


def _seconds(window: str) -> int:
    """Raises a 422 problem."""
    found = _SPAN.fullmatch(window.strip())
    if found is None:
        message, hint = f"{window[:40]!r} is no stretch of time", "Write 30m, 24h, 7d or 2w."
        raise invalid(FieldError("window", message, hint))
    return int(found[1]) * SPANS[found[2]]


def _replays(request: Request) -> Replays:
    replays: Replays = request.app.state.replays
    return replays
