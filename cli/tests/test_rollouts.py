"""`modelux rollouts`: what it sends, prints and refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import START_US, Handler, Server, experiment_server, run

from modelux.replay.v1 import rollout_pb2 as pb
from modelux_management.rollout_views import rollout
from modelux_management.routes.rollouts import RolloutBody

GUARDS = b'{"logic":"and","predicates":[{"metric":"error_rate_delta_pct","op":"<=","value":1}]}'
REASON = "Rolled back to version 1 after 15 requests: 15 of 15 failed against 0 of 300"


def kept(**fields: Any) -> dict[str, Any]:
    """A rollout as the API shows it."""
    spec = pb.RolloutSpec(experiment_id="sim_1", routing_config_id="cfg_1", steps=[5, 100], guards_json=GUARDS)
    spec.step_s, spec.step_requests = 600, 200
    history = [
        pb.RolloutStep(at_us=START_US, percent=5, version=3, reason="the rollout was started"),
        pb.RolloutStep(at_us=START_US + 2_000_000, percent=0, version=1, reason="worse", requests=15),
    ]
    given = {"status": "rolled_back", "status_reason": REASON, "percent": 0, "history": history, **fields}
    return rollout(pb.RolloutRecord(id="ro_1", spec=spec, **given)).model_dump(mode="json")


class Rollouts(Handler):
    """Answers as the product does."""

    def found(self, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        match self.command, path:
            case "POST", "/rollouts":
                RolloutBody.model_validate(body).spec()
                return {"data": kept()}
            case "GET", "/rollouts":
                return {"data": [kept(), kept(status="running", percent=5)], "next_cursor": None}
            case "POST", "/rollouts/ro_1/cancel":
                return {"data": kept(status="cancelled", status_reason="Cancelled at 5 % of the traffic.")}
            case "GET", "/rollouts/ro_1":
                return {"data": kept()}
        return super().found(path, query, body)


@contextmanager
def serving() -> Iterator[Server]:
    with experiment_server() as server:
        server.RequestHandlerClass = Rollouts
        yield server


def test_start_sends_what_was_asked_for() -> None:
    words = ("--steps=10,50,100", "--step-seconds=60", "--step-requests=100", "--min-sample=50")
    with serving() as server:
        found = run(server, "rollouts", "start", "sim_1", *words, "--guard", "p95_latency_delta_pct <= 10")
    assert found.output == "ro_1\n", found.output
    predicate = {"metric": "p95_latency_delta_pct", "op": "<=", "value": 10.0}
    assert server.bodies == [
        {
            "experimentId": "sim_1",
            "steps": [10, 50, 100],
            "stepSeconds": 60,
            "stepRequests": 100,
            "guards": {"logic": "and", "min_sample_size": 50, "predicates": [predicate]},
        }
    ]


def test_show_tells_the_steps_and_the_reason() -> None:
    with serving() as server:
        text = run(server, "rollouts", "show", "ro_1").output
    assert text.startswith("ro_1  rolled back, the candidate has 0 % of the traffic\n  " + REASON)
    assert "steps: 5, 100 %, at least 600 s and 200 requests of the candidate each" in text
    assert "guards: error_rate_delta_pct <= 1" in text
    assert text.rstrip().endswith("worse")


def test_list_cancel_and_json() -> None:
    with serving() as server:
        listed = run(server, "rollouts", "list").output.splitlines()
        cancelled = run(server, "rollouts", "cancel", "ro_1").output
        shown = json.loads(run(server, "rollouts", "show", "ro_1", "--json").output)
    assert [line.split()[0] for line in listed] == ["ID", "ro_1", "ro_1"]
    assert cancelled == "ro_1: Cancelled at 5 % of the traffic.\n"
    assert shown == kept()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--steps=5,all",), "is no list of percentages"),
        (("--guard=errors are few",), "is no criterion"),
    ],
)
def test_what_cannot_be_read_is_refused(words: tuple[str, ...], told: str) -> None:
    with serving() as server:
        found = run(server, "rollouts", "start", "sim_1", *words)
    assert found.exit_code != 0
    assert told in found.output
    assert server.bodies == []
