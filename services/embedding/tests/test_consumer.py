"""Pairs of answers become scores: once each, without the answers, and none where there is nothing to compare."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentScore
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_PAIRS
from modelux_embedding import metrics
from modelux_embedding.consumer import Scorer
from modelux_embedding.embedder import Embedder, EmbedderFailed, Vectors
from modelux_embedding.lexical import Lexical
from modelux_telemetry.meters import Meters

POISON = "a text that is never taken"


class Picky(Embedder):
    """The lexical embedder, which refuses one text, or is away."""

    name = "picky"

    def __init__(self, failure: EmbedderFailed | None = None) -> None:
        self.failure = failure
        self.asked: list[Sequence[str]] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(texts)
        if self.failure is not None:
            raise self.failure
        if POISON in texts:
            raise EmbedderFailed("it refuses a text: status 400", text=True)
        return await Lexical().embed(texts)


def pair(row: int, logged: str, answer: str, side: str = "candidate") -> ExperimentPair:
    return ExperimentPair(
        experiment_id="sim_1",
        row=row,
        side=side,
        request_id=f"req_{row}",
        outcome="ok" if answer else "error",
        logged_answer=logged,
        answer=answer,
        cost_nano=100 + row,
        trace_json=b"{}",
    )


def delivered(*pairs: ExperimentPair) -> list[Delivery]:
    topic = EXPERIMENT_PAIRS.name
    messages = [
        Message(topic, b"sim_1", codec.encode(each), f"sim_1.{each.row}.{each.side}", codec.headers(topic))
        for each in pairs
    ]
    return [Delivery(message, Partition(topic, 0), offset, 0) for offset, message in enumerate(messages)]


def told(messages: Sequence[Message]) -> list[ExperimentScore]:
    return [codec.decode(ExperimentScore, each.value, each.headers) for each in messages]


def similarities(messages: Sequence[Message]) -> list[float | None]:
    return [each.similarity if each.HasField("similarity") else None for each in told(messages)]


def scorer(embedder: Embedder, counted: Meters | None = None) -> Scorer:
    return Scorer(embedder, counted or metrics.meters())


async def test_each_pair_is_told_with_its_score_and_without_its_answers() -> None:
    embedder = Picky()
    messages = await scorer(embedder).handle(
        delivered(
            pair(1, "Paris", "Paris"),
            pair(2, "the cat sat", "the cat lay"),
            pair(3, "", "an answer"),
            pair(4, "an answer", ""),
            pair(5, "an answer", "  "),
            pair(2, "the cat sat", "the cat sat down", "baseline"),
        )
    )
    found = similarities(messages)
    assert (found[0], found[2], found[3], found[4]) == (1.0, None, None, 0.0)
    assert found[1] is not None
    assert found[5] is not None
    assert 0.2 < found[1] < found[5] < 1.0
    assert len(embedder.asked) == 1, "one batch, without those that need no embedder"
    assert len(embedder.asked[0]) == 4
    for message, score in zip(messages, told(messages), strict=True):
        assert (message.topic, message.key) == ("experiment.scores", b"sim_1")
        assert message.id == f"sim_1.{score.pair.row}.{score.pair.side}"
        assert score.embedder == "picky"
        assert (score.pair.logged_answer, score.pair.answer) == ("", "")
        assert (score.pair.cost_nano, score.pair.trace_json) == (100 + score.pair.row, b"{}")


async def test_a_text_that_is_never_taken_costs_no_other_pair_its_score(caplog: pytest.LogCaptureFixture) -> None:
    counted = metrics.meters()
    pairs = [pair(row, f"logged answer {row}", POISON if row == 5 else f"answer {row}") for row in range(9)]
    with caplog.at_level(logging.WARNING):
        messages = await scorer(Picky(), counted).handle(delivered(*pairs))
    found = similarities(messages)
    assert [row for row, score in enumerate(found) if score is None] == [5]
    assert "row 5 (candidate) of experiment 'sim_1' has no score: it refuses a text: status 400" in caplog.text
    assert POISON not in caplog.text
    assert (counted.value("pairs", "scored"), counted.value("pairs", "refused")) == (8, 1)


@pytest.mark.parametrize("failure", [EmbedderFailed("away", passing=True), EmbedderFailed("answered with status 401")])
async def test_pairs_wait_while_the_embedder_cannot_be_asked(failure: EmbedderFailed) -> None:
    embedder, counted = Picky(failure), metrics.meters()
    subject = scorer(embedder, counted)
    pairs = delivered(pair(1, "the cat sat", "the cat lay"))
    with pytest.raises(Overloaded, match=str(failure)):
        await subject.handle(pairs)
    assert counted.value("postponed_batches") == 1
    embedder.failure = None
    assert similarities(await subject.handle(pairs))[0] is not None
    embedder.failure = failure
    alike = await subject.handle(delivered(pair(1, "same", "same"), pair(2, "", "x")))
    assert similarities(alike) == [1.0, None], "nobody has to be asked"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(pair(2, "a", "b", side="middle"), id="no such side"),
        pytest.param(ExperimentPair(side="candidate", row=2), id="of no experiment"),
    ],
)
async def test_what_is_no_pair_is_named_by_its_place(bad: ExperimentPair) -> None:
    with pytest.raises(InvalidMessage) as invalid:
        await scorer(Picky()).handle(delivered(pair(1, "a", "b"), bad))
    assert invalid.value.delivery_index == 1


TEXTS = st.sampled_from(["", " ", "a cat", "a dog", POISON, "the weather in Lisbon"])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=12))
def test_a_score_depends_on_its_pair_alone(texts: list[tuple[str, str]]) -> None:
    pairs = [pair(row, *each) for row, each in enumerate(texts)]
    together = asyncio.run(scorer(Picky()).handle(delivered(*pairs)))
    alone = [message for each in pairs for message in asyncio.run(scorer(Picky()).handle(delivered(each)))]
    assert similarities(together) == pytest.approx(similarities(alone))
    assert [each.id for each in together] == [each.id for each in alone]
