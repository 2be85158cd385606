"""Rows of experiments: orders, filters, cursors, and how alike answers are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modelux_store.analytics import Analytics
from modelux_store.experiments import SORTS, ExperimentRows, ReplayedRow, RowFilter, Sort
from modelux_store.logs import InvalidCursor
from modelux_store.migrate import migrate_clickhouse

WANTED = RowFilter("org_1", "sim_1")
SIMILARITY = [0.95, None, 0.1, 1.0, 0.85, None, 0.8499999, 0.0, 0.5, 0.5]
COST = [10, 20, None, 5, 10, 40, 30, 0, 7, 9]
"""Of the candidate; the baseline's is 10."""


@pytest.fixture
async def rows(analytics: Analytics) -> ExperimentRows:
    await migrate_clickhouse(analytics)
    count = len(COST)
    columns: dict[str, Sequence[object]] = {
        "experiment_id": ["sim_1"] * count,
        "organization_id": ["org_1"] * count,
        "project_id": ["proj_1"] * count,
        "row": list(range(count)),
        "request_id": [f"req_{number}" for number in range(count)],
        "evidence": ["projected" if cost is not None else "not_evaluable" for cost in COST],
        "baseline_cost_nano": [10] * count,
        "candidate_cost_nano": COST,
        "candidate_status": ["error" if number == 3 else "ok" for number in range(count)],
        "candidate_model": ["a" if number % 2 else "b" for number in range(count)],
        "cluster": ["run_1" if number < 4 else "" for number in range(count)],
        "similarity": SIMILARITY,
        "weight": [1.0] * count,
        "trace": [b'{"selected":"a"}'] * count,
    }
    await analytics.insert("experiment_rows", columns)
    other = {name: values[:1] for name, values in columns.items()}
    await analytics.insert("experiment_rows", other | {"organization_id": ["org_2"], "experiment_id": ["sim_2"]})
    return ExperimentRows(analytics, b"key")


async def everything(rows: ExperimentRows, wanted: RowFilter, sort: Sort, limit: int = 3) -> list[ReplayedRow]:
    """All pages, one after the other."""
    found: list[ReplayedRow] = []
    page = await rows.page(wanted, sort, limit=limit)
    found += page.rows
    while page.next_cursor is not None:
        page = await rows.page(wanted, sort, limit=limit, cursor=page.next_cursor)
        found += page.rows
    return found


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("similarity_asc", [7, 2, 8, 9, 6, 4, 0, 3, 1, 5]),
        ("similarity_desc", [3, 0, 4, 6, 8, 9, 2, 7, 1, 5]),
        ("cost_delta_asc", [7, 3, 8, 9, 0, 4, 1, 6, 5, 2]),
        ("cost_delta_desc", [5, 6, 1, 0, 4, 9, 8, 3, 7, 2]),
        ("timestamp_asc", list(range(10))),
        ("timestamp_desc", list(range(9, -1, -1))),
    ],
)
async def test_every_order_runs_through_its_pages(rows: ExperimentRows, sort: Sort, order: list[int]) -> None:
    """What has no value comes last; equal ones go by their place."""
    assert [row.row for row in await everything(rows, WANTED, sort)] == order


def test_every_order_is_tested() -> None:
    assert len(SORTS) == 6


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        pytest.param({"candidate_status": "error"}, [3], id="status"),
        pytest.param({"evidence": "not_evaluable"}, [2], id="evidence"),
        pytest.param({"candidate_model": "b"}, [0, 2, 4, 6, 8], id="model"),
        pytest.param({"run": "run_1"}, [0, 1, 2, 3], id="run"),
        pytest.param({"min_similarity": 0.0}, [0, 2, 3, 4, 6, 7, 8, 9], id="scored"),
        pytest.param({"min_similarity": 0.85}, [0, 3, 4], id="alike"),
        pytest.param({"max_similarity": 0.5, "candidate_status": "ok"}, [2, 7, 8, 9], id="unlike"),
        pytest.param({"experiment_id": "sim_2"}, [], id="another organization's"),
    ],
)
async def test_filters(rows: ExperimentRows, changes: dict[str, object], order: list[int]) -> None:
    wanted = RowFilter(**{"organization_id": "org_1", "experiment_id": "sim_1", **changes})  # type: ignore[arg-type]
    assert [row.row for row in await everything(rows, wanted, "timestamp_asc", 100)] == order


async def test_a_cursor_belongs_to_its_list(rows: ExperimentRows) -> None:
    cursor = (await rows.page(WANTED, "timestamp_asc", limit=2)).next_cursor
    assert cursor is not None
    for wanted, sort, tampered in (
        (WANTED, "timestamp_desc", cursor),
        (RowFilter("org_1", "sim_1", run="run_1"), "timestamp_asc", cursor),
        (WANTED, "timestamp_asc", "x" + cursor[1:]),
        (WANTED, "timestamp_asc", "ü"),
        (WANTED, "timestamp_asc", "AAAA"),
    ):
        with pytest.raises(InvalidCursor):
            await rows.page(wanted, sort, cursor=tampered)  # type: ignore[arg-type]  # a literal of the table
    with pytest.raises(InvalidCursor):
        await ExperimentRows(rows._analytics, b"other key").page(WANTED, "timestamp_asc", cursor=cursor)


async def test_scores(rows: ExperimentRows) -> None:
    found = await rows.scores("org_1", "sim_1", 0.85)
    assert (found.rows, found.scored, found.agreeing) == (10, 8, 3)
    assert found.mean == pytest.approx(sum(each for each in SIMILARITY if each is not None) / 8)
    assert found.buckets == (1, 1, 0, 0, 0, 2, 0, 0, 2, 2)
    nothing = await rows.scores("org_2", "sim_1", 0.85)
    assert (nothing.rows, nothing.mean, sum(nothing.buckets)) == (0, None, 0)
