"""How near the simulation comes to what real calls of another model cost, with a pilot and without."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from experiment_core.projection import pilots
from experiment_core.projection.draws import row_keys
from modelux_providers.catalog import Catalog, CredentialFacts, PriceOverride
from modelux_replay.plan import CALLS, PAIRS, ROWS, Document, Plan
from modelux_replay.simulation.simulate import prepare
from modelux_runtime.settings import child_environment
from routing_core.pricing import cost
from routing_core.types import Usage

Call = dict[str, Any]
START_US = 1_723_334_400_000_000
PRICE = PriceOverride("po_1", "openai", "", 1_000_000_000, 3_000_000_000)
PAIRS_TRIED, SEEDS, PILOT = 12, (1, 2), 50


@pytest.fixture(scope="module")
def calls() -> Mapping[str, Mapping[str, Call]]:
    """By model and request."""
    given = child_environment({}).get("MODELUX_TEST_DATA")
    file = (Path(given) if given else Path(__file__).parents[4] / "shared" / "data") / "bfcl" / "requests.csv"
    if not file.exists():
        pytest.skip("the recorded calls are not here: put bfcl into the folder that MODELUX_TEST_DATA names")
    found: dict[str, dict[str, Call]] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["input_tokens"] and row["output_tokens"]:
                into, out = round(float(row["input_tokens"])), round(float(row["output_tokens"]))
                found.setdefault(row["model"], {})[row["id"]] = {"kind": row["category"], "input": into, "output": out}
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """A logged model and a candidate on the requests that both answered."""

    logged: str
    candidate: str
    rows: pa.Table
    before: Mapping[str, Call]
    after: Mapping[str, Call]

    def true_cost(self) -> float:
        price = Catalog.load().offers(*_offered(self), 0)[self.candidate][0].price
        assert price is not None
        return float(sum(cost(price, Usage(each["input"], each["output"])) for each in self.after.values()))

    def plan(self, seed: int) -> Plan:
        policy = f'{{"strategy":"single","model":"{self.candidate}"}}'.encode()
        credentials, prices = _offered(self)
        bare = Plan("proj_1", seed, Document("", 0, policy), (), {}, credentials, prices, CALLS.empty_table())
        return replace(bare, stratum_tag="kind")

    def pilot(self, results: pa.Table, seed: int) -> pa.Table:
        """Real calls on the rows that a pilot chooses after a replay without one."""
        ids = results.column("request_id").to_pylist()
        kinds = [self.before[each]["kind"] for each in ids]
        expected = results.column("candidate_cost_nano").to_numpy().astype(np.float64)
        strata = np.unique(kinds, return_inverse=True)[1].astype(np.int64)
        chosen = pilots.choose(PILOT, row_keys(seed, ids), strata, expected, seed)
        rows = zip(chosen.rows.tolist(), chosen.chance.tolist(), strict=True)
        return pa.Table.from_pylist([self._pair(ids[row], chance) for row, chance in rows], PAIRS)

    def _pair(self, name: str, chance: float) -> Call:
        before, after = self.before[name], self.after[name]
        models = {"baseline_model": self.logged, "candidate_model": self.candidate, "stratum": before["kind"]}
        sides = {"baseline": before, "candidate": after}
        tokens = {f"{side}_{kind}_tokens": call[kind] for side, call in sides.items() for kind in ("input", "output")}
        own = {"source": "pilot", "request_id": name, "candidate_latency_us": 0.0, "chance": chance}
        return own | models | tokens


def _offered(of: Case) -> tuple[tuple[CredentialFacts, ...], tuple[PriceOverride, ...]]:
    credentials = (CredentialFacts("pc_1", "openai", (of.candidate,)),)
    return credentials, (replace(PRICE, model=of.candidate),)


def cases(calls: Mapping[str, Mapping[str, Call]]) -> Sequence[Case]:
    """Pairs of models by hash."""
    every = [(a, b) for a in calls for b in calls if a != b]
    every.sort(key=lambda pair: blake2b("/".join(pair).encode()).digest())
    return [_case(a, b, calls[a], calls[b]) for a, b in every[:PAIRS_TRIED]]


def _case(logged: str, candidate: str, before: Mapping[str, Call], after: Mapping[str, Call]) -> Case:
    ids = sorted(before.keys() & after.keys())
    rows = [
        dict.fromkeys(("requested_model", "model"), logged)
        | dict.fromkeys(("config_slug", "policy_type", "error_code", "credential_id", "end_user_id", "key_id"), "")
        | dict.fromkeys(("config_version", "max_tokens", "cost_nano", "latency_us", "cache_read_tokens"), 0)
        | dict.fromkeys(("cache_write_tokens", "reasoning_tokens", "estimated_input_tokens"), 0)
        | {
            "request_id": name, "started_at": START_US + place * 1_000_000, "endpoint": "chat", "outcome": "ok",
            "status": 200, "provider": "recorded", "stream": False, "tags": [("kind", before[name]["kind"])],
            "input_tokens": before[name]["input"], "output_tokens": before[name]["output"], "needs": [],
            "price_unknown": False, "ttft_us": None, "attempts": 1, "source": "bfcl", "trace": b"",
        }
        for place, name in enumerate(ids)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, ROWS)
    return Case(logged, candidate, table, before, {name: after[name] for name in ids})


def total(results: pa.Table) -> float:
    return float(sum(results.column("candidate_cost_nano").to_pylist()))


def test_a_pilot_brings_the_total_cost_to_within_a_few_percent(calls: Mapping[str, Mapping[str, Call]]) -> None:
    without, found = [], []
    for case in cases(calls):
        truth = case.true_cost()
        for seed in SEEDS:
            plan = case.plan(seed)
            naive = prepare(plan)(case.rows, 0)
            calibrated = prepare(replace(plan, pilot=case.pilot(naive, seed)))(case.rows, 0)
            without.append(abs(total(naive) / truth - 1))
            found.append(abs(total(calibrated) / truth - 1))
    assert np.median(without) > 0.10
    assert np.median(found) < 0.02
    assert max(found) < 0.15
