"""`modelux budgets` against an API that answers from a table."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from modelux_cli.budgets import seconds
from modelux_cli.main import app
from routing_core.errors import ModeluxError

BUDGET: dict[str, Any] = {
    "id": "bud_1",
    "name": "runs",
    "project_id": None,
    "scope": "tag",
    "scope_key": "run_id",
    "each": True,
    "cap_usd": 0.05,
    "max_calls": 200,
    "max_duration_s": 1800,
    "action": "downgrade",
    "downgrade_to": "gpt-4o-mini",
    "downgrade_at_percent": 80.0,
    "loop_calls": 5,
    "period": "total",
    "period_start": None,
    "time_zone": "UTC",
    "alert_percents": [50, 100],
    "disabled": False,
}
SPEND: dict[str, Any] = {
    "value": "run_7",
    "cap_usd": 0.05,
    "settled_usd": 0.0495,
    "reserved_usd": 0.0,
    "remaining_usd": 0.0005,
    "forecast_usd": None,
    "calls": 120,
    "max_calls": 200,
    "resets_at": None,
    "aborted": True,
    "exceeded": True,
}
CHECKED: dict[str, Any] = {
    "budget_id": "bud_1",
    "value": "run_7",
    "window_start": None,
    "settled_usd": 0.0495,
    "logged_usd": 0.0494,
    "difference_usd": 0.0001,
    "unexplained_usd": 0.0,
    "text": "The ledger has $0.0001 beyond the log: $0.0001 of unknown calls.",
}
ANSWERS: dict[tuple[str, str], Any] = {
    ("POST", "/budgets"): BUDGET,
    ("GET", "/budgets"): [BUDGET],
    ("GET", "/budgets/bud_1"): BUDGET,
    ("PATCH", "/budgets/bud_1"): BUDGET,
    ("DELETE", "/budgets/bud_1"): {"id": "bud_1", "deleted": True},
    ("GET", "/budgets/bud_1/spend"): [SPEND],
    ("GET", "/budgets/bud_1/reconcile"): [CHECKED],
    ("POST", "/budgets/explain"): {"text": ["req_1 asked for gpt-4o and was blocked.", "What to do: wait."]},
}
PROBLEM = {"code": "invalid_request", "title": "Invalid", "detail": "capUsd: is negative.", "hint": "Write more."}


class Server(ThreadingHTTPServer):
    """Answers as `ANSWERS` says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append((self.command, self.path, body))
        refused = isinstance(body, dict) and body.get("capUsd") == "-1"
        found = PROBLEM if refused else {"data": ANSWERS[self.command, self.path.partition("?")[0]]}
        content = json.dumps(found).encode()
        self.send_response(422 if refused else 200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def run(server: Server, *words: str) -> Result:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return CliRunner().invoke(app, words, env={"MODELUX_MANAGE_URL": url, "MODELUX_MGMT_KEY": "mlx_mk_x"})


GUARD = ["--tag", "run_id", "--each", "--cap", "0.05", "--downgrade-to", "gpt-4o-mini"]


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        pytest.param(
            [*GUARD, "--max-calls", "200", "--max-duration", "30m"],
            {
                "name": "each tag run_id",
                "scope": "tag",
                "scopeKey": "run_id",
                "each": True,
                "capUsd": "0.05",
                "maxCalls": 200,
                "maxDurationS": 1800,
                "action": "downgrade",
                "downgradeTo": "gpt-4o-mini",
            },
            id="a run guard",
        ),
        pytest.param(
            ["--cap", "$1000", "--period", "month", "--alert-at", "80,100%"],
            {
                "name": "organization",
                "scope": "organization",
                "each": False,
                "capUsd": "1000",
                "period": "month",
                "alertPercents": [80, 100],
            },
            id="the organization",
        ),
        pytest.param(
            ["--project", "proj_1", "--cap", "5", "--alert-at", "", "--action", "alert"],
            {
                "name": "project proj_1",
                "scope": "project",
                "projectId": "proj_1",
                "each": False,
                "capUsd": "5",
                "action": "alert",
                "alertPercents": [],
            },
            id="a project, no alerts",
        ),
        pytest.param(
            ["--project", "proj_1", "--tag", "team:search", "--max-calls", "5"],
            {
                "name": "tag team=search in proj_1",
                "scope": "tag",
                "scopeKey": "team=search",
                "projectId": "proj_1",
                "each": False,
                "maxCalls": 5,
            },
            id="a tag within a project",
        ),
        pytest.param(
            ["--scope", "end_user", "--each", "--cap", "1", "--period", "day", "--time-zone", "Europe/Berlin"],
            {
                "name": "each end_user",
                "scope": "end_user",
                "each": True,
                "capUsd": "1",
                "period": "day",
                "timeZone": "Europe/Berlin",
            },
            id="each end user",
        ),
    ],
)
def test_create_sends_what_was_meant(server: Server, words: list[str], sent: object) -> None:
    made = run(server, "budgets", "create", *words)
    assert made.exit_code == 0, made.output
    assert server.asked == [("POST", "/budgets", sent)]
    assert made.output.splitlines() == [
        "bud_1  runs",
        "  for: each run_id",
        "  limits: $0.05, 200 calls, 30m",
        "  period: total",
        "  at the cap: downgrade to gpt-4o-mini from 80 %",
        "  alerts: 50 %, 100 %",
        "  reports the same call 5 times over",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tag", "a", "--model", "b"], "one scope, not tag and model"),
        (["--tag", "a", "--scope", "experiment"], "one scope, not tag and experiment"),
        (["--max-duration", "soon"], "'soon' is not a duration"),
        (["--cap", "1", "--alert-at", "half"], "'half' is not a whole number of percent"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(server: Server, words: list[str], said: str) -> None:
    made = run(server, "budgets", "create", *words)
    assert made.exit_code == 2
    assert said in made.output
    assert server.asked == []


def test_a_refusal_is_one_line_with_the_field(server: Server) -> None:
    made = run(server, "budgets", "create", "--cap", "-1")
    assert made.exit_code == 4
    assert made.output == "modelux: capUsd: is negative. Write more.\n"


def test_an_empty_list_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, ("GET", "/budgets"), [])
    shown = run(server, "budgets", "list")
    assert (shown.stdout, shown.stderr) == ("", "modelux: there are none\n")


def test_update_changes_only_what_was_named(server: Server) -> None:
    words = ("--cap", "0.1", "--without", "max-calls", "--loop-calls", "0", "--disable")
    assert run(server, "budgets", "update", "bud_1", *words).exit_code == 0
    changes = {"capUsd": "0.1", "maxCalls": None, "loopCalls": 0, "disabled": True}
    assert server.asked == [("PATCH", "/budgets/bud_1", changes)]
    wrong = run(server, "budgets", "update", "bud_1", "--without", "sense")
    assert "no limit 'sense'" in wrong.output


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["list"],
            [
                "ID     NAME  FOR          LIMITS                 PERIOD  AT THE CAP",
                "bud_1  runs  each run_id  $0.05, 200 calls, 30m  total   downgrade to gpt-4o-mini from 80 %",
            ],
        ),
        (
            ["spend", "bud_1", "--value", "run_7"],
            [
                "VALUE  CAP    SPENT    RESERVED  LEFT     FORECAST  CALLS    RESETS  STATE",
                "run_7  $0.05  $0.0495  $0.00     $0.0005  -         120/200  never   aborted",
            ],
        ),
        (
            ["reconcile", "bud_1"],
            [
                "WINDOW  VALUE  SETTLED  LOGGED   DIFFERENCE  UNEXPLAINED",
                "total   run_7  $0.0495  $0.0494  $0.0001     $0.00",
                "run_7: The ledger has $0.0001 beyond the log: $0.0001 of unknown calls.",
            ],
        ),
        (["explain", "req_1"], ["req_1 asked for gpt-4o and was blocked.", "What to do: wait."]),
        (["delete", "bud_1"], ["deleted bud_1"]),
    ],
)
@pytest.mark.parametrize("group", ["budgets", "budget"])
def test_what_is_shown(server: Server, group: str, words: list[str], lines: list[str]) -> None:
    shown = run(server, group, *words)
    assert shown.output.splitlines() == lines
    (method, path, _) = server.asked[0]
    printed = run(server, group, *words, "--json")
    assert json.loads(printed.output) == ANSWERS[method, path.partition("?")[0]]


def test_explain_takes_the_facts_of_a_request(server: Server) -> None:
    words = ("--tag", "run_id=run_7", "--model", "gpt-4o", "--needed", "0.01", "--project", "proj_1")
    assert run(server, "budget", "explain", *words).exit_code == 0
    facts = {"tags": {"run_id": "run_7"}, "model": "gpt-4o", "projectId": "proj_1", "neededUsd": "0.01"}
    assert server.asked == [("POST", "/budgets/explain", facts)]
    assert run(server, "budget", "explain", "--tag", "run_id").exit_code == 2


@pytest.mark.parametrize(
    ("written", "meant"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2h5s", 7205)]
)
def test_durations(written: str, meant: int) -> None:
    assert seconds(written) == meant


@pytest.mark.parametrize("written", ["", " ", "m", "-1m", "1.5h", "30min", "1d"])
def test_bad_durations(written: str) -> None:
    with pytest.raises(ModeluxError, match="is not a duration"):
        seconds(written)
