"""Windows follow the calendar of their zone, month ends and changes of the clocks included."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.windows import PERIODS, STARTS, window

HOUR_US = 3_600_000_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
)


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("period", "start", "zone", "at", "begins", "ends"),
    [
        pytest.param("hour", 0, "UTC", "2026-03-01T10:59:59", "2026-03-01T10:00", "2026-03-01T11:00", id="hour"),
        pytest.param("hour", 0, "Asia/Kolkata", "2026-03-01T10:40", "2026-03-01T10:30", "2026-03-01T11:30", id="+5:30"),
        pytest.param(
            "hour", 0, "Europe/Berlin", "2026-10-25T01:10", "2026-10-25T00:00", "2026-10-25T02:00", id="hour twice"
        ),
        pytest.param("day", 0, "UTC", "2026-03-01T00:00", "2026-03-01T00:00", "2026-03-02T00:00", id="first moment"),
        pytest.param(
            "day", 0, "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00", id="23 hours"
        ),
        pytest.param(
            "day", 0, "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00", id="25 hours"
        ),
        pytest.param(
            "day", 2, "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T01:00", "2026-03-30T00:00", id="begin is skipped"
        ),
        pytest.param("day", 6, "UTC", "2026-03-01T05:59", "2026-02-28T06:00", "2026-03-01T06:00", id="from six"),
        pytest.param(
            "day", 0, "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00", id="no midnight"
        ),
        pytest.param(
            "day", 0, "Pacific/Apia", "2011-12-30T11:00", "2011-12-30T10:00", "2011-12-31T10:00", id="a day left out"
        ),
        pytest.param("week", 1, "UTC", "2026-03-01T10:00", "2026-02-23T00:00", "2026-03-02T00:00", id="from Monday"),
        pytest.param("week", 7, "UTC", "2026-03-01T10:00", "2026-03-01T00:00", "2026-03-08T00:00", id="from Sunday"),
        pytest.param("month", 1, "UTC", "2024-02-29T10:00", "2024-02-01T00:00", "2024-03-01T00:00", id="leap month"),
        pytest.param("month", 28, "UTC", "2026-02-27T23:59", "2026-01-28T00:00", "2026-02-28T00:00", id="28th"),
        pytest.param("month", 15, "UTC", "2026-01-03T00:00", "2025-12-15T00:00", "2026-01-15T00:00", id="new year"),
        pytest.param(
            "month",
            1,
            "America/New_York",
            "2026-03-31T23:00",
            "2026-03-01T05:00",
            "2026-04-01T04:00",
            id="a change",
        ),
    ],
)
def test_windows_of_the_calendar(period: str, start: int, zone: str, at: str, begins: str, ends: str) -> None:
    assert window(period, us(at), ZoneInfo(zone), start) == (us(begins), us(ends))


def test_a_total_has_no_end() -> None:
    assert window("total", us("2026-03-01T00:00"), UTC) == (0, 0)


@st.composite
def asks(draw: st.DrawFn) -> tuple[str, int, ZoneInfo, int]:
    period = draw(st.sampled_from([p for p in PERIODS if p != "total"]))
    low, high, _ = STARTS.get(period, (0, 0, 0))
    at_us = draw(st.integers(us("1975-01-01"), us("2080-01-01")))
    return period, at_us, ZoneInfo(draw(st.sampled_from(ZONES))), draw(st.integers(low, high))


@given(asks())
def test_a_window_holds_its_moment_and_is_the_window_of_all_its_moments(ask: tuple[str, int, ZoneInfo, int]) -> None:
    period, at_us, zone, start = ask
    begin, end = window(period, at_us, zone, start)
    assert begin <= at_us < end
    for inside in (begin, (begin + end) // 2, end - 1):
        assert window(period, inside, zone, start) == (begin, end)


@given(asks())
def test_windows_follow_each_other_without_gap_or_overlap(ask: tuple[str, int, ZoneInfo, int]) -> None:
    period, at_us, zone, start = ask
    begin, end = window(period, at_us, zone, start)
    assert window(period, end, zone, start)[0] == end
    assert window(period, begin - 1, zone, start)[1] == begin


@given(st.sampled_from([*range(2001, 2009)]), st.integers(0, 365 * 48))
def test_around_each_change_of_the_clocks_nothing_is_lost(year: int, half_hours: int) -> None:
    """Lord Howe changes by half an hour: hours there may last 90 minutes, and never less than 30."""
    begin, end = window("hour", us(f"{year}-01-01") + half_hours * HOUR_US // 2, ZoneInfo("Australia/Lord_Howe"))
    assert end - begin in {HOUR_US // 2, HOUR_US, HOUR_US * 3 // 2}
