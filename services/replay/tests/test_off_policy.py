"""Estimates from live splits: that they hold the truth, and when they are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_log import CONFIGS, MINI, STRONG, Maker, plan_for, rows_of
from summed_tables import result, summed, told_of

from experiment_core.rows import NOT_EVALUABLE, PROJECTED, REUSED, Rows, Side
from modelux_replay.pool import stream_of
from modelux_replay.simulation.simulate import prepare
from modelux_replay.summary.off_policy import Splits, from_splits
from modelux_replay.summary.summaries import ROUTING_ONLY, sum_up

CANDIDATE, OTHER = 0, 1
TRUE_COST = 2e6


def logged(seed: int, count: int, share: float, *, like: bool = False, of_user: int = 1) -> tuple[Rows, Splits]:
    """A split that gives the candidate's arm a share; longer requests cost more, and the other arm three times as much.

    `like`: the other arm does what the candidate does. `of_user`: so many requests of one user follow one another, all
    of about the same length and sent one way.
    """
    rng = np.random.default_rng(seed)
    length = np.repeat(rng.gamma(4.0, 250.0, -(-count // of_user)), of_user)[:count]
    draw = np.repeat(rng.random(-(-count // of_user)), of_user)[:count]
    chosen = draw < share
    model = np.where(chosen | like, CANDIDATE, OTHER)
    cost = length * 2000 * np.where(model == CANDIDATE, 1.0, 3.0) * rng.lognormal(-0.02, 0.2, count)
    ok = rng.random(count) >= np.where(model == CANDIDATE, 0.1, 0.02)
    latency = np.where(model == CANDIDATE, 300.0, 900.0) + length
    whole = np.rint(length).astype(np.int64)
    side = Side(np.rint(cost).astype(np.int64), latency, ok, whole, whole, model)
    same = np.where(model == CANDIDATE, REUSED, PROJECTED).astype(np.int8)
    candidate = replace(side, model=np.zeros(count, np.int64))
    rows = Rows(side, candidate, ("a", "b"), same, np.full(count, np.nan), np.full(count, -1), np.ones(count))
    return rows, Splits(np.where(chosen, share, 1 - share), draw)


def estimates(*of: Any) -> Any:
    found = from_splits(*of)
    assert found is not None
    return found


def test_the_intervals_hold_what_the_candidate_would_have_cost() -> None:
    held = {"ips": 0, "snips": 0, "doubly_robust": 0}
    widths = dict.fromkeys(held, 0.0)
    trials = 200
    for seed in range(trials):
        for name, found in estimates(*logged(seed, 2000, 0.2))["estimates"]["cost_usd"].items():
            held[name] += found["lower"] <= TRUE_COST / 1e9 <= found["upper"]
            widths[name] += (found["upper"] - found["lower"]) / trials
    assert all(0.9 <= count / trials <= 0.99 for count in held.values()), held
    assert widths["doubly_robust"] < widths["snips"] < widths["ips"]


def test_requests_of_one_user_or_run_are_no_chances_of_their_own() -> None:
    held, trials = 0, 200
    for seed in range(trials):
        found = estimates(*logged(seed, 8000, 0.4, of_user=10))["estimates"]["cost_usd"]["snips"]
        held += found["lower"] <= TRUE_COST / 1e9 <= found["upper"]
    assert 0.9 <= held / trials <= 0.99
    rows, splits = logged(1, 8000, 0.4, of_user=10)
    each = estimates(rows, splits)["effective_rows"]
    alone = np.random.default_rng(1).random(8000)
    assert estimates(rows, Splits(splits.propensity, alone))["effective_rows"] == pytest.approx(10 * each, rel=0.01)
    runs = replace(rows, cluster=np.arange(8000) // 10)
    assert estimates(runs, Splits(splits.propensity, alone))["effective_rows"] == pytest.approx(each, rel=0.01)


def test_every_metric_is_estimated() -> None:
    found = estimates(*logged(1, 20_000, 0.3))
    values = {name: each["doubly_robust"]["value"] for name, each in found["estimates"].items()}
    assert values["cost_usd"] == pytest.approx(TRUE_COST / 1e9, rel=0.03)
    assert values["error_rate"] == pytest.approx(0.1, abs=0.015)
    assert values["latency_ms"] == pytest.approx(1300, rel=0.02)
    assert found["mean_weight"] == pytest.approx(1, abs=0.05)
    assert found["sentence"].startswith("20,000 requests of a live split say that it costs 2")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param(logged(1, 300, 0.2), "of the 100 that an estimate needs", id="too few rows"),
        pytest.param(logged(1, 20_000, 0.002), "of the 100 that an estimate needs", id="too small an arm"),
        pytest.param(logged(1, 5000, 0.5, like=True), "several arms of the logged split", id="like arms"),
    ],
)
def test_what_the_log_cannot_tell_is_refused(rows: tuple[Rows, Splits], words: str) -> None:
    found = estimates(*rows)
    assert words in found["refusal"]
    assert found["estimates"] is None
    assert found["sentence"].startswith("no estimate from the live split: ")


def test_one_row_that_holds_much_of_the_weight_is_refused() -> None:
    rows, splits = logged(1, 4000, 0.5)
    splits.propensity[np.flatnonzero(rows.evidence == REUSED)[0]] = 1 / 400
    assert "of all weight" in estimates(rows, splits)["refusal"]


def test_rows_without_a_split_or_a_candidate_are_left_out() -> None:
    rows, splits = logged(1, 4000, 0.5)
    assert from_splits(rows, Splits(np.full(4000, np.nan), splits.draw)) is None
    some = Splits(np.where(np.arange(4000) < 3000, splits.propensity, np.nan), splits.draw)
    evidence = np.where(np.arange(4000) < 1000, NOT_EVALUABLE, rows.evidence).astype(np.int8)
    assert estimates(replace(rows, evidence=evidence), some)["rows"] == 2000


def test_the_summary_has_them_where_the_log_was_split() -> None:
    split = [result(n, "reused" if n % 2 else "projected", propensity=0.5) for n in range(600)]
    found = summed(split)["off_policy"]
    assert (found["rows"], found["as_candidate"]) == (600, 300)
    assert found["estimates"]["cost_usd"]["snips"]["lower"] > 0
    assert summed([result(n, "reused") for n in range(50)])["off_policy"] is None


@pytest.mark.parametrize("upgraded", [0, 1])
def test_units_of_a_replica_that_was_not_upgraded_yet_count_row_by_row(upgraded: int) -> None:
    split = [result(n, "reused" if n % 2 else "projected", propensity=0.5) for n in range(600)]
    halves = [told_of(split[:300]), told_of(split[300:])]
    older = [half.drop_columns("split_draw") for half in halves]
    streams = [stream_of(half) for half in halves[:upgraded] + older[upgraded:]]
    assert json.loads(sum_up(streams, 1, 600, 0, ROUTING_ONLY).summary_json) == summed(split)


def test_requests_of_one_length_teach_a_level_alone() -> None:
    rows, splits = logged(1, 4000, 0.5)
    alike = replace(rows.baseline, input_tokens=np.full(4000, 500))
    found = estimates(replace(rows, baseline=alike), splits)["estimates"]["cost_usd"]["doubly_robust"]
    assert found["value"] == pytest.approx(TRUE_COST / 1e9, rel=0.1)


SPLIT = list(Maker(200, configs=["ab_test"], budget_every=0).events())


def propensities(candidate: object, **changed: object) -> list[float | None]:
    found: list[float | None] = (
        prepare(plan_for(candidate, SPLIT))(rows_of(SPLIT, **changed), 0).column("propensity").to_pylist()
    )
    return found


def test_a_row_tells_how_likely_its_arm_was() -> None:
    arms = [json.loads(event.trace_json)["path"][0]["propensity"] for event in SPLIT]
    assert set(arms) == {0.75, 0.25}
    assert propensities({"strategy": "single", "model": STRONG}) == arms
    draws = [json.loads(event.trace_json)["path"][0]["draw"] for event in SPLIT]
    table = prepare(plan_for({"strategy": "single", "model": STRONG}, SPLIT))(rows_of(SPLIT), 0)
    assert table.column("split_draw").to_pylist() == draws


def test_a_trace_without_it_is_helped_out_by_its_version() -> None:
    whole = propensities({"strategy": "single", "model": MINI})
    events = [type(event).FromString(event.SerializeToString()) for event in SPLIT]
    for event in events:
        trace = json.loads(event.trace_json)
        trace["path"][0]["propensity"] = None
        event.trace_json = json.dumps(trace).encode()
    rows = prepare(plan_for({"strategy": "single", "model": MINI}, SPLIT))(rows_of(events), 0)
    assert rows.column("propensity").to_pylist() == whole
    gone = replace(plan_for({"strategy": "single", "model": MINI}, SPLIT), versions=())
    assert set(prepare(gone)(rows_of(events), 0).column("propensity").to_pylist()) == {None}


def test_a_candidate_that_draws_itself_has_none() -> None:
    assert set(propensities(CONFIGS["ab_test"])) == {None}
    assert set(propensities({"strategy": "single", "model": STRONG}, trace=b"")) == {None}
