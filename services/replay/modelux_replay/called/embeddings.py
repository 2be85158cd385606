"""Ask the embedding service: which embedder scores answers, and which topics prompts are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio

from modelux.embedding.v1 import embedding_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_runtime.calls import call

_SERVICE = "modelux.embedding.v1.EmbeddingService"
_CLUSTER_S = 180.0
"""An endpoint embeds 20,000 prompts in a minute or so."""
MOST_CLUSTERED = 20_000
MOST_TOPICS = 100
ROWS_PER_TOPIC = 20
"""As many as a sample has of a topic on average."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Every method raises `ProblemError`: 503 while the service cannot be reached."""

    channel: grpc.aio.Channel

    async def describe(self) -> pb.DescribeResponse:
        """Which embedder works there."""
        return await call(self.channel, _SERVICE, pb.DescribeRequest(), pb.DescribeResponse)

    async def topics(self, prompts: Sequence[str], size: int, seed: int) -> Sequence[int]:
        """The topic of each prompt, for a sample of `size`."""
        topics = min(max(size // ROWS_PER_TOPIC, 2), MOST_TOPICS)
        asked = pb.ClusterRequest(texts=prompts, topics=topics, seed=seed & 0xFFFF_FFFF)
        return (await call(self.channel, _SERVICE, asked, pb.ClusterResponse, timeout_s=_CLUSTER_S)).topics

    async def check_semantic(self) -> None:
        """Raises a 422 problem where prompts cannot be grouped."""
        if not (await self.describe()).groups:
            hint = "Install it beside the embedding service (pip install 'modelux[embeddings]'), or use 'stratified'."
            message = "'semantic' groups prompts by topic with faiss, which is not installed"
            raise invalid(FieldError("sample.method", message, hint), code="extra_missing")


async def embedder_of(embeddings: Embeddings) -> pb.DescribeResponse | None:
    """Which embedder works there; None while nobody can tell."""
    try:
        return await embeddings.describe()
    except ProblemError:
        return None
