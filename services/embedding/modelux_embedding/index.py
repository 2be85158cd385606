"""Search and group vectors with faiss, which is loaded at the first use and works on one thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from modelux_embedding.embedder import Vectors
from routing_core.errors import ModeluxError

T = TypeVar("T")

ROUNDS = 20
POINTS_PER_TOPIC = 256
"""Of more points, k-means learns from a seeded draw of so many; each is then given its nearest topic."""


class Faiss:
    """The only way to faiss. Its indexes are not safe under concurrent adds and searches, and it counts its threads
    by calling thread: so one thread does everything, alone, which also makes k-means repeatable.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="faiss")

    @property
    def installed(self) -> bool:
        return find_spec("faiss") is not None

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Calls `work(*arguments)` on the thread. Raises `ModeluxError` where faiss is not installed."""
        if not self.installed:
            raise ModeluxError("extra_missing", "this needs faiss", hint="pip install 'modelux[embeddings]'")
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments))

    async def close(self) -> None:
        """Waits for what is under way."""
        await asyncio.to_thread(self._thread.shutdown)


class Nearest:
    """The newest `most` vectors by name, searched exactly. Call its methods on the thread of `Faiss`.

    Exact search over a bounded number needs no training and never misses; see the README for what it costs.
    """

    def __init__(self, size: int, most: int) -> None:
        self.size = size
        self.names: list[str] = []
        self._index = _faiss().IndexFlatIP(size)
        self._most = most

    def __len__(self) -> int:
        return len(self.names)

    def add(self, names: Sequence[str], vectors: Vectors) -> None:
        """Adds vectors of unit length; the oldest beyond `most` are forgotten."""
        self._index.add(np.ascontiguousarray(vectors))
        self.names += names
        excess = len(self.names) - self._most
        if excess > 0:
            self._index.remove_ids(_faiss().IDSelectorRange(0, excess))
            del self.names[:excess]

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """Names and cosines clamped to [0, 1] of the `k` nearest, most alike first."""
        scores, places = self._index.search(np.ascontiguousarray(vector[None, :]), min(k, len(self.names)))
        clamped = np.clip(scores[0], 0.0, 1.0)
        return [(self.names[place], float(score)) for place, score in zip(places[0], clamped, strict=True)]


def topics(vectors: Vectors, counts: Sequence[int], topics: int, seed: int) -> npt.NDArray[np.int64]:
    """The topic of each distinct text, which came `counts` times: k-means by cosine. Call it on the thread of `Faiss`.

    One seed gives one answer on one machine; another processor may round, and so cut, otherwise.
    """
    if len(vectors) <= topics:
        return np.arange(len(vectors), dtype=np.int64)
    means = _faiss().Kmeans(
        vectors.shape[1],
        topics,
        niter=ROUNDS,
        seed=seed % 2**31,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=POINTS_PER_TOPIC,
    )
    held = np.ascontiguousarray(vectors)
    means.train(held, weights=np.array(counts, dtype=np.float32))
    _, nearest = means.index.search(held, 1)
    codes: npt.NDArray[np.int64] = nearest[:, 0].astype(np.int64)
    return codes


def _faiss() -> Any:
    # It tells at length which builds for other processors it did not find.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss
