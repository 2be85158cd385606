"""A process with a pool of two workers, which tells their ids and then waits to be killed."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pyarrow as pa

from modelux_replay.pool import Pool


async def main() -> None:
    pool = Pool(2)
    found: set[int] = set()
    while len(found) < 2:
        found |= set(await asyncio.gather(*(pool.run(worker) for _ in range(4))))
    print(*found, flush=True)
    await asyncio.Event().wait()


def worker() -> int:
    time.sleep(0.01)
    return os.getpid()


def loads_pandas() -> bool:
    """Whether Arrow, which looks for it at the first list that it is given, has brought it in."""
    pa.array(["text"])
    return "pandas" in sys.modules


if __name__ == "__main__":
    asyncio.run(main())
