"""What the fields of a budget may hold. Each raises a 422 problem that names the field and the way out."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Collection, Iterable, Sequence
from functools import cache

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from routing_core.money import dollars
from routing_core.windows import PERIODS, STARTS

SCOPES = ("organization", "project", "key", "tag", "end_user", "provider", "model", "experiment", "judge_run")
EACH = ("project", "key", "tag", "end_user", "provider", "model")
"""Scopes that can have an account for every value."""
ACTIONS = ("block", "downgrade", "alert")
ALERT_PERCENTS = (50, 80, 95, 100)
WHOLE_PPM = 1_000_000
MAX_CAP_NANO = 10**18
"""A billion dollars: beyond that it is a typing error."""
MAX_CALLS = 10**12
MAX_DURATION_S = 366 * 86_400
MAX_LOOP = 1_000_000
MAX_ALERTS = 20
MAX_VALUE = 256

_TAG_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")


def one_of(value: str, field: str, words: Sequence[str]) -> str:
    if value not in words:
        near = difflib.get_close_matches(value.lower(), words, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(words)}."
        raise invalid(FieldError(field, f"{value[:40]!r} is not known", hint))
    return value


def time_zone(name: str) -> str:
    """An IANA name; empty: UTC."""
    known = _zones()
    if not name or name in known:
        return name or "UTC"
    near = difflib.get_close_matches(name, known, 1) or [z for z in known if z.rpartition("/")[2] == name.title()]
    hint = f"Did you mean {near[0]!r}?" if near else "Use an IANA name, such as Europe/Berlin or UTC."
    raise invalid(FieldError("timeZone", f"there is no time zone {name[:60]!r}", hint))


def period_start(period: str, start: int | None) -> int:
    """Where windows of the period begin; None: the usual place."""
    if period not in STARTS:
        if start:
            raise invalid(FieldError("periodStart", f"a period of {period!r} has no start to choose", "Leave it out."))
        return 0
    low, high, usual = STARTS[period]
    if start is None:
        return usual
    if not low <= start <= high:
        raise invalid(FieldError("periodStart", f"{start} is out of range", f"Use {low} to {high} for a {period}."))
    return start


def limits(record: pb.BudgetRecord) -> None:
    """Of cap, calls and duration there is at least one, each above 0."""
    if not any(record.HasField(name) for name in ("cap_nano", "max_calls", "max_duration_s")):
        raise invalid(FieldError("capUsd", "the budget limits nothing", "Give capUsd, maxCalls or maxDurationS."))
    if record.HasField("cap_nano") and not 0 < record.cap_nano <= MAX_CAP_NANO:
        hint = "Use more than 0 and at most 1,000,000,000 dollars. To refuse every call, revoke the key."
        raise invalid(FieldError("capUsd", f"{dollars(record.cap_nano)} is out of range", hint))
    for field, name, most in (("maxCalls", "max_calls", MAX_CALLS), ("maxDurationS", "max_duration_s", MAX_DURATION_S)):
        value = getattr(record, name)
        if record.HasField(name) and not 1 <= value <= most:
            raise invalid(FieldError(field, f"{value} is out of range", f"Use 1 to {most:,}, or leave it out."))
    if record.HasField("max_duration_s") and record.action == "alert":
        raise invalid(FieldError("maxDurationS", "a budget that only alerts ends no run", "Set action to 'block'."))


def loop(record: pb.BudgetRecord) -> None:
    """Repeated calls are looked for within one account of an `each` budget."""
    if not (record.loop_calls == 0 or 2 <= record.loop_calls <= MAX_LOOP):
        hint = f"Use 2 to {MAX_LOOP:,}, or 0 to look for no loops."
        raise invalid(FieldError("loopCalls", f"{record.loop_calls} is out of range", hint))
    if record.loop_calls and not record.each:
        hint = "Set each to true, or leave it out."
        raise invalid(FieldError("loopCalls", "calls are compared within the account of one value", hint))


def alerts(percents: Iterable[int]) -> list[int]:
    """Whole percent of the cap, ascending."""
    found = sorted(set(percents))
    if len(found) > MAX_ALERTS:
        raise invalid(FieldError("alertPercents", f"holds {len(found)} shares", f"Use at most {MAX_ALERTS}."))
    for value in found:
        if not 1 <= value <= 100:
            raise invalid(FieldError("alertPercents", f"{value} is out of range", "Use 1 to 100 percent of the cap."))
    return found


def downgrade_ppm(action: str, ppm: int | None) -> int:
    """From which share of the cap on a downgrade applies; 0 with other actions."""
    if action != "downgrade":
        return 0
    if ppm is None:
        return WHOLE_PPM
    if not 1 <= ppm <= WHOLE_PPM:
        raise invalid(FieldError("downgradeAtPercent", f"{ppm / 10_000:g} is out of range", "Use more than 0 to 100."))
    return ppm


def scope(record: pb.BudgetRecord) -> None:
    """Scope, `each`, scope key and project fit together. Whether what they name exists is not looked at."""
    one_of(record.scope, "scope", SCOPES)
    if record.each and record.scope not in EACH:
        hint = f"Leave each out, or use one of the scopes {', '.join(EACH)}."
        raise invalid(FieldError("each", f"scope {record.scope!r} has no values to be counted apart", hint))
    if record.each and record.scope == "project" and record.project_id:
        raise invalid(FieldError("each", "one project has one account", "Leave each or projectId out."))
    if record.scope == "organization" and record.project_id:
        raise invalid(FieldError("projectId", "a budget of the organization holds for all", "Use scope 'project'."))
    _scope_key(record)


def _scope_key(record: pb.BudgetRecord) -> None:
    key, kind = record.scope_key, record.scope
    if kind == "tag":
        _tag(record)
        return
    named = kind != "organization" and not record.each
    if kind == "project":
        named = named and not record.project_id
    if key and not named:
        raise invalid(FieldError("scopeKey", "is said by the scope already", "Leave it out."))
    if named and not (0 < len(key) <= MAX_VALUE and key.isprintable()):
        hint = "Give its id or name, or set each to true." if kind in EACH else "Give its id."
        raise invalid(FieldError("scopeKey", f"does not say which {kind.replace('_', ' ')}", hint))


def _tag(record: pb.BudgetRecord) -> None:
    name, equals, value = record.scope_key.partition("=")
    if not _TAG_KEY.fullmatch(name):
        hint = "Use the tag's key with each, such as run_id, or key=value, such as team=search."
        raise invalid(FieldError("scopeKey", f"{record.scope_key[:80]!r} names no tag", hint))
    if record.each and equals:
        raise invalid(FieldError("scopeKey", "names one value, and each stands for all", f"Use {name!r} or no each."))
    if not record.each and not (value and len(value) <= MAX_VALUE and value.isprintable()):
        raise invalid(FieldError("scopeKey", "names no value of the tag", f"Use '{name}=value', or set each to true."))


def clear(names: Iterable[str]) -> Collection[str]:
    return [one_of(name, "clear", ("cap_nano", "max_calls", "max_duration_s")) for name in names]


def period(record: pb.BudgetRecord) -> str:
    """The period; empty: all time for runs, a month for others."""
    usual = "total" if record.scope == "tag" and record.each else "month"
    return one_of(record.period or usual, "period", PERIODS)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
