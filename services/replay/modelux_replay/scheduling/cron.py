"""When a schedule is due: five cron fields read in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

LONGEST = 100
_SHORTEST_LOOK = timedelta(minutes=1)
_FARTHEST_LOOK = timedelta(days=20_000)
_LAST_YEAR = 2200
_FIELDS = "Write minute, hour, day of month, month and day of week, such as '0 6 * * MON-FRI'."


class BadCron(ValueError):
    """What is wrong with an expression or a time zone; `hint` says how to mend it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields as Debian's cron reads them, in the local time of a zone; moments in microseconds since the epoch.

    Where neither minute nor hour begins with a star, the clock's shifts are made up for: what falls into a skipped
    hour is due once, right after it, and what falls into a doubled hour is due in the first of both. With a star it
    goes by real time: each hour that passes counts once, a skipped one not at all.
    """

    text: str
    zone: ZoneInfo

    def following(self, after_us: int) -> int | None:
        """The first due moment after `after_us`; None where there is none in this century or the next."""
        return next(self._from(_moment(after_us)), None)

    def latest(self, until_us: int) -> int | None:
        """The last due moment up to `until_us`, itself included; None where there is none within 50 years."""
        # Backwards the library leaves moments beside the clock's shifts out: look ahead from farther and farther back.
        span = _SHORTEST_LOOK
        while span < _FARTHEST_LOOK:
            found = None
            for each in self._from(_moment(until_us) - span):
                if each > until_us:
                    break
                found = each
            if found is not None:
                return found
            span *= 2
        return None

    def _from(self, start: datetime) -> Iterator[int]:
        """Due moments after `start`, ascending."""
        last_us = _micros(start)
        for local in CronSim(self.text, start.astimezone(self.zone)):
            if local.year > _LAST_YEAR:
                return
            found_us = _micros(local)
            # In a doubled hour the library begins with the first of both, even where it lies in the past.
            if found_us > last_us:
                yield found_us
                last_us = found_us


def parse_cron(text: str, zone: str) -> Cron:
    """Reads both. An empty zone is UTC. Raises `BadCron`."""
    if len(text) > LONGEST:
        raise BadCron(f"has {len(text):,} characters", f"Use at most {LONGEST}. {_FIELDS}")
    fields = text.split()
    if len(fields) != 5:
        raise BadCron(f"has {len(fields)} fields, not 5", _FIELDS)
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise BadCron(f"{text!r} cannot be read: {str(error).lower()}", _FIELDS) from error
    found = Cron(" ".join(fields), parse_zone(zone))
    if found.following(0) is None:
        raise BadCron(f"{text!r} never comes", "Choose a day that the month has.")
    return found


def parse_zone(name: str) -> ZoneInfo:
    """A zone by its IANA name; empty: UTC. Raises `BadCron`."""
    if name and name not in _zones():
        hint = "Use an IANA name, such as Europe/Berlin or UTC."
        raise BadCron(f"{name[:40]!r} is no time zone", hint)
    return ZoneInfo(name or "UTC")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _micros(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
