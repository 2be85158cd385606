"""Fold attempts into news of models that were called although no price is known for them."""

from __future__ import annotations

from collections.abc import Iterable

from modelux.events.v1.budget_pb2 import PriceUnknown
from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from routing_core.types import PRICE_UNKNOWN

QUIET_US = 3_600_000_000
"""Between two pieces of news of the same model in the same project."""
_MOST = 10_000


class UnknownPrices:
    """One fold over the requests of all projects, whose only clock is the events'. Not shared between threads."""

    def __init__(self) -> None:
        self._told_us: dict[tuple[str, str, str], int] = {}

    def observe(self, events: Iterable[RequestCompleted]) -> list[PriceUnknown]:
        """What is news: each model at its provider at most once an hour per project."""
        news: list[PriceUnknown] = []
        for event in events:
            for attempt in event.attempts:
                if attempt.price_unknown or attempt.error_code == PRICE_UNKNOWN:
                    news += self._news(event, attempt)
        return news

    def _news(self, event: RequestCompleted, attempt: AttemptRecord) -> list[PriceUnknown]:
        key, at_us = (event.project_id, attempt.provider, attempt.model), event.started_at_us
        told_us = self._told_us.get(key)
        if told_us is not None and at_us - told_us < QUIET_US:
            return []
        if len(self._told_us) >= _MOST:
            self._told_us = {name: at for name, at in self._told_us.items() if at_us - at < QUIET_US}
        self._told_us[key] = at_us
        return [
            PriceUnknown(
                organization_id=event.organization_id,
                project_id=event.project_id,
                provider=attempt.provider,
                model=attempt.model,
                charged_nano=attempt.cost_nano,
                request_id=event.request_id,
                at_us=at_us,
            )
        ]
