"""Reserve, dispatch and settle calls on three budgets at once, in this process alone. Prints one JSON line, in µs."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from typing import TypeVar

from routing_core.ledger.holder import Holder
from routing_core.ledger.messages import Granted
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.ledger.slots import Row

CALLS = 200_000
_T = TypeVar("_T")


class Table:
    """Packs rows as the memory-mapped table does, into plain memory."""

    def __init__(self) -> None:
        self._memory = bytearray(4_096)
        self._rows = 0

    def add(self, lease_id: str, meter: Meter, window_start_us: int, granted: int) -> int:
        self._rows += 1
        return self._rows - 1

    def update(self, index: int, granted: int, settled: int, open: int, unknown: int, overrun: int) -> None:
        struct.pack_into("<5q", self._memory, 40 * index, granted, settled, open, unknown, overrun)

    def remove(self, index: int) -> None:
        self.update(index, 0, 0, 0, 0, 0)

    def load(self) -> list[Row]:
        return []


def timed(times: list[int], step: Callable[[], _T]) -> _T:
    started = time.perf_counter_ns()
    result = step()
    times.append(time.perf_counter_ns() - started)
    return result


def main() -> None:
    holder = Holder(Table())
    holder.join("r1", 1, [], 0)
    wants = [Want(Meter(f"bud_{index}", "", "usd"), 1_000_000) for index in range(3)]
    ask = holder.ask("op1", wants, 0)
    room = 10**15
    leases = [
        Granted(f"op1/{index}", room, 0, AccountView(want.meter, 0, 0, 2 * room, 0, room, True))
        for index, want in enumerate(wants)
    ]
    holder.granted(ask, leases, 0)
    steps: dict[str, list[int]] = {"reserve": [], "dispatch": [], "settle": []}
    costs = (400_000, 400_000, 400_000)
    for now_us in range(CALLS):
        held = timed(steps["reserve"], lambda now_us=now_us: holder.reserve(wants, now_us))  # type: ignore[misc]
        timed(steps["dispatch"], lambda held=held: holder.dispatch(held))  # type: ignore[misc]
        timed(steps["settle"], lambda held=held: holder.settle(held, costs))  # type: ignore[misc]
    line: dict[str, object] = {"bench": "ledger_holder", "calls": CALLS, "meters": len(wants)}
    for step, times in steps.items():
        times.sort()
        line |= {f"{step}_p50_us": times[CALLS // 2] / 1_000, f"{step}_p99_us": times[CALLS * 99 // 100] / 1_000}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
