"""Say in plain English where a budget stands, and why a call was blocked or downgraded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.wire import moment
from routing_core.money import dollars

_REASONS: Mapping[str, str] = {
    "exceeded": "what it could cost at most did not fit under the cap any more",
    "run_aborted": "the run was aborted when it reached a limit, and every later call of it is refused",
    "too_long": "the run took longer than it may",
    "gone": "the budget had just been deleted",
    "fenced": "the proxy that asked had been replaced by a newer one",
}
_REMEDIES: Mapping[str, str] = {
    "exceeded": "Raise the limit, wait for the next window, ask for fewer tokens (max_tokens) or name a cheaper model.",
    "run_aborted": "Start a new run with another value of the tag; this one stays aborted, even if a limit is raised.",
    "too_long": "Start a new run with another value of the tag; maxDurationS says how long one may last.",
    "gone": "Send the call again.",
    "fenced": "Send the call again.",
}


def named(record: pb.BudgetRecord, value: str) -> str:
    """`budget 'runs' (bud_1) for run_id 'run_7'`."""
    told = f"budget {record.name!r} ({record.id})"
    if not value:
        return told
    return f"{told} for {record.scope_key or record.scope.replace('_', ' ')} {value!r}"


def blocked(record: pb.BudgetRecord, denial: pb.BudgetDenial) -> Iterator[str]:
    """Why this call was denied, with all that was weighed."""
    reason = _REASONS.get(denial.reason, denial.reason)
    yield f"It was denied by {named(record, denial.value)}: {reason}."
    held = f"spent {_amount(denial.settled, denial.unit)}, reserved {_amount(denial.leased, denial.unit)}"
    limit = f"cap {_amount(denial.cap, denial.unit)}, {held}, needed {_amount(denial.needed, denial.unit)}"
    yield f"At {_at(denial.at_us)}: {limit}; {resets(denial.resets_at_us)}."
    yield remedy(denial.reason)


def refused(code: str, message: str, details: Mapping[str, JsonValue]) -> Iterator[str]:
    """The same from what the caller was told: the error of the answer and its member `budget`."""
    yield f"The caller was told: {message}."
    amounts = [
        f"{name} {_written(details[f'{name}_{unit}'], unit)}"
        for unit in ("usd", "calls")
        for name in ("cap", "spent", "reserved", "needed")
        if f"{name}_{unit}" in details
    ]
    reset = details.get("resets_at")
    window = f"resets at {reset}" if reset else "does not reset"
    yield f"Budget {details.get('name')!r} ({details.get('id')}) then: {', '.join([*amounts, window])}."
    yield remedy("too_long" if details.get("limit") == "duration" else code)


def standing(each: pb.BudgetStanding) -> Iterator[str]:
    """Where one budget stands now, and what it would do."""
    yield f"{named(each.budget, each.value)[:1].upper()}{named(each.budget, each.value)[1:]}: {each.text}"
    for account in each.accounts:
        yield f"  {_account(account)}; {resets(account.resets_at_us)}."
    if not each.would_pass:
        yield f"  {remedy(each.reason)}"


def remedy(reason: str) -> str:
    """What the caller or the operator can do."""
    return f"What to do: {_REMEDIES.get(reason, _REMEDIES['exceeded'])}"


def resets(at_us: int) -> str:
    return f"resets at {_at(at_us)}" if at_us else "does not reset"


def _account(account: pb.BudgetAccount) -> str:
    parts = {"spent": account.settled + account.overrun, "reserved": account.leased}
    if account.cap:
        parts = {"cap": account.cap, **parts, "left": account.remaining}
    return ", ".join([f"{name} {_amount(value, account.unit)}" for name, value in parts.items()])


def _amount(value: int, unit: str) -> str:
    if unit == "usd":
        return dollars(value)
    return f"{value:,} call" if value == 1 else f"{value:,} calls"


def _written(amount: JsonValue, unit: str) -> str:
    """An amount of an answer: dollars as decimal text, calls as a number."""
    if unit == "calls":
        return f"{amount} calls"
    whole, _, decimals = str(amount).partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _at(at_us: int) -> str:
    return f"{moment(at_us):%Y-%m-%d %H:%M:%S} UTC"
