"""Read one cell as what its field means: counts, times, durations, money, words. A cell that is not that is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Literal

from routing_core.types import Endpoint

_MOST_TOKENS = 10**9
_MOST_SECONDS = 7 * 86_400
_MOST_DOLLARS = 10**6
_TAGS = 50
_TAG_CHARS = 256
_UNITS_PER_S = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))
"""A count since the epoch below the first number is in units of which so many make a second."""


class NotThat(ValueError):
    """A cell is not what its field needs. `hint` says how to mend it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def text(value: object, most: int = 200) -> str:
    """A word of at most `most` characters."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise NotThat(f"is {_kind(value)}, not a text")
    found = str(value).strip()
    if len(found) > most:
        raise NotThat(f"has {len(found):,} characters, at most {most} fit")
    return storable(found)


def storable(value: str) -> str:
    """The text itself, unless it holds half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise NotThat("holds half of a surrogate pair", "Leave the broken character out.") from error
    return value


def count(value: object) -> int:
    """Tokens: a whole number from 0 to a billion."""
    number = _number(value)
    if number != int(number):
        raise NotThat(f"is {_short(value)}, not a whole number")
    if number < 0:
        raise NotThat(f"is {_short(value)}, and there are no negative tokens")
    if number > _MOST_TOKENS:
        raise NotThat(f"is {_short(value)}, more than {_MOST_TOKENS:,}")
    return int(number)


def duration_us(value: object, per_second: int) -> int:
    """A duration in units of which so many make a second, in microseconds; at most a week."""
    number = _number(value)
    if number < 0:
        raise NotThat(f"is {_short(value)}, and nothing takes negative time")
    if number > _MOST_SECONDS * per_second:
        raise NotThat(f"is {_short(value)}, more than a week", "Is it in another unit? There are _s and _ms.")
    return round(number * 1_000_000 / per_second)


def cost_nano(value: object) -> int:
    """Dollars, in nano-USD, rounded up."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise NotThat(f"is {_kind(value)}, not an amount in dollars")
    try:
        dollars = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation as error:
        raise NotThat(f"is {_short(value)}, not an amount in dollars") from error
    if not dollars.is_finite() or not 0 <= dollars <= _MOST_DOLLARS:
        raise NotThat(f"is {_short(value)}, not between 0 and {_MOST_DOLLARS:,} dollars")
    return int((dollars * 10**9).to_integral_value(ROUND_CEILING))


def moment_us(value: object) -> int:
    """A time, in microseconds since the epoch: ISO 8601, or a count since the epoch whose unit its size tells."""
    if isinstance(value, str) and not _is_number(value):
        return _iso_us(value.strip())
    number = _number(value)
    per_second = next((units for below, units in _UNITS_PER_S if 0 < number < below), None)
    if per_second is None:
        raise NotThat(f"is {_short(value)}, no time since the epoch")
    return round(number * 1_000_000 / per_second)


def flag(value: object) -> bool:
    """Yes or no, in the words that exports use."""
    if isinstance(value, (bool, int)):
        return bool(value)
    word = str(value).strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise NotThat(f"is {_short(value)}, neither true nor false")


def status(value: object) -> tuple[int, bool]:
    """The HTTP status, 0 where none is told, and whether it is that of a failure."""
    if isinstance(value, str) and not _is_number(value):
        return 0, flag(value)
    number = int(_number(value))
    if number < 0:  # Helicone's: timed out, cancelled, a threat
        return 0, True
    if number and not 100 <= number <= 599:
        raise NotThat(f"is {_short(value)}, not an HTTP status")
    return number, number >= 400


def endpoint(value: object) -> Endpoint | Literal["other"]:
    """Which of our endpoints a path, a call type or an object's name stands for."""
    word = str(value).lower()
    if "embed" in word or word == "list":  # OpenAI answers embeddings as a list
        return "embeddings"
    return "other" if any(each in word for each in _OTHER_CALLS) else "chat"


def tags(value: object) -> dict[str, str]:
    """Tags of an object, or of a list of words, each of which may be `name:value`. JSON text is read first."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value[:1] in "{[" else [value]
        except (ValueError, RecursionError) as error:
            raise NotThat("begins like JSON and is not") from error
    if isinstance(value, list):
        pairs = [str(each).partition(":") for each in value]
        value = {name: content or "true" for name, _, content in pairs}
    if not isinstance(value, Mapping):
        raise NotThat(f"is {_kind(value)}, not tags", "Give an object, or a list of words.")
    plain = {name: each for name, each in value.items() if isinstance(each, (str, int, float))}
    return {_tag(name): _tag(each) for name, each in list(plain.items())[:_TAGS] if str(name)}


def _tag(value: object) -> str:
    return storable(str(value)[:_TAG_CHARS])


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise NotThat(f"is {_kind(value)}, not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise NotThat(f"is {_short(value)}, not a number") from error
    if not math.isfinite(number):
        raise NotThat(f"is {_short(value)}, not a finite number")
    return number


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _iso_us(value: str) -> int:
    try:
        found = datetime.fromisoformat(value)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        delta = found - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        hint = "Write it as 2026-04-10T00:00:00Z, or as seconds since the epoch."
        raise NotThat(f"is {_short(value)}, not a time", hint) from error
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _short(value: object) -> str:
    return repr(value if len(str(value)) <= 60 else str(value)[:60] + "…")


def _kind(value: object) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "nothing")


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (dict, "an object"),
    (list, "a list"),
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
)
_YES = frozenset({"true", "1", "yes", "error", "failure", "failed", "fail"})
_NO = frozenset({"false", "0", "no", "none", "default", "debug", "warning", "success", "ok", "completed", "", "null"})
_OTHER_CALLS = ("image", "speech", "transcription", "audio", "rerank", "moderation", "video", "realtime")
