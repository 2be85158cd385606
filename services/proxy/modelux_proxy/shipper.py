"""The shipping process: reads the journal beside the proxy and publishes it, so that no request ever waits for that
work.

`python -m modelux_proxy.shipper FOLDER SEGMENT OFFSET` starts at that place. Each line on stdin is a place up to which
the journal is whole; each line on stdout one up to which a broker has everything. The end of stdin means: ship what
was told within five seconds, then leave.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from pathlib import Path

import uvloop

from modelux_bus import segment
from modelux_bus.base import Bus, BusUnavailable
from modelux_bus.connect import open_bus
from modelux_bus.cursor import Cursor
from modelux_proxy.ship import message
from modelux_runtime.settings import PlatformSettings, load

log = logging.getLogger("modelux.proxy.shipper")

_BATCH = 500
_BATCH_BYTES = 1024 * 1024
_FLUSH_S = 5.0


def read(folder: Path, at: Cursor, until: Cursor) -> tuple[list[bytes], Cursor]:
    """Payloads from `at` on, of one segment at most, and where to go on. Damaged places are passed over; the proxy
    counts them.
    """
    while at < until:
        file = segment.path_of(folder, at.segment)
        header = segment.read_header(file)
        if header is not None:
            end = until.offset if at.segment == until.segment else file.stat().st_size
            start = max(at.offset, segment.HEADER_BYTES)
            if start < end:
                with open(file, "rb") as opened:
                    salt = segment.salt_of(header.journal_id)
                    found = segment.scan(opened, salt, start, end, _BATCH, _BATCH_BYTES)
                return [each.payload for each in found.records], Cursor(at.segment, found.reached)
        if at.segment == until.segment:
            return [], until
        at = Cursor(at.segment + 1, 0)
    return [], at


class Shipping:
    """How far the journal may be read, and how far it is shipped."""

    def __init__(self, folder: Path, at: Cursor) -> None:
        self._folder = folder
        self._at = at
        self._until = at
        self._told = asyncio.Event()
        self._last = False

    async def listen(self) -> None:
        """Takes the proxy's word for where the journal ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            number, offset = line.split()
            self._until = Cursor(int(number), int(offset))
            self._told.set()
        self._last = True
        self._told.set()

    async def ship(self, bus: Bus) -> None:
        """Publishes in order until told that there is no more. Only what a broker took is reported and left behind."""
        delay_s = 0.1
        while True:
            payloads, after = read(self._folder, self._at, self._until)
            if after == self._at:
                if self._last:
                    return
                self._told.clear()
                await self._told.wait()
                continue
            try:
                if payloads:
                    await bus.publish([message(each) for each in payloads])
            except BusUnavailable as error:
                log.warning("the bus does not take events: %s", error)
                await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
                delay_s = min(delay_s * 2, 10.0)
                continue
            delay_s = 0.1
            self._at = after
            print(after.segment, after.offset, len(payloads), flush=True)

    async def until_last(self) -> None:
        """Returns some time after stdin has ended."""
        while not self._last:
            await self._told.wait()
            await asyncio.sleep(0.05)
        await asyncio.sleep(_FLUSH_S)


async def run(folder: Path, at: Cursor, url: str) -> None:
    bus = open_bus(url)
    shipping = Shipping(folder, at)
    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(shipping.listen())
            working = group.create_task(shipping.ship(bus))
            patience = group.create_task(shipping.until_last())
            await asyncio.wait((working, patience), return_when=asyncio.FIRST_COMPLETED)
            for task in (listening, working, patience):
                task.cancel()
    finally:
        await bus.close()


def main() -> None:
    folder, number, offset = sys.argv[1:]
    settings = load(PlatformSettings, "MODELUX")
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvloop.run(run(Path(folder), Cursor(int(number), int(offset)), settings.bus_url))


if __name__ == "__main__":
    main()
