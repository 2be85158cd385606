"""The sampler's work over a real database, a log in memory, simulated providers and a ledger in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calling_rig import Calls, calling

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentSamples, SampledRow
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_calling.haste import Haste
from modelux_calling.tenants import Tenants
from modelux_contracts.topics import EXPERIMENT_CALLS, EXPERIMENT_PAIRS
from modelux_providers.simulator.scenario import Rule
from modelux_response_sampler import metrics
from modelux_response_sampler.rows import Rows
from modelux_response_sampler.units import Units
from modelux_response_sampler.work import Work
from modelux_store.database import Database
from routing_core.budgets import BudgetRule

NOW_US = 1_800_000_000_000_000
SINGLE = {"strategy": "single", "model": "b"}
CAP = BudgetRule("cap", "experiment", "org_1", "proj_1", scope_key="sim_1", cap_nano=10**12)
LOGGED_ANSWER = json.dumps({"choices": [{"message": {"content": "the logged answer"}}]}).encode()


def chat(number: int, **members: object) -> bytes:
    body = {"model": "a", "messages": [{"role": "user", "content": f"question {number}"}], "max_tokens": 50}
    return json.dumps(body | members).encode()


@dataclass
class Log:
    """What ClickHouse would answer. `changes` by row number."""

    rows_by_id: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, number: int, **changes: Any) -> str:
        request_id = f"req_{number:026d}"
        row: dict[str, Any] = {
            "request_id": request_id, "endpoint": "chat", "requested_model": "a", "stream": False, "tags": {},
            "end_user_id": "", "key_id": "key_1", "outcome": "ok", "started_at_us": NOW_US + number, "tokens": 10,
            "max_tokens": 50, "needs": [], "request_body": chat(number), "response_body": LOGGED_ANSWER,
        }  # fmt: skip
        self.rows_by_id[request_id] = row | changes
        return request_id

    async def rows(self, sql: str, params: Mapping[str, Any], *, raw: Sequence[str] = ()) -> list[dict[str, object]]:
        return [dict(self.rows_by_id[each]) for each in params["ids"] if each in self.rows_by_id]


def unit(
    number: int, rows: Sequence[SampledRow], policy: object = SINGLE, *, cap: BudgetRule = CAP, **changes: Any
) -> ExperimentSamples:
    return ExperimentSamples(
        experiment_id=cap.scope_key, organization_id="org_1", project_id=changes.pop("project_id", "proj_1"),
        unit=number, budget_id=cap.id, cap_nano=cap.cap_nano or 0, deadline_us=changes.pop("deadline_us", 1 << 62),
        candidate_json=json.dumps(policy).encode(), rows=rows, **changes,
    )  # fmt: skip


def row(number: int, side: str = "candidate", **target: str) -> SampledRow:
    return SampledRow(row=number, request_id=f"req_{number:026d}", started_at_us=NOW_US + number, side=side, **target)


@dataclass
class Sampler:
    """The work of one process, and what it told."""

    work: Work
    log: Log
    calls: Calls
    database: Database
    may_call: list[bool]

    @property
    def units(self) -> Units:
        return self.work.rows.units

    def sample(self, number: int, side: str = "candidate", **changes: Any) -> SampledRow:
        """A row that is in the log."""
        self.log.add(number, **changes)
        return row(number, side)

    async def told(self, kind: type[Any]) -> list[Any]:
        """What was handed to the outbox, in order."""
        topic = {ExperimentPair: EXPERIMENT_PAIRS, RequestCompleted: EXPERIMENT_CALLS}[kind].name
        async with self.database.transaction() as tx:
            found = await tx.fetch_all("SELECT value FROM outbox.message WHERE topic = %s ORDER BY number", (topic,))
        return [kind.FromString(each["value"]) for each in found]

    async def pairs(self) -> list[ExperimentPair]:
        return sorted(await self.told(ExperimentPair), key=lambda pair: (pair.row, pair.side))

    async def done(self, *units: ExperimentSamples) -> list[ExperimentPair]:
        """Works until nothing is left to do; what was told of it."""
        await self.units.put(units)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.work.run())
            await self.until_done()
            running.cancel()
        return await self.pairs()

    async def until_done(self, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s):
            while await self.open_units():
                await asyncio.sleep(0.01)

    async def open_units(self) -> int:
        async with self.database.transaction() as tx:
            found = await tx.fetch_one("SELECT count(*) AS open FROM sampler.units WHERE state <> 'done'")
        assert found is not None
        return int(str(found["open"]))


@asynccontextmanager
async def sampling(
    database: Database,
    folder: Path,
    rules: Sequence[Rule] = (),
    *,
    cap: BudgetRule = CAP,
    budgets: Sequence[BudgetRule] = (),
    wrapped: Callable[[Units], Any] = lambda units: units,
    silent_s: float = 15.0,
    haste: Haste | None = None,
) -> AsyncIterator[Sampler]:
    async with calling(folder, rules, cap=cap, budgets=budgets, haste=haste) as calls:
        yield sampler_of(database, calls, wrapped, silent_s)


async def _moment(seconds: float) -> None:
    """In place of a pause."""
    await asyncio.sleep(0.001)


def sampler_of(
    database: Database, calls: Calls, wrapped: Callable[[Units], Any] = lambda units: units, silent_s: float = 15.0
) -> Sampler:
    may_call = [True]

    async def asked(organization_id: str, experiment_id: str) -> bool:
        assert (organization_id, experiment_id) == ("org_1", "sim_1")
        return may_call[0]

    log = Log()
    tenants = Tenants(1, {}, {"proj_1": replace(calls.project)})
    rows = Rows(wrapped(Units(database, silent_s)), calls.caller, metrics.meters(), _moment)
    work = Work(rows, log, lambda: tenants, asked, calls=8)  # type: ignore[arg-type]  # the log answers the one query
    return Sampler(work, log, calls, database, may_call)
