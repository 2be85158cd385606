"""What the log teaches of models' tokens: earlier experiments' calls, and batches of live splits."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from config_harness import Installation, Tenant
from replay_harness import NOW, START, fill, micros, requests

from modelux_replay.learned.calibration import Ratios, stratum
from modelux_replay.learned.history import BATCHES, SMALLEST, Asking, live_pairs, read_history, splits_of
from modelux_replay.plan import Document
from modelux_replay.window import Window
from modelux_store.analytics import Analytics

Row = dict[str, Any]
TENANT = Tenant(cast(Installation, None), "", "org_1", "proj_1")
"""Only its ids are read."""


def arm(name: str, model: str, count: int, tokens: float, **changed: object) -> list[Row]:
    rng = np.random.default_rng(len(name))
    own = {"version": "production:3", "arm": name, "model": model, "stratum": ""}
    return [
        own | {"request_id": f"{name}_{n}", "input_tokens": 100, "output_tokens": int(rng.poisson(tokens))} | changed
        for n in range(count)
    ]


def test_two_arms_teach_both_ratios() -> None:
    table = live_pairs(pa.Table.from_pylist([*arm("a", "x", 600, 100), *arm("bb", "y", 200, 150)]))
    assert len(table) == 2 * BATCHES
    learned = Ratios.of(None, table, 1).learned
    assert learned["x", "y"].output_ratio == pytest.approx(1.5, rel=0.03)
    assert learned["y", "x"].output_ratio == pytest.approx(1 / 1.5, rel=0.03)
    assert learned["x", "y"].source == "live"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(arm("a", "x", 50, 9) + arm("b", "x", 50, 9), id="one model in both arms"),
        pytest.param(arm("a", "x", 50, 9), id="one arm"),
        pytest.param(arm("a", "x", SMALLEST - 1, 9) + arm("b", "y", 50, 9), id="too few answers"),
        pytest.param(arm("a", "x", 50, 9) + arm("b", "y", 50, 9, version="other:1"), id="of two versions"),
        pytest.param(arm("a", "x", 50, 9) + arm("b", "y", 50, 9, stratum="tools"), id="of two kinds"),
        pytest.param(arm("a", "x", 30, 9) + arm("a", "z", 20, 9) + arm("b", "y", 50, 9), id="an arm of two models"),
    ],
)
def test_only_like_answers_make_pairs(rows: list[Row]) -> None:
    assert len(live_pairs(pa.Table.from_pylist(rows))) == 0


def test_batches_are_of_a_stratum_and_share_by_its_size() -> None:
    rows = [*arm("a", "x", 300, 100, stratum="big"), *arm("a", "x", 100, 100, stratum="small")]
    rows += [*arm("b", "y", 300, 100, stratum="big"), *arm("b", "y", 100, 100, stratum="small")]
    strata = live_pairs(pa.Table.from_pylist(rows)).column("stratum").to_pylist()
    assert (strata.count("big"), strata.count("small")) == (60, 20)


def test_the_order_of_answers_changes_nothing() -> None:
    rows = [*arm("a", "x", 300, 100), *arm("b", "y", 200, 150)]
    assert live_pairs(pa.Table.from_pylist(rows)) == live_pairs(pa.Table.from_pylist(rows[::-1]))


def test_splits_are_told_by_their_documents() -> None:
    texts = {"a": b'{"strategy":"ab_test","split":[]}', "b": b'{"strategy":"single","model":"x"}', "c": b'"@a"'}
    assert splits_of([Document(name, 2, text) for name, text in texts.items()]) == ("a:2",)


def called(number: int, **changed: object) -> Row:
    """A row of an earlier experiment."""
    tokens = {
        f"{side}_{kind}_tokens": 100 + number for side in ("baseline", "candidate") for kind in ("input", "output")
    }
    statuses = {"baseline_status": "ok", "candidate_status": "ok", "evidence": "observed", "candidate_attempts": 1}
    models = {"baseline_model": "gpt-4o", "candidate_model": "gpt-4o-mini", "candidate_latency_us": 5, "row": number}
    own = {"experiment_id": "sim_1", "organization_id": "org_1", "project_id": "proj_1", "started_at": micros(START)}
    return (
        own
        | {"request_id": f"req_{number}", "written_at": micros(START) // 1000}
        | tokens
        | statuses
        | models
        | changed
    )


async def write(analytics: Analytics, rows: list[Row]) -> None:
    await analytics.insert("experiment_rows", {name: [row[name] for row in rows] for name in rows[0]})


async def read(analytics: Analytics, *splits: str) -> pa.Table:
    asking = Asking("sim_5", micros(NOW), "agent", splits)
    return await read_history(analytics, Window("org_1", "proj_1", micros(START), micros(NOW)), asking)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"experiment_id": "sim_5"}, id="of the experiment itself"),
        pytest.param({"project_id": "proj_2"}, id="of another project"),
        pytest.param({"evidence": "projected"}, id="not called"),
        pytest.param({"candidate_status": "error"}, id="failed"),
        pytest.param({"baseline_status": "error"}, id="failed when it was logged"),
        pytest.param({"candidate_attempts": 2}, id="of several attempts"),
        pytest.param({"candidate_model": "gpt-4o"}, id="of the same model"),
        pytest.param({"written_at": micros(NOW) // 1000 + 1}, id="of later"),
    ],
)
async def test_earlier_experiments_calls_are_read(analytics: Analytics, changed: Row) -> None:
    await write(analytics, [called(1), called(2), called(3, **changed)])
    found = await read(analytics)
    assert sorted(found.column("request_id").to_pylist()) == ["req_1", "req_2"]
    assert set(found.column("source").to_pylist()) == {"history"}
    assert found.column("candidate_output_tokens").to_pylist() == found.column("baseline_input_tokens").to_pylist()


async def test_strata_are_those_of_the_log(analytics: Analytics) -> None:
    (event,) = requests(TENANT, 1, needs=["tools", "json"])
    await fill(analytics, [event])
    await write(analytics, [called(1, request_id=event.request_id, started_at=event.started_at_us), called(2)])
    table = await read(analytics)
    found = dict(zip(table.column("request_id").to_pylist(), table.column("stratum").to_pylist(), strict=True))
    assert found == {event.request_id: stratum({"json", "tools"}, event.tags["agent"]), "req_2": ""}


async def test_arms_of_live_splits_are_read(analytics: Analytics) -> None:
    trace = b'{"path":[{"policy_type":"ab_test","chose":"%s"}]}'
    split = {"config_slug": "production", "config_version": 3, "policy_type": "single"}
    events = requests(TENANT, 400, **split)
    for number, event in enumerate(events):
        arm_name, model = (b"current", "gpt-4o") if number % 4 < 2 else (b"candidate", "gpt-4o-mini")
        event.trace_json, event.model = trace % arm_name, model
    await fill(analytics, events)
    assert len(await read(analytics)) == len(await read(analytics, "production:4")) == 0
    found = Ratios.of(None, await read(analytics, "production:3"), 1).learned
    assert {route: learned.source for route, learned in found.items()} == {
        ("gpt-4o", "gpt-4o-mini"): "live",
        ("gpt-4o-mini", "gpt-4o"): "live",
    }
