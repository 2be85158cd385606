"""Off-policy estimates: the toy, real bandit logs where they are present, coverage, refusals."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiment_core.estimate import RewardModel, mean_with_interval, off_policy, self_normalised
from experiment_core.resampling import Units

TOY_REWARD, TOY_WEIGHT = np.array([1.0, 0.0, 1.0]), np.array([2.0, 1.0, 0.5])


def bandit(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and propensities of a log."""
    with file.open() as lines:
        rows = [(float(row["click"]), float(row["propensity_score"])) for row in csv.DictReader(lines)]
    return np.array(rows).T[0], np.array(rows).T[1]


def test_the_toy_of_the_reference() -> None:
    assert mean_with_interval(TOY_WEIGHT * TOY_REWARD, Units.of(3)).value == pytest.approx(0.833333, abs=1e-6)
    assert self_normalised(TOY_REWARD, TOY_WEIGHT, Units.of(3)).value == pytest.approx(0.714286, abs=1e-6)


def test_the_toy_is_refused_for_its_effective_rows() -> None:
    found = off_policy(TOY_REWARD, np.array([0.25, 0.5, 1.0]), np.array([0.5, 0.5, 0.5]))
    assert found.effective_rows == pytest.approx(2.333333, abs=1e-6)
    assert found.refusal is not None
    assert "worth 2 independent ones of the 100" in found.refusal
    assert (found.ips, found.snips, found.doubly_robust) == (None, None, None)


def test_one_heavy_row_is_refused() -> None:
    propensity = np.full(2000, 0.5)
    propensity[0] = 0.002
    found = off_policy(np.ones(2000), propensity, np.full(2000, 0.5))
    assert found.effective_rows < 100 or found.largest_share > 0.05
    propensity[0] = 0.004
    found = off_policy(np.ones(2000), propensity, np.full(2000, 0.5))
    assert found.effective_rows > 100
    assert found.refusal is not None
    assert found.refusal.startswith("one request, user or run holds 6% of all weight")


def test_a_policy_that_never_takes_the_logged_actions_is_refused() -> None:
    found = off_policy(np.ones(500), np.full(500, 0.5), np.zeros(500))
    assert (found.effective_rows, found.largest_share) == (0.0, 1.0)
    assert found.refusal is not None


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, float("nan")])
def test_a_propensity_that_cannot_be_is_an_error(propensity: float) -> None:
    with pytest.raises(ValueError, match="leave out rows that have none"):
        off_policy(np.ones(1), np.array([propensity]), np.ones(1))


def test_the_same_policy_earns_the_logged_mean() -> None:
    rewards = np.random.default_rng(1).random(500)
    found = off_policy(rewards, np.full(500, 0.3), np.full(500, 0.3))
    assert found.ips is not None
    assert found.snips is not None
    assert found.ips.value == pytest.approx(rewards.mean())
    assert found.snips.value == pytest.approx(rewards.mean())
    assert found.doubly_robust is None
    assert found.effective_rows == pytest.approx(500)


def test_doubly_robust_covers_and_is_narrower_with_a_good_model() -> None:
    rng, held, narrower = np.random.default_rng(2), 0, 0
    for _ in range(300):
        x = rng.random(800)
        chance = 0.3 + 0.4 * x
        action = rng.random(800) < chance
        rewards = x + 0.5 * action + 0.05 * rng.standard_normal(800)
        propensity = np.where(action, chance, 1 - chance)
        found = off_policy(rewards, propensity, np.where(action, 0.8, 0.2), RewardModel(x + 0.5 * action, x + 0.4))
        assert found.doubly_robust is not None
        assert found.ips is not None
        interval, plain = found.doubly_robust.interval, found.ips.interval
        held += (interval.lower or 0.0) <= 0.9 <= (interval.upper or 0.0)
        narrower += (interval.upper or 0.0) - (interval.lower or 0.0) < (plain.upper or 0.0) - (plain.lower or 0.0)
    assert held >= 0.92 * 300
    assert narrower == 300


def users(rng: np.random.Generator, share: float) -> tuple[np.ndarray, ...]:
    """Rows of 800 users who bring more or less each, of whom a split sent some one way for good: reward, chance and
    user of each, and whether it went there. Whoever goes there brings 1 in the mean.
    """
    calls = rng.integers(1, 30, 800)
    user = np.repeat(np.arange(800), calls)
    chosen = (rng.random(800) < share)[user]
    rewards = (rng.gamma(4.0, 0.25, 800)[user] + 0.2 * rng.standard_normal(len(user))) * np.where(chosen, 1.0, 3.0)
    return rewards, np.where(chosen, share, 1 - share), user, chosen


def test_users_who_are_always_sent_one_way_count_once() -> None:
    """By rows the interval holds the truth in some 4 of 10 logs; by users in as many as it says."""
    rng, by_rows, by_users = np.random.default_rng(3), 0, 0
    for _ in range(300):
        rewards, propensity, user, chosen = users(rng, 0.3)
        target = chosen.astype(float)
        for units in (None, Units.of(len(user), user)):
            found = off_policy(rewards, propensity, target, None, units).snips
            assert found is not None
            held = (found.interval.lower or 0.0) <= 1.0 <= (found.interval.upper or 0.0)
            by_rows += held and units is None
            by_users += held and units is not None
    assert by_rows < 0.6 * 300
    assert 0.92 * 300 <= by_users <= 0.98 * 300


def test_few_users_are_refused_however_many_calls_they_make() -> None:
    rewards, propensity, user, chosen = users(np.random.default_rng(4), 0.1)
    assert off_policy(rewards, propensity, chosen.astype(float)).refusal is None
    found = off_policy(rewards, propensity, chosen.astype(float), None, Units.of(len(user), user))
    assert "of the 100 that an estimate needs" in (found.refusal or "")
    assert found.effective_rows < 80


def test_real_logs_give_the_reference_estimate_of_the_uniform_policy(recorded: Callable[[str], Path]) -> None:
    clicks, propensity = bandit(recorded("obd/bts_men.csv"))
    found = off_policy(clicks, propensity, np.full(len(clicks), 1 / 34))
    assert found.effective_rows == pytest.approx(656, abs=1)
    assert found.ips is not None
    assert found.snips is not None
    assert found.ips.value == pytest.approx(0.00301, abs=1e-5)
    assert found.snips.value == pytest.approx(0.00319, abs=1e-5)
    assert (found.ips.interval.upper or 0.0) - found.ips.value == pytest.approx(0.00152, abs=1e-5)
    assert (found.snips.interval.upper or 0.0) - found.snips.value == pytest.approx(0.00162, abs=1e-5)


def test_the_truth_of_the_real_logs_lies_in_the_interval(recorded: Callable[[str], Path]) -> None:
    clicks, propensity = bandit(recorded("obd/bts_men.csv"))
    truth = float(bandit(recorded("obd/random_men.csv"))[0].mean())
    found = off_policy(clicks, propensity, np.full(len(clicks), 1 / 34)).snips
    assert found is not None
    assert truth == pytest.approx(0.0046, abs=1e-5)
    assert (found.interval.lower or 0.0) <= truth <= (found.interval.upper or 0.0)
