"""How requests that are alike, and topics of divergent answers, are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from modelux_management.similar import Neighbours, Topic, Topics
from modelux_management.wire import moment, usd
from modelux_store.experiment_pairs import AnswerPair
from modelux_store.prompts import Asked

EXAMPLES = 3
EXCERPT_CHARS = 300


class SimilarRequest(BaseModel):
    """A logged request whose prompt is like another's."""

    request_id: str = Field(description="GET /logs/{request_id} shows all of it.")
    similarity: float = Field(description="Of both prompts, 0 to 1.")
    prompt: str = Field(description="What the user asked last; its first 300 characters.")
    started_at: datetime
    requested_model: str
    model: str | None
    provider: str | None
    outcome: str
    cost_usd: float | None
    latency_ms: float | None


class SimilarResult(SimilarRequest):
    """The same, with what the experiment found where it replayed that request too."""

    row: int | None = Field(description="Its place in the experiment; null: the experiment has no such row.")
    answer_similarity: float | None = Field(description="Of the logged answer and the candidate's.")
    cost_delta_usd: float | None


class SimilarRequests(BaseModel):
    """What is like one logged request, most alike first."""

    request_id: str
    prompt: str
    embedder: str = Field(description="What made the similarities; those of different embedders do not compare.")
    searched: int = Field(description="How many prompts of the project were looked at, the newest ones.")
    similar: list[SimilarRequest]


class SimilarResults(BaseModel):
    """What is like the request of one row, most alike first."""

    row: int
    request_id: str
    prompt: str
    answer_similarity: float | None
    embedder: str = Field(description="What made the similarities; those of different embedders do not compare.")
    searched: int = Field(description="How many prompts of the project were looked at, the newest ones.")
    similar: list[SimilarResult]


class Example(BaseModel):
    """A pair of a topic."""

    row: int
    request_id: str
    similarity: float | None
    cost_delta_usd: float | None
    prompt: str = Field(description="What the user asked last; its first 300 characters.")


class DivergentTopic(BaseModel):
    """Pairs whose prompts are alike."""

    count: int
    share: float = Field(description="Of the pairs that were grouped.")
    mean_similarity: float = Field(description="Of logged and new answers.")
    mean_cost_delta_usd: float | None = Field(description="Candidate less baseline, a request.")
    examples: list[Example] = Field(description="The least alike answers of the topic.")


class DivergentTopics(BaseModel):
    """What the pairs below a threshold are about, the largest topic first."""

    threshold: float
    scored: int = Field(description="Pairs of the experiment that were compared.")
    divergent: int = Field(description="Those below the threshold.")
    grouped: int = Field(description="Those that were grouped: at most 2,000, the least alike ones.")
    without_prompt: int = Field(description="Those left out because the log does not hold what was asked.")
    embedder: str | None = Field(description="What grouped the prompts; null: there was nothing to group.")
    topics: list[DivergentTopic]


def similar_requests(found: Neighbours) -> SimilarRequests:
    return SimilarRequests(
        request_id=found.asked.request_id,
        prompt=_excerpt(found.asked),
        embedder=found.embedder,
        searched=found.searched,
        similar=[SimilarRequest.model_validate(_request(each.asked, each.score)) for each in found.found],
    )


def similar_results(pair: AnswerPair, found: Neighbours, replayed: Mapping[str, AnswerPair]) -> SimilarResults:
    similar = []
    for each in found.found:
        other = replayed.get(each.asked.request_id)
        own = {
            "row": other.row if other else None,
            "answer_similarity": other.similarity if other else None,
            "cost_delta_usd": _usd(other.cost_delta_nano) if other else None,
        }
        similar.append(SimilarResult.model_validate(_request(each.asked, each.score) | own))
    return SimilarResults(
        row=pair.row,
        request_id=pair.request_id,
        prompt=_excerpt(found.asked),
        answer_similarity=pair.similarity,
        embedder=found.embedder,
        searched=found.searched,
        similar=similar,
    )


def divergent_topics(found: Topics, threshold: float) -> DivergentTopics:
    grouped = sum(len(topic.pairs) for topic in found.topics)
    return DivergentTopics(
        threshold=threshold,
        scored=found.divergent.scored,
        divergent=found.divergent.below,
        grouped=grouped,
        without_prompt=found.unknown,
        embedder=found.embedder or None,
        topics=[_topic(topic, grouped) for topic in found.topics],
    )


def _topic(topic: Topic, grouped: int) -> DivergentTopic:
    similarities = [each.similarity for each in topic.pairs if each.similarity is not None]
    deltas = [each.cost_delta_nano for each in topic.pairs if each.cost_delta_nano is not None]
    return DivergentTopic(
        count=len(topic.pairs),
        share=len(topic.pairs) / grouped,
        mean_similarity=sum(similarities) / len(similarities),
        mean_cost_delta_usd=usd(round(sum(deltas) / len(deltas))) if deltas else None,
        examples=_examples(topic.pairs[:EXAMPLES], topic.asked),
    )


def _examples(pairs: Sequence[AnswerPair], asked: Mapping[str, Asked]) -> list[Example]:
    return [
        Example(
            row=each.row,
            request_id=each.request_id,
            similarity=each.similarity,
            cost_delta_usd=_usd(each.cost_delta_nano),
            prompt=_excerpt(asked[each.request_id]),
        )
        for each in pairs
    ]


def _request(asked: Asked, score: float) -> dict[str, object]:
    return {
        "request_id": asked.request_id,
        "similarity": score,
        "prompt": _excerpt(asked),
        "started_at": moment(asked.started_at_us),
        "requested_model": asked.requested_model,
        "model": asked.model or None,
        "provider": asked.provider or None,
        "outcome": asked.outcome,
        "cost_usd": _usd(asked.cost_nano),
        "latency_ms": asked.latency_us / 1000 if asked.latency_us else None,
    }


def _excerpt(asked: Asked) -> str:
    text = asked.prompt
    return text if len(text) <= EXCERPT_CHARS else text[: EXCERPT_CHARS - 1] + "…"


def _usd(nano: int | None) -> float | None:
    return None if nano is None else usd(nano)
