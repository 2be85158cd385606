"""When schedules are due: shifts of the clock both ways, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_replay.scheduling.cron import BadCron, Cron, parse_cron

BERLIN, APIA, LORD_HOWE = "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"
MINUTE_US = 60_000_000


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def shown(at_us: int | None) -> str:
    assert at_us is not None
    return (datetime(1970, 1, 1) + timedelta(microseconds=at_us)).isoformat(timespec="minutes")


def following(cron: Cron, start: str, count: int) -> list[str]:
    found, at_us = [], us(start)
    for _ in range(count):
        due_us = cron.following(at_us)
        assert due_us is not None
        found.append(shown(due_us))
        at_us = due_us
    return found


SHIFTS = [
    # 29 March 2026: 02:00 becomes 03:00 (01:00 UTC).
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
    ("0,30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T00:30"]),
    ("0 2-3 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
    ("30 * * * *", BERLIN, "2026-03-29T00:00", ["2026-03-29T00:30", "2026-03-29T01:30"]),
    ("*/20 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-30T00:00", "2026-03-30T00:20"]),
    # 25 October 2026: 03:00 becomes 02:00 (01:00 UTC).
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ("30 2 * * *", BERLIN, "2026-10-25T00:30", ["2026-10-26T01:30"]),
    ("30 2 * * *", BERLIN, "2026-10-25T01:10", ["2026-10-26T01:30"]),
    ("30 * * * *", BERLIN, "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"]),
    # Half an hour is skipped; a whole day is.
    ("10 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:10"]),
    ("0 9 * * *", APIA, "2011-12-29T12:00", ["2011-12-29T19:00", "2011-12-30T10:00", "2011-12-30T19:00"]),
    ("0 9 * * *", "", "2026-01-01T09:00", ["2026-01-02T09:00"]),
    ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00"]),
]


@pytest.mark.parametrize(("text", "zone", "start", "due"), SHIFTS)
def test_shifts_of_the_clock(text: str, zone: str, start: str, due: list[str]) -> None:
    assert following(parse_cron(text, zone), start, len(due)) == due


@pytest.mark.parametrize(
    ("text", "zone", "until", "due"),
    [
        ("30 2 * * *", BERLIN, "2026-03-29T05:00", "2026-03-29T01:00"),
        ("30 2 * * *", BERLIN, "2026-10-25T02:00", "2026-10-25T00:30"),
        ("0 9 * * *", "", "2026-01-01T09:00", "2026-01-01T09:00"),
        ("0 0 29 2 *", "", "2026-01-01T09:00", "2024-02-29T00:00"),
        ("* * * * *", "", "2026-01-01T09:00", "2026-01-01T09:00"),
    ],
)
def test_of_what_was_missed_the_latest_is_told(text: str, zone: str, until: str, due: str) -> None:
    assert shown(parse_cron(text, zone).latest(us(until))) == due


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("", "", "0 fields"),
        ("* * * *", "", "4 fields"),
        ("0 * * * * *", "", "6 fields"),
        ("@daily", "", "1 fields"),
        ("60 * * * *", "", "bad minute"),
        ("0 24 * * *", "", "bad hour"),
        ("0 0 32 * *", "", "bad day-of-month"),
        ("0 0 30 2 *", "", "bad day-of-month"),
        ("0 0 * 13 *", "", "bad month"),
        ("0 0 * * 8", "", "bad day-of-week"),
        ("*/0 * * * *", "", "bad minute"),
        ("; rm * * *", "", "bad minute"),
        ("0 " * 60, "", "120 characters"),
        ("0 0 * * *", "Mars", "no time zone"),
        ("0 0 * * *", "../../etc/passwd", "no time zone"),
        ("0 0 * * *", "europe/berlin ", "no time zone"),
    ],
)
def test_refusals_say_what_is_wrong(text: str, zone: str, words: str) -> None:
    with pytest.raises(BadCron, match=words) as refused:
        parse_cron(text, zone)
    assert refused.value.hint.endswith(".")


@given(st.text(max_size=30) | st.from_regex(r"([0-9*/,\-L#A-Z]{1,4} ){4}[0-9*/,\-L#A-Z]{1,4}", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_cron(text, BERLIN)
    except BadCron:
        return
    due_us = found.following(us("2026-01-01T00:00"))
    assert due_us is not None
    assert due_us > us("2026-01-01T00:00")


expressions = st.sampled_from(
    ["30 2 * * *", "*/15 * * * *", "0 * * * *", "0 0 1 * *", "15 1-4 * * SUN", "0,59 2 * * *", "* 2 * * *"]
)
zones = st.sampled_from([BERLIN, APIA, LORD_HOWE, "America/New_York", "UTC"])
moments = st.integers(us("2026-01-01T00:00") // MINUTE_US, us("2027-01-01T00:00") // MINUTE_US)


@given(expressions, zones, moments, st.integers(0, 59))
def test_what_was_due_last_and_what_is_next_have_nothing_between_them(
    text: str, zone: str, minute: int, second: int
) -> None:
    cron, at_us = parse_cron(text, zone), minute * MINUTE_US + second * 1_000_000
    last_us, next_us = cron.latest(at_us), cron.following(at_us)
    assert last_us is not None
    assert next_us is not None
    assert last_us <= at_us < next_us
    assert cron.following(last_us) == next_us


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE, "America/New_York"])
def test_a_daily_schedule_is_due_on_each_day_of_the_year_once(zone: str) -> None:
    cron, at_us, days = parse_cron("10 2 * * *", zone), us("2026-01-01T12:00"), set()
    for _ in range(365):
        due_us = cron.following(at_us)
        assert due_us is not None
        assert (due_us - at_us) / 3_600_000_000 >= 22 or not days
        days.add(datetime.fromtimestamp(due_us / 1e6, UTC).astimezone(cron.zone).date())
        at_us = due_us
    assert len(days) == 365
