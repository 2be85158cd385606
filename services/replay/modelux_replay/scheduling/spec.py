"""Check what a schedule asks for, as far as that can be told without the configuration."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_replay.scheduling.cron import BadCron, Cron, parse_cron, parse_zone
from modelux_replay.spec import DAY_US, LONGEST_NAME, MODES
from modelux_replay.summary.criteria import judged
from modelux_replay.summary.criteria import read_criteria as read

SHORTEST_WINDOW_S = 60
MOST_ALARM_RUNS = 20
LONGEST_RUBRIC = 20_000
_BARE = ("projectId", "name")
"""Fields that the experiment has from its schedule."""


def cron_of(spec: pb.ScheduleSpec) -> Cron:
    """Of a spec that was checked."""
    return parse_cron(spec.cron, spec.time_zone)


def check_schedule(asked: pb.ScheduleSpec, window_days: int) -> pb.ScheduleSpec:
    """The spec with everything filled in. Raises a 422 problem that names every field at fault, each with its remedy.

    What the experiment asks for is checked with its first window, by whoever has the configuration.
    """
    spec = pb.ScheduleSpec()
    spec.CopyFrom(asked)
    spec.name = spec.name.strip()
    spec.time_zone = spec.time_zone or "UTC"
    experiment = spec.experiment
    experiment.mode = experiment.mode or "routing_only"
    errors = [*_texts(spec), *_times(spec, window_days), *_alarm(spec), *_judge(spec)]
    if errors:
        raise invalid(*errors)
    _criteria(spec)
    return spec


def experiment_of(spec: pb.ScheduleSpec, until_us: int) -> replay.ExperimentSpec:
    """The experiment of a schedule whose window ends at a moment."""
    found = replay.ExperimentSpec()
    found.CopyFrom(spec.experiment)
    found.project_id, found.name, found.criteria_json = spec.project_id, spec.name, spec.criteria_json
    found.window_start = _written(until_us - spec.window_s * 1_000_000)
    found.window_end = _written(until_us)
    return found


def named_within(error: ProblemError) -> ProblemError:
    """A problem of an experiment's fields, named as the caller of a schedule writes them."""
    fields = tuple({**each, "field": _place(each["field"])} for each in error.problem.errors)
    if not fields:
        return error
    detail = f"{fields[0]['field']}: {fields[0]['message']}"
    return ProblemError(replace(error.problem, errors=fields, detail=detail))


def _place(field: str) -> str:
    if field in _BARE or field.startswith("successCriteria"):
        return field
    return "window" if field.startswith("window") else f"experiment.{field}"


def _written(us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()


def _texts(spec: pb.ScheduleSpec) -> list[FieldError]:
    errors = []
    if not spec.project_id:
        errors.append(FieldError("projectId", "is missing", "List the projects to see their ids."))
    if not spec.name:
        errors.append(FieldError("name", "is missing", "Name it by what it watches, such as 'mini stays good enough'."))
    if len(spec.name) > LONGEST_NAME:
        errors.append(FieldError("name", f"has {len(spec.name)} characters", f"Use at most {LONGEST_NAME}."))
    if spec.experiment.mode not in MODES:
        message = f"{spec.experiment.mode[:40]!r} is not one of them"
        errors.append(FieldError("experiment.mode", message, f"There are: {', '.join(MODES)}."))
    return errors


def _times(spec: pb.ScheduleSpec, window_days: int) -> list[FieldError]:
    errors = []
    for field, reading in (
        ("cron", partial(parse_cron, spec.cron, "")),
        ("timeZone", partial(parse_zone, spec.time_zone)),
    ):
        try:
            reading()
        except BadCron as error:
            errors.append(FieldError(field, str(error), error.hint))
    if not SHORTEST_WINDOW_S <= spec.window_s <= window_days * DAY_US // 1_000_000:
        hint = f"Choose between a minute and {window_days} days, such as 7d: so long requests are kept."
        errors.append(FieldError("window", f"{spec.window_s:,} seconds are out of range", hint))
    return errors


def _alarm(spec: pb.ScheduleSpec) -> list[FieldError]:
    needed, of = spec.alarm_needed, spec.alarm_window
    if needed == of == 0:
        return []
    errors = []
    if not 1 <= of <= MOST_ALARM_RUNS:
        errors.append(FieldError("alarm.of", f"{of} is not between 1 and {MOST_ALARM_RUNS}", "Such as 3."))
    elif not 1 <= needed <= of:
        errors.append(FieldError("alarm.failures", f"{needed} is not between 1 and {of}, alarm.of", "Such as 2."))
    if not spec.criteria_json:
        errors.append(FieldError("alarm", "needs successCriteria: without them no run fails", "Add them."))
    return errors


def _judge(spec: pb.ScheduleSpec) -> list[FieldError]:
    if not spec.judge_model:
        if spec.judge_rubric or spec.HasField("judge_spend_cap_nano"):
            return [FieldError("judge.judgeModel", "is missing", "Name the model that judges, such as gpt-4o.")]
        return []
    errors = []
    if spec.experiment.mode != "with_responses":
        hint = "Remove it, or change experiment.mode."
        errors.append(FieldError("judge", "is of mode 'with_responses' alone: there are no answers to judge", hint))
    if len(spec.judge_rubric) > LONGEST_RUBRIC:
        message = f"has {len(spec.judge_rubric):,} characters"
        errors.append(FieldError("judge.rubric", message, f"Use at most {LONGEST_RUBRIC:,}."))
    if spec.HasField("judge_spend_cap_nano") and spec.judge_spend_cap_nano <= 0:
        errors.append(FieldError("judge.spendCapUsd", "is not above 0", "Give an amount in USD."))
    return errors


def _criteria(spec: pb.ScheduleSpec) -> None:
    criteria = read(spec.criteria_json, spec.experiment.mode)
    if criteria is not None and judged(criteria) and not spec.judge_model:
        hint = "Add judge.judgeModel, or remove the criterion."
        raise invalid(FieldError("judge", "is missing: a criterion asks for what a judge says", hint))
