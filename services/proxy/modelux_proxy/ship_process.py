"""Keep a shipping process at work beside the proxy: tell it where the journal ends, take its word for what a broker
has.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from asyncio.subprocess import PIPE, Process

from modelux_bus.cursor import Cursor
from modelux_bus.journal import Journal

log = logging.getLogger("modelux.proxy")

_TELL_S = 0.05
_SETTLE_S = 1.0
_LEAVE_S = 8.0


class ShipProcess:
    """One process at a time, started again when it dies. It reads its settings from the environment it inherits."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._acked = journal.cursor
        self._told: Cursor | None = None
        self._settled_s = 0.0
        self._process: Process | None = None
        self.shipped = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Until cancelled; the process stays, so that `finish` can let it ship what came last."""
        delay_s = 0.2
        while True:
            process = self._process = await self._start()
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell(process))
                delay_s = 0.2 if await self._listen(process) else min(delay_s * 2, 10.0)
                telling.cancel()
            log.error("the shipping process ended (%s) and is started again", await process.wait())
            await asyncio.sleep(random.uniform(delay_s / 2, delay_s))

    async def finish(self) -> None:
        """Ships what is left, as far as the bus takes it in time, and ends the process. The rest stays for the next
        start.
        """
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            async with asyncio.timeout(_LEAVE_S):
                self._say(process)
                process.stdin.close()
                await self._listen(process)
                await process.wait()
        except (TimeoutError, ConnectionError):
            process.kill()
            await process.wait()
        await self._settle()

    async def _start(self) -> Process:
        at = self._acked
        self._told = None
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "modelux_proxy.shipper",
            str(self._journal.folder),
            str(at.segment),
            str(at.offset),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,  # Ctrl-C reaches the proxy alone, which says when to leave
        )

    async def _tell(self, process: Process) -> None:
        while True:
            if self._journal.end != self._told:
                self._say(process)
            await asyncio.sleep(_TELL_S)

    def _say(self, process: Process) -> None:
        end = self._told = self._journal.end
        if process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(b"%d %d\n" % end)

    async def _listen(self, process: Process) -> bool:
        """Until it ends. Whether it had shipped anything."""
        assert process.stdout is not None
        worked = False
        loop = asyncio.get_running_loop()
        while line := await process.stdout.readline():
            number, offset, count = line.split()
            self._acked = Cursor(int(number), int(offset))
            self.shipped += int(count)
            worked = True
            if loop.time() - self._settled_s > _SETTLE_S:
                self._settled_s = loop.time()
                await self._settle()
        return worked

    async def _settle(self) -> None:
        if self._acked > self._journal.cursor:
            await asyncio.to_thread(self._journal.advance, self._acked)
