"""The gRPC edge: which function answers which operation, and what is said of embedders that fail."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import grpc.aio

from modelux.embedding.v1 import embedding_pb2 as pb
from modelux_contracts.errors import Problem
from modelux_embedding.desk import Desk
from modelux_embedding.embedder import EmbedderFailed
from modelux_runtime.operations import Method, Operations
from routing_core.errors import ModeluxError

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]


@dataclass(frozen=True, slots=True)
class Edge:
    """The EmbeddingService."""

    desk: Desk

    def register(self, server: grpc.aio.Server) -> None:
        methods: dict[str, Method] = {
            "Describe": self.desk.describe,
            "Embed": self.desk.embed,
            "Score": self.desk.score,
            "Similar": self.desk.similar,
            "Cluster": self.desk.cluster,
        }
        started = asyncio.Event()
        started.set()
        Operations(SERVICE, methods, started, _failure).register(server)


def _failure(error: Exception) -> Problem | None:
    """What a caller hears of an embedder that fails or is not installed."""
    if isinstance(error, EmbedderFailed):
        log.warning("the embedder failed: %s", error)
        return Problem(503 if error.passing else 502, "embedder_failed", "No vectors", str(error), error.hint)
    if isinstance(error, ModeluxError):
        return Problem(501, error.code, "Not installed", error.message, error.hint)
    return None
