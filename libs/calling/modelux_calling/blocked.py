"""What the caller is told when a spend cap, or the guard of a run, does not let a call out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from modelux_providers.dialects.base import ProviderError
from routing_core.budgets import BudgetRule
from routing_core.ledger.meters import AccountView, Meter
from routing_core.money import dollars
from routing_core.types import BUDGET_EXCEEDED, PRICE_UNKNOWN

_encode = msgspec.json.Encoder().encode
_RETRY_MS = 2000
STORE_UNAVAILABLE = "budget_store_unavailable"
RUN_ABORTED = "run_aborted"
HOPELESS = frozenset({BUDGET_EXCEEDED, RUN_ABORTED, PRICE_UNKNOWN})
"""Codes that a repetition does not mend."""


@dataclass(frozen=True, slots=True)
class Short:
    """The account that a call was refused by."""

    rule: BudgetRule
    meter: Meter
    needed: int
    """The least that the call could have done with, in the meter's unit."""


@dataclass(frozen=True, slots=True)
class Blocked(ProviderError):
    """A refusal of ours, with the account that was short beside the four keys of OpenAI's envelope."""

    details: Mapping[str, object] = field(default_factory=dict)
    short: Short | None = None

    def envelope(self) -> bytes:
        members = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        if self.details:
            members["budget"] = self.details  # type: ignore[assignment]  # the envelope's one nested member
        return _encode({"error": members})


def over(short: Short, view: AccountView, reason: str) -> Blocked:
    """402: an account does not have what one attempt needs. `reason` is the ledger's (`Denied.reason`)."""
    rule, (_, value, unit), needed = short.rule, short.meter, short.needed
    aborted = reason in ("run_aborted", "too_long")
    code = RUN_ABORTED if aborted else BUDGET_EXCEEDED
    details: dict[str, object] = {
        "id": rule.id,
        "name": rule.name,
        "scope": rule.scope,
        "scope_key": rule.scope_key,
        "value": value,
        "unit": unit,
        "limit": _limit(unit, reason),
        "action": rule.action,
    }
    details |= _amounts(rule, view, unit, needed)
    waits = needed <= view.cap - view.settled  # what other calls hold may come back
    message = f"{_subject(rule, value, aborted=aborted, waits=waits)}: {_cause(rule, view, unit, needed, reason)}"
    # A call that may cost too much may be followed by a cheaper one; a run that is aborted is followed by nothing.
    return Blocked(402, message, code, code, kind="cancelled" if aborted else "connect", details=details, short=short)


def store_unavailable() -> Blocked:
    """503: nobody can say whether a hard cap holds, and the slices at hand are used up."""
    message = "the budgets of this project cannot be checked for the moment, try again soon"
    return Blocked(503, message, "server_error", STORE_UNAVAILABLE, retry_after_ms=_RETRY_MS, kind="cancelled")


def price_unknown(model: str, provider: str) -> Blocked:
    """402: what the call may cost cannot be told, and a hard cap applies."""
    message = (
        f"no price is known for {model!r} at {provider}, and a spend cap applies: set a price for it, or a ceiling for "
        "models without one"
    )
    return Blocked(402, message, PRICE_UNKNOWN, PRICE_UNKNOWN, "model", kind="connect")


def _subject(rule: BudgetRule, value: str, *, aborted: bool, waits: bool) -> str:
    name = repr(rule.name or rule.id)
    if aborted:
        return f"the run {value!r} is aborted by budget {name}" if value else f"runs are stopped by budget {name}"
    state = "has no room for now" if waits else "is used up"
    return f"budget {name} of {value!r} {state}" if value else f"budget {name} {state}"


def _cause(rule: BudgetRule, view: AccountView, unit: str, needed: int, reason: str) -> str:
    if reason == "too_long":
        return f"it has lasted longer than {rule.max_duration_s} s"
    if unit == "calls":
        return f"all of its {view.cap} calls are made or under way"
    spent, reserved = dollars(view.settled), dollars(view.leased)
    return f"{spent} of {dollars(view.cap)} is spent and {reserved} reserved, and this call may cost {dollars(needed)}"


def _limit(unit: str, reason: str) -> str:
    if reason == "too_long":
        return "duration"
    return "cost" if unit == "usd" else "calls"


def _amounts(rule: BudgetRule, view: AccountView, unit: str, needed: int) -> dict[str, object]:
    """Dollars as decimal text, exactly; calls as they are."""
    end = view.window_end_us
    told: dict[str, object] = {"resets_at": _when(end) if end else None}
    if rule.max_duration_s is not None:
        told["max_duration_s"] = rule.max_duration_s
    if unit == "calls" and rule.max_calls is None:  # counted for the time since the first
        return told
    amounts = {"cap": view.cap, "spent": view.settled, "reserved": view.leased, "needed": needed}
    if unit == "calls":
        return told | {f"{name}_calls": amount for name, amount in amounts.items()}
    return told | {f"{name}_usd": decimal(amount) for name, amount in amounts.items()}


def decimal(nano: int) -> str:
    """Nano-USD as dollars with nine decimals."""
    whole, rest = divmod(max(nano, 0), 1_000_000_000)
    return f"{whole}.{rest:09d}"


def _when(us: int) -> str:
    try:
        return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return ""
