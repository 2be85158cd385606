"""Read the seed table of prices: which row a model's name means, and which of its prices is in force."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import msgspec

from routing_core.pricing import Price

Match = str | list["Match"]
_DAY_MS = 86_400_000
_SNAPSHOT_WORDS = re.compile(r"(?:latest|preview|beta|exp|[-@.0-9])*", re.ASCII)


class _Rates(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """In the order of `price_seed.RATES`; what is left out at the end has no price."""

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    cache_audio_read: int | None = None
    input_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    web_search: int | None = None
    request: int | None = None

    def price(self, above: tuple[tuple[int, Price], ...] = (), version: str = "") -> Price:
        return Price(
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            above,
            version,
            self.cache_write_1h,
            self.input_audio,
            self.cache_audio_read,
            self.input_image,
            self.output_audio,
            self.output_image,
            self.web_search or 0,
            self.request or 0,
        )


class _PriceRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """See `price_seed` for the fields."""

    day: date | None
    window: tuple[int, int] | None
    rates: _Rates
    tiers: tuple[tuple[int, _Rates], ...]

    def in_force(self, at_ms: int) -> bool:
        if self.day is not None:
            return at_ms // _DAY_MS >= self.day.toordinal() - _EPOCH
        return self.window is None or _within(self.window, at_ms // 60_000 % 1440)


_EPOCH = date(1970, 1, 1).toordinal()


class ModelRow(msgspec.Struct, array_like=True, frozen=True):
    """One model of a price list."""

    id: str
    match: msgspec.Raw
    context_tokens: int | None
    prices: tuple[_PriceRow, ...]

    def price(self, at_ms: int, table: str) -> Price | None:
        """The price in force at `at_ms`; None where none is known."""
        if not self.prices:
            return None
        row = next((row for row in reversed(self.prices) if row.in_force(at_ms)), self.prices[0])
        since = row.day.isoformat() if row.day else "base"
        return row.rates.price(tuple((start, tier.price()) for start, tier in row.tiers), f"{table}/{since}")


class PriceList:
    """The models of one provider, in the order in which names are matched."""

    def __init__(self, rows: Sequence[ModelRow]) -> None:
        self.rows = tuple(rows)
        self._matches: tuple[Match, ...] = tuple(msgspec.json.decode(row.match, type=str | list) for row in self.rows)
        self._equal: dict[str, int] = {}
        """Names that a row lists outright, with the first such row."""
        for place, match in enumerate(self._matches):
            for name in _equals(match):
                self._equal.setdefault(name, place)
        self._loose = tuple(place for place, match in enumerate(self._matches) if not _is_plain(match))
        """Rows that match by prefixes or parts."""

    def find(self, model: str) -> ModelRow | None:
        """The row that a name means, however it is written; None where no row fits."""
        place = self._place(model.lower())
        return None if place is None else self.rows[place]

    def find_snapshot(self, model: str) -> ModelRow | None:
        """The row of a name that is listed, or that adds nothing but a date or a word such as `latest` to a listed one.

        Stricter than `find`, whose prefixes would let any ending pass: this one decides what may be called.
        """
        name = model.lower()
        place = self._place(name)
        if place is None:
            return None
        heads = [head for head in _heads(self._matches[place]) if name.startswith(head)]
        rest = name[len(max(heads, key=len)) :] if heads else None
        return self.rows[place] if rest is not None and _SNAPSHOT_WORDS.fullmatch(rest) else None

    def name(self, row: ModelRow) -> str:
        """The name to call the row's model by: its id where that is one of its names, else the first that it lists."""
        match = self._matches[self.rows.index(row)]
        return row.id if _fits(match, row.id.lower()) else next(iter(_equals(match)), row.id)

    def _place(self, name: str) -> int | None:
        listed = self._equal.get(name)
        for place in self._loose:
            if listed is not None and place >= listed:
                break
            if _fits(self._matches[place], name):
                return place
        return listed


class _File(msgspec.Struct, frozen=True):
    version: str
    lists: dict[str, tuple[ModelRow, ...]]


class PriceTable:
    """The whole seed table. Immutable."""

    def __init__(self, version: str, lists: Mapping[str, PriceList]) -> None:
        self.version = version
        self.lists = lists
        prices = [price for found in lists.values() for row in found.rows for price in row.prices]
        self._days = sorted({price.day.toordinal() - _EPOCH for price in prices if price.day is not None})
        """On which prices come into force."""
        self._windows = sorted({price.window for price in prices if price.window is not None})

    def period(self, at_ms: int) -> tuple[object, ...]:
        """Names the prices in force at `at_ms`: the same ones are at any other moment of an equal period."""
        minute = at_ms // 60_000 % 1440
        return bisect_right(self._days, at_ms // _DAY_MS), *(_within(window, minute) for window in self._windows)

    def next_change_ms(self, at_ms: int) -> int | None:
        """When the next price of any list comes into force or ends, so that prices taken at `at_ms` hold until then."""
        midnight = at_ms - at_ms % _DAY_MS
        days = [day * _DAY_MS for day in self._days]
        daily = [midnight + (minute + plus) * 60_000 for span in self._windows for minute in span for plus in (0, 1440)]
        return min((change for change in (*days, *daily) if change > at_ms), default=None)


@cache
def load(path: Path | None = None) -> PriceTable:
    """Read the table that is part of this package: about 10 ms, once per process."""
    file = msgspec.json.decode((path or Path(__file__).with_name("prices.json")).read_bytes(), type=_File)
    return PriceTable(file.version, {name: PriceList(rows) for name, rows in file.lists.items()})


def _within(window: tuple[int, int], minute: int) -> bool:
    """Whether a window of minutes of the day, which may go past midnight, holds one."""
    start, end = window
    return start <= minute < end if start <= end else minute >= start or minute < end


def _fits(match: Match, name: str) -> bool:
    if isinstance(match, list):
        parts = (_fits(part, name) for part in match[1:])
        return any(parts) if match[0] == "|" else all(parts)
    text = match[1:]
    match match[0]:
        case "=":
            return name == text
        case "^":
            return name.startswith(text)
        case "$":
            return name.endswith(text)
        case "*":
            return text in name
        case _:
            return re.search(text, name) is not None  # our own table's patterns, never a user's


def _equals(match: Match) -> list[str]:
    """The names that a match lists outright, at its top."""
    if isinstance(match, list):
        return [part[1:] for part in match[1:] if match[0] == "|" and isinstance(part, str) and part[0] == "="]
    return [match[1:]] if match[0] == "=" else []


def _is_plain(match: Match) -> bool:
    return len(_equals(match)) == (len(match) - 1 if isinstance(match, list) else 1)


def _heads(match: Match) -> list[str]:
    """The equal and prefix texts of a match."""
    if isinstance(match, list):
        return [head for part in match[1:] for head in _heads(part)]
    return [match[1:]] if match[0] in "=^" else []
