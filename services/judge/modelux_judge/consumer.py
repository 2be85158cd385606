"""Take commands off the bus, and look for runs whose process is gone; some run at a time in each process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelux.events.v1.judge_pb2 import JudgeCommand
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage
from modelux_contracts import codec
from modelux_judge.runs import Runs
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often an idle process looks for work that nobody does."""


@dataclass(slots=True)
class Consumer:
    """A command only says that there is work: what is to be done, and whether, stands in the database."""

    runs: Runs
    asked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _working: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Raises `InvalidMessage` for what is no command."""
        for index, delivery in enumerate(deliveries):
            try:
                command = codec.decode(JudgeCommand, delivery.message.value, delivery.message.headers)
            except codec.Undecodable as error:
                raise InvalidMessage(index, str(error)) from error
            if command.kind != "run":
                raise InvalidMessage(index, f"the command {command.kind!r} is not known")
            self.asked.put_nowait(command.judge_run_id)
        return []

    async def work(self, at_a_time: int) -> None:
        """Runs what was asked for, and what was left behind, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(at_a_time):
                group.create_task(self._worker())

    async def drained(self, within_s: float) -> bool:
        """Waits for the runs of this process to let go, once they are told to stop. False: some did not."""
        try:
            async with asyncio.timeout(within_s):
                while self._working:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _worker(self) -> None:
        while True:
            try:
                for identifier in await self._next():
                    await self._run(identifier)
                await self.runs.ending.close_left()
            except Unavailable as error:
                log.warning("the database is away: %s", error)
                await asyncio.sleep(LOOK_S)

    async def _run(self, identifier: str) -> None:
        self._working += 1
        try:
            await self.runs.run(identifier)
        finally:
            self._working -= 1
            self._idle.set()

    async def _next(self) -> list[str]:
        try:
            async with asyncio.timeout(LOOK_S):
                return [await self.asked.get()]
        except TimeoutError:
            return await self.runs.records.waiting(self.runs.caller.clock.now_us())
