"""Token ratios in the simulation: where they come from, what they change, and how near they bring real costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_log import MINI, STRONG, Maker, calls_of, plan_for, rows_of

from experiment_core.projection.draws import row_keys
from modelux_replay.learned.calibration import ENOUGH, Asked, Ratios, stratum, with_strata
from modelux_replay.plan import PAIRS, Plan
from modelux_replay.pool import stream_of
from modelux_replay.simulation.simulate import prepare

EVENTS = [each for each in Maker(300, configs=["single"], budget_every=0).events() if each.outcome == "ok"]
PROBES = list(Maker(300, configs=[""], seed=2, budget_every=0).events())
"""Calls of the candidate, which tell how long it takes."""
CANDIDATE = {"strategy": "single", "model": MINI}


def pairs(count: int, ratio: float, source: str = "pilot", first: int = 0, **changed: object) -> pa.Table:
    """Calls whose answers are `ratio` times as long, and whose input is a tenth longer."""
    rng = np.random.default_rng(count)
    into, out = rng.lognormal(6, 0.5, count).round(), rng.lognormal(4.5, 0.5, count).round() + 1
    rows = [
        {
            "source": source, "request_id": f"pair_{first + n}", "baseline_model": STRONG, "candidate_model": MINI,
            "stratum": "", "baseline_input_tokens": a, "baseline_output_tokens": b,
            "candidate_input_tokens": round(a * 1.1), "candidate_output_tokens": round(b * ratio),
            "candidate_latency_us": 1e6, "chance": 0.1 if source == "pilot" else 0.0,
        } | changed
        for n, (a, b) in enumerate(zip(into.tolist(), out.tolist(), strict=True))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, PAIRS)


def plan(**changed: Any) -> Plan:
    bare: Plan = plan_for(CANDIDATE, EVENTS)
    return replace(bare, calls=calls_of([*EVENTS, *PROBES]), **changed)


def simulated(of: Plan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = prepare(of)(rows_of(EVENTS), 0).to_pylist()
    return [row for row in found if row["candidate_status"] == "ok"]


def total(rows: list[dict[str, Any]], name: str) -> float:
    return float(sum(row[name] for row in rows))


@pytest.mark.parametrize("source", ["pilot", "history", "live"])
def test_what_pairs_taught_changes_tokens_and_costs(source: str) -> None:
    table = pairs(60, 1.5, source)
    name = "pilot" if source == "pilot" else "history"
    naive, found = simulated(plan()), simulated(plan(**{name: table}))
    for side, ratio in (("input", 1.1), ("output", 1.5)):
        before = total(found, f"baseline_{side}_tokens")
        assert total(naive, f"candidate_{side}_tokens") == before
        assert total(found, f"candidate_{side}_tokens") == pytest.approx(ratio * before, rel=0.02)
    assert total(found, "candidate_cost_nano") > 1.2 * total(naive, "candidate_cost_nano")
    assert total(found, "candidate_latency_us") > 1.15 * total(naive, "candidate_latency_us"), (
        "longer answers take longer"
    )
    learned = Ratios.of(table, None, 1).learned[STRONG, MINI]
    assert (learned.source, len(learned.model.pairs)) == (source, 60)
    assert learned.output_ratio == pytest.approx(1.5, rel=0.01)
    assert learned.input_ratio == pytest.approx(1.1, rel=0.01)


@pytest.mark.parametrize(
    ("pilot", "history", "live", "source", "count"),
    [
        pytest.param(50, 200, 40, "pilot", 50, id="a pilot of its own says it all"),
        pytest.param(10, 200, 40, "pilot", 210, id="a short one is helped out"),
        pytest.param(0, 200, 40, "history", 200, id="no pilot"),
        pytest.param(3, 3, 40, "live", 40, id="too few to learn from"),
        pytest.param(3, 3, 3, None, 0, id="nothing"),
        pytest.param(0, 0, 0, None, 0, id="no table"),
    ],
)
def test_the_nearest_source_is_believed(pilot: int, history: int, live: int, source: str | None, count: int) -> None:
    assert 10 < ENOUGH < 50
    past = pa.concat_tables([pairs(history, 1.2, "history", 1_000), pairs(live, 3.0, "live", 5_000)])
    learned = Ratios.of(pairs(pilot, 1.5), past, 1).learned.get((STRONG, MINI))
    assert (learned.source if learned else None) == source
    assert (len(learned.model.pairs) if learned else 0) == count


def test_a_row_that_the_pilot_called_has_the_tokens_that_it_got() -> None:
    called = EVENTS[7]
    mine = pairs(1, 1.0, request_id=called.request_id, candidate_input_tokens=4321.0, candidate_output_tokens=1234.0)
    known = pa.concat_tables([mine, pairs(40, 1.5)])
    (row,) = [row for row in simulated(plan(pilot=known)) if row["request_id"] == called.request_id]
    assert (row["candidate_input_tokens"], row["candidate_output_tokens"]) == (4321, 1234)


def test_a_request_that_was_called_twice_counts_once() -> None:
    again = pairs(60, 9.0, "history")
    assert len(Ratios.of(pairs(20, 1.5), again, 1).learned[STRONG, MINI].model.pairs) == 60


def test_strata_have_ratios_of_their_own() -> None:
    def row(tag: str) -> list[float]:
        twice = pairs(60, 2.0, first=100, stratum="chat", baseline_output_tokens=100.0, candidate_output_tokens=200.0)
        same = pairs(60, 1.0, stratum="code", baseline_output_tokens=100.0, candidate_output_tokens=100.0)
        ratios = Ratios.of(pa.concat_tables([twice, same]), None, 1)
        asked = Asked(row_keys(1, ["a"]), [STRONG], [MINI], [tag], np.array([500.0]), np.array([100.0]))
        found: list[float] = ratios.expected(asked).output.tolist()
        return found

    assert row("chat")[0] > 180 > 160 > row("other")[0] > 130 > 120 > row("code")[0]


def test_nothing_is_corrected_that_is_not_known() -> None:
    """Another model, the same one, and rows without an answer keep what they have."""
    ratios = Ratios.of(pairs(60, 1.5), None, 1)
    asked = Asked(
        row_keys(1, ["a", "b", "c"]), [MINI, STRONG, ""], [MINI, "other", MINI], [""] * 3, np.ones(3), np.ones(3) * 9
    )
    found = ratios.expected(asked)
    assert found.output.tolist() == found.length.tolist() == [9.0] * 3
    assert found.input.tolist() == [1.0] * 3
    failed = [each for each in Maker(400, configs=["single"], seed=5, budget_every=0).events() if each.outcome != "ok"]
    assert failed
    for known in (None, pairs(60, 30.0)):
        rows = prepare(plan(pilot=known))(rows_of(failed, trace=b""), 0).to_pylist()
        assert max(row["candidate_output_tokens"] for row in rows) < 2_000


def test_pairs_have_the_strata_of_their_requests() -> None:
    rows = rows_of([EVENTS[0], EVENTS[1]], needs=["vision", "tools"])
    named = pa.concat_tables([pairs(1, 1.5, request_id=EVENTS[0].request_id), pairs(1, 1.5, request_id="other")])
    for tag, told in (("tier", f"tools,vision {EVENTS[0].tags['tier']}"), ("absent", "tools,vision")):
        assert with_strata(named, rows, tag).column("stratum").to_pylist() == [told, ""]
    assert stratum([], "gold") == "gold"


def test_nothing_learned_changes_nothing() -> None:
    asked = Asked(row_keys(1, ["a"]), [STRONG], [MINI], [""], np.array([5.0]), np.array([7.0]))
    found = Ratios().expected(asked)
    assert (found.input.tolist(), found.output.tolist(), found.length.tolist()) == ([5.0], [7.0], [7.0])


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 120), st.permutations(range(60)))
def test_the_order_of_pairs_and_the_batches_change_no_byte(size: int, order: list[int]) -> None:
    pilot, past, rows = pairs(20, 1.5), pairs(40, 1.2, "history", 100), rows_of(EVENTS[:120])
    mixed = pa.concat_tables([pilot, past]).take(pa.array(order))
    whole = prepare(plan(pilot=pilot, history=past))(rows, 0)
    parted = prepare(plan(pilot=mixed))
    parts = [parted(rows.slice(start, size), start) for start in range(0, len(rows), size)]
    assert stream_of(pa.concat_tables(parts).combine_chunks()) == stream_of(whole.combine_chunks())
