"""Make results of experiments for the tests of the summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from modelux_replay.plan import RESULTS
from modelux_replay.pool import SUMMARY_COLUMNS, stream_of
from modelux_replay.summary.summaries import ROUTING_ONLY, Told, sum_up

Row = dict[str, Any]


def result(number: int, evidence: str = "observed", **fields: Any) -> Row:
    """A row whose candidate costs two fifths and takes as long, unless it keeps the logged choice."""
    cost, latency = 1_000_000 + number % 97 * 10_000, 400_000 + number % 89 * 10_000
    before = {"model": "gpt-4o", "provider": "openai", "cost_nano": cost, "latency_us": latency, "status": "ok"}
    before |= {"input_tokens": 100 + number % 31, "output_tokens": 50 + number % 17, "attempts": 1, "error_code": ""}
    after = dict(before)
    if evidence == "not_evaluable":
        after = {"model": "", "provider": "", "status": "", "error_code": ""}
    elif evidence != "reused":
        after |= {"model": "gpt-4o-mini", "cost_nano": cost * 2 // 5, "latency_us": latency + (-1) ** number * 50_000}
    sides = {f"baseline_{name}": value for name, value in before.items()}
    sides |= {f"candidate_{name}": value for name, value in after.items()}
    bounds = {f"candidate_cost_{end}_nano": after.get("cost_nano") for end in ("low", "high")}
    own = {"row": number, "request_id": f"req_{number:05}", "evidence": evidence, "weight": 1.0, "reproduced": True}
    return own | sides | bounds | {"cluster": "", "stratum": "", "repeat_status": ""} | fields


def told_of(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """What the summary reads of them."""
    return pa.Table.from_pylist([dict(row) for row in rows], RESULTS).select(SUMMARY_COLUMNS)


def summed(rows: Iterable[Mapping[str, Any]], told: Told = ROUTING_ONLY, seed: int = 1) -> Any:
    """The summary as the API has it."""
    table = told_of(rows)
    return json.loads(sum_up([stream_of(table)], seed, len(table), 0, told).summary_json)
