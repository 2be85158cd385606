"""No text is embedded twice while it is remembered, and memory is bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelux_embedding.cache import ENTRY_BYTES, Cached
from modelux_embedding.embedder import Embedder, Vectors
from modelux_embedding.metrics import meters

SIZE = 4


class Counting(Embedder):
    """A vector by the length of the text; keeps what it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([[len(text), 1, 0, 0] for text in texts], dtype=np.float32)


async def test_a_text_is_asked_for_once() -> None:
    inner = Counting()
    counted = meters()
    cached = Cached(inner, 1 << 20, counted)
    first = await cached.embed(["a", "bb", "a"])
    again = await cached.embed(["bb", "ccc", "a"])
    assert inner.asked == ["a", "bb", "ccc"]
    assert first[:, 0].tolist() == [1, 2, 1]
    assert again[:, 0].tolist() == [2, 3, 1]
    assert (counted.value("remembered_texts"), counted.value("texts")) == (2, 3)


async def test_what_was_unused_longest_is_forgotten() -> None:
    inner = Counting()
    cached = Cached(inner, 2 * (SIZE * 4 + ENTRY_BYTES), meters())
    await cached.embed(["a", "bb"])
    await cached.embed(["a"])
    await cached.embed(["ccc"])
    inner.asked.clear()
    await cached.embed(["a", "ccc"])
    assert inner.asked == []
    await cached.embed(["bb"])
    assert inner.asked == ["bb"]


async def test_more_than_fits_is_answered_all_the_same() -> None:
    vectors = await Cached(Counting(), 0, meters()).embed(["a", "bb", "ccc"])
    assert vectors[:, 0].tolist() == [1, 2, 3]


async def test_blank_texts_have_zeros_and_are_not_asked_for() -> None:
    inner = Counting()
    cached = Cached(inner, 1 << 20, meters())
    assert (await cached.embed(["", "a", " \n"])).tolist() == [[0] * SIZE, [1, 1, 0, 0], [0] * SIZE]
    assert inner.asked == ["a"]
    assert (await Cached(Counting(), 1 << 20, meters()).embed(["", " "])).tolist() == [[0] * SIZE] * 2
