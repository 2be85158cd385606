"""A proxy that spends from a ledger in memory: the real spender, gRPC over a socket, and the ledger's own code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from modelux_calling.charge import Spending
from modelux_ledger.spender import Spender
from modelux_ledger.spending import spending
from routing_core.budgets import BudgetRule, compile_rules
from routing_core.ledger.books import Account
from routing_core.ledger.meters import Meter

sys.path.append(str(Path(__file__).parents[3] / "libs" / "calling" / "tests"))

from budget_books import PACE, PRICE, RUN, Books, bound, rule, served

__all__ = ["PACE", "PRICE", "RUN", "Books", "bound", "rule"]

SINGLE = {
    "one": {"strategy": "single", "model": "a"},
    "fall": {"strategy": "fallback", "attempts": [{"model": "a", "timeout_ms": 300}, {"model": "b"}]},
    "both": {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": "a"}, {"model": "b"}]},
    "race": {"strategy": "ensemble", "aggregation": "first_valid", "members": [{"model": "a"}, {"model": "b"}]},
}


def chat(model: str = "a", *, run: str = "", **members: object) -> bytes:
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    if run:
        body["mlx:tags"] = {"run_id": run}
    return json.dumps(body | members).encode()


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
        async with asyncio.timeout(30):
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
