"""Calendar windows: in which stretch of time a moment lies, computed from the moment alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

PERIODS = ("total", "hour", "day", "week", "month")
STARTS: Mapping[str, tuple[int, int, int]] = {"day": (0, 23, 0), "week": (1, 7, 1), "month": (1, 28, 1)}
"""Where windows may begin: lowest, highest and usual hour of the day, weekday (1 Monday) or day of the month."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1)


def window(period: str, at_us: int, zone: tzinfo, start: int = 0) -> tuple[int, int]:
    """The window around `at_us` as (first microsecond, first microsecond after); (0, 0) for `total`, which is endless.

    Windows begin where the clocks of `zone` first show the beginning or a later time. They follow each other without
    gap or overlap: a day may have 23 or 25 hours, and an hour that the clocks repeat is one window.

    `start` is as in `STARTS`. Times are microseconds since the epoch, of the years 1970 to 9990.
    """
    if period == "total":
        return 0, 0
    local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone).replace(tzinfo=None, fold=0)
    begin = _FLOOR[period](local, start)
    end = _next(period, begin)
    # Clocks that went back past a beginning show it twice; the first time counts.
    while (end_us := _first_shown(end, zone)) <= at_us:
        begin, end = end, _next(period, end)
    return _first_shown(begin, zone), end_us


def _floor_hour(local: datetime, _start: int) -> datetime:
    return local.replace(minute=0, second=0, microsecond=0)


def _floor_day(local: datetime, start: int) -> datetime:
    return _floor_hour(local - start * _HOUR, 0).replace(hour=0) + start * _HOUR


def _floor_week(local: datetime, start: int) -> datetime:
    day = _floor_day(local, 0)
    return day - timedelta(days=(day.isoweekday() - start) % 7)


def _floor_month(local: datetime, start: int) -> datetime:
    day = _floor_day(local, 0)
    return (day if day.day >= start else day.replace(day=1) - timedelta(days=1)).replace(day=start)


_FLOOR: Mapping[str, Callable[[datetime, int], datetime]] = {
    "hour": _floor_hour,
    "day": _floor_day,
    "week": _floor_week,
    "month": _floor_month,
}
_LENGTH = {"hour": _HOUR, "day": timedelta(days=1), "week": timedelta(days=7)}


def _next(period: str, begin: datetime) -> datetime:
    if period == "month":
        return (begin.replace(day=28) + timedelta(days=4)).replace(day=begin.day)
    return begin + _LENGTH[period]


def _first_shown(local: datetime, zone: tzinfo) -> int:
    """The first moment at which the clocks of `zone` show `local` or later."""
    early, late = (_micros(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if early <= late:
        return early
    # The clocks jumped over `local`: they did so after `late`, which takes the new offset, and not after `early`.
    new = local.replace(tzinfo=zone, fold=1).utcoffset()
    before, after = late // 1_000_000, -(-early // 1_000_000)
    while after - before > 1:
        middle = (before + after) // 2
        shown = (_EPOCH + timedelta(seconds=middle)).astimezone(zone)
        before, after = (before, middle) if shown.utcoffset() == new else (middle, after)
    return after * 1_000_000


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
