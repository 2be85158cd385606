"""Keep an index of the newest logged prompts of each project that is asked for, built from the log and nothing else."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from modelux_embedding.embedder import Embedder, Vectors
from modelux_embedding.index import Faiss, Nearest
from modelux_embedding.prompts import Prompt

Read = Callable[[str, str, int, int], Awaitable[Sequence[Prompt]]]
"""Organization, project, since when (ms), at most how many: as `prompts.newest`."""
CHUNK = 1_000
"""Prompts embedded before their vectors go into the index."""


class WrongSize(Exception):
    """The vector asked about has another number of dimensions than the embedder's."""


@dataclass(slots=True)
class _Project:
    """What is known of one project. `seen_ms`: up to where its log was read."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    nearest: Nearest | None = None
    names: set[str] = field(default_factory=set)
    seen_ms: int = 0
    read_at_ms: int | None = None


class Neighbours:
    """Holds at most `projects` indexes of at most `rows` prompts, those that were asked for last. All of it is
    memory: after a restart the next question builds it anew.
    """

    def __init__(
        self,
        embedder: Embedder,
        read: Read,
        faiss: Faiss,
        now_ms: Callable[[], int],
        *,
        rows: int,
        projects: int,
        refresh_ms: int,
    ) -> None:
        self._embedder = embedder
        self._read = read
        self._faiss = faiss
        self._now_ms = now_ms
        self._rows = rows
        self._most = projects
        self._refresh_ms = refresh_ms
        self._projects: OrderedDict[tuple[str, str], _Project] = OrderedDict()

    def indexed(self) -> int:
        """Prompts in all indexes."""
        return sum(len(each.names) for each in self._projects.values())

    async def similar(
        self, organization_id: str, project_id: str, vector: Vectors, k: int
    ) -> tuple[list[tuple[str, float]], int]:
        """The `k` requests whose prompts are most like a vector, best first, and how many were searched.

        Requests of the last `refresh_ms` may be missing. Raises `Unavailable`, `EmbedderFailed`, `WrongSize`.
        """
        project = self._project((organization_id, project_id))
        async with project.lock:
            if project.read_at_ms is None or self._now_ms() - project.read_at_ms >= self._refresh_ms:
                await self._refresh(organization_id, project_id, project)
            if project.nearest is None:
                return [], 0
            if project.nearest.size != len(vector):
                raise WrongSize(f"the vector has {len(vector)} dimensions, those of prompts {project.nearest.size}")
            found = await self._faiss.run(project.nearest.search, vector, k)
            return found, len(project.nearest)

    def _project(self, key: tuple[str, str]) -> _Project:
        project = self._projects.setdefault(key, _Project())
        self._projects.move_to_end(key)
        while len(self._projects) > self._most:
            self._projects.popitem(last=False)
        return project

    async def _refresh(self, organization_id: str, project_id: str, project: _Project) -> None:
        """Adds what came into the log since; what was added before a failure stays."""
        now_ms = self._now_ms()
        read = await self._read(organization_id, project_id, project.seen_ms, self._rows)
        fresh = [each for each in read if each.request_id not in project.names]
        for start in range(0, len(fresh), CHUNK):
            part = fresh[start : start + CHUNK]
            vectors = await self._embedder.embed([each.text for each in part])
            if project.nearest is None:
                project.nearest = await self._faiss.run(Nearest, vectors.shape[1], self._rows)
            await self._faiss.run(project.nearest.add, [each.request_id for each in part], np.asarray(vectors))
            project.names = set(project.nearest.names)
            project.seen_ms = part[-1].ingested_ms
        project.read_at_ms = now_ms
