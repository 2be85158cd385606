"""What happens to accounts is told with the commit: shares of the cap that were passed, denials, aborted runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from google.protobuf.message import Message as Proto

from modelux.events.v1.budget_pb2 import BudgetAlert, BudgetExceeded, RunAborted
from modelux_bus.base import Message
from modelux_config.ledger_rows import Terms
from modelux_config.statements import sql
from modelux_contracts import codec
from modelux_contracts.ids import new_id
from modelux_contracts.topics import BUDGET_ALERT, BUDGET_EXCEEDED, RUN_ABORTED, Topic
from modelux_store import outbox
from modelux_store.database import Transaction
from routing_core.ledger import books
from routing_core.ledger.books import Account
from routing_core.ledger.messages import Denied
from routing_core.ledger.meters import Meter
from routing_core.ledger.server import Unit

E = TypeVar("E", BudgetAlert, BudgetExceeded)
_LIMITS = {"usd": "cost", "calls": "calls"}


async def alerts(tx: Transaction, unit: Unit, terms: Mapping[str, Terms]) -> None:
    """Tells of the shares of a cap that the changed accounts passed, each once in a window."""
    for account in [row for row in unit.dirty if isinstance(row, Account)]:
        budget = terms.get(account.meter.budget_id)
        if budget is None:
            continue
        for ppm in books.thresholds(account, budget.ppms):
            event = _event(BudgetAlert, budget, account, unit.now_us)
            event.threshold_ppm = ppm
            await _tell(tx, BUDGET_ALERT, event, budget, unit.now_us)


async def denied(
    tx: Transaction,
    unit: Unit,
    terms: Mapping[str, Terms],
    answer: Denied,
    replica_id: str,
    op_id: str,
    aborted: Collection[Meter],
) -> None:
    """Remembers a denial for good, tells of the first refusal in a window, and of the run that it ended.

    `aborted`: accounts of runs that had ended before. `op_id` holds the request's id where one is known.
    """
    if answer.account is None:
        return
    account, budget = unit.current[answer.account.meter], terms[answer.account.meter.budget_id]
    if answer.first:
        event = _event(BudgetExceeded, budget, account, unit.now_us)
        event.needed, event.action = answer.needed, budget.text("action")
        await _tell(tx, BUDGET_EXCEEDED, event, budget, unit.now_us)
    if account.aborted and account.meter not in aborted:
        await _tell(tx, RUN_ABORTED, _aborted(budget, account, answer, unit.now_us), budget, unit.now_us)
    await tx.execute(
        sql("ledger", "deny"),
        {
            **account.meter._asdict(),
            "at_us": unit.now_us,
            "reason": answer.reason,
            "needed": answer.needed,
            "cap": account.cap,
            "settled": account.settled,
            "leased": account.leased,
            "window_start_us": account.window_start_us,
            "resets_at_us": account.window_end_us,
            "replica_id": replica_id,
            "op_id": op_id,
        },
    )


def _aborted(budget: Terms, account: Account, answer: Denied, now_us: int) -> RunAborted:
    duration = answer.reason == "too_long"
    return RunAborted(
        budget_id=account.meter.budget_id,
        organization_id=budget.text("organization_id"),
        project_id=budget.text("project_id"),
        budget_name=budget.text("name"),
        tag=budget.text("scope_key"),
        value=account.meter.value,
        limit="duration" if duration else _LIMITS[account.meter.unit],
        cap=account.max_duration_us // 1_000_000 if duration else account.cap,
        settled=account.settled,
        started_at_us=account.started_us,
        at_us=now_us,
    )


def _event(kind: type[E], budget: Terms, account: Account, now_us: int) -> E:
    return kind(
        budget_id=account.meter.budget_id,
        organization_id=budget.text("organization_id"),
        project_id=budget.text("project_id"),
        budget_name=budget.text("name"),
        value=account.meter.value,
        unit=account.meter.unit,
        window_start_us=account.window_start_us,
        window_end_us=account.window_end_us,
        cap=account.cap,
        settled=account.settled,
        leased=account.leased,
        at_us=now_us,
    )


async def _tell(tx: Transaction, topic: Topic, event: Proto, budget: Terms, now_us: int) -> None:
    key = budget.text("organization_id").encode()
    identifier = new_id("evt_", now_us // 1000)
    await outbox.append(tx, Message(topic.name, key, codec.encode(event), identifier, codec.headers(topic.name)))
