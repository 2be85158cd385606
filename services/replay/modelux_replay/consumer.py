"""Take commands off the bus, and look for experiments whose process is gone; one runs at a time in each process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelux.events.v1.experiment_pb2 import ExperimentCommand
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage
from modelux_contracts import codec
from modelux_replay.runs import Runs
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often an idle process looks for work that nobody does."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A command only says that there is work: what is to be done, and whether, stands in the database."""

    runs: Runs
    asked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Raises `InvalidMessage` for what is no command."""
        for index, delivery in enumerate(deliveries):
            try:
                command = codec.decode(ExperimentCommand, delivery.message.value, delivery.message.headers)
            except codec.Undecodable as error:
                raise InvalidMessage(index, str(error)) from error
            if command.kind != "run":
                raise InvalidMessage(index, f"the command {command.kind!r} is not known")
            self.asked.put_nowait(command.experiment_id)
        return []

    async def work(self) -> None:
        """Runs what was asked for, and what was left behind, until cancelled."""
        while True:
            try:
                for identifier in await self._next():
                    await self.runs.run(identifier)
            except Unavailable as error:
                log.warning("the database is away: %s", error)
                await asyncio.sleep(LOOK_S)

    async def _next(self) -> list[str]:
        try:
            async with asyncio.timeout(LOOK_S):
                return [await self.asked.get()]
        except TimeoutError:
            return await self.runs.experiments.waiting(self.runs.now_us())
