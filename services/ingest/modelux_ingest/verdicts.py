"""Write batches of `judge.verdicts` to ClickHouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from modelux.events.v1.judge_pb2 import JudgeVerdict
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_store.analytics import Analytics, Rejected, Unavailable

TABLE = "judge_verdicts"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDERS = ("baseline_first", "candidate_first")
COLUMNS: Mapping[str, Callable[[JudgeVerdict], object]] = {
    "judge_run_id": lambda each: each.judge_run_id,
    "experiment_id": lambda each: each.experiment_id,
    "organization_id": lambda each: each.organization_id,
    "project_id": lambda each: each.project_id,
    "row": lambda each: each.row,
    "presented": lambda each: each.order,
    "request_id": lambda each: each.request_id,
    "candidate_request_id": lambda each: each.candidate_request_id,
    "bucket": lambda each: each.bucket,
    "similarity": lambda each: each.similarity,
    "verdict": lambda each: each.verdict,
    "reason": lambda each: each.reason,
    "call_id": lambda each: each.call_id,
    "cost_nano": lambda each: each.cost_nano,
    "error": lambda each: each.error,
    "at": lambda each: _EPOCH + timedelta(microseconds=each.at_us),
}


class VerdictsWriter:
    """Handles one member's deliveries. Verdicts that come twice replace themselves."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Writes all verdicts as one block.

        Raises:
            InvalidMessage: one delivery is no verdict, or ClickHouse will never take it.
            Overloaded: ClickHouse is away or busy.
        """
        found = [_verdict(index, delivery) for index, delivery in enumerate(deliveries)]
        try:
            await self._write(found)
        except Unavailable as error:
            raise Overloaded(f"ClickHouse: {error}") from error
        except Rejected as error:
            await self._blame(found)
            raise Overloaded(f"ClickHouse refused verdicts together that it took alone: {error}") from error
        return []

    async def _blame(self, verdicts: Sequence[JudgeVerdict]) -> None:
        """Finds the delivery that ClickHouse will not take."""
        for index, verdict in enumerate(verdicts):
            try:
                await self._write([verdict])
            except Rejected as error:
                raise InvalidMessage(index, f"ClickHouse refuses it: {error}") from error
            except Unavailable as error:
                raise Overloaded(f"ClickHouse: {error}") from error

    async def _write(self, verdicts: Sequence[JudgeVerdict]) -> None:
        columns = {name: [column(each) for each in verdicts] for name, column in COLUMNS.items()}
        await self._analytics.insert(TABLE, columns)


def _verdict(index: int, delivery: Delivery) -> JudgeVerdict:
    message = delivery.message
    try:
        found = codec.decode(JudgeVerdict, message.value, message.headers)
    except codec.Undecodable as error:
        raise InvalidMessage(index, str(error)) from error
    if not (found.judge_run_id and found.organization_id and found.verdict and found.order in _ORDERS):
        raise InvalidMessage(index, "it names no run, no organization, no verdict or no order")
    return found
