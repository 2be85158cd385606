"""A proxy that spends from a ledger in memory: the real spender, gRPC over a socket, and the ledger's own code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux_ledger import wire
from modelux_ledger.line import Pace
from modelux_ledger.spender import Spender
from modelux_ledger.spending import spending
from modelux_proxy.charge import Spending
from routing_core.bounds import DEFAULT_OUTPUT_TOKENS, TEMPLATE_TOKENS, Size
from routing_core.budgets import BudgetRule, compile_rules
from routing_core.ledger import server
from routing_core.ledger.books import Account
from routing_core.ledger.messages import WHOLE
from routing_core.ledger.meters import Meter
from routing_core.pricing import Price

sys.path.append(str(Path(__file__).parents[3] / "libs" / "ledger" / "tests"))

from memory_ledger import MemoryLedger, served

PRICE = Price(input=150_000_000, output=600_000_000, version="test")
"""Of every model of the rig."""
PACE = Pace(report_s=0.01, backoff_s=0.01, longest_backoff_s=0.02, patience_s=5.0, grant_s=4.0, repeat_after_s=0.0)
SINGLE = {
    "one": {"strategy": "single", "model": "a"},
    "fall": {"strategy": "fallback", "attempts": [{"model": "a", "timeout_ms": 300}, {"model": "b"}]},
    "both": {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": "a"}, {"model": "b"}]},
    "race": {"strategy": "ensemble", "aggregation": "first_valid", "members": [{"model": "a"}, {"model": "b"}]},
}
RUN: Mapping[str, Any] = {"scope": "tag", "scope_key": "run_id", "each": True, "name": "runs"}


def rule(budget_id: str = "bud", scope: Any = "organization", **terms: Any) -> BudgetRule:
    return BudgetRule(budget_id, scope, "org_1", **terms)


def chat(model: str = "a", *, run: str = "", **members: object) -> bytes:
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    if run:
        body["mlx:tags"] = {"run_id": run}
    return json.dumps(body | members).encode()


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


@dataclass
class Capped:
    """The proxy, and the ledger that it spends from."""

    rig: Any
    ledger: Books
    spender: Spender

    async def ask(
        self, body: bytes, path: str = "/v1/chat/completions", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """One request; a JSON body is read."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        status, got, answer = await self.rig.request(path, body, headers=sent)
        return status, got, json.loads(answer) if answer.startswith(b"{") else answer

    def account(self, budget_id: str = "bud", value: str = "", unit: str = "usd") -> Account:
        return self.ledger.account(Meter(budget_id, value, unit))

    async def reported(self, check: Callable[[], object]) -> None:
        """Waits until reports of the spender made `check` true."""
        await self.ledger.until(check)

    async def settles(self, amount: int, budget_id: str = "bud", value: str = "", unit: str = "usd") -> Account:
        """The account, once exactly `amount` is settled and no call holds any of it."""
        account = self.account(budget_id, value, unit)
        try:
            await self.reported(lambda: account.settled == amount and not self.spender.reserved())
        except TimeoutError:
            raise AssertionError(f"{account.settled} is settled, not {amount}") from None
        return account

    def sent(self) -> list[dict[str, Any]]:
        """The bodies that the providers were sent."""
        return [json.loads(call.body or "{}") for call in self.rig.simulator.calls()]

    async def ended(self, requests: int) -> Sequence[Any]:
        """The events of so many requests."""
        async with asyncio.timeout(5):
            while len(events := self.rig.events()) < requests:
                await asyncio.sleep(0.01)
        return events


Starts = Callable[..., Any]


@asynccontextmanager
async def capped_proxy(
    start: Starts, folder: Path, *rules: BudgetRule, on_cancel: Any = "standard", up: bool = True, **changes: Any
) -> AsyncIterator[Capped]:
    """`up`: the ledger is there."""
    books = Books({rule.id: 0 for rule in rules}, down=not up)
    books.rules = {rule.id: rule for rule in rules}
    changes.setdefault("policies", SINGLE)
    async with (
        served(books, folder) as target,
        grpc.aio.insecure_channel(target) as channel,
        spending(channel, folder / "leases", pace=PACE) as spender,
        start(
            budgets=compile_rules(rules, "org_1", "proj_1", "key_1"), spending=Spending(spender, on_cancel), **changes
        ) as rig,
    ):
        yield Capped(rig, books, spender)
