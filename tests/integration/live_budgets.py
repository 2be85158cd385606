"""Budgets for the live corpus: runs that are downgraded, then refused, over a ledger in memory."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc.aio
from live_corpus import HAIKU, MINI, STRONG, Ask, asks

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_calling.budget_rules import rule_of
from modelux_calling.charge import Spending
from modelux_ledger.spending import spending

sys.path.append(str(Path(__file__).parents[2] / "services" / "proxy" / "tests"))

from budget_rig import PACE, Books, served

RUNS = 12
BUDGETS = (
    pb.Budget(
        id="bud_runs", organization_id="org_1", name="runs", scope="tag", scope_key="run_id", each=True,
        cap_nano=12_000_000, max_calls=12, action="downgrade", downgrade_to=MINI, downgrade_at_ppm=100_000,
        loop_calls=3,
    ),
    pb.Budget(
        id="bud_strong", organization_id="org_1", name="strong", scope="model", scope_key=STRONG, cap_nano=4_000_000,
        action="downgrade", downgrade_to="@cheap", downgrade_at_ppm=1_000_000,
    ),
    pb.Budget(
        id="bud_claude", organization_id="org_1", name="claude", scope="model", scope_key=HAIKU, cap_nano=9_000_000,
        action="block",
    ),
    pb.Budget(id="bud_all", organization_id="org_1", name="all", scope="organization", cap_nano=1, action="alert"),
)  # fmt: skip
CONFIGS = {
    "strong": {"strategy": "single", "model": STRONG, "timeout_ms": 250},
    "cheap": {"strategy": "fallback", "attempts": [{"model": MINI, "timeout_ms": 250}, HAIKU]},
    "chain": {"strategy": "fallback", "attempts": [{"model": HAIKU, "timeout_ms": 250}, STRONG]},
    "vote": {"strategy": "ensemble", "aggregation": "voting", "members": [HAIKU, STRONG, MINI], "timeout_ms": 300},
    "rules": {
        "strategy": "custom_rules",
        "rules": [{"name": "poor", "when": "budgets['bud_runs'].used_fraction > 0.05", "then": "@cheap"}],
        "otherwise": "@strong",
    },
}


def budget_asks(count: int) -> list[Ask]:
    """The corpus of `fallback` under these configs, each request in one of a few runs."""
    slugs = list(CONFIGS)
    return [
        replace(
            ask,
            model=f"@{slugs[number % len(slugs)]}",
            embeddings=False,
            extra={"max_tokens": 300, "mlx:tags": {"run_id": f"r{number % RUNS}"}},
        )
        for number, ask in enumerate(asks("fallback", 1, count))
    ]


@asynccontextmanager
async def live_spending(folder: Path) -> AsyncIterator[Spending]:
    books = Books({each.id: 0 for each in BUDGETS})
    books.rules = {each.id: rule_of(each) for each in BUDGETS}
    async with (
        served(books, folder) as target,
        grpc.aio.insecure_channel(target) as channel,
        spending(channel, folder / "leases", pace=PACE) as spender,
    ):
        yield Spending(spender)
