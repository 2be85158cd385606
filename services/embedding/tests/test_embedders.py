"""What holds for every embedder: one vector of length 1 for each text, in order, the same whatever is beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from tiny_model import HEADS, TinyModel

from modelux_embedding.cache import Cached
from modelux_embedding.embedder import Embedder, cosines
from modelux_embedding.endpoint import Endpoint
from modelux_embedding.lexical import Lexical
from modelux_embedding.metrics import meters
from modelux_embedding.minilm import MiniLM
from modelux_providers.client import Client
from modelux_providers.egress import Guard
from modelux_providers.simulator.server import Simulator

TEXTS = ["reset my password", "delete account", "?", "reset my password", "unable " * 300, "\u0000\ud83d x", "é" * 5]


@pytest.fixture(params=["lexical", "minilm", "endpoint", "cached"])
async def embedder(request: pytest.FixtureRequest, tiny: TinyModel) -> AsyncIterator[Embedder]:
    async with Simulator.start() as simulator:
        match request.param:
            case "lexical":
                made: Embedder = Lexical()
            case "minilm":
                made = MiniLM(tiny.folder, 1, heads=HEADS, wanted=tiny.wanted)
            case "endpoint":
                made = Endpoint(Client(Guard()), f"{simulator.url}/v1", "", "small", allow_private=True)
            case _:
                made = Cached(Lexical(), 1 << 20, meters())
        yield made
        await made.close()


async def test_each_text_has_one_vector_of_length_1(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert len(vectors) == len(TEXTS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert embedder.name


async def test_equal_texts_have_equal_vectors_whatever_is_beside_them(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert cosines(vectors[:1], vectors[3:4])[0] == pytest.approx(1.0, abs=1e-6)
    for place in (0, 4, 5):
        alone = await embedder.embed([TEXTS[place]])
        assert np.allclose(vectors[place], alone[0], atol=1e-5)


async def test_cosines_lie_between_0_and_1(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    for each in vectors:
        scores = cosines(vectors, np.broadcast_to(each, vectors.shape))
        assert ((scores >= 0.0) & (scores <= 1.0)).all()
