"""Read what logged attempts used and cost, alike ones together, so that they can be priced again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypeVar, cast

from modelux_store.analytics import Analytics
from routing_core.types import Usage, UsageExtras

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogRange:
    """Requests that began in [start, end), microseconds since the epoch. `project_id`: empty for all projects."""

    organization_id: str
    project_id: str
    start_us: int
    end_us: int


class Used(NamedTuple):
    """Attempts that had the same model, price and usage."""

    model: str
    """As the provider calls it."""
    provider: str
    price_version: str
    """Empty where the log does not say."""
    price_unknown: bool
    at_ms: int
    """Which of the moments asked for."""
    usage: Usage
    attempts: int
    cost_nano: int
    """Of all of them."""


async def attempt_count(analytics: Analytics, wanted: LogRange) -> int:
    """How many attempts there are to read, at most. Raises `Unavailable`."""
    (row,) = await analytics.rows(_sql("attempt_count"), asdict(wanted))
    return cast(int, row["attempts"])


async def logged_usage(
    analytics: Analytics, wanted: LogRange, moments_ms: Sequence[int], work: Callable[[Iterator[Used]], T]
) -> T:
    """What `work` makes of the attempts of a range. It runs on a thread, and rows pass through it in blocks.

    `moments_ms` (ascending, the first not after the range's start): attempts are kept apart by the last that had come.
    Raises `Unavailable`.
    """
    values = asdict(wanted) | {"moments_ms": list(moments_ms)}
    return await analytics.fold(_sql("logged_usage"), values, lambda rows: work(map(_used, rows)))


def _used(row: Sequence[object]) -> Used:
    model, provider, version, unknown, at_ms, plain, output, read, write, *extras, attempts, cost = row
    counts = cast("list[int]", extras)
    usage = Usage(
        cast(int, plain),
        cast(int, output),
        cast(int, read),
        cast(int, write),
        extras=UsageExtras(*counts) if any(counts) else None,
    )
    names = cast("tuple[str, str, str]", (model, provider, version))
    return Used(*names, cast(bool, unknown), cast(int, at_ms), usage, cast(int, attempts), cast(int, cost))


@cache
def _sql(name: str) -> str:
    return files("modelux_store").joinpath("sql", f"{name}.sql").read_text()
