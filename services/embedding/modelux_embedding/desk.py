"""What the service does for its callers: embed, score, find alike, group; with the limits of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from modelux.embedding.v1 import embedding_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_embedding.embedder import Embedder, Vectors, unit
from modelux_embedding.index import Faiss, topics
from modelux_embedding.neighbours import Neighbours, WrongSize
from modelux_embedding.scoring import scores

MOST_TEXTS = 4_096
MOST_PAIRS = 2_048
MOST_NEIGHBOURS = 100
MOST_CLUSTERED = 50_000
MOST_TOPICS = 1_000


@dataclass(frozen=True, slots=True)
class Desk:
    """EmbeddingService. What it raises: `ProblemError`, `EmbedderFailed`, `ModeluxError`, `Unavailable`."""

    embedder: Embedder
    neighbours: Neighbours
    faiss: Faiss

    async def describe(self, request: pb.DescribeRequest) -> pb.DescribeResponse:
        """Which embedder works here, whether it costs, and whether faiss is there."""
        embedder = self.embedder
        return pb.DescribeResponse(
            embedder=embedder.name, charged_model=embedder.charged_model, groups=self.faiss.installed
        )

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Vectors of texts."""
        _bound("texts", len(request.texts), 1, MOST_TEXTS)
        vectors = await self.embedder.embed(request.texts)
        told = vectors.astype("<f4").tobytes()
        return pb.EmbedResponse(embedder=self.embedder.name, dimensions=vectors.shape[1], vectors=told)

    async def score(self, request: pb.ScoreRequest) -> pb.ScoreResponse:
        """How alike the texts of each pair are. Equal and blank ones need no embedder."""
        _bound("pairs", len(request.pairs), 1, MOST_PAIRS)
        found = await scores(self.embedder, [(pair.first, pair.second) for pair in request.pairs])
        return pb.ScoreResponse(embedder=self.embedder.name, scores=found)

    async def similar(self, request: pb.SimilarRequest) -> pb.SimilarResponse:
        """Logged requests whose prompts are like a text or vector."""
        _bound("k", request.k, 1, MOST_NEIGHBOURS)
        for name in ("organization_id", "project_id"):
            if not getattr(request, name):
                raise invalid(FieldError(name, "must be given"))
        vector = await self._asked(request)
        try:
            found, indexed = await self.neighbours.similar(
                request.organization_id, request.project_id, vector, request.k
            )
        except WrongSize as error:
            raise invalid(FieldError("vector", str(error))) from error
        neighbours = [pb.Neighbour(request_id=name, score=score) for name, score in found]
        return pb.SimilarResponse(embedder=self.embedder.name, neighbours=neighbours, indexed=indexed)

    async def cluster(self, request: pb.ClusterRequest) -> pb.ClusterResponse:
        """The topic of each text."""
        _bound("texts", len(request.texts), 1, MOST_CLUSTERED)
        _bound("topics", request.topics, 2, MOST_TOPICS)
        counts = Counter(request.texts)
        vectors = await self.embedder.embed(list(counts))
        codes = await self.faiss.run(topics, vectors, list(counts.values()), request.topics, request.seed)
        of = dict(zip(counts, codes.tolist(), strict=True))
        return pb.ClusterResponse(embedder=self.embedder.name, topics=[of[text] for text in request.texts])

    async def _asked(self, request: pb.SimilarRequest) -> Vectors:
        if request.WhichOneof("query") == "vector":
            if not request.vector or len(request.vector) % 4:
                raise invalid(FieldError("vector", "must be float32 numbers of 4 bytes each"))
            vector = np.frombuffer(request.vector, dtype="<f4")
            if not np.isfinite(vector).all() or not vector.any():
                raise invalid(FieldError("vector", "must be finite and not all 0"))
            return unit(vector[None, :]).reshape(-1)
        if not request.text.strip():
            raise invalid(FieldError("text", "must not be blank"))
        return (await self.embedder.embed([request.text])).reshape(-1)


def _bound(name: str, given: int, least: int, most: int) -> None:
    if not least <= given <= most:
        raise invalid(FieldError(name, f"must be {least:,} to {most:,}, not {given:,}"))
