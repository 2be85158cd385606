"""Calls in the name of a simulated project, paid from a ledger in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc.aio
from budget_books import PACE, Books, served
from simulated_project import project

from modelux_calling.caller import Called, Caller, request_of
from modelux_calling.charge import Spending
from modelux_calling.haste import Haste
from modelux_calling.room import Room
from modelux_calling.tenants import Project
from modelux_contracts.ids import new_id
from modelux_ledger.spender import Spender
from modelux_ledger.spending import spending
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_providers.simulator.scenario import Rule, Scenario
from modelux_providers.simulator.server import Simulator
from routing_core.budgets import BudgetRule
from routing_core.config import NamedPolicy, parse_policy

CAP = BudgetRule("cap", "experiment", "org_1", "proj_1", scope_key="sim_1", cap_nano=10**12)
IDS = {"experiment": "sim_1"}


@dataclass
class Calls:
    """The caller, whom it calls and who pays."""

    caller: Caller
    project: Project
    simulator: Simulator
    books: Books
    spender: Spender

    async def call(self, policy: object, body: bytes, **options: Any) -> Called:
        """One call of a policy document."""
        request = request_of(body, request_id=new_id("req_"), project_id="proj_1", at_ms=1_700_000_000_000)
        named = NamedPolicy("", 0, parse_policy(policy))
        return await self.caller.call(self.project, named, body, request, ids=IDS, **{"cap": CAP, **options})


def chat(stream: bool = False, **members: object) -> bytes:
    body: dict[str, object] = {"model": "a", "messages": [{"role": "user", "content": "hi"}]}
    return json.dumps(body | ({"stream": True} if stream else {}) | members).encode()


@asynccontextmanager
async def calling(
    folder: Path,
    rules: Sequence[Rule] = (),
    *,
    budgets: Sequence[BudgetRule] = (),
    cap: BudgetRule = CAP,
    haste: Haste | None = None,
    policies: Mapping[str, object] | None = None,
    deadlines: Deadlines | None = None,
    lowers: bool = False,
) -> AsyncIterator[Calls]:
    """`rules` of the simulator, `budgets` of the project; `lowers` as of `Spending`."""
    books = Books({rule.id: 0 for rule in (*budgets, cap)})
    books.rules = {rule.id: rule for rule in (*budgets, cap)}
    client = Client(Guard())
    async with (
        Simulator.start(Scenario(rules=tuple(rules), keep_bodies=True)) as simulator,
        served(books, folder) as target,
        grpc.aio.insecure_channel(target) as channel,
        spending(channel, folder / "leases", pace=PACE) as spender,
    ):
        own = replace(project(simulator.port, policies or {}), budgets=tuple(budgets))
        pays = Spending(spender, lowers=lowers)
        caller = Caller(client, deadlines or Deadlines(), pays, "experiment", haste or Haste(8), room=Room(looks=1))
        try:
            yield Calls(caller, own, simulator, books, spender)
        finally:
            await client.close()
