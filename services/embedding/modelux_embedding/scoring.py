"""How alike the two texts of each pair are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelux_embedding.embedder import Embedder, cosines

Pair = tuple[str, str]


async def scores(embedder: Embedder, pairs: Sequence[Pair]) -> list[float]:
    """Cosines clamped to [0, 1], in the order of the pairs. Raises `EmbedderFailed`.

    Equal texts have 1 and a blank one beside another 0; neither needs the embedder.
    """
    found = np.array([float(first == second) for first, second in pairs])
    asked = [
        place for place, (first, second) in enumerate(pairs) if first != second and first.strip() and second.strip()
    ]
    if asked:
        vectors = await embedder.embed([pairs[place][0] for place in asked] + [pairs[place][1] for place in asked])
        found[asked] = cosines(vectors[: len(asked)], vectors[len(asked) :])
    return [float(score) for score in found]
