"""`modelux schedules`: what it sends, prints and refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import START_US, Handler, Server, record, run

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_cli.experiment_text import experiment_lines
from modelux_management.routes.experiment_schedules import ScheduleBody
from modelux_management.schedule_views import schedule

CRITERIA = b'{"predicates":[{"metric":"cost_delta_pct","op":"<=","value":-20}]}'
VERDICT = b'{"verdict":"fail","sentence":"Fail: cost_delta_pct <= -20 is broken: -5 [-7, -3]."}'


def kept(**fields: Any) -> dict[str, Any]:
    """A schedule as the API shows it."""
    experiment = replay.ExperimentSpec(
        mode="routing_only", candidate_policy="single", candidate_config_json=b'{"model":"gpt-4o-mini"}'
    )
    spec = pb.ScheduleSpec(
        project_id="proj_1", name="nightly", cron="0 6 * * *", time_zone="UTC", experiment=experiment
    )
    spec.window_s, spec.criteria_json, spec.alarm_needed, spec.alarm_window = 604_800, CRITERIA, 2, 3
    one = pb.ScheduleRecord(id="sch_1", spec=spec, next_at_us=START_US, runs=1, last_verdict="fail")
    for name, value in fields.items():
        setattr(one.spec if hasattr(one.spec, name) else one, name, value)
    return schedule(one).model_dump(mode="json")


class Schedules(Handler):
    """Answers as the product does."""

    def found(self, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        rest = path.removeprefix("/experiment-schedules")
        match self.command, rest:
            case "POST", "":
                ScheduleBody.model_validate(body).spec()
                return {"data": kept()}
            case "GET", "":
                return {"data": [kept(), kept(paused=True, next_at_us=0)], "next_cursor": None}
            case "GET", "/sch_1/experiments":
                return {"data": [record(verdict_json=VERDICT)], "next_cursor": None}
            case "POST", "/sch_1/fire":
                return {"data": record("pending")}
            case "POST", "/sch_1/pause":
                return {"data": kept(paused=True, next_at_us=0)}
            case "DELETE", "/sch_1":
                return {"data": {"id": "sch_1", "deleted": True}}
            case _, ("/sch_1" | "/sch_1/resume"):
                return {"data": kept(last_error="No credential.", last_at_us=START_US)}
        return super().found(path, query, body)

    do_DELETE = Handler.answer


@contextmanager
def serving() -> Iterator[Server]:
    from experiment_server import experiment_server

    with experiment_server() as server:
        server.RequestHandlerClass = Schedules
        yield server


def bodies(*words: str) -> list[Any]:
    with serving() as server:
        found = run(server, "schedules", "create", *words)
        assert found.output == "sch_1\n", found.output
        return server.bodies


def test_create_sends_what_was_asked_for() -> None:
    words = ("--config=gpt-4o-mini", "--cron=0 6 * * MON-FRI", "--time-zone=Europe/Berlin", "--window=24h")
    criteria = ("--pass-if", "cost_delta_pct <= -20", "--pass-if=error_rate_delta_pct<1", "--min-sample=200")
    (body,) = bodies(*words, *criteria, "--alarm=2/3", "--tag", "agent=a", "--name=mini")
    assert body == {
        "name": "mini",
        "projectId": "proj_1",
        "cron": "0 6 * * MON-FRI",
        "timeZone": "Europe/Berlin",
        "window": "24h",
        "experiment": {
            "candidatePolicy": "single",
            "candidateConfig": {"model": "gpt-4o-mini"},
            "filter": {"tags": {"agent": "a"}},
        },
        "successCriteria": {
            "logic": "and",
            "min_sample_size": 200,
            "predicates": [
                {"metric": "cost_delta_pct", "op": "<=", "value": -20.0},
                {"metric": "error_rate_delta_pct", "op": "<", "value": 1.0},
            ],
        },
        "alarm": {"failures": 2, "of": 3},
    }


def test_a_schedule_that_calls_its_candidate_and_asks_a_judge() -> None:
    similar = "similarity_pct_above_threshold@0.9 >= 80"
    (body,) = bodies(
        "--config=@next",
        "--cron=0 6 * * *",
        "--sample=1000",
        "--spend-cap=5",
        "--judge=gpt-4o",
        "--pass-if",
        similar,
        "--any",
    )
    assert body["experiment"]["mode"] == "with_responses"
    assert body["judge"] == {"judgeModel": "gpt-4o"}
    assert body["successCriteria"]["logic"] == "or"
    assert body["successCriteria"]["predicates"][0]["params"] == {"threshold": 0.9}


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "schedule.json"
    body = {"name": "n", "cron": "0 6 * * *", "window": "7d", "experiment": {"candidateConfig": "@next"}}
    file.write_text(json.dumps(body))
    assert bodies("--file", str(file)) == [body | {"projectId": "proj_1"}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--cron=0 6 * * *",), "--config is missing"),
        (("--config=@next",), "--cron is missing"),
        (("--config=@next", "--cron=0 6 * * *", "--window=week"), "no stretch of time"),
        (("--config=@next", "--cron=0 6 * * *", "--alarm=often"), "no rule"),
        (("--config=@next", "--cron=0 6 * * *", "--pass-if=cheaper"), "no criterion"),
        (("--config=@next", "--cron=0 6 * * *", "--pass-if=cost_delta_pct < 1.2.3"), "no criterion"),
        (("--file=/nowhere.json",), "cannot be read"),
    ],
)
def test_what_cannot_be_understood_is_not_sent(words: tuple[str, ...], told: str) -> None:
    with serving() as server:
        found = run(server, "schedules", "create", *words)
        assert (found.exit_code, server.bodies) == (2, [])
        assert told in found.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("pause", "sch_1"), "sch_1 is paused"),
        (("resume", "sch_1"), "sch_1 fires next at 2026-04-10T00:00:00Z"),
        (("fire", "sch_1"), "sim_1"),
        (("delete", "sch_1"), "sch_1 is deleted"),
    ],
)
def test_what_is_done_is_told(words: tuple[str, ...], line: str) -> None:
    with serving() as server:
        assert run(server, "schedules", *words).output == f"{line}\n"
        assert json.loads(run(server, "schedules", *words, "--json").output)["id"]


def test_the_list_has_a_line_each() -> None:
    with serving() as server:
        lines = run(server, "schedules", "list").output.splitlines()
    assert len(lines) == 3
    assert "routing_only" in lines[1]
    assert lines[1].endswith("fail")
    assert "paused" in lines[2]


def test_show_tells_what_is_asked_and_what_came() -> None:
    with serving() as server:
        text = run(server, "schedules", "show", "sch_1").output
    assert "due: 0 6 * * * (UTC), next 2026-04-10T00:00:00Z" in text
    assert "window: the 1w before" in text
    assert "candidate: gpt-4o-mini, routing_only" in text
    assert "passes if: cost_delta_pct <= -20" in text
    assert "alarm: when 2 of 3 runs fail" in text
    assert "made no experiment: No credential." in text
    assert "sim_1" in text
    assert "fail" in text


def test_a_verdict_is_told_where_there_is_one() -> None:
    lines = list(experiment_lines(record("cancelled", verdict_json=VERDICT)))
    assert lines[-1] == "  verdict: Fail: cost_delta_pct <= -20 is broken: -5 [-7, -3]."
    assert "verdict" not in "".join(experiment_lines(record("cancelled")))
