"""Verdicts on recorded answers: a real regression fails, and a real loss beyond the margin is not passed."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from summed_tables import result, summed

from experiment_core.arrays import Bools
from experiment_core.resampling import Units, paired_share
from modelux_replay.summary.criteria import Ended, conclude
from modelux_replay.summary.shapes import estimate
from modelux_runtime.settings import child_environment

CRITERIA = b'{"predicates":[{"metric":"error_rate_delta_pct","op":"<=","value":1}]}'
LOGGED = "gpt-4o-2024-05-13"
DRAWS = 60


@pytest.fixture(scope="module")
def invalid() -> Mapping[str, Bools]:
    """By model: of each of the requests that all answered whether its answer was not valid."""
    given = child_environment({}).get("MODELUX_TEST_DATA")
    file = (Path(given) if given else Path(__file__).parents[4] / "shared" / "data") / "bfcl" / "requests.csv"
    if not file.exists():
        pytest.skip("the recorded calls are not here: put bfcl into the folder that MODELUX_TEST_DATA names")
    found: dict[str, dict[str, bool]] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row["model"], {})[row["id"]] = row["valid"] != "1"
    ids = sorted(set.intersection(*(set(each) for each in found.values())))
    return {model: np.array([each[name] for name in ids]) for model, each in found.items()}


def verdict(before: Bools, after: Bools) -> str:
    """By the error rate alone, as the summary tells it."""
    change = paired_share(before, after, Units.of(len(before)), 0.95).scaled(100)
    summary = {
        "coverage": {"evaluable": len(before)},
        "deltas": {"error_rate": {"percentage_points": estimate(change)}},
    }
    return conclude(CRITERIA, 0, Ended("completed", summary=json.dumps(summary))).verdict


def loss(invalid: Mapping[str, Bools], logged: str, candidate: str) -> float:
    """In percentage points."""
    return 100 * float(invalid[candidate].mean() - invalid[logged].mean())


def test_the_shortcut_of_these_tests_is_what_the_summary_tells(invalid: Mapping[str, Bools]) -> None:
    before, after = invalid[LOGGED], invalid["mistral-tiny-2312"]
    status = {False: "ok", True: "error"}
    rows = [
        result(n, baseline_status=status[bool(b)], candidate_status=status[bool(a)])
        for n, (b, a) in enumerate(zip(before, after, strict=True))
    ]
    told = summed(rows)["deltas"]["error_rate"]["percentage_points"]
    change = paired_share(before, after, Units.of(len(before)), 0.95).scaled(100)
    assert (told["value"], told["lower"], told["upper"]) == pytest.approx(
        (change.value, change.interval.lower, change.interval.upper)
    )


@pytest.mark.parametrize("candidate", ["databricks-dbrx-instruct", "gpt-3.5-turbo-0125", "mistral-tiny-2312"])
def test_an_error_prone_candidate_fails(invalid: Mapping[str, Bools], candidate: str) -> None:
    assert loss(invalid, LOGGED, candidate) > 5
    assert verdict(invalid[LOGGED], invalid[candidate]) == "fail"


def test_the_same_answers_pass(invalid: Mapping[str, Bools]) -> None:
    assert verdict(invalid[LOGGED], invalid[LOGGED]) == "pass"


def test_no_pair_of_models_with_a_loss_of_the_margin_or_more_passes(invalid: Mapping[str, Bools]) -> None:
    losing = [pair for pair in permutations(invalid, 2) if loss(invalid, *pair) >= 1]
    assert len(losing) > 100
    assert [pair for pair in losing if verdict(invalid[pair[0]], invalid[pair[1]]) == "pass"] == []


def test_samples_of_traffic_with_a_loss_of_one_and_a_half_points_pass_in_no_more_than_the_nominal_share(
    invalid: Mapping[str, Bools],
) -> None:
    """Real answers, of which as many more are spoilt as makes the loss 1.5 points, drawn again and again."""
    rng = np.random.default_rng(1)
    found = []
    for rows in (200, 500, 1_500, 5_000):
        for _ in range(DRAWS):
            drawn = rng.integers(0, len(invalid[LOGGED]), rows)
            before = invalid[LOGGED][drawn]
            spoilt = ~before & (rng.random(rows) < 0.015 / (1 - invalid[LOGGED].mean()))
            found.append(verdict(before, before | spoilt))
    assert found.count("pass") <= 0.05 * len(found)
    assert "fail" in found, "a verdict that is always open would pass this test too"


def test_samples_of_pairs_that_really_lose_so_much_do_neither(invalid: Mapping[str, Bools]) -> None:
    rng, found = np.random.default_rng(2), []
    for logged, candidate in permutations(invalid, 2):
        if 1.2 <= loss(invalid, logged, candidate) <= 2:
            for rows in (300, 1_000, 3_000):
                drawn = rng.integers(0, len(invalid[logged]), rows)
                found.append(verdict(invalid[logged][drawn], invalid[candidate][drawn]))
    assert len(found) > 50
    assert found.count("pass") <= 0.05 * len(found)
