"""The services around an experiment with responses, played by the tests: an embedder, and a sampler with its scores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio

from modelux.embedding.v1 import embedding_pb2 as embedding
from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentSamples, ExperimentScore, SampledRow
from modelux.events.v1.request_pb2 import Usage
from modelux_bus.base import Bus, Delivery, Message
from modelux_bus.consume import consume
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_SAMPLES, EXPERIMENT_SCORES

EMBEDDER = "played-1"
COST_NANO = 50_000
Answer = Callable[[ExperimentSamples, SampledRow], dict[str, object]]
"""What of an answered pair is otherwise than `told` makes it."""


@dataclass
class PlayedEmbedder:
    """`Describe`, and `Cluster` by the first word of a text."""

    target: str
    described: embedding.DescribeResponse = field(
        default_factory=lambda: embedding.DescribeResponse(embedder=EMBEDDER, groups=True)
    )

    def register(self, server: grpc.aio.Server) -> None:
        async def describe(request: embedding.DescribeRequest, context: object) -> embedding.DescribeResponse:
            return self.described

        async def cluster(request: embedding.ClusterRequest, context: object) -> embedding.ClusterResponse:
            words = [text.partition(" ")[0] for text in request.texts]
            codes = {word: code for code, word in enumerate(sorted(set(words)))}
            return embedding.ClusterResponse(embedder=EMBEDDER, topics=[codes[word] for word in words])

        handlers = {
            "Describe": grpc.unary_unary_rpc_method_handler(
                describe,
                embedding.DescribeRequest.FromString,
                embedding.DescribeResponse.SerializeToString,
            ),
            "Cluster": grpc.unary_unary_rpc_method_handler(
                cluster, embedding.ClusterRequest.FromString, embedding.ClusterResponse.SerializeToString
            ),
        }
        name = "modelux.embedding.v1.EmbeddingService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


@dataclass
class Sampler:
    """Answers every sampled row with a score at once. `answer` says what is otherwise; `called` counts the calls."""

    bus: Bus
    answer: Answer = field(default=lambda unit, row: {})
    units: list[ExperimentSamples] = field(default_factory=list)
    called: list[tuple[str, int, str]] = field(default_factory=list)
    """Each row and side once, as no call is made twice."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Waited for before any unit is answered."""

    async def work(self) -> None:
        """Until cancelled."""
        await consume(self.bus, "response_sampler", {EXPERIMENT_SAMPLES.name: self.handle}, max_wait_s=0.05)

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        units = [codec.decode(ExperimentSamples, each.message.value, each.message.headers) for each in deliveries]
        self.units += units
        self.heard.set()
        await self.go_on.wait()
        return [message for unit in units for message in self.told(unit)]

    def told(self, unit: ExperimentSamples) -> list[Message]:
        found = []
        for row in unit.rows:
            place = (unit.experiment_id, row.row, row.side)
            if place not in self.called:
                self.called.append(place)
            found.append(score_message(told(unit, row, **self.answer(unit, row))))
        return found


def told(unit: ExperimentSamples, row: SampledRow, **fields: object) -> ExperimentScore:
    """The score of an answered call; `fields` of the pair, and `similarity`, may be otherwise."""
    similarity = fields.pop("similarity", 0.9)
    common: dict[str, object] = {
        "experiment_id": unit.experiment_id,
        "organization_id": unit.organization_id,
        "project_id": unit.project_id,
        "row": row.row,
        "side": row.side,
        "request_id": row.request_id,
        "call_id": f"req_call_{row.side}_{row.row}",
        "outcome": "ok",
        "status": 200,
        "model": row.model or "gpt-4o-mini",
        "provider": row.provider or "openai",
        "usage": Usage(input=100, output=60),
        "cost_nano": COST_NANO,
        "charged_nano": COST_NANO,
        "latency_us": 300_000,
        "ttft_us": -1,
        "attempts": 1,
        "trace_json": b'{"called":true}',
    }
    pair = ExperimentPair(**common | fields)  # type: ignore[arg-type]  # fields by name
    score = ExperimentScore(pair=pair, embedder=EMBEDDER)
    if pair.outcome == "ok" and isinstance(similarity, float):
        score.similarity = similarity
    return score


def score_message(score: ExperimentScore) -> Message:
    topic, pair = EXPERIMENT_SCORES.name, score.pair
    identity = f"{pair.experiment_id}.{pair.row}.{pair.side}"
    return Message(topic, pair.experiment_id.encode(), codec.encode(score), identity, codec.headers(topic))
