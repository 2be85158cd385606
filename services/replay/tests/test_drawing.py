"""Which rows an experiment calls, and for how many each stands."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_replay.called.drawing import DRAWN, POPULATION, again, draw, pilot
from modelux_store.prompts import prompt


def population(count: int, rare: int = 0) -> pa.Table:
    """`rare` of the rows are of another model, tag and size."""
    rows = [
        {
            "request_id": f"req_{place}",
            "started_at": place,
            "model": "gpt-4o" if place >= rare else "o1",
            "tag": "a" if place >= rare else "b",
            "tokens": 100 if place >= rare else 5_000,
        }
        for place in range(count)
    ]
    return pa.Table.from_pylist(rows, POPULATION)


@given(count=st.integers(1, 300), size=st.integers(1, 200), seed=st.integers(0, 2**60), rare=st.integers(0, 5))
@pytest.mark.parametrize("method", ["random", "stratified", "semantic"])
def test_a_draw_stands_for_all_and_a_larger_one_contains_it(
    method: str, count: int, size: int, seed: int, rare: int
) -> None:
    table = population(count, rare)
    topics = np.arange(count) % 3 if method == "semantic" else None
    drawn = draw(table, method, size, seed, topics)
    larger = draw(table, method, size + 50, seed, topics)
    assert drawn.schema == DRAWN
    assert len(drawn) == min(size, count)
    assert set(drawn.column("request_id").to_pylist()) <= set(larger.column("request_id").to_pylist())
    assert drawn.column("row").to_pylist() == sorted(drawn.column("row").to_pylist())
    if size >= 3:
        assert sum(drawn.column("weight").to_pylist()) == pytest.approx(count)
    names = [f"req_{row}" for row in drawn.column("row").to_pylist()]
    assert drawn.column("request_id").to_pylist() == names


def test_strata_are_told_by_model_tag_and_tokens_and_rare_ones_are_not_missed() -> None:
    drawn = draw(population(5_000, rare=20), "stratified", 100, 7)
    strata = drawn.column("stratum").to_pylist()
    assert set(strata) == {"gpt-4o, a, 0-255 tokens", "o1, b, 4096-16383 tokens"}
    assert strata.count("o1, b, 4096-16383 tokens") == 20
    weights = dict(zip(strata, drawn.column("weight").to_pylist(), strict=True))
    assert weights["o1, b, 4096-16383 tokens"] == 1.0
    assert weights["gpt-4o, a, 0-255 tokens"] == pytest.approx(4_980 / 80)


def test_rows_beyond_those_that_were_grouped_are_stood_for() -> None:
    topics = np.array([0] * 60 + [1] * 40 + [-1] * 100)
    drawn = draw(population(200), "semantic", 50, 1, topics)
    assert max(drawn.column("row").to_pylist()) < 100
    assert sum(drawn.column("weight").to_pylist()) == pytest.approx(200)


def test_rows_that_are_repeated_stay_when_more_are_asked() -> None:
    ids = [f"req_{place}" for place in range(400)]
    few, many = again(ids, 0.1, 3), again(ids, 0.3, 3)
    assert (len(few), len(many)) == (40, 120)
    assert few <= many
    assert again(ids, 0.0, 3) == frozenset()


def test_a_pilot_prefers_what_costs_much() -> None:
    ids = [f"req_{place}" for place in range(1_000)]
    cost = np.array([100.0] * 10 + [1.0] * 990)
    found = pilot(ids, ["gpt-4o"] * 1_000, cost, 50, 1)
    assert len(set(found.rows.tolist())) == 50
    assert sum(row < 10 for row in found.rows.tolist()) >= 9
    assert found.chance.min() > 0
    assert found.chance.max() <= 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param('{"messages": [{"role": "user", "content": "hi"}]}', "hi", id="text"),
        pytest.param('{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}', "a", id="parts"),
        pytest.param('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant"}]}', "a", id="last turn"),
        pytest.param('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "", id="no text"),
        pytest.param("not json", "", id="not JSON"),
        pytest.param("[1]", "", id="no object"),
    ],
)
def test_the_prompt_of_a_body(body: str, text: str) -> None:
    assert prompt(body) == text
