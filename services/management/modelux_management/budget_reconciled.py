"""Hold a budget's ledger against the request log: the difference, and what explains each nano of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.budget_views import Window, window
from modelux_management.wire import usd
from modelux_store.spending import Logged, Spending
from routing_core.money import dollars


class Explained(BaseModel):
    """What the difference is made of. Signed: what the ledger has beyond the log counts up."""

    unknown_usd: float = Field(description="Charged in full because nobody knows what the call cost.")
    forfeited_usd: float = Field(description="Charged because a proxy vanished with what it held.")
    overrun_usd: float = Field(description="Cost beyond the bound: in the log, but not in `settled_usd`.")
    in_flight_usd: float = Field(description="Logged already, and not yet reported to the ledger.")


class Reconciliation(Window):
    """One value in one window. `difference_usd` is `settled_usd` less `logged_usd`."""

    settled_usd: float
    reserved_usd: float
    logged_usd: float
    logged_requests: int
    difference_usd: float
    explained: Explained
    unexplained_usd: float
    balanced: bool = Field(description="Every nano of the difference is explained.")
    text: str


class Parts(NamedTuple):
    """A difference taken apart, nano-USD. The parts add up to it."""

    unknown: int
    forfeited: int
    overrun: int
    in_flight: int
    unexplained: int


def apart(account: pb.BudgetAccount, logged_nano: int) -> Parts:
    """Takes settled less logged apart. Unknown calls are logged without cost, so they come first."""
    rest = account.settled + account.overrun - logged_nano
    unknown = max(0, min(rest, account.unknown))
    forfeited = max(0, min(rest - unknown, account.forfeited))
    in_flight = min(0, max(rest, -account.leased))
    return Parts(unknown, forfeited, -account.overrun, in_flight, rest - unknown - forfeited - in_flight)


def windows(record: pb.BudgetRecord, accounts: Sequence[pb.BudgetAccount]) -> Iterator[Spending]:
    """What to ask the log for, a window each."""
    bounds: dict[tuple[int, int], dict[str, int]] = {}
    for each in accounts:
        opened = bounds.setdefault((each.window_start_us, each.resets_at_us), {})
        opened[logged_value(record, each)] = each.started_at_us
    for (start_us, end_us), opened_us in bounds.items():
        yield Spending(
            organization_id=record.organization_id,
            project_id=record.project_id,
            scope=record.scope,
            tag=record.scope_key.partition("=")[0],
            start_us=max(start_us, record.created_at_us),
            end_us=end_us,
            opened_us=opened_us,
            budget_id=record.id,
        )


def logged_value(record: pb.BudgetRecord, account: pb.BudgetAccount) -> str:
    """The account's value as the log knows it."""
    if record.each:
        return account.value
    if record.scope == "tag":
        return record.scope_key.partition("=")[2]
    return record.scope_key or (record.project_id if record.scope == "project" else "")


def reconciliation(account: pb.BudgetAccount, logged: Logged) -> Reconciliation:
    """One account against what the log has of it."""
    common = window([account]).model_dump()
    common |= {"settled_usd": usd(account.settled), "reserved_usd": usd(account.leased)}
    parts = apart(account, logged.charged_nano)
    return Reconciliation(
        **common,
        logged_usd=usd(logged.charged_nano),
        logged_requests=logged.requests,
        difference_usd=usd(account.settled - logged.charged_nano),
        explained=Explained(
            unknown_usd=usd(parts.unknown),
            forfeited_usd=usd(parts.forfeited),
            overrun_usd=usd(parts.overrun),
            in_flight_usd=usd(parts.in_flight),
        ),
        unexplained_usd=usd(parts.unexplained),
        balanced=parts.unexplained == 0,
        text=_text(account.settled - logged.charged_nano, parts),
    )


def _text(difference: int, parts: Parts) -> str:
    if not difference and not any(parts):
        return "The ledger and the log agree to the nano-dollar."
    told = [f"{dollars(value)} {_WORDS[name]}" for name, value in parts._asdict().items() if value]
    hint = " Calls of the last seconds may not be in the log yet." if parts.unexplained > 0 else ""
    return f"The ledger has {dollars(difference)} beyond the log: {', '.join(told)}.{hint}"


_WORDS: Mapping[str, str] = {
    "unknown": "of unknown calls",
    "forfeited": "forfeited",
    "overrun": "overrun",
    "in_flight": "in flight",
    "unexplained": "not explained",
}
