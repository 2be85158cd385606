"""What an experiment that called its candidate found: weights, reused rows, the noise floor, and runs cut short."""

from __future__ import annotations

import pyarrow as pa
import pytest
from summed_tables import result, summed

from modelux.events.v1.experiment_pb2 import ExperimentCompleted
from modelux_replay.plan import PAIRS, RESULTS
from modelux_replay.pool import SUMMARY_COLUMNS, stream_of
from modelux_replay.summary.summaries import Told, sum_up

CALLED = Told(with_responses=True, embedder="lexical-v1")
CAP = "The spend cap of $0.05 (spendCapUsd) was reached after 120 of 300 rows."


def scored(number: int, share: float, out_of: int, **fields: object) -> dict[str, object]:
    """A called row; the first `share` of `out_of` answer alike."""
    return result(number, similarity=0.95 if number < share * out_of else 0.3, **fields)


def test_rows_that_keep_the_logged_choice_are_equal_by_construction_and_counted() -> None:
    rows = [scored(n, 0.5, 100) for n in range(100)] + [result(n, "reused") for n in range(100, 400)]
    found = summed(rows, CALLED)
    assert found["coverage"]["evidence"]["reused"] == 300
    assert found["coverage"]["sentence"].startswith("100 of 400 sampled rows were called; 300 keep the logged choice")
    assert found["coverage"]["sample"] == {"weight": 400.0, "effective_rows": 400.0}
    similarity = found["similarity"]
    assert (similarity["reused"], similarity["scored"], similarity["called"]["scored"]) == (300, 400, 100)
    assert similarity["agreement"]["value"] == pytest.approx(350 / 400)
    assert similarity["called"]["agreement"]["value"] == pytest.approx(0.5)
    assert similarity["histogram"][9] == 350
    assert similarity["embedder"] == "lexical-v1"
    assert found["deltas"]["cost_usd"]["percent"]["value"] == pytest.approx(-15, abs=0.5)
    assert found["stopped_early"] is None


def test_a_failed_row_that_is_reused_has_no_answer_to_be_equal() -> None:
    rows = [result(n, "reused", baseline_status="error", candidate_status="error") for n in range(20)]
    assert summed(rows, CALLED)["similarity"] is None


def test_a_replay_without_calls_says_nothing_of_answers() -> None:
    found = summed([result(n, "reused") for n in range(50)])
    assert found["similarity"] is None
    assert "sample" not in found["coverage"]


def test_rows_weigh_what_they_stand_for() -> None:
    dear = [result(n, "reused", weight=9.0) for n in range(100)]
    found = summed([*dear, *[result(n) for n in range(100, 200)]], CALLED)
    assert found["coverage"]["sample"]["weight"] == 1000
    assert found["coverage"]["sample"]["effective_rows"] == pytest.approx(1000**2 / 8200)
    assert found["deltas"]["cost_usd"]["percent"]["value"] == pytest.approx(-6, abs=0.3)
    assert found["coverage"]["rerouted"]["value"] == pytest.approx(0.1)


def test_the_candidate_is_held_against_the_logged_models_own_noise() -> None:
    def row(number: int) -> dict[str, object]:
        again = {"repeat_status": "error" if number == 199 else "ok"} if number < 200 else {}
        if number < 199:
            again["repeat_similarity"] = 0.9 if number < 180 else 0.2
        return scored(number, 0.6, 400, **again)

    found = summed([row(n) for n in range(400)], CALLED)
    floor, excess = found["similarity"]["floor"], found["similarity"]["excess_disagreement"]
    assert (floor["asked_again"], floor["failed"], floor["scored"]) == (200, 1, 199)
    assert floor["agreement"]["value"] == pytest.approx(180 / 199)
    assert floor["quantiles"] == {"p05": 0.2, "p10": 0.9, "p50": 0.9}
    assert excess["value"] == pytest.approx(180 / 199 - 0.6)
    assert excess["lower"] > 0.2
    assert "60 % [55, 65] agree at 0.85" in found["sentence"]
    assert "the logged model agrees with itself in 90 %" in found["sentence"]
    assert "of the called answers differ beyond its own noise" in excess["sentence"]


def test_a_run_that_its_cap_stopped_is_no_different_but_less_certain() -> None:
    """The rows that were called stand for those to be called, and not the others for them."""
    called = [scored(n, 0.5, 120) for n in range(120)]
    missing = [result(n, "not_evaluable", candidate_error_code="budget_exceeded") for n in range(120, 300)]
    reused = [result(n, "reused") for n in range(300, 1000)]
    found = summed([*called, *missing, *reused], Told(True, CAP))
    whole = summed([*called, *[result(n, similarity=0.5) for n in range(120, 300)], *reused], CALLED)
    stopped = found["stopped_early"]
    assert (stopped["called"], stopped["to_call"], stopped["reason"]) == (120, 300, CAP)
    assert stopped["pointwise_confidence"] > 0.99
    assert found["sentence"].endswith("stopped early after 120 of 300 calls")
    assert found["coverage"]["evidence"]["not_evaluable"] == 180
    assert found["coverage"]["rerouted"]["value"] == pytest.approx(0.3)
    cut, full = (each["deltas"]["cost_usd"]["percent"] for each in (found, whole))
    assert cut["value"] == pytest.approx(full["value"], abs=1)
    assert cut["lower"] < full["lower"] < full["upper"] < cut["upper"]


def test_an_interrupted_call_is_stood_for_by_its_like() -> None:
    lost = [result(n, "not_evaluable", stratum="b", candidate_error_code="interrupted") for n in range(10)]
    rows = [*lost, *[result(n, stratum="b") for n in range(10, 20)], *[result(n, "reused") for n in range(20, 40)]]
    assert summed(rows, CALLED)["coverage"]["rerouted"]["value"] == pytest.approx(0.5)


def test_the_same_rows_make_the_same_bytes() -> None:
    rows = [scored(n, 0.5, 300, repeat_similarity=0.8, repeat_status="ok") for n in range(300)]
    assert summed(rows, CALLED) == summed(rows, CALLED)


def test_a_projection_says_what_it_rests_on() -> None:
    rows = [result(n, "projected") for n in range(200)]
    naive = summed(rows)["projection"]
    assert (naive["evidence"], naive["rows"], naive["naive_rows"], naive["pairs"]) == ("naive", 200, 200, 0)
    calls = [
        ["pilot"] * 50, [f"other_{n}" for n in range(50)], ["gpt-4o"] * 50, ["gpt-4o-mini"] * 50, [""] * 50,
        [100.0 + n for n in range(50)], [50.0] * 50, [100.0 + n for n in range(50)], [60.0 + n % 9 for n in range(50)],
        [1e6] * 50, [0.1] * 50,
    ]  # fmt: skip
    known = summed(rows, Told(pilot=pa.table(calls, schema=PAIRS)))["projection"]
    assert (known["evidence"], known["naive_rows"], known["pairs"]) == ("pilot", 0, 50)
    assert 0 < known["remaining_error"] < naive["remaining_error"] / 5
    (route,) = known["routes"]
    assert (route["baseline"], route["candidate"], route["rows"]) == ("gpt-4o", "gpt-4o-mini", 200)
    assert (route["input_ratio"], route["output_ratio"]) == (1.0, pytest.approx(63.9 / 50, abs=0.01))


def test_runs_are_told_by_all_that_they_take() -> None:
    """Four calls to a run; the last of every tenth run fails under the candidate."""
    rows = [
        result(n, "projected", cluster=f"run_{n // 4}", candidate_status="error" if n % 40 == 39 else "ok")
        for n in range(800)
    ]
    found = summed(rows)["runs"]
    assert (found["count"], found["requests"]) == (200, 800)
    metrics = found["metrics"]
    names = {"cost_usd", "calls", "latency_ms", "p50_latency_ms", "p95_latency_ms", "tokens", "success"}
    assert set(metrics) == names
    assert metrics["calls"]["baseline"]["value"] == metrics["calls"]["candidate"]["value"] == 4.0
    assert metrics["cost_usd"]["percent"]["value"] == pytest.approx(-60, abs=0.01)
    assert metrics["success"]["candidate"]["value"] == pytest.approx(0.9)
    assert metrics["success"]["percentage_points"]["upper"] < 0
    assert metrics["tokens"]["delta"]["value"] == 0.0
    assert "200 of 200 runs go on after a call that the candidate answers" in found["refusal"]


def test_runs_of_which_rows_are_drawn_are_no_claim() -> None:
    found = summed([result(n, "projected", cluster=f"run_{n // 4}", weight=2.0) for n in range(80)])["runs"]
    assert found["metrics"] is None
    assert "no run is whole" in found["refusal"]
    assert found["cost_percent"] == pytest.approx(-60, abs=0.01)


def test_an_event_carries_the_numbers() -> None:
    rows = pa.Table.from_pylist([result(n) for n in range(200)], RESULTS).select(SUMMARY_COLUMNS)
    event = ExperimentCompleted()
    sum_up([stream_of(rows)], 1, 200).tell(event)
    assert event.cost_delta_percent == pytest.approx(-60, abs=0.01)
    assert (event.coverage, event.sentence.split(" [")[0]) == (1.0, "cheaper by 60 %")


def test_nothing_came_in() -> None:
    outcome = sum_up([], 1, 10, 2, Told(True, CAP))
    assert outcome.sentence.startswith("nothing to compare")
    event = ExperimentCompleted()
    outcome.tell(event)
    assert not event.HasField("cost_delta_percent")
    missing = [result(n, "not_evaluable", candidate_error_code="stopped") for n in range(5)]
    assert summed(missing, Told(True, CAP))["stopped_early"]["called"] == 0


def test_agreement_is_told_at_the_thresholds_that_criteria_ask_for() -> None:
    rows = [scored(n, 0.8, 200) for n in range(200)] + [result(n, "reused") for n in range(200, 400)]
    found = summed(rows, Told(with_responses=True, levels=(0.2, 0.96)))["similarity"]["agreement_at"]
    assert [(each["threshold"], each["scored"]) for each in found] == [(0.2, 400), (0.96, 400)]
    assert [each["value"] for each in found] == pytest.approx([1.0, 0.5])
    assert found[1]["lower"] < 0.5 < found[1]["upper"]
