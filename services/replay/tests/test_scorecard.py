"""Projections held against what was measured: the sums of it, and the way from a promotion to its scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from replay_harness import Clock, Replay, fill, requests
from summed_tables import result, summed

from experiment_core.intervals import UNKNOWN, Estimate, Interval
from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.experiments import completed_event
from modelux_replay.learned.scorecard import (
    FEWEST_REQUESTS,
    FEWEST_WIDENED,
    METRICS,
    Score,
    cards,
    measured,
    projected,
    scores,
)
from modelux_replay.runs import Runs


def estimate(value: float, half: float = 0.0) -> Estimate:
    return Estimate(value, Interval(value - half, value + half))


def score(said: float, half: float, came: float, own: float = 0.0, metric: str = "error_rate") -> Score:
    return Score(metric, estimate(said, half), estimate(came, own))


@pytest.mark.parametrize(
    ("one", "held"),
    [
        pytest.param(score(10, 2, 11), True, id="inside"),
        pytest.param(score(10, 2, 13), False, id="above"),
        pytest.param(score(10, 2, 7), False, id="below"),
        pytest.param(score(10, 2, 13, 3), True, id="inside what the measurement may be off by"),
        pytest.param(score(10, 0, 10), True, id="exact"),
        pytest.param(Score("error_rate", Estimate(10, UNKNOWN), estimate(99)), True, id="a bound that is not known"),
        pytest.param(Score("error_rate", Estimate(10, Interval(9, None)), estimate(5)), False, id="of the other side"),
    ],
)
def test_an_interval_holds_or_it_does_not(one: Score, held: bool) -> None:
    assert one.held is held


def test_a_card_tells_coverage_error_and_bias() -> None:
    (card,) = cards([*[score(12, 3, 10)] * 6, *[score(9, 3, 10)] * 2, score(10, 1, 10), score(20, 3, 10)])
    assert (card.entries, card.coverage.value, card.median_error) == (10, 0.9, pytest.approx(0.2))
    assert card.too_high.value == pytest.approx(7 / 9), "the exact one leans to no side"
    assert card.widen_by is None


def test_intervals_that_hold_too_seldom_say_by_what_to_widen_them() -> None:
    many = [score(10 + off, 1, 10) for off in np.linspace(0, 3, FEWEST_WIDENED)]
    (card,) = cards(many)
    assert card.widen_by is not None
    wider = [score(each.projected.value or 0.0, card.widen_by, 10) for each in many]
    assert sum(each.held for each in wider) >= 0.95 * len(many)
    assert sum(each.held for each in many) < 0.5 * len(many)


def test_each_metric_has_its_card_and_an_exact_zero_its_error() -> None:
    found = cards([score(0.0, 0.1, 0.0), score(5, 1, 5, metric="p50_latency_ms")])
    assert [card.metric for card in found] == ["p50_latency_ms", "error_rate"]
    assert (found[1].median_error, found[1].too_high.value) == (None, None)


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0.1, 10), st.floats(1, 100)), min_size=1, max_size=40))
def test_coverage_is_the_share_that_held(rows: list[tuple[float, float, float]]) -> None:
    assume(all(abs(abs(said - came) - half) > 1e-9 for said, half, came in rows))  # else rounding decides
    (card,) = cards(score(*row) for row in rows)
    assert card.coverage.value == pytest.approx(np.mean([abs(said - came) <= half for said, half, came in rows]))


def test_what_is_measured_is_what_a_summary_projects() -> None:
    """The same requests, seen both ways, have the same figures."""
    rows = [result(n, "reused") for n in range(500)]
    said = projected(summed(rows))
    table = pa.table(
        {
            "cost_nano": [row["baseline_cost_nano"] for row in rows],
            "latency_us": [row["baseline_latency_us"] for row in rows],
            "ok": [True] * 500,
        }
    )
    came = measured(table)
    assert list(said) == list(came) == list(METRICS)
    for name in METRICS:
        assert came[name].value == pytest.approx(said[name].value), name
    assert all(each.held for each in scores(said, came))


def test_a_projected_cost_is_as_unsure_as_its_tokens() -> None:
    summary = summed([result(n, "projected") for n in range(500)])
    found = projected(summary)["mean_cost_usd"]
    own = summary["candidate_summary"]["ci_95"]["mean_cost_usd"]
    assert found.interval.lower is not None
    assert found.interval.lower < own["lower"] < own["upper"] < (found.interval.upper or 0.0)
    assert projected(summary | {"projection": None})["mean_cost_usd"].interval.lower == own["lower"]


def test_what_a_summary_does_not_know_is_left_out() -> None:
    assert projected({}) == {}
    failed = [result(n, "reused", candidate_status="error", baseline_status="error") for n in range(50)]
    assert set(projected(summed(failed))) == {"mean_cost_usd", "error_rate"}


async def ended(acme: Replay, runs: Runs, clock: Clock, rows: int = 300) -> str:
    made = await acme.create({"model": "gpt-4o-mini"})
    one = await runs.experiments.claim(made.id, clock())
    assert one is not None
    summary = json.dumps(summed([result(n, "projected") for n in range(rows)]))
    await runs.experiments.end(
        one, "completed", clock(), completed=completed_event(one, "completed", "", clock()), summary=summary
    )
    return made.id


async def card(acme: Replay) -> pb.ScorecardResponse:
    asked = pb.ScorecardRequest(project_id=acme.tenant.project_id)
    return await acme.ask(asked, pb.ScorecardResponse)


async def served(acme: Replay, runs: Runs, count: int, since_us: int, first: int = 0, **fields: Any) -> None:
    """Requests of @production:2 that cost as much as the candidate's calls of `result` do."""
    events = requests(acme.tenant, count, config_slug="production", config_version=2, **fields)
    for number, event in enumerate(events):
        event.request_id += f"_{first}"
        event.started_at_us = since_us + number
        event.cost_nano, event.outcome = (1_000_000 + number % 97 * 10_000) * 2 // 5, "ok"
    await fill(runs.analytics, events)


def by_metric(found: pb.ScorecardResponse) -> Mapping[str, pb.ScorecardEntry]:
    return {each.metric: each for each in found.entries}


async def test_a_promotion_is_measured_once_it_has_served_enough(acme: Replay, runs: Runs, clock: Clock) -> None:
    identifier = await ended(acme, runs, clock)
    assert (await card(acme)).waiting == 0
    await acme.promote(identifier)
    at_us = clock()
    await served(acme, runs, 300, at_us - 1_000_000, 1)
    await served(acme, runs, 300, at_us, 2, source="experiment")
    await served(acme, runs, FEWEST_REQUESTS - 1, at_us, 3)
    found = await card(acme)
    assert (found.waiting, len(found.entries)) == (1, 0), "those before it, and those that are no traffic, do not count"
    await served(acme, runs, 400, at_us, 4)
    found = await card(acme)
    assert found.waiting == 0
    entries = by_metric(found)
    assert set(entries) == set(METRICS)
    cost = entries["mean_cost_usd"]
    assert (cost.experiment_id, cost.slug, cost.version, cost.source) == (identifier, "production", 2, "promotion")
    assert (cost.requests, cost.held) == (FEWEST_REQUESTS - 1 + 400, True)
    assert cost.measured.value == pytest.approx(cost.projected.value, rel=0.05)
    assert not entries["p50_latency_ms"].held, "the log's latencies are those of the old model"
    told = {each.metric: each for each in found.metrics}
    assert (told["mean_cost_usd"].entries, told["mean_cost_usd"].coverage.value) == (1, 1.0)
    await served(acme, runs, 100, at_us, 5)
    assert by_metric(await card(acme))["mean_cost_usd"].requests == cost.requests, "what is written stays"


async def test_of_a_split_only_the_candidates_arm_counts(acme: Replay, runs: Runs, clock: Clock) -> None:
    await acme.promote(await ended(acme, runs, clock), mode="ab_test", weight=0.5)
    trace = b'{"path":[{"policy_type":"ab_test","chose":"%s"}]}'
    await served(acme, runs, 300, clock(), 1, trace_json=trace % b"current")
    assert (await card(acme)).waiting == 1
    await served(acme, runs, 250, clock(), 2, trace_json=trace % b"candidate")
    assert by_metric(await card(acme))["mean_cost_usd"].requests == 250


async def test_an_experiments_own_calls_count_too(acme: Replay, runs: Runs, clock: Clock) -> None:
    value = {"value": 2.0, "lower": 1.0, "upper": 3.0}
    unknown = dict.fromkeys(("value", "lower", "upper"))
    metrics = {"error_rate": {"projected": value, "measured": value}}
    metrics |= {"p50_latency_ms": {"projected": value, "measured": unknown}}
    made = await acme.create({"model": "gpt-4o-mini"})
    one = await runs.experiments.claim(made.id, clock())
    assert one is not None
    summary = json.dumps({"projection_check": {"rows": 300, "metrics": metrics}}, separators=(",", ":"))
    event = completed_event(one, "completed", "", clock())
    await runs.experiments.end(one, "completed", clock(), completed=event, summary=summary)
    for _ in range(2):
        (entry,) = (await card(acme)).entries
        assert (entry.source, entry.metric, entry.requests, entry.slug) == ("with_responses", "error_rate", 300, "")


async def test_other_tenants_see_nothing_of_it(acme: Replay, globex: Replay, runs: Runs, clock: Clock) -> None:
    await acme.promote(await ended(acme, runs, clock))
    await served(acme, runs, 250, clock())
    asked = pb.ScorecardRequest(project_id=acme.tenant.project_id)
    assert await globex.ask(asked, pb.ScorecardResponse) == pb.ScorecardResponse()
    assert len((await card(acme)).entries) == len(METRICS)
