"""Score the answers of `experiment.pairs` against each other and tell the scores on `experiment.scores`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentScore
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_SCORES
from modelux_embedding.embedder import Embedder, EmbedderFailed
from modelux_embedding.scoring import scores
from modelux_telemetry.meters import Meters

log = logging.getLogger(__name__)

SIDES = ("candidate", "baseline")


class Scorer:
    """Handles one member's deliveries. The same pair again is told again, with the same id."""

    def __init__(self, embedder: Embedder, counted: Meters) -> None:
        self._embedder = embedder
        self._counted = counted

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """A score for each pair, without its answers. Where an answer is missing, or one is a text that the embedder
        never takes, it says no similarity.

        Raises:
            InvalidMessage: one delivery is no pair.
            Overloaded: the embedder cannot be asked now.
        """
        pairs = [_decode(index, delivery) for index, delivery in enumerate(deliveries)]
        answered = [pair for pair in pairs if _answered(pair)]
        try:
            found = iter(await self._scores(answered))
        except EmbedderFailed as failure:
            self._counted.add("postponed_batches")
            raise Overloaded(f"answers cannot be compared: {failure}") from failure
        self._counted.add("pairs", len(pairs) - len(answered), "unanswered")
        return [self._message(pair, next(found) if _answered(pair) else None) for pair in pairs]

    async def _scores(self, pairs: Sequence[ExperimentPair]) -> list[float | None]:
        """Raises `EmbedderFailed` where the fault is not that of a text. A text at fault is found by halves."""
        try:
            found = await scores(self._embedder, [(pair.logged_answer, pair.answer) for pair in pairs])
        except EmbedderFailed as failure:
            if not failure.text:
                raise
            if len(pairs) > 1:
                half = len(pairs) // 2
                return await self._scores(pairs[:half]) + await self._scores(pairs[half:])
            where = (pairs[0].row, pairs[0].side, pairs[0].experiment_id)
            log.warning("row %d (%s) of experiment %r has no score: %s", *where, failure)
            self._counted.add("pairs", 1, "refused")
            return [None]
        self._counted.add("pairs", len(pairs), "scored")
        return list(found)

    def _message(self, pair: ExperimentPair, similarity: float | None) -> Message:
        pair.ClearField("logged_answer")
        pair.ClearField("answer")
        event = ExperimentScore(pair=pair, similarity=similarity, embedder=self._embedder.name)
        topic = EXPERIMENT_SCORES.name
        identity = f"{pair.experiment_id}.{pair.row}.{pair.side}"
        return Message(topic, pair.experiment_id.encode(), codec.encode(event), identity, codec.headers(topic))


def _answered(pair: ExperimentPair) -> bool:
    return bool(pair.logged_answer and pair.answer)


def _decode(index: int, delivery: Delivery) -> ExperimentPair:
    message = delivery.message
    try:
        pair = codec.decode(ExperimentPair, message.value, message.headers)
    except codec.Undecodable as error:
        raise InvalidMessage(index, str(error)) from error
    if not pair.experiment_id or pair.side not in SIDES:
        raise InvalidMessage(index, f"it names no experiment, or its side {pair.side[:40]!r} is not one of {SIDES}")
    return pair
