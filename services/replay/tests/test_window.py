"""How a window is cut, and what of it is replayed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_harness import NOW, START, Replay, fill, micros, requests

from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay import window
from modelux_replay.plan import CALLS, ROWS
from modelux_replay.runs import Runs
from modelux_replay.window import SLICE_ROWS, Window, share_for, slices

MINUTE_US = 60_000_000
WHOLE = Window("org", "proj", 7 * MINUTE_US + 5, 1_000 * MINUTE_US)


@given(st.lists(st.tuples(st.integers(7, 999), st.integers(1, 2 * SLICE_ROWS)), unique_by=lambda each: each[0]))
def test_slices_hold_every_row_once_in_order(minutes: list[tuple[int, int]]) -> None:
    minutes.sort()
    found = list(slices([(minute * MINUTE_US, rows) for minute, rows in minutes], WHOLE))
    assert sum(each.rows for each in found) == sum(rows for _, rows in minutes)
    edges = [edge for each in found for edge in (each.start_us, each.end_us)]
    assert edges == sorted(edges)
    if found:
        assert (edges[0], edges[-1]) == (WHOLE.start_us, WHOLE.end_us)
        assert all(before.end_us == after.start_us for before, after in pairwise(found))
    for each in found:
        inside = [
            rows for minute, rows in minutes if each.start_us <= max(minute * MINUTE_US, WHOLE.start_us) < each.end_us
        ]
        assert each.rows == sum(inside)
        assert each.rows <= SLICE_ROWS or len(inside) == 1


def test_slices_end_at_full_hours_where_they_can() -> None:
    whole = Window("org", "proj", 0, 8 * 60 * MINUTE_US)
    busy = [(minute * MINUTE_US, 40) for minute in range(8 * 60)]
    found = list(slices(busy, whole, 5_000))
    assert [each.end_us // MINUTE_US for each in found] == [120, 240, 360, 480]
    crowded = [(minute * MINUTE_US, 100) for minute in range(120)]
    assert [each.rows for each in slices(crowded, whole, 5_000)] == [5_000, 5_000, 2_000]


@given(st.integers(0, 10**9), st.integers(1, 10**7))
def test_the_share_draws_about_as_many_as_are_allowed(rows: int, most: int) -> None:
    share = share_for(rows, most)
    assert 1 <= share <= 1_000_000
    assert rows <= most or rows * share <= most * 1_000_000 or share == 1


async def test_calls_that_experiments_made_are_no_traffic(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 30))
    for source in ("experiment", "judge"):
        made = requests(acme.tenant, 30, source=source)
        for event in made:
            event.request_id = f"{event.request_id}_{source}"
        await fill(runs.analytics, made)
    whole = Window(acme.tenant.organization_id, acme.tenant.project_id, micros(START), micros(NOW))
    assert await window.count_rows(runs.analytics, whole) == window.Count(30, 0)
    (part,) = await window.read_slices(runs.analytics, whole)
    assert (part.rows, len(await window.read_rows(runs.analytics, whole, part))) == (30, 30)
    assert len(await window.read_calls(runs.analytics, whole)) == 30


async def test_filters_choose_rows(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 120))
    tenant = acme.tenant
    for wanted, rows in (
        (pb.Filter(), 120),
        (pb.Filter(model="gpt-4o", provider="openai"), 120),
        (pb.Filter(model="gpt-4o-mini"), 0),
        (pb.Filter(status="error"), 12),
        (pb.Filter(end_user_id="user-1"), 40),
        (pb.Filter(tags={"agent": "a"}), 60),
        (pb.Filter(tags={"agent": "a", "run_id": "run_0"}), 2),
        (pb.Filter(config="@production"), 0),
    ):
        chosen = Window(tenant.organization_id, tenant.project_id, micros(START), micros(NOW), wanted)
        assert (await window.count_rows(runs.analytics, chosen)).rows == rows, wanted
        parts = await window.read_slices(runs.analytics, chosen)
        tables = [await window.read_rows(runs.analytics, chosen, each) for each in parts]
        assert sum(len(table) for table in tables) == rows


async def test_rows_and_calls_come_with_their_columns_in_order(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 50))
    tenant = acme.tenant
    whole = Window(tenant.organization_id, tenant.project_id, micros(START), micros(NOW))
    (part,) = await window.read_slices(runs.analytics, whole)
    rows = await window.read_rows(runs.analytics, whole, part)
    assert rows.schema == ROWS
    assert rows.column("started_at").to_pylist() == sorted(rows.column("started_at").to_pylist())
    assert dict(rows.column("tags")[3].as_py())["agent"] == "a"
    assert rows.column("ttft_us").null_count == 50
    calls = await window.read_calls(runs.analytics, whole)
    assert (calls.schema, len(calls)) == (CALLS, 50)
    assert set(calls.column("kind").to_pylist()) == {"ok", "status"}


async def test_what_cannot_be_compared_is_counted_and_left_out(acme: Replay, runs: Runs) -> None:
    left = requests(acme.tenant, 3, outcome="cancelled", status=499)
    for number, each in enumerate(left):
        each.request_id = f"req_left_{number}"
    await fill(runs.analytics, requests(acme.tenant, 10) + left)
    tenant = acme.tenant
    whole = Window(tenant.organization_id, tenant.project_id, micros(START), micros(NOW))
    assert await window.count_rows(runs.analytics, whole) == window.Count(10, 3)
    (part,) = await window.read_slices(runs.analytics, whole)
    assert part.rows == len(await window.read_rows(runs.analytics, whole, part)) == 10


async def test_a_minute_with_many_rows_is_cut_too(acme: Replay, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "SLICE_ROWS", 10)
    events = requests(acme.tenant, 100)
    for number, event in enumerate(events):
        event.started_at_us = micros(START) + number * 20_000
    await fill(runs.analytics, events)
    tenant = acme.tenant
    whole = Window(tenant.organization_id, tenant.project_id, micros(START), micros(NOW))
    parts = await window.read_slices(runs.analytics, whole)
    assert len(parts) > 3
    found = [await window.read_rows(runs.analytics, whole, each) for each in parts]
    assert [len(table) for table in found] == [each.rows for each in parts]
    assert sum(each.rows for each in parts) == 100
