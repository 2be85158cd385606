"""Check what an experiment asks for, as far as that can be told from the request alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from modelux.config.v1 import snapshot_pb2 as config
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.project_limits import experiment_sample, experiment_spend_cap_nano
from modelux_contracts.refusals import FieldError, conflict, invalid
from modelux_replay.summary.criteria import read_criteria
from routing_core.money import dollars

MODES = ("routing_only", "with_responses")
METHODS = ("random", "stratified", "semantic")
STATUSES = ("ok", "error")
LONGEST_NAME = 200
LONGEST_HYPOTHESIS = 2_000
PILOT = (10, 1_000)
"""Fewer calls teach nothing; more are an experiment with responses."""
MOST_AA_SHARE = 0.5
DAY_US = 86_400_000_000
_MOMENT = "Write ISO 8601 with an offset, such as 2026-04-10T00:00:00Z."


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec with everything filled in, and its window in microseconds since the epoch (the end is not within)."""

    spec: pb.ExperimentSpec
    start_us: int
    end_us: int


def calls(spec: pb.ExperimentSpec) -> bool:
    """Whether the experiment calls its candidate: all of a sample, or a pilot's rows."""
    return spec.mode == "with_responses" or spec.HasField("pilot")


def check(asked: pb.ExperimentSpec, now_us: int, window_days: int, *, preflight: bool = False) -> Checked:
    """Raises a 422 problem that names every field at fault, each with its remedy.

    `window_days`: of the longest window. `preflight`: name and spend cap may be missing.
    """
    spec = pb.ExperimentSpec()
    spec.CopyFrom(asked)
    spec.mode = spec.mode or ("with_responses" if preflight and spec.HasField("sample") else "routing_only")
    spec.run_tag = spec.run_tag or "run_id"
    spec.name = spec.name.strip()
    errors = _texts(spec, preflight)
    start_us, end_us = _window(spec, now_us, window_days, errors)
    errors += _sample(spec) + _pilot(spec) + _cap(spec, preflight)
    if errors:
        raise invalid(*errors)
    read_criteria(spec.criteria_json, spec.mode)
    return Checked(spec, start_us, end_us)


def check_project(spec: pb.ExperimentSpec, project: config.Project) -> None:
    """What the project allows. Raises a 409 problem where it keeps no answers to compare with, and 422 beyond its
    limits.
    """
    if calls(spec) and project.logging_mode == "metadata_only":
        raise _no_bodies(spec)
    errors = []
    if spec.HasField("sample"):
        least, most = experiment_sample(project)
        if not least <= spec.sample.size <= most:
            message = f"{spec.sample.size:,} is not between {least:,} and {most:,}"
            hint = "Where the window has fewer rows, all of them are taken. The project's settings bound it."
            errors.append(FieldError("sample.size", message, hint))
    cap = experiment_spend_cap_nano(project)
    if spec.spend_cap_nano > cap:
        hint = "That is the project's experimentSpendCapUsd: ask for less, or raise it."
        errors.append(FieldError("spendCapUsd", f"{dollars(spec.spend_cap_nano)} is above {dollars(cap)}", hint))
    if errors:
        raise invalid(*errors)


def _no_bodies(spec: pb.ExperimentSpec) -> ProblemError:
    if spec.mode == "with_responses":
        detail = "The project logs metadata only, so there is no logged answer to compare with."
        hint = "Set its loggingMode to 'full', or use mode 'routing_only'."
    else:
        detail = "The project logs metadata only, so there is no prompt that a pilot could ask again."
        hint = "Set its loggingMode to 'full', or leave pilot out."
    return conflict("metadata_only", detail, hint)


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


def _window(spec: pb.ExperimentSpec, now_us: int, longest: int, errors: list[FieldError]) -> tuple[int, int]:
    start_us = _moment("windowStart", spec.window_start, errors)
    end_us = _moment("windowEnd", spec.window_end, errors)
    if start_us is None or end_us is None:
        return 0, 0
    if end_us <= start_us:
        errors.append(FieldError("windowEnd", "is not after windowStart", "Exchange them."))
    elif end_us > now_us:
        now = datetime.fromtimestamp(now_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
        errors.append(FieldError("windowEnd", "lies in the future", f"Only the past can be replayed: at most {now}."))
    elif end_us - start_us > longest * DAY_US:
        days = (end_us - start_us) / DAY_US
        hint = f"Choose at most {longest} days: that is how long requests are kept."
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
    if spec.mode == "routing_only":
        if not spec.HasField("sample"):
            return []
        return [FieldError("sample", "is of mode 'with_responses' alone", "Remove it: every row is replayed.")]
    if not spec.HasField("sample"):
        hint = 'Say how many requests to call, such as {"size": 1000, "method": "random"}.'
        return [FieldError("sample", "is missing: mode 'with_responses' calls a sample", hint)]
    sample, errors = spec.sample, []
    sample.method = sample.method or "random"
    if sample.size <= 0:
        errors.append(FieldError("sample.size", f"{sample.size:,} is not above 0", "Say how many requests to call."))
    if sample.method not in METHODS:
        errors.append(_choice("sample.method", sample.method, METHODS))
    if sample.tag and sample.method != "stratified":
        hint = "Remove it, or choose method 'stratified'."
        errors.append(FieldError("sample.tag", "is of method 'stratified' alone", hint))
    if not (math.isfinite(sample.aa_share) and 0 <= sample.aa_share <= MOST_AA_SHARE):
        hint = "It is the share of the called requests that ask the logged model once more."
        errors.append(FieldError("sample.aaShare", f"is not between 0 and {MOST_AA_SHARE:g}", hint))
    return errors


def _pilot(spec: pb.ExperimentSpec) -> list[FieldError]:
    if not spec.HasField("pilot"):
        return []
    if spec.mode == "with_responses":
        hint = "Remove it: the whole sample is called."
        return [FieldError("pilot", "is of mode 'routing_only' alone", hint)]
    least, most = PILOT
    if not least <= spec.pilot.size <= most:
        message = f"{spec.pilot.size:,} is not between {least:,} and {most:,}"
        return [FieldError("pilot.size", message, "50 calls are enough for most candidates.")]
    return []


def _cap(spec: pb.ExperimentSpec, preflight: bool) -> list[FieldError]:
    if not spec.HasField("spend_cap_nano"):
        if calls(spec) and not preflight:
            what = "a pilot" if spec.HasField("pilot") else "mode 'with_responses'"
            hint = "Pass suggestedSpendCapUsd of the preflight, or a cap of your own."
            return [FieldError("spendCapUsd", f"is missing: {what} spends money", hint)]
        return []
    if spec.spend_cap_nano <= 0:
        return [FieldError("spendCapUsd", f"{dollars(spec.spend_cap_nano)} is not above 0", "Give an amount in USD.")]
    return []


def _choice(field: str, value: str, known: tuple[str, ...]) -> FieldError:
    return FieldError(field, f"{value[:40]!r} is not one of them", f"There are: {', '.join(known)}.")
