"""Check what an experiment asks for, as far as that can be told from the request alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.problems import FieldError, invalid

MODES = ("routing_only", "with_responses")
METHODS = ("random", "stratified", "semantic")
STATUSES = ("ok", "error")
LONGEST_NAME = 200
LONGEST_HYPOTHESIS = 2_000
SAMPLE = (1_000, 50_000)
DAY_US = 86_400_000_000
_MOMENT = "Write ISO 8601 with an offset, such as 2026-04-10T00:00:00Z."


@dataclass(frozen=True, slots=True)
class Limits:
    """What settings bound. `spend_cap_nano`: of an experiment, in nano-USD."""

    window_days: int
    spend_cap_nano: int = 50 * 10**9


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec with everything filled in, and its window in microseconds since the epoch (the end is not within)."""

    spec: pb.ExperimentSpec
    start_us: int
    end_us: int


def check(asked: pb.ExperimentSpec, now_us: int, limits: Limits, *, preflight: bool = False) -> Checked:
    """Raises a 422 problem that names every field at fault, each with its remedy."""
    spec = pb.ExperimentSpec()
    spec.CopyFrom(asked)
    spec.mode = spec.mode or ("with_responses" if preflight and spec.HasField("sample") else "routing_only")
    spec.run_tag = spec.run_tag or "run_id"
    spec.name = spec.name.strip()
    errors = _texts(spec, preflight)
    start_us, end_us = _window(spec, now_us, limits, errors)
    errors += _sample(spec) + _cap(spec, limits, preflight)
    if errors:
        raise invalid(errors)
    return Checked(spec, start_us, end_us)


def _texts(spec: pb.ExperimentSpec, preflight: bool) -> list[FieldError]:
    errors = []
    if not spec.project_id:
        errors.append(FieldError("projectId", "is missing", "List the projects to see their ids."))
    if not spec.name and not preflight:
        errors.append(FieldError("name", "is missing", "Name it by what it tries, such as 'switch to gpt-4o-mini'."))
    if len(spec.name) > LONGEST_NAME:
        errors.append(FieldError("name", f"has {len(spec.name)} characters", f"Use at most {LONGEST_NAME}."))
    if len(spec.hypothesis) > LONGEST_HYPOTHESIS:
        message = f"has {len(spec.hypothesis):,} characters"
        errors.append(FieldError("hypothesis", message, f"Use at most {LONGEST_HYPOTHESIS:,}."))
    if spec.mode not in MODES:
        errors.append(_choice("mode", spec.mode, MODES))
    if spec.filter.status and spec.filter.status not in STATUSES:
        errors.append(_choice("filter.status", spec.filter.status, STATUSES))
    return errors


def _window(spec: pb.ExperimentSpec, now_us: int, limits: Limits, errors: list[FieldError]) -> tuple[int, int]:
    start_us = _moment("windowStart", spec.window_start, errors)
    end_us = _moment("windowEnd", spec.window_end, errors)
    if start_us is None or end_us is None:
        return 0, 0
    if end_us <= start_us:
        errors.append(FieldError("windowEnd", "is not after windowStart", "Exchange them."))
    elif end_us > now_us:
        now = datetime.fromtimestamp(now_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
        errors.append(FieldError("windowEnd", "lies in the future", f"Only the past can be replayed: at most {now}."))
    elif end_us - start_us > limits.window_days * DAY_US:
        days = (end_us - start_us) / DAY_US
        hint = f"Choose at most {limits.window_days} days: that is how long requests are kept."
        errors.append(FieldError("windowStart", f"makes a window of {days:,.0f} days", hint))
    return start_us, end_us


def _moment(field: str, text: str, errors: list[FieldError]) -> int | None:
    if not text:
        errors.append(FieldError(field, "is missing", _MOMENT))
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        errors.append(FieldError(field, f"{text[:40]!r} is not a moment", _MOMENT))
        return None
    if found.tzinfo is None:
        errors.append(FieldError(field, "has no offset, so that nobody knows which moment it is", _MOMENT))
        return None
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _sample(spec: pb.ExperimentSpec) -> list[FieldError]:
    if not spec.HasField("sample"):
        return []
    if spec.mode == "routing_only":
        return [FieldError("sample", "is of mode 'with_responses' alone", "Remove it: every row is replayed.")]
    errors = []
    least, most = SAMPLE
    if not least <= spec.sample.size <= most:
        message = f"{spec.sample.size:,} is not between {least:,} and {most:,}"
        hint = "Where the window has fewer rows, all of them are taken."
        errors.append(FieldError("sample.size", message, hint))
    if spec.sample.method and spec.sample.method not in METHODS:
        errors.append(_choice("sample.method", spec.sample.method, METHODS))
    return errors


def _cap(spec: pb.ExperimentSpec, limits: Limits, preflight: bool) -> list[FieldError]:
    if not spec.HasField("spend_cap_nano"):
        if spec.mode == "with_responses" and not preflight:
            hint = "Pass suggestedSpendCapUsd of the preflight, or a cap of your own."
            return [FieldError("spendCapUsd", "is missing: mode 'with_responses' spends money", hint)]
        return []
    if not 0 < spec.spend_cap_nano <= limits.spend_cap_nano:
        most = limits.spend_cap_nano / 1e9
        return [FieldError("spendCapUsd", f"is not above 0 and at most {most:g}", "That is the cap of the project.")]
    return []


def _choice(field: str, value: str, known: tuple[str, ...]) -> FieldError:
    return FieldError(field, f"{value[:40]!r} is not one of them", f"There are: {', '.join(known)}.")
