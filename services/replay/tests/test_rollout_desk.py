"""Starting, listing and cancelling rollouts: what is refused and by which field, who may, and nothing half-created."""

from __future__ import annotations

import json
from typing import Any

import pytest
from replay_harness import Clock, Replay
from rollout_harness import Rolling
from schedule_harness import told

from modelux.replay.v1 import rollout_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.topics import ROLLOUT_CHANGED
from modelux_replay.rollout.spec import GUARDS, check_rollout, read_split
from modelux_replay.rollout.stepper import Stepper
from modelux_replay.runs import Runs

LATENCY = {"metric": "p95_latency_delta_pct", "op": "<=", "value": 20}


@pytest.fixture
async def rolling(acme: Replay, runs: Runs, clock: Clock, stepper: Stepper) -> Rolling:
    made = Rolling(acme, runs, clock, stepper)
    await made.promote()
    return made


def guards(**fields: Any) -> dict[str, bytes]:
    return {"guards_json": json.dumps({"predicates": [{**LATENCY, **fields}]}).encode()}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"experiment_id": ""}, "experimentId", id="no experiment"),
        pytest.param({"steps": [5, 50]}, "steps", id="not to the whole"),
        pytest.param({"steps": [50, 50, 100]}, "steps", id="not rising"),
        pytest.param({"steps": [0, 100]}, "steps", id="nothing"),
        pytest.param({"steps": [100]}, "steps", id="one"),
        pytest.param({"steps": [*range(1, 11), 100]}, "steps", id="too many"),
        pytest.param({"step_s": -1}, "stepSeconds", id="negative"),
        pytest.param({"step_s": 10**7}, "stepSeconds", id="too long"),
        pytest.param({"step_requests": 50_001}, "stepRequests", id="more than are looked at"),
        pytest.param({"guards_json": b"{"}, "guards", id="no JSON"),
        pytest.param({"guards_json": b"[" * 100_000}, "guards", id="nested too deep"),
        pytest.param({"guards_json": b"{}"}, "guards.predicates", id="no predicates"),
        pytest.param(guards(metric="latency"), "guards.predicates[0].metric", id="unknown metric"),
        pytest.param(guards(metric="run_success_delta_pct"), "guards.predicates[0].metric", id="not measured live"),
        pytest.param(guards(op=">="), "guards.predicates[0].op", id="guards nothing"),
        pytest.param(guards(value="a"), "guards.predicates[0].value", id="no number"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ProblemError) as refused:
        check_rollout(pb.RolloutSpec(**{"experiment_id": "sim_1", **fields}))
    problem = refused.value.problem
    assert (problem.status, problem.errors[0]["field"]) == (422, field)


def test_what_is_left_out_is_filled_in() -> None:
    spec = check_rollout(pb.RolloutSpec(experiment_id="sim_1"))
    assert (list(spec.steps), spec.step_s, spec.step_requests) == ([5, 25, 50, 100], 600, 200)
    assert json.loads(spec.guards_json) == GUARDS
    assert check_rollout(spec) == spec


@pytest.mark.parametrize(
    "policy",
    [
        "gpt-4o",
        {"strategy": "single", "model": "gpt-4o"},
        {"strategy": "ab_test", "split": [{"name": "a", "policy": "x"}, {"name": "candidate", "policy": "y"}]},
        {"strategy": "ab_test", "split": [{"name": "current", "policy": "x"}, {"name": "candidate", "policy": "y"}]},
        {
            "strategy": "ab_test",
            "split": [{"name": "current", "policy": {"ref": "@other:1"}}, {"name": "candidate", "policy": "y"}],
        },
    ],
)
def test_other_policies_are_no_split_to_step(policy: object) -> None:
    with pytest.raises(ProblemError) as refused:
        read_split(json.dumps(policy), "production")
    assert refused.value.problem.code == "not_a_split"


async def test_an_experiment_that_was_not_promoted_as_a_split_is_refused(rolling: Rolling) -> None:
    other = await rolling.acme.create({"model": "gpt-4.1-mini"}, name="other")
    problem = await rolling.start_refused(experiment_id=other.id)
    assert (problem.status, problem.errors[0]["field"]) == (422, "routingConfigId")
    problem = await rolling.start_refused(experiment_id=other.id, routing_config_id=rolling.config_id)
    assert (problem.status, problem.code) == (409, "not_promoted")


async def test_a_split_that_is_no_longer_active_is_refused(rolling: Rolling) -> None:
    await rolling.acme.tenant("RollbackRoutingConfig", id=rolling.config_id)
    problem = await rolling.start_refused()
    assert (problem.status, problem.code) == (409, "not_promoted")
    await rolling.acme.tenant("ActivateRoutingConfig", id=rolling.config_id, version=2)
    assert (await rolling.start()).status == "running"


async def test_one_runs_on_a_config_at_a_time(rolling: Rolling) -> None:
    made = await rolling.start()
    problem = await rolling.start_refused()
    assert (problem.status, problem.code) == (409, "rollout_running")
    assert made.id in problem.detail
    assert len(await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name)) == 1


async def test_a_viewer_starts_and_cancels_nothing_even_past_the_edge(rolling: Rolling) -> None:
    viewer = (await rolling.acme.tenant.with_role("viewer")).key
    assert (await rolling.start_refused(secret=viewer)).status == 403
    answer = await rolling.ask(pb.ListRolloutsRequest(), pb.ListRolloutsResponse)
    assert not answer.rollouts
    made = await rolling.start()
    asked = pb.CancelRolloutRequest(id=made.id)
    assert (await rolling.refused(asked, pb.CancelRolloutResponse, secret=viewer)).status == 403
    assert (await rolling.get(made.id)).status == "running"


async def test_the_same_key_starts_one(rolling: Rolling) -> None:
    first = await rolling.start(key="once")
    assert await rolling.start(key="once") == first
    spec = pb.RolloutSpec(experiment_id=rolling.experiment_id, steps=[1, 100])
    problem = await rolling.refused(pb.StartRolloutRequest(spec=spec), pb.StartRolloutResponse, key="once")
    assert problem.code == "idempotency_key_reused"


async def test_listed_by_pages_newest_first(rolling: Rolling) -> None:
    ids = []
    for _ in range(3):
        made = await rolling.start()
        ids.append(made.id)
        await rolling.cancel(made.id)
        rolling.clock.us += 10_000
    first = await rolling.ask(pb.ListRolloutsRequest(limit=2), pb.ListRolloutsResponse)
    rest = await rolling.ask(pb.ListRolloutsRequest(limit=2, cursor=first.next_cursor), pb.ListRolloutsResponse)
    assert [each.id for each in (*first.rollouts, *rest.rollouts)] == ids[::-1]
    assert rest.next_cursor == ""
    for wrong in (pb.ListRolloutsRequest(limit=201), pb.ListRolloutsRequest(cursor="sch_1")):
        assert (await rolling.refused(wrong, pb.ListRolloutsResponse)).status == 422


async def test_other_tenants_see_and_touch_nothing(rolling: Rolling, globex: Replay) -> None:
    made = await rolling.start()
    other = Rolling(globex, rolling.runs, rolling.clock, rolling.stepper, rolling.experiment_id, rolling.config_id)
    assert (await other.start_refused()).status == 404
    assert (await other.refused(pb.GetRolloutRequest(id=made.id), pb.GetRolloutResponse)).status == 404
    assert (await other.refused(pb.CancelRolloutRequest(id=made.id), pb.CancelRolloutResponse)).status == 404
    assert not (await other.ask(pb.ListRolloutsRequest(), pb.ListRolloutsResponse)).rollouts


async def test_what_has_ended_is_not_cancelled(rolling: Rolling) -> None:
    made = await rolling.start()
    await rolling.acme.tenant("DeleteRoutingConfig", id=rolling.config_id)
    await rolling.look()
    problem = await rolling.refused(pb.CancelRolloutRequest(id=made.id), pb.CancelRolloutResponse)
    assert (problem.status, problem.code) == (409, "rollout_ended")
    assert "superseded" in problem.detail
