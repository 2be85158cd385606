"""Take commands and scores off the bus, and look for experiments whose process is gone.

One experiment is replayed at a time in each process; beside it many may wait for their calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelux.events.v1.experiment_pb2 import ExperimentCommand, ExperimentScore
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_replay.called.observed import OUTCOMES
from modelux_replay.called.pairs import SIDES, Pairs
from modelux_replay.runs import Runs
from modelux_replay.sharing import help_out
from modelux_replay.spec import calls
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often an idle process looks for work that nobody does."""
_LOOK = ""
"""Asks for no experiment, but to look at once."""


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
            if command.kind not in ("run", "unit"):
                raise InvalidMessage(index, f"the command {command.kind!r} is not known")
            if command.kind == "run":
                self.asked.put_nowait(command.experiment_id)
            elif self.asked.empty():
                self.asked.put_nowait(_LOOK)
        return []

    async def work(self) -> None:
        """Runs what was asked for, and what was left behind, or else takes part in the run of another process, until
        cancelled.
        """
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    found = await self._next()
                    for identifier in found:
                        await self._run(tasks, identifier)
                    if not found:
                        await help_out(self.runs, lambda: not self.asked.empty())
                except Unavailable as error:
                    log.warning("the database is away: %s", error)
                    await asyncio.sleep(LOOK_S)

    async def tidy(self) -> None:
        """Closes the caps of what has ended, until cancelled."""
        while True:
            try:
                await self.runs.caps.close_left(self.runs.experiments)
            except Unavailable as error:
                log.warning("the database is away: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _run(self, tasks: asyncio.TaskGroup, identifier: str) -> None:
        """One that calls its candidate waits for most of its time, so that others go on beside it."""
        one = await self.runs.experiments.find(identifier)
        if one is not None and calls(one.spec):
            tasks.create_task(self._patiently(identifier))
        elif one is not None:
            await self.runs.run(identifier)

    async def _patiently(self, identifier: str) -> None:
        try:
            await self.runs.run(identifier)
        except Unavailable as error:
            log.warning("experiment %s waits: %s", identifier, error)

    async def _next(self) -> list[str]:
        try:
            async with asyncio.timeout(LOOK_S):
                asked = await self.asked.get()
        except TimeoutError:
            asked = _LOOK
        return [asked] if asked != _LOOK else await self.runs.experiments.waiting(self.runs.now_us())


@dataclass(frozen=True, slots=True)
class Scores:
    """What came of the calls of experiments, kept for whichever process runs them."""

    pairs: Pairs

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Raises `InvalidMessage` for what is no score, `Overloaded` while the database is away."""
        scores = []
        for index, delivery in enumerate(deliveries):
            try:
                score = codec.decode(ExperimentScore, delivery.message.value, delivery.message.headers)
            except codec.Undecodable as error:
                raise InvalidMessage(index, str(error)) from error
            if score.pair.side not in SIDES or score.pair.outcome not in OUTCOMES:
                told = f"side {score.pair.side!r} with outcome {score.pair.outcome!r} is not known"
                raise InvalidMessage(index, told)
            scores.append(score)
        try:
            await self.pairs.add(scores)
        except Unavailable as error:
            raise Overloaded(f"the database: {error}") from error
        return []
