"""A spender that talks to the ledger, and what can be seen of accounts from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from config_harness import Tenant

from modelux_config.ledger import Ledger
from modelux_store.database import Database
from routing_core.ledger.messages import Ask, Denied, Granted, LeaseReport
from routing_core.ledger.meters import Meter

NAMES = count(1)


@dataclass
class Spender:
    """One replica that talks to one config service."""

    ledger: Ledger
    replica_id: str
    epoch: int
    asked: Any = field(default_factory=lambda: count(1))

    async def grant(self, *asks: Ask, op_id: str = "") -> tuple[Granted, ...] | Denied:
        return await self.ledger.grant(self.replica_id, self.epoch, op_id or self.op_id(), asks)

    async def take(self, meter: Meter, need: int) -> Granted:
        answer = await self.grant(Ask(meter, need, need))
        assert not isinstance(answer, Denied), answer
        return answer[0]

    async def refused(self, meter: Meter, need: int) -> Denied:
        answer = await self.grant(Ask(meter, need, need))
        assert isinstance(answer, Denied), answer
        return answer

    async def refuse(self, meter: Meter, needed: int, request_id: str = "req_1") -> Denied:
        """A call is refused for good."""
        return await self.ledger.refuse(self.replica_id, self.epoch, meter, needed, request_id)

    async def tell(
        self, lease: Granted, settled: int, *, claim: int | None = None, closed: bool = True, **more: int
    ) -> str:
        meter, start_us = lease.account.meter, lease.account.window_start_us
        told = LeaseReport(
            lease.lease_id,
            meter,
            start_us,
            settled if claim is None else claim,
            settled,
            more.get("unknown", 0),
            more.get("overrun", 0),
            closed,
        )
        (answer,) = await self.ledger.report(self.replica_id, self.epoch, [told])
        return answer.state

    def op_id(self) -> str:
        return f"{self.replica_id}-{self.epoch}-{next(self.asked)}"


async def join(ledger: Ledger, replica_id: str = "") -> Spender:
    joined = await ledger.join(replica_id or f"rep_{next(NAMES)}")
    return Spender(ledger, joined.replica_id, joined.epoch)


async def budget(tenant: Tenant, cap: int = 1_000, **fields: Any) -> Meter:
    given = {"name": f"b{next(NAMES)}", "scope": "organization", "cap_nano": cap, "period": "total"} | fields
    return Meter((await tenant("CreateBudget", **given)).budget.id, "", "usd")


async def run_guard(tenant: Tenant, value: str = "run_1", **fields: Any) -> Meter:
    meter = await budget(tenant, **({"scope": "tag", "scope_key": "run_id", "each": True} | fields))
    return meter._replace(value=value)


async def spend(tenant: Tenant, meter: Meter) -> dict[str, Any]:
    found = await tenant("GetBudgetSpend", id=meter.budget_id, value=meter.value)
    return {each.unit: each for each in found.accounts}


async def events(database: Database, meter: Meter, kind: Any) -> list[Any]:
    """What waits in the outbox of one kind; no relay runs here."""
    async with database.transaction() as tx:
        rows = await tx.fetch_all("SELECT value, header_values FROM outbox.message ORDER BY number")
    named = kind.DESCRIPTOR.full_name.encode()
    found = [kind.FromString(row["value"]) for row in rows if row["header_values"] == [named]]
    return [event for event in found if event.budget_id == meter.budget_id]
