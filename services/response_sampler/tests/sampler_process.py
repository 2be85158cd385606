"""The sampler's work as a process that may be killed: `python sampler_process.py <options as JSON>`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[3] / "libs" / "calling" / "tests"))

import grpc.aio
from budget_books import PACE
from sampler_rig import Log
from simulated_project import project

from modelux_calling.caller import Caller
from modelux_calling.charge import Spending
from modelux_calling.haste import Haste
from modelux_calling.tenants import Tenants
from modelux_ledger.spending import spending
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_response_sampler import metrics
from modelux_response_sampler.rows import Rows
from modelux_response_sampler.units import Units
from modelux_response_sampler.work import Work
from modelux_store.database import Database


async def main(options: dict[str, Any]) -> None:
    """Options: `database` (URL), `port` (of the simulator), `ledger` (gRPC target), `folder`, `rows`, `silent_s`."""
    database = await Database.open(options["database"])
    tenants = Tenants(1, {}, {"proj_1": project(options["port"], {})})
    log = Log()
    for number in range(options["rows"]):
        log.add(number)
    channel = grpc.aio.insecure_channel(options["ledger"])
    async with channel, spending(channel, Path(options["folder"]) / "leases", pace=PACE) as spender:
        pays = Spending(spender)
        caller = Caller(Client(Guard()), Deadlines(), pays, "experiment", Haste(16))
        rows = Rows(Units(database, options["silent_s"]), caller, metrics.meters())
        await Work(rows, log, lambda: tenants, _always, calls=16).run()  # type: ignore[arg-type]  # as in the rig


async def _always(organization_id: str, experiment_id: str) -> bool:
    return True


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
