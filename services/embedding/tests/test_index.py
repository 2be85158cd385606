"""Search and topics by faiss, against plain numpy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_embedding.embedder import Vectors, unit
from modelux_embedding.index import Faiss, Nearest, topics


@pytest.fixture
async def faiss() -> AsyncIterator[Faiss]:
    made = Faiss()
    yield made
    await made.close()


def drawn(rows: int, seed: int = 1, size: int = 16) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(rows, size)))


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5))
def test_search_is_exact(rows: int, k: int, seed: int) -> None:
    vectors, (asked,) = drawn(rows, seed), drawn(1, seed + 100)
    index = Nearest(16, 100)
    index.add([str(number) for number in range(rows)], vectors)
    found = index.search(asked, k)
    scores = np.clip(vectors @ asked, 0, 1)
    assert len(found) == min(k, rows)
    assert np.allclose([score for _, score in found], np.sort(scores)[::-1][:k], atol=1e-5)
    assert np.allclose([score for _, score in found], [scores[int(name)] for name, _ in found], atol=1e-5)


async def test_the_oldest_are_forgotten(faiss: Faiss) -> None:
    vectors = drawn(30)
    index = await faiss.run(Nearest, 16, 20)
    for start in range(0, 30, 10):
        names = [str(number) for number in range(start, start + 10)]
        await faiss.run(index.add, names, vectors[start : start + 10])
    assert len(index) == 20
    for number in (10, 19, 29):
        ((name, score),) = await faiss.run(index.search, vectors[number], 1)
        assert (name, score) == (str(number), pytest.approx(1.0))
    assert "0" not in {name for name, _ in await faiss.run(index.search, vectors[0], 20)}


def clouds(sizes: tuple[int, ...]) -> tuple[Vectors, list[int]]:
    """Points about as many directions as there are sizes, and which each belongs to."""
    draw = np.random.default_rng(3)
    of = [number for number, size in enumerate(sizes) for _ in range(size)]
    return unit(np.eye(16)[of] + draw.normal(scale=0.05, size=(len(of), 16))), of


async def test_topics_are_the_clouds_that_there_are(faiss: Faiss) -> None:
    vectors, of = clouds((300, 200, 40))
    codes = await faiss.run(topics, vectors, [1] * 540, 3, 5)
    assert {(int(code), cloud) for code, cloud in zip(codes, of, strict=True)} == {
        (int(codes[0]), 0),
        (int(codes[300]), 1),
        (int(codes[500]), 2),
    }
    assert len({int(code) for code in codes}) == 3


async def test_one_seed_gives_one_answer(faiss: Faiss) -> None:
    vectors = drawn(3_000)
    first, again, other = [await faiss.run(topics, vectors, [1] * 3_000, 20, seed) for seed in (4, 4, 5)]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


async def test_few_texts_have_a_topic_each(faiss: Faiss) -> None:
    assert (await faiss.run(topics, drawn(3), [5, 1, 1], 12, 0)).tolist() == [0, 1, 2]


async def test_what_came_often_weighs_more(faiss: Faiss) -> None:
    """Four directions for two topics: the two that came often keep theirs apart."""
    often = unit(np.eye(4) + 0.1 * np.ones((4, 4)))
    codes = await faiss.run(topics, often, [900, 900, 1, 1], 2, 1)
    assert codes[0] != codes[1]
