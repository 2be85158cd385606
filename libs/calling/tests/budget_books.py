"""The books of a ledger in memory, by the terms of budgets, for a spender over a socket."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux_ledger import wire
from modelux_ledger.line import Pace
from routing_core.bounds import DEFAULT_OUTPUT_TOKENS, TEMPLATE_TOKENS, Size
from routing_core.budgets import BudgetRule
from routing_core.ledger import server
from routing_core.ledger.books import Account
from routing_core.ledger.messages import WHOLE
from routing_core.ledger.meters import Meter
from routing_core.pricing import Price

sys.path.append(str(Path(__file__).parents[2] / "ledger" / "tests"))

from memory_ledger import MemoryLedger, served

__all__ = ["PACE", "PRICE", "RUN", "Books", "bound", "rule", "served"]

PRICE = Price(input=150_000_000, output=600_000_000, version="test")
"""Of every model of the rigs."""
PACE = Pace(report_s=0.01, backoff_s=0.01, longest_backoff_s=0.02, patience_s=5.0, grant_s=4.0, repeat_after_s=0.0)
RUN: Mapping[str, Any] = {"scope": "tag", "scope_key": "run_id", "each": True, "name": "runs"}


def rule(budget_id: str = "bud", scope: Any = "organization", **terms: Any) -> BudgetRule:
    return BudgetRule(budget_id, scope, "org_1", **terms)


def bound(body: bytes, limit: int = DEFAULT_OUTPUT_TOKENS) -> int:
    """The worst case of a plain call with that body, nano-USD."""
    return Size(len(body) + TEMPLATE_TOKENS).cost(PRICE, limit)


class Books(MemoryLedger):
    """Accounts by the terms of their rules; a budget that has none is gone."""

    rules: dict[str, BudgetRule]

    def account(self, meter: Meter) -> Account:
        found = self.unit.accounts.get((meter, 0))
        if found is None:
            terms = self.rules[meter.budget_id]
            cap = terms.cap_nano if meter.unit == "usd" else terms.max_calls
            found = Account(meter, 0, 0, WHOLE if cap is None else cap, terms.hard, started_us=self.unit.now_us)
            found.max_duration_us = (terms.max_duration_s or 0) * 1_000_000
            self.unit.accounts[meter, 0] = found
        return found

    async def Refuse(self, request: pb.RefuseRequest, context: Any) -> pb.RefuseResponse:
        await self._begin("Refuse", context)
        meter = wire.meter(request.meter)
        run = False
        if meter.budget_id in self.caps:
            self.unit.current[meter] = self.account(meter)
            terms = self.rules[meter.budget_id]
            run = terms.scope == "tag" and terms.each
        denied = server.refuse(self.unit, request.replica_id, request.epoch, meter, request.needed, run=run)
        answer: pb.RefuseResponse = await self._answer(
            "Refuse", context, pb.RefuseResponse(denied=wire.to_denied(denied))
        )
        return answer

    def delete(self, budget_id: str) -> None:
        del self.caps[budget_id]
        self.unit.current = {meter: row for meter, row in self.unit.current.items() if meter.budget_id != budget_id}
