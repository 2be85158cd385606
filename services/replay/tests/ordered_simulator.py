"""The plain simulator, with one row in five under a budget: it costs as much more as such rows came before it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from plain_simulator import prepare as plain

from modelux_replay.plan import Plan


class Simulation:
    def __init__(self, plan: Plan) -> None:
        self._plain = plain(plan)

    def __call__(self, rows: pa.Table, first_row: int) -> pa.Table:
        return self._plain(rows, first_row)

    def under_budgets(self, rows: pa.Table) -> pa.Array:
        return pc.match_substring_regex(rows.column("request_id"), "[07]$")

    def in_order(self, rows: pa.Table, state: bytes, weight: float) -> tuple[pa.Table, bytes]:
        results, before = self._plain(rows, 0), int(state or b"0")
        place = results.schema.get_field_index("candidate_cost_nano")
        costs = pa.array(range(before, before + len(rows)), pa.int64())
        return results.set_column(place, "candidate_cost_nano", costs), str(before + len(rows)).encode()


def prepare(plan: Plan) -> Simulation:
    return Simulation(plan)
