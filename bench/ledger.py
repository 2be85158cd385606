"""Measure the lease ledger, and count whether a cap holds when a proxy is killed. Prints one JSON line.

`reserve_*_us`: one reservation on three meters from slices that are here, over the memory-mapped table, in this
process; `call_*_us`: reserve, dispatch and settle together, what a call costs on its way.

`grant_*_ms`: how long a call waits whose slices are not all here. One spender in this process, the config service in
another, over a PostgreSQL that writes durably; 250 end users with a budget each, inside one of their project and one of
their organization, call at random moments, `calls_per_s` in all; every second ten of them go and others come.
`first_grant_*_ms`: the waits that open an account. `disk_sync_*_ms`: what the disk takes by itself, right before.

The rest is told by two runs, each of 1,000 calls at once against a cap of $1 through four proxies, one of which is
killed by SIGKILL while providers work for it: in the first it is started again at once, in the second it never comes
back and the ledger charges what it held. When all is at rest, callers go on until they are refused. In nano-USD:

- `overshoot_nano_usd`: what providers served beyond the cap, by the simulated providers' own books: input and output
  tokens of every call that they took, whole, whether the proxy that made it lived to hear the answer or not.
- `stranded_nano_usd`: money that is neither spent nor to be had. What is still leased when all is at rest; and all that
  is left of the cap, if it is enough for the very call that a lone caller is refused from rest. `early_refusals`:
  of a lone caller while another proxy still held an idle slice, which did not come back within the 50 ms of a recall.
- `charged_unserved_nano_usd`: settled by the ledger beyond what was served, all of it told as `unknown_nano_usd` (the
  bound of calls that were open when the proxy was killed) or `forfeited_nano_usd` (slices of one that never came back).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))

from capped import SCENARIO, Control, Outcome, control, spend

from modelux_ledger.asking import Refusal
from modelux_ledger.spender import Spender
from modelux_ledger.spending import spending
from modelux_ledger.table import LeaseTable
from modelux_providers.simulator.process import spawn
from modelux_runtime import memory
from modelux_runtime.rpc import channel
from routing_core.ledger.holder import Holder
from routing_core.ledger.messages import Granted
from routing_core.ledger.meters import AccountView, Meter, Want

Figures = dict[str, object]
PARTS = ("reserve", "grant", "caps")
METERS = 3
WARM_S = 5.0
COME_PER_S = 10
"""End users who come, and as many who go."""


def reserve(folder: Path, calls: int) -> Figures:
    """Times single steps; the clock's own 0.1 µs is in each."""
    table = LeaseTable(folder / "leases")
    table.identify("bench")
    holder = Holder(table)
    holder.join("bench", 1, [], 0)
    wants = [Want(Meter(f"bud_{index}", "", "usd"), 1_000_000) for index in range(METERS)]
    ask, room = holder.ask("op1", wants, 0), 10**15
    views = [AccountView(want.meter, 0, 0, 2 * room, 0, room, True) for want in wants]
    holder.granted(ask, [Granted(f"op1/{index}", room, 0, view) for index, view in enumerate(views)], 0)
    reserves, whole, costs = [], [], [400_000] * METERS
    clock = time.perf_counter_ns
    for now_us in range(calls):
        began = clock()
        held = holder.reserve(wants, now_us)
        reserved = clock()
        assert held is not None
        holder.dispatch(held)
        holder.settle(held, costs)
        whole.append((clock() - began) / 1_000)
        reserves.append((reserved - began) / 1_000)
    table.close()
    return percentiles("reserve", "us", reserves) | percentiles("call", "us", whole)


async def grant(config: Control, rate: int, users: int, seconds: int) -> Figures:
    """Calls of many end users; what those waited that had no slice here."""
    project = (await config.do("CreateProject", name="grants")).project.id
    whole = await config.budget(scope="organization", cap_nano=10**15)
    part = await config.budget(scope="project", scope_key=project, cap_nano=10**14)
    each = await config.budget(scope="end_user", each=True, cap_nano=10**9)
    shared = [Want(Meter(budget, "", "usd"), 2_000_000) for budget in (whole, part)]
    waits: list[tuple[bool, float]] = []
    """Whether it opened an account, and milliseconds."""
    seen: set[int] = set()

    async def one(spender: Spender, user: int) -> None:
        wants = [*shared, Want(Meter(each, f"user-{user}", "usd"), 2_000_000)]
        held = spender.reserve(wants)
        if held is None:
            first = user not in seen
            seen.add(user)
            began = time.perf_counter()
            found = await spender.obtain(wants)
            waits.append((first, (time.perf_counter() - began) * 1_000))
            assert not isinstance(found, Refusal), found
            held = found
        spender.dispatch(held)
        spender.settle(held, [900_000] * METERS)

    memory.settle()  # as a proxy does
    chance, loop = random.Random(1), asyncio.get_running_loop()
    async with channel(config.target) as connection, spending(connection, config.folder / "leases") as spender:
        at_s, began_s = 0.0, loop.time()
        async with asyncio.TaskGroup() as group:
            while at_s < WARM_S + seconds:
                at_s += chance.expovariate(rate)
                await asyncio.sleep(began_s + at_s - loop.time())
                if at_s < WARM_S:
                    waits.clear()
                group.create_task(one(spender, int(at_s * COME_PER_S) + chance.randrange(users)))
    figures: Figures = {"calls_per_s": rate, "grants_per_s": round(len(waits) / seconds)}
    figures |= percentiles("grant", "ms", [wait for _, wait in waits])
    return figures | percentiles("first_grant", "ms", [wait for first, wait in waits if first])


def disk_sync(folder: Path) -> Figures:
    """What the disk takes to make 8 kB durable: a grant does so once, and cannot be quicker."""
    times = []
    with (folder / "sync").open("wb") as file:
        for _ in range(200):
            file.write(bytes(8192))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1_000)
    return percentiles("disk_sync", "ms", times)


async def caps(config: Control) -> Figures:
    """Two runs against a cap; sums over both."""
    async with spawn(SCENARIO) as simulator:
        await config.provider(simulator.url)
        runs = [await spend(config, simulator, comes_back=comes_back) for comes_back in (True, False)]
    return {
        "overshoot_nano_usd": sum(run.overshoot for run in runs),
        "stranded_nano_usd": sum(run.stranded for run in runs),
        "early_refusals": sum(run.early for run in runs),
        "charged_unserved_nano_usd": sum(run.settled - run.served for run in runs),
        "unknown_nano_usd": sum(run.unknown for run in runs),
        "forfeited_nano_usd": sum(run.forfeited for run in runs),
        "runs": [told(run) for run in runs],
    }


def told(run: Outcome) -> Mapping[str, object]:
    names = ("served", "settled", "unknown", "forfeited", "overrun", "leased", "left", "needed", "early", "in_flight")
    return {name: getattr(run, name) for name in names} | {"rest_s": round(run.rest_s, 1), "answers": run.answers}


def percentiles(name: str, unit: str, values: Sequence[float]) -> Figures:
    ordered = sorted(values)
    return {
        f"{name}_p{percent}_{unit}": round(ordered[len(ordered) * percent // 100], 2 if unit == "us" else 1)
        for percent in (50, 99)
    }


async def measure(options: argparse.Namespace, folder: Path) -> Figures:
    figures: Figures = {"bench": "ledger"}
    if "reserve" in options.only:
        figures |= reserve(folder, options.calls)
    if {"grant", "caps"} & set(options.only):
        async with control(folder) as config:
            if "grant" in options.only:
                figures |= disk_sync(folder)
                figures |= await grant(config, options.rate, options.users, options.seconds)
            if "caps" in options.only:
                figures |= await caps(config)
    return figures | {"load_average": round(os.getloadavg()[0], 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--calls", type=int, default=200_000, help="reservations to time")
    parser.add_argument("--rate", type=int, default=200, help="calls in a second, for the grants")
    parser.add_argument("--users", type=int, default=250)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="mlx-bench-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        print(json.dumps(uvloop.run(measure(options, Path(name)))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
