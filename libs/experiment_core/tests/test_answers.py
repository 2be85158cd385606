"""Answers side by side: all of them, the called ones, and the logged model against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import replayed_tables as tables

from experiment_core.answers import Answers, Pairs, compare_answers
from experiment_core.arrays import Floats
from experiment_core.resampling import Resampler, Units
from experiment_core.sentence import sentence
from experiment_core.summary import summarise


def answers(similarity: Floats, repeat: Floats, called: int) -> Answers:
    """The first `called` rows were called, the others keep the logged choice."""
    place = np.arange(len(similarity))
    pairs = Pairs(similarity, repeat, place < called, place >= called)
    return compare_answers(pairs, Resampler(Units.of(len(similarity)), 1))


def agreeing(share: float, count: int) -> Floats:
    return np.where(np.arange(count) < share * count, 0.95, 0.4)


def test_rows_that_keep_the_logged_choice_count_as_equal() -> None:
    similarity = np.concatenate([agreeing(0.5, 100), np.ones(300)])
    found = answers(similarity, np.full(400, np.nan), 100)
    assert found.reused == 300
    assert found.all.agreement.rate.value == pytest.approx(0.875)
    assert found.called.agreement.rate.value == pytest.approx(0.5)
    assert (found.called.agreement.scored, found.all.agreement.scored) == (100, 400)
    assert found.called.histogram[4] == 50
    assert found.floor is None


def test_disagreement_beyond_the_models_own_is_told_apart() -> None:
    repeat = np.full(400, np.nan)
    repeat[:200] = agreeing(0.9, 200)
    found = answers(np.concatenate([agreeing(0.6, 300), np.ones(100)]), repeat, 300)
    assert found.floor is not None
    assert found.floor.scored.agreement.rate.value == pytest.approx(0.9)
    assert found.floor.excess.value == pytest.approx(0.3)
    assert found.floor.excess.interval.excludes(0.2)
    assert found.floor.quantiles == {0.05: 0.4, 0.10: pytest.approx(0.895), 0.50: 0.95}


def test_a_model_compared_with_itself_raises_few_false_alarms() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        similarity, repeat = (np.where(rng.random(300) < 0.7, 0.95, 0.4) for _ in range(2))
        repeat[100:] = np.nan
        floor = answers(similarity, repeat, 300).floor
        assert floor is not None
        alarms += floor.excess.interval.excludes(0)
    assert alarms <= 0.075 * 400, "5 %, give or take what 400 trials may miss it by"


@pytest.mark.parametrize(
    ("own", "theirs", "words"),
    [
        pytest.param(0.9, 0.6, "so 30 pp [24, 36] of the called answers differ beyond its own noise", id="more"),
        pytest.param(0.9, 0.9, "and disagreement beyond that is not distinguishable", id="as much"),
        pytest.param(0.3, 0.9, "and differs from itself more than the candidate from it", id="less"),
        pytest.param(0.9, None, "the logged model agrees with itself in 90 %", id="no scored pair"),
    ],
)
def test_the_floor_in_words(own: float, theirs: float | None, words: str) -> None:
    similarity = np.full(400, np.nan) if theirs is None else agreeing(theirs, 400)
    rows = replace(tables.table(tables.side(1, 400), tables.side(2, 400)), similarity=similarity)
    told = sentence(summarise(rows, 1), answers(similarity, agreeing(own, 400), 400))
    assert words in told.split("; ")[-1]
    assert "the logged model agrees with itself in" in told
