"""An API that takes experiments as the product does and ends them at once, and the command to call it with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from typer.testing import CliRunner, Result

from modelux.replay.v1 import replay_pb2 as pb
from modelux_cli.main import app
from modelux_management.experiment_views import experiment, promotion, result, similarity_histogram
from modelux_management.preflight_views import preflight
from modelux_management.routes.experiment_scorecard import ScorecardQuery
from modelux_management.routes.experiments import CreateExperiment, HistogramQuery, Promote, ResultsQuery
from modelux_management.scorecard_views import scorecard
from modelux_replay.plan import RESULTS
from modelux_replay.pool import SUMMARY_COLUMNS
from modelux_replay.summary.summaries import sum_up
from modelux_store.experiments import ReplayedRow, ReplayedSide, Scores

START_US = 1_775_779_200_000_000
WEEK_US = 7 * 86_400_000_000
ROWS = 400
Row = dict[str, Any]


def replayed(*, runs: bool = True, rows: int = ROWS, weight: float = 1.0) -> str:
    """What the replay service sums up of a candidate that costs three fifths and is a tenth faster, as JSON."""
    if not rows:
        return sum_up([], 1, 0).summary_json
    table = pa.Table.from_pylist([_replayed(number, runs) | {"weight": weight} for number in range(rows)], RESULTS)
    table = table.select(SUMMARY_COLUMNS)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sum_up([sink.getvalue().to_pybytes()], 1, round(rows * weight)).summary_json


def _replayed(number: int, runs: bool) -> Row:
    cost, latency = 1_000_000 + number * 1_000, 4_000_000 + number * 20_000
    before = {"model": "gpt-4o", "provider": "openai", "cost_nano": cost, "latency_us": latency, "attempts": 1}
    before |= {"status": "error" if number % 100 == 0 else "ok", "input_tokens": 100, "output_tokens": 50}
    after = before | {"model": "gpt-4o-mini", "cost_nano": cost * 3 // 5, "latency_us": latency * 9 // 10}
    bounds = {"candidate_cost_low_nano": cost * 3 // 5, "candidate_cost_high_nano": cost * 3 // 5}
    sides = {f"baseline_{name}": value for name, value in before.items()}
    sides |= {f"candidate_{name}": value for name, value in after.items()}
    own = {"row": number, "request_id": f"req_{number}", "evidence": "projected", "reproduced": True}
    return own | sides | bounds | {"cluster": f"run_{number // 10}" if runs else ""}


def record(status: str = "completed", summary: str = "", **fields: Any) -> Row:
    """An experiment as the API shows it."""
    spec = pb.ExperimentSpec(project_id="proj_1", name="cheaper", mode="routing_only", run_tag="run_id")
    spec.candidate_config_json, spec.filter.tags["agent"] = b'"@agent-v3"', "research-v2"
    one = pb.ExperimentRecord(id="sim_1", spec=spec, status=status, rows_total=ROWS, summary_json=summary.encode())
    one.candidate_reference = "@agent-v3:4"
    one.window_start_us, one.window_end_us, one.created_at_us = START_US, START_US + WEEK_US, START_US + WEEK_US
    for name, value in fields.items():
        setattr(one, name, value)
    return experiment(one).model_dump(mode="json")


class Server(ThreadingHTTPServer):
    """`looks`: the experiment each time it is looked at, the last one for ever. `asked`: what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.projects = [{"id": "proj_1"}]
        self.looks = [record("running", rows_done=100), record(summary=replayed())]
        self.asked: list[tuple[str, str, Any]] = []
        self.refusal: Row = {}
        self.failing = 0
        self.card = pb.ScorecardResponse()

    @property
    def bodies(self) -> list[Any]:
        return [body for method, _, body in self.asked if method == "POST"]

    def look(self) -> Row:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.server.asked.append((self.command, self.path, body))
        if self.server.refusal and self.command == "POST":
            self.send(422, self.server.refusal)
            return
        if self.command == "GET" and self.server.failing:
            self.server.failing -= 1
            self.close_connection = True
            return
        if url.path == "/experiments/scorecard":
            ScorecardQuery.model_validate(query)
            self.send(200, {"data": scorecard(self.server.card).model_dump(mode="json")})
            return
        self.send(200, self.found(url.path, query, body))

    def found(self, path: str, query: dict[str, str], body: Any) -> Row:
        match self.command, path.removeprefix("/experiments"):
            case "GET", "/projects":
                return {"data": self.server.projects}
            case "POST", "":
                CreateExperiment.model_validate(body)
                return {"data": record("pending", rows_total=0)}
            case "POST", "/preflight":
                CreateExperiment.model_validate(body)
                return {"data": preflight(_ESTIMATES[body.get("mode", "")]).model_dump(mode="json")}
            case "GET", "":
                return _page([self.server.looks[-1]] * 3, query)
            case "GET", "/sim_1":
                return {"data": self.server.look()}
            case "GET", "/sim_1/results":
                asked_for = ResultsQuery.model_validate(query)
                return _page([_result(number) for number in range(450)], query, 50 if asked_for.include else 200)
            case "GET", "/sim_1/similarity-histogram":
                asked = HistogramQuery.model_validate(query)
                return {"data": similarity_histogram(_SCORES, asked.threshold).model_dump(mode="json")}
            case "POST", "/sim_1/cancel":
                return {"data": record("cancelled")}
            case "POST", "/sim_1/promote":
                wanted = Promote.model_validate(body)
                made = pb.Promotion(routing_config_id="cfg_1", slug=wanted.slug or "production", version=7)
                made.mode, made.weight, made.at_us = wanted.mode, wanted.weight or 1.0, START_US
                one = promotion(made).model_dump(mode="json")
                return {"data": {"promotion": one, "experiment": record()}}
        return {"data": {}}

    def send(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


_FREE = {"rows_in_window": 81, "effective_sample_size": 81, "notes": ["Nothing is spent."]}
_PAID = pb.PreflightResponse(
    **_FREE,  # type: ignore[arg-type]  # fields by name
    calls=60,
    estimated_cost_nano=300_000,
    per_call_nano=5_000,
    embedding_cost_nano=1_600,
    spend_cap_nano=50 * 10**9,
    suggested_spend_cap_nano=50_000_000,
    requires_confirmation=True,
    auto_cancel_ratio=1.5,
    detectable_rate_points=4.2,
    detectable_cost_percent=7.1,
)
_ESTIMATES = {"": pb.PreflightResponse(**_FREE), "with_responses": _PAID}  # type: ignore[arg-type]  # as above


def _page(rows: list[Row], query: dict[str, str], most: int = 200) -> Row:
    first, limit = int(query.get("cursor", 0)), int(query["limit"])
    assert limit <= most, "as the API allows"
    more = first + limit < len(rows)
    return {"data": rows[first : first + limit], "next_cursor": str(first + limit) if more else None}


def _result(number: int) -> Row:
    before = ReplayedSide("gpt-4o", "openai", 2_000_000, 900_000, None, "ok", "", 100, 50, 1)
    after = ReplayedSide("gpt-4o-mini", "openai", 120_000, None, None, "error", "timeout", 100, 0, 2)
    own = (number, f"req_{number}", START_US, "projected")
    return result(ReplayedRow(*own, before, after, None, None, None, 1.0, "", "", True, b"{}")).model_dump(mode="json")


_SCORES = Scores(rows=110, scored=100, agreeing=73, mean=0.8712, buckets=(0, 0, 0, 0, 0, 1, 6, 10, 20, 63))


@contextmanager
def experiment_server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def run(server: Server, *words: str) -> Result:
    env = {"MODELUX_MANAGE_URL": f"http://127.0.0.1:{server.server_address[1]}", "MODELUX_MGMT_KEY": "mlx_mk_x"}
    return CliRunner().invoke(app, words, env=env)
