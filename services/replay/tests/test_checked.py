"""The simulation of rows held against their calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest
from summed_tables import Row, result

from modelux_replay.learned.checked import projection_check
from modelux_replay.learned.scorecard import METRICS, checked
from modelux_replay.plan import PAIRS, RESULTS
from modelux_replay.pool import SUMMARY_COLUMNS, stream_of


def stream(rows: Iterable[Row]) -> list[bytes]:
    """In two parts, as units tell theirs."""
    table = pa.Table.from_pylist(list(rows), RESULTS).select(SUMMARY_COLUMNS)
    return [stream_of(table.slice(0, 30)), stream_of(table.slice(30))]


def called(number: int, **changed: Any) -> Row:
    """A call that cost a tenth more than it was said to, and took as long."""
    row = result(number, "projected")
    return row | {"evidence": "observed", "candidate_cost_nano": row["candidate_cost_nano"] * 11 // 10} | changed


PROJECTED = [result(n, "projected") for n in range(200)]


def test_the_rows_that_were_projected_and_called_are_compared() -> None:
    before = [*PROJECTED, *[result(n, "reused") for n in range(200, 260)], result(260, "projected")]
    after = [*[called(n) for n in range(200)], *before[200:260], result(260, "not_evaluable")]
    found = projection_check(stream(before), stream(after), None, 1)
    assert found is not None
    rows, scores = checked({"projection_check": found})
    assert rows == 200
    assert [each.metric for each in scores] == list(METRICS)
    cost = scores[0]
    assert cost.measured.value == pytest.approx(1.1 * (cost.projected.value or 0.0), rel=0.01)
    assert cost.measured.interval.lower == cost.measured.value
    assert all(each.held for each in scores), "without calls of both models a tenth is well within doubt"


def test_what_earlier_calls_taught_narrows_what_was_said() -> None:
    columns = [
        ["history"] * 60, [f"old_{n}" for n in range(60)], ["gpt-4o"] * 60, ["gpt-4o-mini"] * 60, [""] * 60,
        [100.0 + n for n in range(60)], [50.0] * 60, [100.0 + n for n in range(60)], [50.0 + n % 2 for n in range(60)],
        [1e6] * 60, [0.0] * 60,
    ]  # fmt: skip
    history = pa.table(columns, schema=PAIRS)
    streams = stream(PROJECTED), stream([called(n) for n in range(200)])
    sure, unsure = (
        checked({"projection_check": projection_check(*streams, past, 1)})[1][0] for past in (history, None)
    )
    assert (sure.reach() or 0.0) < (unsure.reach() or 0.0) / 10
    assert (sure.held, unsure.held) == (False, True)


def test_failures_have_a_rate_and_no_cost() -> None:
    before = [result(n, "projected", candidate_status="error") for n in range(40)]
    found = projection_check(stream(before), stream([called(n, candidate_status="error") for n in range(40)]), None, 1)
    _, scores = checked({"projection_check": found})
    assert [(each.metric, each.measured.value) for each in scores] == [("error_rate", 1.0)]


def test_rows_that_were_not_called_tell_nothing() -> None:
    assert projection_check(stream(PROJECTED), stream(PROJECTED), None, 1) is None
