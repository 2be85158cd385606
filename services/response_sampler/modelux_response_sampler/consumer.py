"""Take sampled rows off the bus: what is to be done stands in the database from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from modelux.events.v1.experiment_pb2 import ExperimentSamples
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_response_sampler.spend import Unusable, checked
from modelux_response_sampler.units import Units
from modelux_store.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Consumer:
    """`asked` is set when there is work."""

    units: Units
    asked: asyncio.Event

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Raises `InvalidMessage` for what can never be called, `Overloaded` while the database is away."""
        found = []
        for index, delivery in enumerate(deliveries):
            try:
                samples = codec.decode(ExperimentSamples, delivery.message.value, delivery.message.headers)
                checked(samples)
            except (codec.Undecodable, Unusable) as error:
                raise InvalidMessage(index, str(error)) from error
            found.append(samples)
        try:
            await self.units.put(found)
        except Unavailable as error:
            raise Overloaded(f"the database is away: {error}") from error
        self.asked.set()
        return []
