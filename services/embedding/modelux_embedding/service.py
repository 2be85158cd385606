"""The embedding service: its settings and its wiring."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelux_bus.consume import consume
from modelux_contracts.topics import EXPERIMENT_PAIRS
from modelux_embedding import metrics
from modelux_embedding.cache import Cached
from modelux_embedding.choice import Wanted, choose
from modelux_embedding.consumer import Scorer
from modelux_embedding.desk import Desk
from modelux_embedding.index import Faiss
from modelux_embedding.neighbours import Neighbours
from modelux_embedding.prompts import newest
from modelux_embedding.rpc import Edge
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import serving
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_telemetry.meters import exported

log = logging.getLogger(__name__)

GROUP = "embedding"
MOST_PAIRS = 200
"""Pairs of answers scored together."""


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """`MODELUX_EMBEDDING_<FIELD>`."""

    listen: str = setting("", "gRPC address to serve at; left out: MODELUX_EMBEDDING_URL, where that is a Unix socket")
    embedder: str = setting(
        "", "`endpoint`, `minilm` or `lexical`; left out: the first of them that is set up (lexical always is)"
    )
    endpoint: str = setting("", "Base URL of an OpenAI-compatible endpoint; left out: OpenAI's, where there is a key")
    api_key: str = setting("", "Its key")
    model: str = setting("text-embedding-3-small", "Its model")
    private: bool = setting(False, "Whether the endpoint may be in a private network, and reached over http")
    weights_dir: str = setting("", "Folder that `modelux embeddings install` put the weights of MiniLM in")
    threads: int = setting(1, "Threads that MiniLM computes on")
    cache_mb: int = setting(128, "Memory for vectors of texts seen before")
    index_rows: int = setting(20_000, "Newest prompts of a project that are searched for alike ones")
    index_projects: int = setting(8, "Projects whose prompts are kept indexed, those asked for last")
    index_refresh_s: int = setting(60, "Least time between two looks into a project's log for new prompts")


@asynccontextmanager
async def serve(settings: EmbeddingSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Ready once the embedder is loaded. Neither ClickHouse, the bus nor an endpoint need to be up."""
    faiss = Faiss()
    counted = metrics.meters()
    embedder = Cached(await choose(_wanted(settings)), settings.cache_mb << 20, counted)
    log.info("texts are embedded by %s", embedder.name)
    neighbours = Neighbours(
        embedder,
        partial(newest, platform.analytics),
        faiss,
        platform.now_ms,
        rows=settings.index_rows,
        projects=settings.index_projects,
        refresh_ms=settings.index_refresh_s * 1000,
    )
    counted.read("indexed_rows", neighbours.indexed)
    scorer = Scorer(embedder, counted)
    target = settings.listen or platform.settings.embedding_url
    try:
        async with serving(target, Edge(Desk(embedder, neighbours, faiss)).register):
            if target.startswith("unix:"):
                Path(target.removeprefix("unix:")).chmod(0o600)
            with exported(counted):
                yield [consume(platform.bus, GROUP, {EXPERIMENT_PAIRS.name: scorer.handle}, max_messages=MOST_PAIRS)]
    finally:
        await embedder.close()
        await faiss.close()


def _wanted(settings: EmbeddingSettings) -> Wanted:
    return Wanted(
        kind=settings.embedder,
        endpoint=settings.endpoint,
        key=settings.api_key,
        model=settings.model,
        allow_private=settings.private,
        weights=Path(settings.weights_dir) if settings.weights_dir else None,
        threads=settings.threads,
    )


SERVICE = Service("embedding", EmbeddingSettings, needs=frozenset({"analytics", "bus"}), serve=serve)
