"""Budgets under the candidate's own spend: carried in order, exact for the unchanged version, whatever the batches."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_log import CONFIGS, MINI, ORGANIZATION, STRONG, Maker, plan_for, rows_of

from modelux.config.v1.snapshot_pb2 import Budget
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_replay.plan import Plan
from modelux_replay.pool import Unit, run_left, run_unit, shared
from modelux_replay.simulation.carry import Carry
from modelux_replay.simulation.simulate import Simulation, prepare
from routing_core import world
from routing_core.types import BUDGET_EXCEEDED, Outcome, Request, Target

CAP = 1_000_000_000
SINGLE = {"strategy": "single", "model": MINI}
GPT4O = Target(STRONG, "openai", "pc_openai_1")


def budget(action: str = "block", **fields: object) -> bytes:
    given = {"scope": "organization", "cap_nano": CAP, "action": action, **fields}
    return Budget(id="bud_1", organization_id=ORGANIZATION, name="runs", **given).SerializeToString()  # type: ignore[arg-type]


def log(count: int, configs: tuple[str, ...] = ("single",), cap_nano: int = CAP) -> list[RequestCompleted]:
    """Every request under a budget that fills up, with this cap."""
    events = list(Maker(count, configs=configs, budget_every=1, down=(), prices=()).events())
    for event in events:
        trace = json.loads(event.trace_json)
        trace["saw"]["budgets"] = [{**each, "cap_usd": cap_nano / 1e9} for each in trace["saw"]["budgets"]]
        event.trace_json = json.dumps(trace, separators=(",", ":")).encode()
    return events


def replayed(plan: Plan, rows: pa.Table, size: int = 10_000, weight: float = 1.0) -> list[dict[str, object]]:
    """All rows in order, in batches of a size, each by a simulator of its own."""
    state, found = b"", []
    for start in range(0, len(rows), size):
        table, state = Simulation(plan).in_order(rows.slice(start, size), state, weight)
        found += table.to_pylist()
    return found


def budgeted(plan: Plan, *budgets: bytes) -> Plan:
    return replace(plan, budgets=budgets or (budget("downgrade", downgrade_to=MINI),))


@pytest.mark.parametrize("slug", CONFIGS)
def test_the_unchanged_version_meets_the_budgets_that_were(slug: str) -> None:
    events = list(Maker(120, configs=[slug], budget_every=1).events())
    rows = rows_of(events)
    plan = plan_for(CONFIGS[slug], events, slug=slug)
    found = replayed(budgeted(plan), rows)
    assert [row["reproduced"] for row in found] == [True] * len(found)
    plain = Simulation(plan)(rows, 0)
    places = plain.drop_columns(["row"])
    assert [{k: v for k, v in row.items() if k != "row"} for row in found] == places.to_pylist()


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 60))
def test_batches_change_nothing(size: int) -> None:
    events = log(60)
    plan, rows = budgeted(plan_for(SINGLE, events)), rows_of(events)
    whole = replayed(plan, rows)
    drop = [{k: v for k, v in row.items() if k != "row"} for row in replayed(plan, rows, size)]
    assert drop == [{k: v for k, v in row.items() if k != "row"} for row in whole]


def test_a_cheaper_candidate_leaves_more_of_the_budget() -> None:
    events = log(100)
    plan, rows = plan_for(SINGLE, events), rows_of(events)
    found = replayed(budgeted(plan), rows)
    spent = [json.loads(row["trace"])["saw"]["budgets"][0]["spent_usd"] for row in found]  # type: ignore[arg-type]
    logged = [json.loads(event.trace_json)["saw"]["budgets"][0]["spent_usd"] for event in events]
    saved = 0
    for row, now, before in zip(found, spent, logged, strict=True):
        assert now == pytest.approx(max(0.0, before - saved / 1e9), abs=1e-9)
        saved += row["baseline_cost_nano"] - row["candidate_cost_nano"]  # type: ignore[operator]
    twice = replayed(budgeted(plan), rows, weight=2.0)
    again = json.loads(twice[1]["trace"])["saw"]["budgets"][0]["spent_usd"]  # type: ignore[arg-type]
    assert logged[1] - again == pytest.approx(min(logged[1], 2 * (logged[1] - spent[1])), abs=1e-9)


def test_a_dearer_candidate_is_downgraded_and_denied_sooner() -> None:
    events = [event for event in log(200, ("fallback",)) if event.outcome == "ok"]
    plan, rows = plan_for({"strategy": "single", "model": STRONG}, events), rows_of(events)
    as_logged, carried = Simulation(plan)(rows, 0).to_pylist(), replayed(budgeted(plan), rows, weight=5_000.0)
    asked = [sum(row["candidate_model"] == STRONG for row in found) for found in (as_logged, carried)]
    assert asked[1] < asked[0]
    denied = [row for row in replayed(budgeted(plan, budget()), rows, weight=50_000.0) if _denied(row)]
    assert denied
    assert all(row["candidate_cost_nano"] == 0 for row in denied)


@settings(max_examples=8, deadline=None)
@given(st.integers(CAP, 20 * CAP), st.integers(0, 20 * CAP))
def test_a_higher_cap_never_blocks_more_of_like_requests(cap: int, more: int) -> None:
    counts = []
    for each in (cap, cap + more):
        carry, denied = Carry([budget(cap_nano=each)], "proj_made"), 0
        for number in range(40):
            request = Request(f"req_{number}", "proj_made", key_id="key_1")
            purse = carry.purse(request, (world.Budget("bud_1", each, CAP // 2 + number, "runs"),))
            left = purse.left(GPT4O)
            assert left is not None
            fits = left >= CAP
            denied += not fits
            carry.add(request, [Outcome(GPT4O, "ok", cost_nano=CAP if fits else 0)], [], 1.0)
        counts.append(denied)
    assert counts[1] <= counts[0]


@pytest.mark.parametrize("size", [30, 50])
def test_units_leave_what_must_follow_in_order(size: int) -> None:
    """Rows under budgets, one in ten, follow those of units before; the rest come at once: all rows, in any units."""
    events = list(Maker(120, configs=["single"]).events())
    plan, rows = budgeted(plan_for(SINGLE, events)), rows_of(events)
    found, state = [], b""
    with shared(plan) as path:
        for start in range(0, len(rows), size):
            unit = Unit(prepare, path, partial(rows.slice, start, size), start, 1.0, {}, ordered=True)
            done = run_unit(unit)
            after, state = run_left(unit, done.left, state)
            assert (done.rows + after.rows, after.left) == (len(rows.slice(start, size)), b"")
            found += [pa.ipc.open_stream(stream).read_all() for each in (done, after) for _, stream in each.streams]
    whole = {row["row"]: row for table in found for row in table.to_pylist()}
    assert [whole[place]["request_id"] for place in range(120)] == rows.column("request_id").to_pylist()
    budgets = [place for place, row in whole.items() if '"budgets":[]' not in str(row["trace"])]
    assert sorted(budgets) == list(range(0, 120, 10))
    alone = replayed(plan, rows.take(sorted(budgets)))
    told = [row["trace_head"] + row["trace"] for row in (whole[place] for place in sorted(budgets))]
    assert told == [row["trace"] for row in alone]


def test_each_value_has_its_own_account_and_a_new_window_starts_anew() -> None:
    rule = budget(scope="tag", scope_key="run_id", each=True)
    carry = Carry([rule], "proj_made")

    def met(run: str, spent_nano: int) -> int:
        request = Request("req", "proj_made", tags={"run_id": run}, key_id="key_1")
        (found,) = carry.purse(request, (world.Budget("bud_1", CAP, spent_nano),)).budgets
        carry.add(request, [Outcome(GPT4O, "ok", cost_nano=100)], [Outcome(GPT4O, "ok", cost_nano=30)], 1.0)
        return found.spent_nano - spent_nano

    assert [met("a", 1_000), met("b", 1_000), met("a", 1_030), met("a", 1_060)] == [0, 0, 70, 140]
    carry = Carry([rule], "proj_made", carry.state)
    assert [met("b", 1_030), met("a", 10), met("a", 40)] == [70, 0, 70]


def _denied(row: dict[str, object]) -> bool:
    return row["candidate_error_code"] == BUDGET_EXCEEDED
