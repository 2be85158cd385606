"""`modelux simulate` against an API that takes experiments as the product does."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import Server, experiment_server, record, replayed, run

from modelux_cli import experiment_progress as progress
from modelux_cli.experiment_request import candidate, only, span, window
from modelux_cli.experiment_text import cost, latency, outcome_lines
from routing_core.errors import ModeluxError

POLICY = {"strategy": "single", "model": "gpt-4o-mini"}
NOW = datetime(2026, 4, 17, 12, 0, 0, 999, UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(progress, "PAUSES_S", (0.0, 0.0))
    with experiment_server() as serving:
        yield serving


def test_the_table_of_the_page_is_printed(server: Server) -> None:
    shown = run(server, "simulate", "--replay=24h", "--config=@agent-v3")
    assert shown.stdout.splitlines() == [
        "Replaying the last 24h under @agent-v3...",
        "",
        "  runs_replayed   40",
        "  requests        400",
        "  window          2026-04-10T00:00:00Z to 2026-04-17T00:00:00Z",
        "",
        "                        CURRENT  CANDIDATE    DELTA    95% INTERVAL",
        "  mean cost/run        $0.01200   $0.00720   -40.0%  [-40.0, -40.0]",
        "  mean cost/request   $0.001200  $0.000720   -40.0%  [-40.0, -40.0]",
        "  p50 latency             8.00s      7.20s   -10.0%  [-10.0, -10.0]",
        "  p95 latency            11.59s     10.43s   -10.0%         unknown",
        "  error rate              1.00%      1.00%  +0.00pp     [-6.6, 6.6]",
        "  output tokens            50.0       50.0    +0.0%      [0.0, 0.0]",
        "  runs without error     90.00%     90.00%  +0.00pp     [-6.6, 6.6]",
        "",
        "  cheaper by 40 % [40, 40]; p50 faster by 10 % [10, 10]; too few rows to tell the p95 change; "
        "error rate change not distinguishable",
        "  evidence: 400 of 400 requests (100.0% of the cost): 400 projected",
        "  self-check: 400 of 400 logged decisions reproduced",
        "  projection: cost -40.0% [-82.6, 106.9] with what is not known of its tokens",
        "  runs: 40 of 40 runs go on after a call that the candidate answers: their later steps would change, so these "
        "figures hold for unchanged steps only; to compare runs, do at least 30 under the candidate",
        "",
        "  promote   modelux experiments promote sim_1",
        "  diff      modelux experiments results sim_1 --sort cost_delta_desc",
    ]
    assert (shown.exit_code, shown.stderr) == (0, "")


def test_what_calls_and_live_splits_taught_is_told(server: Server) -> None:
    summary = json.loads(replayed())
    summary["projection"] |= {"evidence": "pilot", "pairs": 50}
    summary["off_policy"] = {"sentence": "1,234 requests of a live split say that it costs 90 µ$ [85, 95] a request"}
    server.looks = [record(summary=json.dumps(summary))]
    lines = run(server, "simulate", "--config=@agent-v3").stdout.splitlines()
    (projection,) = [line for line in lines if line.startswith("  projection: ")]
    assert projection.endswith(" with what is not known of its tokens after 50 calls of both models (pilot)")
    assert "  live split: 1,234 requests of a live split say that it costs 90 µ$ [85, 95] a request" in lines


def test_by_a_tag_it_tells_what_runs_take(server: Server) -> None:
    lines = run(server, "simulate", "--config=@agent-v3", "--by", "run_id").stdout.splitlines()
    assert server.bodies[0]["runTag"] == "run_id"
    assert [line for line in lines if "/run " in line] == [
        "  mean cost/run        $0.01200   $0.00720   -40.0%  [-40.0, -40.0]",
        "  calls/run                10.0       10.0    +0.0%      [0.0, 0.0]",
        "  tokens/run            1,500.0    1,500.0    +0.0%      [0.0, 0.0]",
        "  p50 latency/run        79.90s     71.91s   -10.0%  [-10.0, -10.0]",
        "  p95 latency/run       115.00s    103.50s   -10.0%         unknown",
    ]


def test_runs_of_a_drawn_window_are_known_by_their_costs_alone(server: Server) -> None:
    server.looks = [record(summary=replayed(weight=2.0))]
    lines = run(server, "simulate", "--config=@agent-v3", "--by", "run_id").stdout.splitlines()
    assert [line for line in lines if "/run " in line] == ["  mean cost/run        $0.0240    $0.0144   -40.0%"]
    assert any(line.startswith("  runs: rows are drawn from the window, so no run is whole") for line in lines)
    assert any(line.endswith(" requests (100.0% of the cost), drawn evenly from 800: 400 projected") for line in lines)


def test_what_is_asked_for_is_what_the_options_say(server: Server) -> None:
    words = ("--tag", "agent=research-v2", "--tag", "tenant:acme", "--only-model", "gpt-4o", "--by", "task")
    assert run(server, "simulate", "--config", json.dumps(POLICY), "--replay", "7d", *words).exit_code == 0
    (body,) = server.bodies
    start, end = (datetime.fromisoformat(body.pop(name)) for name in ("windowStart", "windowEnd"))
    assert end - start == timedelta(days=7)
    assert abs(datetime.now(UTC) - end) < timedelta(minutes=5)
    assert body == {
        "candidateConfig": POLICY,
        "filter": {"tags": {"agent": "research-v2", "tenant": "acme"}, "model": "gpt-4o"},
        "runTag": "task",
        "projectId": "proj_1",
        "name": f"{json.dumps(POLICY)} over the last 7d",
    }


@pytest.mark.parametrize(
    ("written", "code"),
    [("cost_delta_pct > -50", 3), ("cost_delta_pct > 5", 0), ("p95_latency_delta_pct_upper > 5", 3)],
)
def test_a_condition_that_holds_ends_with_3(server: Server, written: str, code: int) -> None:
    shown = run(server, "simulate", "--config=@agent-v3", "--fail-if", written)
    assert shown.exit_code == code
    assert shown.stderr.startswith(f"modelux: --fail-if holds: {written} (it is " if code else "")
    assert "promote" in shown.stdout, "what was found is printed all the same"


def test_a_condition_is_read_before_anything_is_sent(server: Server) -> None:
    refused = run(server, "simulate", "--config=@agent-v3", "--fail-if", "price > 5")
    assert (refused.exit_code, server.asked) == (2, [])
    assert refused.stderr.startswith("modelux: there is no metric 'price'. There are: cost_delta_pct,")


def test_json_is_the_experiment_and_which_conditions_hold(server: Server) -> None:
    plain = run(server, "simulate", "--config=@agent-v3", "--json")
    assert json.loads(plain.stdout) == record(summary=replayed())
    judged = run(server, "simulate", "--config=@agent-v3", "--json", "--fail-if", "requests > 1, cost_delta_pct > 0")
    assert json.loads(judged.stdout)["fail_if"] == ["requests > 1 (it is 400)"]
    assert judged.exit_code == 3


def test_a_window_without_requests_is_nothing_to_compare_and_opens_no_gate(server: Server) -> None:
    server.looks = [record(summary=replayed(rows=0))]
    shown = run(server, "simulate", "--config=@agent-v3", "--by", "task", "--fail-if", "cost_delta_pct > 5")
    assert shown.exit_code == 3
    assert "nothing to compare: no row of this window" in shown.stdout
    assert "CURRENT" not in shown.stdout
    assert "promote" not in shown.stdout
    assert shown.stderr.splitlines() == [
        "modelux: no request that can be evaluated has the tag 'task'",
        "modelux: --fail-if holds: cost_delta_pct > 5 (it is not known)",
    ]


@pytest.mark.parametrize(("status", "reason"), [("failed", "ClickHouse is gone"), ("cancelled", "by its caller")])
def test_an_experiment_that_is_not_completed_is_told(server: Server, status: str, reason: str) -> None:
    server.looks = [record(status, status_reason=reason)]
    shown = run(server, "simulate", "--config=@agent-v3")
    assert (shown.exit_code, shown.stderr) == (4, f"modelux: sim_1 is {status}: {reason}\n")


def test_a_refusal_is_one_line_with_the_field(server: Server) -> None:
    server.refusal = {"code": "unknown_model", "title": "Invalid", "detail": "candidateConfig: x.", "hint": "Mend it."}
    shown = run(server, "simulate", "--config=gpt-5o")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (4, "", "modelux: candidateConfig: x. Mend it.\n")


@pytest.mark.parametrize(("failing", "code"), [(progress._PATIENCE - 1, 0), (progress._PATIENCE, 3)])
def test_a_server_that_starts_again_is_waited_for(
    server: Server, failing: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelux_cli.experiment_request.only_project", lambda _: "proj_1")
    server.failing = failing
    assert run(server, "simulate", "--config=@agent-v3").exit_code == code


def test_an_experiment_that_never_ends_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_S", -1.0)
    shown = run(server, "simulate", "--config=@agent-v3")
    assert (shown.exit_code, "modelux experiments show sim_1" in shown.stderr) == (4, True)


def test_an_interrupt_leaves_the_experiment_and_says_how_to_end_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.time, "sleep", interrupt)
    shown = run(server, "simulate", "--config=@agent-v3")
    assert shown.exit_code == 130
    assert shown.stderr == "modelux: sim_1 goes on; `modelux experiments cancel sim_1` ends it\n"


def test_several_projects_must_be_chosen_from(server: Server) -> None:
    server.projects = [{"id": "proj_1"}, {"id": "proj_2"}]
    assert "Name one with --project" in run(server, "simulate", "--config=@agent-v3").stderr
    server.projects = []
    assert "there is no project" in run(server, "simulate", "--config=@agent-v3").stderr
    assert run(server, "simulate", "--config=@agent-v3", "--project", "proj_2").exit_code == 0
    assert server.bodies[-1]["projectId"] == "proj_2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replay", "yesterday-ish"], "'yesterday-ish' is no stretch of time"),
        (["--replay", "0h"], "'0h' is no stretch of time"),
        (["--end", "2026-04-01T00:00:00Z"], "--end is given without --start"),
        (["--tag", "agent"], "'agent' is no tag with a value"),
        (["--config", "{"], "--config holds no JSON"),
        (["--config", '{"model": "gpt-4o"}'], "--config holds no policy"),
        (["--config", "nowhere.json"], "'nowhere.json' cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(server: Server, words: list[str], said: str) -> None:
    shown = run(server, "simulate", *(() if "--config" in words else ("--config=@agent-v3",)), *words)
    assert (shown.exit_code, server.bodies) == (2, [])
    assert shown.stderr.startswith(f"modelux: {said}")


def test_candidates_are_references_models_and_policies(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY), "utf-8-sig")
    assert candidate("@agent-v3:4") == {"candidateConfig": "@agent-v3:4"}
    assert candidate(str(file)) == {"candidateConfig": POLICY}
    assert candidate(f" {json.dumps(POLICY)}") == {"candidateConfig": POLICY}
    assert candidate("openai/gpt-4o") == {"candidatePolicy": "single", "candidateConfig": {"model": "openai/gpt-4o"}}
    assert candidate("x" * 5000)["candidatePolicy"] == "single", "too long for a path"
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    for name in ("bytes.json", "missing.json"):
        with pytest.raises(ModeluxError, match="cannot be read"):
            candidate(str(tmp_path / name))


def test_windows_are_stretches_of_time_or_two_moments() -> None:
    assert span(" 90m ") == timedelta(minutes=90)
    assert span("2w") == timedelta(days=14)
    last = window("24h", "", "", NOW)
    assert (last.start, last.end) == ("2026-04-16T12:00:00Z", "2026-04-17T12:00:00Z")
    named = window("24h", "2026-04-01T00:00:00+02:00", "", NOW)
    assert (named.start, named.end) == ("2026-04-01T00:00:00+02:00", "2026-04-17T12:00:00Z")
    assert only([], "", "", "@support", "error", "u") == {"config": "support", "status": "error", "endUserId": "u"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [1, 4, 20, 49, 50, 80, 500])
@pytest.mark.parametrize(("done", "total"), [(0, 0), (0, 400), (7, 400), (400, 400), (10**6, 10**7)])
def test_the_bar_fits_its_line(columns: int, done: int, total: int) -> None:
    line = progress.bar(record("running", rows_done=done, rows_total=total), columns)
    assert len(line) < max(columns, 1)
    assert line.isascii()


def test_the_bar_tells_how_far_it_is_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    shown = progress.Bar(terminal)
    shown.show(record("running", rows_done=100, rows_total=400))
    assert terminal.getvalue() == "\r[########                       ]  25%  100 of 400 requests"
    shown.clear()
    last = terminal.getvalue().split("\r")[-2:]
    assert (last[0].strip(), last[1]) == ("", "")
    silent = io.StringIO()
    progress.Bar(silent).show(record("running", rows_done=100, rows_total=400))
    assert silent.getvalue() == ""


def test_a_narrow_terminal_is_spared_the_intervals() -> None:
    found = record(summary=replayed(runs=False))
    assert any("95% INTERVAL" in line for line in outcome_lines(found, 100))
    table = [line for line in outcome_lines(found, 60) if "  -" in line or "CURRENT" in line]
    assert table
    assert max(map(len, table)) <= 60
    assert not any("INTERVAL" in line for line in table)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(None, "-"), (0, "$0"), (1234.5, "$1,234.5000"), (0.0284, "$0.0284"), (-0.001234, "-$0.00123"),
     (0.000000001, "$0.00000000100")],
)  # fmt: skip
def test_amounts(amount: float | None, shown: str) -> None:
    assert cost(amount) == shown


@pytest.mark.parametrize(("ms", "shown"), [(None, "-"), (419.6, "420ms"), (8213.0, "8.21s"), (-1500.0, "-1.50s")])
def test_latencies(ms: Any, shown: str) -> None:
    assert latency(ms) == shown
