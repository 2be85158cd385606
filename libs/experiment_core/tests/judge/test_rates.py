"""The traffic's rates from verdicts per bucket, against the reference's values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.intervals import Estimate, wilson
from experiment_core.judge.rates import Stratum, bounds, breakdown, normal_rate, traffic_rate, worse_minus_better
from experiment_core.verdicts import VERDICTS, Verdict

MANY = 10**9
"""So many scored pairs that the buckets' shares are exact."""
GUIDE = (
    Stratum(80 * MANY, 20, 75, 5),
    Stratum(15 * MANY, 45, 40, 15),
    Stratum(5 * MANY, 55, 10, 35),
)


def triple(found: Estimate) -> tuple[float | None, float | None, float | None]:
    return found.value, found.interval.lower, found.interval.upper


@pytest.mark.parametrize(
    ("verdict", "value", "lower", "upper", "digits"),
    [
        ("worse", 0.08, 0.05531, 0.13117, 6e-6),
        ("better", 0.2550, 0.1997, 0.3277, 6e-5),
        ("equivalent", 0.6650, 0.5893, 0.7265, 6e-5),
    ],
)
def test_mover_wilson_meets_the_reference(
    verdict: Verdict, value: float, lower: float, upper: float, digits: float
) -> None:
    assert triple(traffic_rate(GUIDE, verdict)) == pytest.approx((value, lower, upper), abs=digits)


def test_the_sample_is_told_apart_from_the_traffic() -> None:
    found = breakdown(GUIDE)
    assert found.n == 300
    assert triple(found.verdicts["worse"]) == pytest.approx((0.18333, 0.14364, 0.23103), abs=6e-6)
    assert sum(each.value or 0.0 for each in found.verdicts.values()) == pytest.approx(1.0)
    assert breakdown([Stratum(10)]).verdicts["worse"].value is None


def test_shares_counted_in_a_small_sample_widen_the_interval() -> None:
    few = [Stratum(s.pairs // MANY, s.better, s.equivalent, s.worse) for s in GUIDE]
    value, lower, upper = triple(traffic_rate(few, "worse"))
    assert value == pytest.approx(0.08)
    assert lower is not None
    assert upper is not None
    assert (lower, upper) < (0.05531, 0.13117 + 1e-3)
    assert upper > 0.13117


def test_a_bucket_judged_to_the_last_pair_adds_no_error_where_the_pairs_are_all() -> None:
    all_judged = [Stratum(10, 2, 7, 1), Stratum(5, 1, 1, 3)]
    assert triple(traffic_rate(all_judged, "worse", whole=True)) == pytest.approx((4 / 15, 4 / 15, 4 / 15))
    partly = [Stratum(100, 2, 7, 1), Stratum(5, 1, 1, 3)]
    low, high = triple(traffic_rate(partly, "worse", whole=True))[1:]
    plain = wilson(1, 10)
    assert high is not None
    assert low is not None
    assert plain.upper is not None
    assert high - low < 100 / 105 * (plain.upper - (plain.lower or 0.0))


def test_a_bucket_without_a_verdict_may_have_any_rate() -> None:
    found = traffic_rate([Stratum(80 * MANY, 20, 75, 5), Stratum(20 * MANY)], "worse")
    known = wilson(5, 100)
    assert found.value is None
    assert found.interval.lower == pytest.approx(0.8 * (known.lower or 0.0))
    assert found.interval.upper == pytest.approx(0.8 * (known.upper or 0.0) + 0.2)
    assert triple(traffic_rate([Stratum(0), Stratum(50)], "worse")) == (None, 0.0, 1.0)
    assert triple(worse_minus_better([Stratum(50)])) == (None, -1.0, 1.0)
    assert triple(traffic_rate([Stratum(0), Stratum(0)], "worse")) == (None, 0.0, 1.0)


@pytest.mark.parametrize(("cases", "exact"), [(1, 0.000253), (2, 0.002431), (3, None)])
def test_one_or_two_cases_have_exact_bounds(cases: int, exact: float | None) -> None:
    """Clopper and Pearson's bounds at 100 trials, as R's binom.test gives them."""
    plain = wilson(cases, 100)
    found = traffic_rate([Stratum(MANY, 0, 100 - cases, cases)], "worse").interval
    assert found.upper == pytest.approx(plain.upper)
    assert found.lower == pytest.approx(plain.lower if exact is None else exact, abs=1e-6)
    mirrored = traffic_rate([Stratum(MANY, 0, cases, 100 - cases)], "worse").interval
    assert (found.lower, found.upper) == pytest.approx((1 - (mirrored.upper or 0), 1 - (mirrored.lower or 0)))


def test_the_normal_interval_meets_the_reference_where_pairs_are_many() -> None:
    """SE .018395 at 100 per bucket, so a tenth of it at 10,000; one case more of either kind hardly counts there."""
    many = [Stratum(s.pairs, 100 * s.better, 100 * s.equivalent, 100 * s.worse) for s in GUIDE]
    half = 1.959964 * 0.0018395
    assert triple(normal_rate(many, "worse")) == pytest.approx((0.08, 0.08 - half, 0.08 + half), abs=5e-6)
    few = normal_rate(GUIDE, "worse").interval
    assert (few.lower or 1) < 0.04395
    assert (few.upper or 0) > 0.11605
    assert triple(normal_rate([Stratum(5), Stratum(5, 1, 1, 1)], "worse")) == (None, 0.0, 1.0)
    assert triple(normal_rate([Stratum(0)], "worse")) == (None, 0.0, 1.0)


def test_an_empty_bucket_without_pairs_changes_nothing() -> None:
    assert traffic_rate([*GUIDE, Stratum(0)], "worse") == traffic_rate(GUIDE, "worse")


def test_pairs_without_a_verdict_bound_the_rate_on_both_sides() -> None:
    strata = [Stratum(800, 20, 70, 5, 5), Stratum(200, 10, 50, 30, 10)]
    found = bounds(strata, "worse")
    assert found.all_better.value == pytest.approx(0.8 * 5 / 100 + 0.2 * 30 / 100)
    assert found.all_worse.value == pytest.approx(0.8 * 10 / 100 + 0.2 * 40 / 100)
    assert found.complete.value == pytest.approx(0.8 * 5 / 95 + 0.2 * 30 / 90)
    better = bounds(strata, "better")
    assert better.all_better.value == pytest.approx(0.8 * 25 / 100 + 0.2 * 20 / 100)
    equal = bounds(strata, "equivalent")
    assert equal.all_better.value == equal.all_worse.value


def test_worse_minus_better_weighs_the_buckets() -> None:
    found = worse_minus_better(GUIDE)
    assert found.value == pytest.approx(0.08 - 0.255)
    assert found.interval.excludes(0.0)
    alone = worse_minus_better([Stratum(MANY, 80, 1515, 105)])
    assert alone.value == pytest.approx(0.01471, abs=1e-5)
    assert triple(alone)[1:] == pytest.approx((-0.0010, 0.0304), abs=2e-4)


counts = st.integers(0, 40)
strata_lists = st.lists(st.builds(Stratum, st.integers(0, 500), counts, counts, counts, counts), min_size=1, max_size=4)


@given(strata_lists, st.sampled_from(VERDICTS), st.booleans())
def test_intervals_hold_their_value_within_0_and_1(strata: list[Stratum], verdict: Verdict, whole: bool) -> None:
    value, lower, upper = triple(traffic_rate(strata, verdict, whole=whole))
    assert lower is not None
    assert upper is not None
    assert 0.0 <= lower <= upper <= 1.0
    assert value is None or lower - 1e-12 <= value <= upper + 1e-12


@given(strata_lists)
def test_the_complete_rate_lies_between_its_bounds(strata: list[Stratum]) -> None:
    found = bounds(strata, "worse")
    if found.complete.value is not None and found.all_better.value is not None and found.all_worse.value is not None:
        assert found.all_better.value - 1e-12 <= found.complete.value <= found.all_worse.value + 1e-12


SETTINGS = [
    ((0.80, 0.15, 0.05), (0.05, 0.15, 0.35)),
    ((0.90, 0.08, 0.02), (0.01, 0.10, 0.35)),
    ((0.50, 0.30, 0.20), (0.05, 0.15, 0.35)),
    ((0.95, 0.04, 0.01), (0.002, 0.05, 0.30)),
]


@pytest.mark.nightly
@pytest.mark.parametrize(("shares", "rates"), SETTINGS)
@pytest.mark.parametrize("scored", [2000, 50_000])
def test_the_interval_covers_the_traffics_rate(
    shares: tuple[float, ...], rates: tuple[float, ...], scored: int
) -> None:
    rng = np.random.default_rng(7)
    truth = float(np.dot(shares, rates))
    missed = pooled_missed = 0
    for _ in range(3000):
        sizes = rng.multinomial(scored, shares)
        judged = np.minimum(sizes, 100)
        worse = rng.binomial(judged, rates)
        strata = [Stratum(int(size), 0, int(n - w), int(w)) for size, n, w in zip(sizes, judged, worse, strict=True)]
        missed += traffic_rate(strata, "worse").interval.excludes(truth)
        pooled_missed += breakdown(strata).verdicts["worse"].interval.excludes(truth)
    assert 1 - missed / 3000 >= 0.935
    assert pooled_missed > 5 * missed
