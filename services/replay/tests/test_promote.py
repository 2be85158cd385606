"""Promotion: whole or as a share, once, never of an incomplete experiment, and never over a change that nobody saw."""

from __future__ import annotations

import asyncio
import json

import pytest
from replay_harness import Clock, Replay

from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_replay.experiments import completed_event
from modelux_replay.runs import Runs


async def completed(acme: Replay, runs: Runs, clock: Clock, candidate: object = None, **fields: object) -> str:
    """An experiment that has run."""
    made = await acme.create(candidate or {"model": "gpt-4o-mini"}, **fields)
    one = await runs.experiments.claim(made.id, clock())
    assert one is not None
    event = completed_event(one, "completed", "", clock())
    await runs.experiments.end(one, "completed", clock(), completed=event, summary="{}")
    return made.id


async def policy_of(acme: Replay, slug: str = "production") -> tuple[int, object]:
    (config,) = (await acme.tenant("ListRoutingConfigs", slug=slug)).routing_configs
    return config.active_version, json.loads(config.policy_json)


async def test_a_share_of_the_traffic(acme: Replay, runs: Runs, clock: Clock) -> None:
    identifier = await completed(acme, runs, clock)
    made = await acme.promote(identifier, mode="ab_test", weight=0.1)
    assert (made.promotion.version, made.promotion.weight, made.promotion.slug) == (2, 0.1, "production")
    version, policy = await policy_of(acme)
    assert version == 2
    assert policy == {
        "strategy": "ab_test",
        "split": [
            {"name": "current", "weight": 0.9, "policy": {"ref": "@production:1"}},
            {"name": "candidate", "weight": 0.1, "policy": {"strategy": "single", "model": "gpt-4o-mini"}},
        ],
    }
    whole = await acme.promote(identifier)
    assert whole.promotion.version == 3
    assert [each.version for each in whole.experiment.promotions] == [2, 3]


async def test_again_answers_alike_and_writes_nothing(acme: Replay, runs: Runs, clock: Clock) -> None:
    identifier = await completed(acme, runs, clock)
    first = await acme.promote(identifier)
    clock.us += 1_000_000
    second = await acme.promote(identifier)
    assert second.promotion == first.promotion
    assert await policy_of(acme) == (2, {"strategy": "single", "model": "gpt-4o-mini"})


async def test_a_promotion_that_was_cut_off_is_not_made_twice(acme: Replay, runs: Runs, clock: Clock) -> None:
    """The version is there, but the answer of the config service never came."""
    identifier = await completed(acme, runs, clock)
    await acme.promote(identifier)
    async with runs.experiments.database.transaction() as tx:
        await tx.execute("DELETE FROM replay.promotions")
    assert (await acme.promote(identifier)).promotion.version == 2


async def test_a_referred_version_is_promoted_as_it_stands(acme: Replay, runs: Runs, clock: Clock) -> None:
    await acme.tenant.config("cheap", {"strategy": "fallback", "attempts": ["gpt-4o-mini", "gpt-4o"]})
    identifier = await completed(acme, runs, clock, "@cheap", candidatePolicy=None)
    assert (await acme.get(identifier)).candidate_reference == "@cheap:1"
    await acme.promote(identifier, slug="production")
    _, policy = await policy_of(acme)
    assert isinstance(policy, dict)
    assert policy["strategy"] == "fallback"


async def test_an_incomplete_experiment_is_refused(acme: Replay) -> None:
    made = await acme.create()
    problem = await acme.refused(pb.PromoteRequest(id=made.id), pb.PromoteResponse)
    assert (problem.status, problem.code) == (409, "experiment_incomplete")
    await acme.ask(pb.CancelRequest(id=made.id), pb.CancelResponse)
    problem = await acme.refused(pb.PromoteRequest(id=made.id), pb.PromoteResponse)
    assert "cancelled" in problem.detail
    assert (await policy_of(acme))[0] == 1


async def test_of_two_at_the_same_moment_none_overwrites_the_other_unseen(
    acme: Replay, runs: Runs, clock: Clock
) -> None:
    names = ("gpt-4o-mini", "gpt-4.1-mini")
    ids = [await completed(acme, runs, clock, {"model": name}, name=name) for name in names]
    answers = await asyncio.gather(*(acme.promote(each) for each in ids), return_exceptions=True)
    refused = [each for each in answers if isinstance(each, ProblemError)]
    made = [each.promotion.version for each in answers if isinstance(each, pb.PromoteResponse)]
    assert {each.problem.code for each in refused} <= {"promote_conflict"}
    assert sorted(made) == list(range(2, 2 + len(made)))
    assert len(made) + len(refused) == 2
    assert made
    assert (await policy_of(acme))[0] == made[-1] if len(made) == 1 else max(made)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"mode": "half"}, "mode", id="unknown mode"),
        pytest.param({"mode": "ab_test"}, "weight", id="no weight"),
        pytest.param({"mode": "ab_test", "weight": 0.0}, "weight", id="nothing"),
        pytest.param({"mode": "ab_test", "weight": 1.0}, "weight", id="all"),
        pytest.param({"mode": "ab_test", "weight": float("nan")}, "weight", id="not a number"),
        pytest.param({"weight": 0.5}, "weight", id="weight of a replacement"),
        pytest.param({"slug": "nope"}, "slug", id="unknown slug"),
        pytest.param({"slug": "Not A Slug"}, "slug", id="no slug"),
    ],
)
async def test_bad_ways_are_refused_by_field(
    acme: Replay, runs: Runs, clock: Clock, fields: dict[str, object], field: str
) -> None:
    identifier = await completed(acme, runs, clock)
    problem = await acme.refused(pb.PromoteRequest(id=identifier, **fields), pb.PromoteResponse)  # type: ignore[arg-type]
    assert (problem.status, problem.errors[0]["field"]) == (422, field)
    assert problem.hint


async def test_configs_of_other_projects_and_tenants_are_not_there(
    acme: Replay, globex: Replay, runs: Runs, clock: Clock
) -> None:
    identifier = await completed(acme, runs, clock)
    (other,) = (await globex.tenant("ListRoutingConfigs")).routing_configs
    problem = await acme.refused(pb.PromoteRequest(id=identifier, routing_config_id=other.id), pb.PromoteResponse)
    assert problem.status == 404
    problem = await globex.refused(pb.PromoteRequest(id=identifier), pb.PromoteResponse)
    assert problem.status == 404


async def test_a_viewers_key_promotes_nothing_even_past_the_edge(acme: Replay, runs: Runs, clock: Clock) -> None:
    identifier = await completed(acme, runs, clock)
    viewer = Replay(acme.channel, await acme.tenant.with_role("viewer"))
    problem = await viewer.refused(pb.PromoteRequest(id=identifier), pb.PromoteResponse)
    assert problem.status == 403
