"""Find logged requests like one, and the topics of what a candidate answers differently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import grpc.aio

from modelux.embedding.v1 import embedding_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_runtime.calls import call
from modelux_store.experiment_pairs import AnswerPair, Divergent, ExperimentPairs
from modelux_store.prompts import Asked, Prompts

MOST_GROUPED = 2_000
"""Pairs that are grouped, the least alike ones; the rest is counted alone."""
MOST_TOPICS = 12
"""Where the caller names no number."""
_SERVICE = "modelux.embedding.v1.EmbeddingService"
_DEADLINE_S = 120.0
"""The first question about a project embeds all its newest prompts."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A logged request, and how like the asked one's its prompt is."""

    asked: Asked
    score: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is like one request. `searched`: how many prompts were looked at."""

    asked: Asked
    found: tuple[Neighbour, ...]
    searched: int
    embedder: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Pairs whose prompts are alike, the least alike answers first, and what was asked, by request id."""

    pairs: tuple[AnswerPair, ...]
    asked: Mapping[str, Asked]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of divergent answers, the largest first. `unknown`: pairs whose prompt was not kept."""

    divergent: Divergent
    topics: tuple[Topic, ...]
    unknown: int
    embedder: str


@dataclass(frozen=True, slots=True)
class Similar:
    """The embedding service behind a channel, and what it is asked about. Methods raise `ProblemError`, where faiss is
    missing with advice, and `Unavailable`.
    """

    channel: grpc.aio.Channel
    prompts: Prompts
    pairs: ExperimentPairs

    async def neighbours(self, organization_id: str, request_id: str, k: int) -> Neighbours:
        """The `k` logged requests whose prompts are most like that of one."""
        asked = (await self.prompts.asked(organization_id, [request_id])).get(request_id)
        if asked is None:
            detail = f"There is no request {request_id[:80]!r} in the logs."
            raise ProblemError(Problem(404, "not_found", "Not found", detail, "It may be older than the log is kept."))
        if not asked.prompt:
            detail = f"What request {request_id[:80]!r} asked is not in the log, so nothing can be like it."
            hint = "Prompts are kept of projects with the logging mode 'full'."
            raise ProblemError(Problem(422, "prompt_missing", "No prompt", detail, hint))
        # One more: the request is most like itself.
        wanted = pb.SimilarRequest(
            organization_id=organization_id, project_id=asked.project_id, text=asked.prompt, k=min(k + 1, 100)
        )
        told = await call(self.channel, _SERVICE, wanted, pb.SimilarResponse, timeout_s=_DEADLINE_S)
        scores = {each.request_id: each.score for each in told.neighbours if each.request_id != request_id}
        rows = await self.prompts.asked(organization_id, list(scores)) if scores else {}
        found = [Neighbour(rows[name], score) for name, score in scores.items() if name in rows]
        return Neighbours(asked, tuple(found[:k]), told.indexed, told.embedder)

    async def topics(
        self, organization_id: str, experiment_id: str, threshold: float, topics: int | None, seed: int
    ) -> Topics:
        """The pairs of an experiment below a threshold, grouped by what was asked."""
        divergent = await self.pairs.below(organization_id, experiment_id, threshold, MOST_GROUPED)
        asked = await self._asked(organization_id, divergent.pairs)
        known = [each for each in divergent.pairs if each.request_id in asked]
        groups, embedder = await self._grouped(known, asked, topics or topics_for(len(known)), seed)
        found = [Topic(tuple(group), asked) for group in groups]
        return Topics(divergent, tuple(found), len(divergent.pairs) - len(known), embedder)

    async def _asked(self, organization_id: str, pairs: Sequence[AnswerPair]) -> Mapping[str, Asked]:
        """Those whose prompt is known."""
        if not pairs:
            return {}
        moments = [each.started_at_us for each in pairs]
        names = [each.request_id for each in pairs]
        found = await self.prompts.asked(organization_id, names, within_us=(min(moments), max(moments)))
        return {name: each for name, each in found.items() if each.prompt}

    async def _grouped(
        self, pairs: Sequence[AnswerPair], asked: Mapping[str, Asked], topics: int, seed: int
    ) -> tuple[list[list[AnswerPair]], str]:
        if not pairs:
            return [], ""
        texts = [asked[each.request_id].prompt for each in pairs]
        wanted = pb.ClusterRequest(texts=texts, topics=topics, seed=seed & 0xFFFF_FFFF)
        told = await call(self.channel, _SERVICE, wanted, pb.ClusterResponse, timeout_s=_DEADLINE_S)
        groups: defaultdict[int, list[AnswerPair]] = defaultdict(list)
        for pair, topic in zip(pairs, told.topics, strict=True):
            groups[topic].append(pair)
        return sorted(groups.values(), key=lambda group: (-len(group), group[0].row)), told.embedder


def topics_for(pairs: int) -> int:
    """How many topics so many pairs are grouped into."""
    return max(2, min(isqrt(pairs // 2), MOST_TOPICS))
