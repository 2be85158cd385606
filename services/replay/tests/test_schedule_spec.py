"""What a schedule may ask for: every refusal names its field."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_replay.scheduling.spec import check_schedule, experiment_of

SIMILAR = b'{"predicates":[{"metric":"similarity_pct_above_threshold","op":">","value":1}]}'
WORSE = b'{"predicates":[{"metric":"judge_worse_pct_upper_ci","op":"<=","value":10}]}'
ERRORS = b'{"predicates":[{"metric":"error_rate_delta_pct","op":"<=","value":1}]}'


def spec() -> pb.ScheduleSpec:
    return pb.ScheduleSpec(project_id="proj_1", name=" nightly ", cron="0 6 * * *", window_s=86_400)


def with_(**fields: object) -> Callable[[pb.ScheduleSpec], None]:
    return lambda given: given.MergeFrom(pb.ScheduleSpec(**fields))  # type: ignore[arg-type]  # as the table says


def of_mode(mode: str, **fields: object) -> Callable[[pb.ScheduleSpec], None]:
    experiment = replay.ExperimentSpec(mode=mode)
    return with_(experiment=experiment, **fields)


REFUSALS: list[tuple[str, Callable[[pb.ScheduleSpec], object], str, str]] = [
    ("no name", lambda given: given.ClearField("name"), "name", "is missing"),
    ("blank name", with_(name="  "), "name", "is missing"),
    ("a long name", with_(name="n" * 201), "name", "201 characters"),
    ("no project", lambda given: given.ClearField("project_id"), "projectId", "is missing"),
    ("no cron", lambda given: given.ClearField("cron"), "cron", "0 fields"),
    ("cron", with_(cron="0 6 * *"), "cron", "4 fields"),
    ("zone", with_(time_zone="Mars"), "timeZone", "no time zone"),
    ("no window", lambda given: given.ClearField("window_s"), "window", "out of range"),
    ("ten years", with_(window_s=315_000_000), "window", "out of range"),
    ("backwards", with_(window_s=-5), "window", "out of range"),
    ("alarm", with_(alarm_needed=4, alarm_window=3, criteria_json=ERRORS), "alarm.failures", "between 1 and 3"),
    ("no failures", with_(alarm_window=3, criteria_json=ERRORS), "alarm.failures", "0 is not between"),
    ("alarm of", with_(alarm_needed=1, alarm_window=21, criteria_json=ERRORS), "alarm.of", "between 1 and 20"),
    ("alarm of what", with_(alarm_needed=2, alarm_window=3), "alarm", "needs successCriteria"),
    ("mode", of_mode("x"), "experiment.mode", "not one of"),
    ("no predicate", with_(criteria_json=b'{"predicates":[]}'), "successCriteria.predicates", "at least 1"),
    ("similarity", with_(criteria_json=SIMILAR), "successCriteria.predicates[0].metric", "with_responses"),
    ("worse", with_(criteria_json=WORSE), "successCriteria.predicates[0].metric", "a judge run"),
    ("worse by whom", of_mode("with_responses", criteria_json=WORSE), "judge", "is missing"),
    ("judge of nothing", with_(judge_model="gpt-4o"), "judge", "with_responses"),
    ("no judge", with_(judge_rubric="be strict"), "judge.judgeModel", "is missing"),
    (
        "a rubric of 1 MiB",
        of_mode("with_responses", judge_model="gpt-4o", judge_rubric="r" * 2**20),
        "judge.rubric",
        "1,048,576 characters",
    ),
    (
        "a cap of nothing",
        of_mode("with_responses", judge_model="gpt-4o", judge_spend_cap_nano=-1),
        "judge.spendCapUsd",
        "not above 0",
    ),
]


@pytest.mark.parametrize(("spoil", "field", "words"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_refusals_name_the_field_as_it_was_written(
    spoil: Callable[[pb.ScheduleSpec], object], field: str, words: str
) -> None:
    given = spec()
    spoil(given)
    with pytest.raises(ProblemError) as refused:
        check_schedule(given, 90)
    (error, *_) = refused.value.problem.errors
    assert (refused.value.problem.status, error["field"]) == (422, field)
    assert words in error["message"]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ProblemError) as refused:
        check_schedule(pb.ScheduleSpec(), 90)
    assert [each["field"] for each in refused.value.problem.errors] == ["projectId", "name", "cron", "window"]


def test_what_is_left_out_is_filled_in() -> None:
    found = check_schedule(spec(), 90)
    assert (found.name, found.time_zone, found.experiment.mode) == ("nightly", "UTC", "routing_only")


def test_the_window_ends_at_the_due_moment() -> None:
    given = spec()
    given.criteria_json, given.experiment.candidate_policy = ERRORS, "single"
    found = experiment_of(given, 1_776_384_000_000_000)
    assert (found.window_start, found.window_end) == ("2026-04-16T00:00:00+00:00", "2026-04-17T00:00:00+00:00")
    assert (found.project_id, found.criteria_json, found.candidate_policy) == ("proj_1", ERRORS, "single")
