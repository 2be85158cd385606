"""`modelux experiments scorecard`: what was projected beside what came."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import START_US, experiment_server, run

from modelux.replay.v1 import replay_pb2 as pb


def card() -> pb.ScorecardResponse:
    cost = pb.ScorecardEntry(experiment_id="sim_1", source="promotion", slug="production", version=7)
    cost.metric, cost.requests, cost.measured_at_us, cost.held = "mean_cost_usd", 1234, START_US, True
    cost.projected.CopyFrom(pb.Estimate(value=0.0012, lower=0.0011, upper=0.0013))
    cost.measured.CopyFrom(pb.Estimate(value=0.00125, lower=0.0012, upper=0.0013))
    own = pb.ScorecardEntry(experiment_id="sim_2", source="with_responses", metric="p95_latency_ms", requests=300)
    own.projected.CopyFrom(pb.Estimate(value=900, lower=800))
    own.measured.CopyFrom(pb.Estimate(value=700))
    rate = pb.ScorecardMetric(metric="error_rate", entries=21, median_error=0.125, widen_by=1.4)
    rate.coverage.CopyFrom(pb.Estimate(value=0.9, lower=0.71, upper=0.97))
    rate.too_high.CopyFrom(pb.Estimate(value=0.25))
    return pb.ScorecardResponse(metrics=[rate], entries=[cost, own], waiting=2)


def test_metrics_and_entries_are_told_with_their_intervals() -> None:
    with experiment_server() as server:
        server.card = card()
        found = run(server, "experiments", "scorecard")
    assert found.exit_code == 0, found.output
    lines = [line.split() for line in found.output.splitlines()]
    assert lines[1] == ["error_rate", "21", "90%", "[71%,", "97%]", "12.5%", "25%", "1.40"]
    assert lines[4][:3] == ["sim_1", "@production:7", "mean_cost_usd"]
    assert lines[4][3:] == ["$0.00120", "[$0.00110,", "$0.00130]", "$0.00125", "1,234", "yes"]
    assert "its own calls" in found.output
    assert "[800ms, unknown]" in found.output
    assert lines[-1][0] == "2"
    assert server.asked[-1][1] == "/experiments/scorecard?project_id=proj_1"


def test_nothing_is_measured_yet() -> None:
    with experiment_server() as server:
        told = run(server, "experiments", "scorecard", "--project", "proj_2")
        as_json = run(server, "experiments", "scorecard", "--json")
    assert told.output.startswith("nothing is measured yet")
    assert json.loads(as_json.output) == {"metrics": [], "entries": [], "waiting": 0}
