"""The simulation of rows that the engine logged: what was is reproduced, the rest projected, and each told apart."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_log import (
    CONFIGS,
    CREDENTIALS,
    DAY_US,
    FLASH,
    HAIKU,
    MINI,
    PROJECT,
    START_US,
    STRONG,
    Maker,
    calls_of,
    plan_for,
    rows_of,
)

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_replay.plan import CALLS, RESULTS
from modelux_replay.pool import split_traces, stream_of
from modelux_replay.simulation import stored
from modelux_replay.simulation.logged import look_back
from modelux_replay.simulation.requests import read_batch
from modelux_replay.simulation.simulate import Simulation, prepare
from modelux_replay.simulation.telling import tell
from modelux_replay.simulation.traces import budgets_of, health_of, lists, outcomes_of, read_trace
from routing_core.flow import Candidate
from routing_core.replay import recorded_outcomes, world_from
from routing_core.trace import from_json
from routing_core.types import Target

Row = dict[str, object]

EVENTS = list(Maker(900).events())
DOWN = Maker(600, days=0.5, configs=["single"], down=[("anthropic", START_US, START_US + DAY_US // 8)])


def simulated(candidate: object, events: list[RequestCompleted], slug: str = "", **changed: object) -> list[Row]:
    """The results of a log of its own."""
    found: list[Row] = prepare(plan_for(candidate, events, slug=slug))(rows_of(events, **changed), 0).to_pylist()
    return found


def traces(rows: list[Row]) -> list[dict[str, object]]:
    return [json.loads(row["trace"]) for row in rows]  # type: ignore[arg-type]  # bytes


@pytest.mark.parametrize("slug", CONFIGS)
def test_the_unchanged_version_is_what_was_logged(slug: str) -> None:
    events = list(Maker(240, configs=[slug]).events())
    rows = simulated(CONFIGS[slug], events, slug)
    assert [row["reproduced"] for row in rows] == [True] * len(rows)
    assert {row["evidence"] for row in rows} == {"reused"}
    for name in ("model", "provider", "cost_nano", "latency_us", "ttft_us", "status", "input_tokens", "output_tokens"):
        assert [row[f"candidate_{name}"] for row in rows] == [row[f"baseline_{name}"] for row in rows], name
    for row, event in zip(rows, events, strict=True):
        trace = json.loads(str(row["trace"], "utf-8"))  # type: ignore[call-overload]  # bytes
        sources = trace.pop("sources")
        logged = json.loads(event.trace_json)
        trace.pop("saw"), logged.pop("saw")
        assert trace == logged
        assert sources == ["reused"] * len(logged["attempts"])


def test_a_version_that_decides_otherwise_is_noticed() -> None:
    events = list(Maker(50, configs=["fallback"], budget_every=0).events())
    plan = plan_for(CONFIGS["single"], events)
    other = tuple(replace(each, policy_json=b'"gpt-4o"') if each.slug == "fallback" else each for each in plan.versions)
    gone = tuple(each for each in plan.versions if each.slug != "fallback")
    for versions in (other, gone):
        found = prepare(replace(plan, versions=versions))(rows_of(events), 0)
        assert set(found.column("reproduced").to_pylist()) == {False}


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2**32), st.sampled_from(["fallback", "cascade", "latency_optimized"]))
def test_equal_seeds_give_equal_bytes_in_any_batches(size: int, seed: int, slug: str) -> None:
    events = EVENTS[:400]
    rows, plan = rows_of(events), plan_for(CONFIGS[slug], events, seed=seed)
    shuffled = replace(plan, calls=plan.calls.take(pa.array(range(len(plan.calls) - 1, -1, -1))))
    whole = prepare(plan)(rows, 0)
    starts = range(0, len(rows), size)
    again, other = prepare(plan), prepare(shuffled)
    parts = {start: (again, other)[place % 2](rows.slice(start, size), start) for place, start in enumerate(starts)}
    joined = pa.concat_tables([parts[start] for start in starts])
    assert stream_of(joined.combine_chunks()) == stream_of(whole.combine_chunks())


def test_another_seed_draws_otherwise() -> None:
    one, other = (prepare(plan_for(CONFIGS["fallback"], EVENTS, seed=seed))(rows_of(EVENTS), 0) for seed in (1, 2))
    assert one.column("candidate_latency_us") != other.column("candidate_latency_us")
    assert one.column("baseline_latency_us") == other.column("baseline_latency_us")


def test_an_outage_is_met_as_it_came() -> None:
    """Nobody logged asked Anthropic but a few: their calls tell of the outage, and the candidate falls back in it."""
    probes = list(Maker(600, seed=3, days=0.5, configs=["fallback"], down=DOWN.down).events())
    events = list(DOWN.events())
    plan = replace(plan_for(CONFIGS["fallback"], events), calls=calls_of([*events, *probes]))
    rows = prepare(plan)(rows_of(events), 0).to_pylist()
    inside = [row for row in rows if row["started_at"].timestamp() * 1e6 < START_US + DAY_US // 8 - 3.6e9]
    after = [row for row in rows if row["started_at"].timestamp() * 1e6 > START_US + DAY_US // 8 + 3.6e9]
    assert {row["candidate_model"] for row in inside} <= {MINI, FLASH}
    assert sum(row["candidate_model"] == HAIKU for row in after) > 0.9 * len(after)
    tried = [attempt["outcome"] for trace in traces(inside) for attempt in trace["attempts"]]  # type: ignore[attr-defined]
    assert "ok" in tried
    reasons = {str(trace["selection_reason"]) for trace in traces(inside)}
    assert any("503" in reason or "circuit open" in reason for reason in reasons)
    assert all(row["candidate_status"] == "ok" for row in inside + after if row["candidate_attempts"])


def test_costs_follow_the_price_of_the_moment() -> None:
    events = [event for event in Maker(400, configs=["single"], budget_every=0).events() if event.outcome == "ok"]
    rows = simulated({"strategy": "single", "model": MINI}, events)
    change = Maker(1).prices[0].effective_from_ms / 1000
    for row in rows:
        if row["candidate_status"] == "ok" and row["candidate_attempts"] == 1:
            dear = row["started_at"].timestamp() >= change  # type: ignore[attr-defined]
            into, out = (200, 800) if dear else (150, 600)
            exact = int(str(row["baseline_input_tokens"])) * into + int(str(row["baseline_output_tokens"])) * out
            assert row["candidate_cost_nano"] == exact
    assert {row["evidence"] for row in rows} == {"projected"}


def test_a_cascade_lies_between_never_and_always_escalating() -> None:
    events = [event for event in EVENTS if event.outcome == "ok"]
    first, last = {"model": FLASH, "confidence": {"no_refusal": True}}, {"model": STRONG}
    rows = simulated({"strategy": "cascade", "attempts": [first, last]}, events)
    wide = [row for row in rows if row["candidate_cost_low_nano"] != row["candidate_cost_high_nano"]]
    assert len(wide) > 0.9 * len(rows)
    for row in rows:
        low, cost, high = (int(str(row[f"candidate_cost{part}_nano"])) for part in ("_low", "", "_high"))
        assert low <= cost <= high
        assert cost in (low, high), "two steps: it escalates or it does not"
    escalated = sum(row["candidate_model"] == STRONG for row in wide) / len(wide)
    assert 0.4 < escalated < 0.6
    assert b'"answer":{' not in b"".join(row["trace"] for row in wide), "nobody read these answers"  # type: ignore[misc]


def test_a_logged_cascade_knows_its_answers() -> None:
    events = list(Maker(200, configs=["cascade"], budget_every=0).events())
    rows = simulated(CONFIGS["cascade"], events)
    assert all(row["candidate_cost_low_nano"] == row["candidate_cost_high_nano"] for row in rows)
    assert {row["candidate_model"] for row in rows} == {MINI, STRONG}


def test_budgets_downgrade_the_candidate_as_they_stood() -> None:
    events = list(Maker(400, configs=["fallback"], budget_every=2).events())
    rows = simulated({"strategy": "single", "model": STRONG}, events)
    poor = [row for row, trace in zip(rows, traces(rows), strict=True) if trace["path"]]
    assert 0.05 * len(rows) < len(poor) < 0.2 * len(rows)
    assert {row["candidate_model"] for row in poor} <= {MINI, ""}


def test_imported_rows_need_no_trace() -> None:
    events = [event for event in Maker(200, configs=["single"], budget_every=0).events() if event.outcome == "ok"]
    imported = {
        "source": "openai",
        "trace": b"",
        "latency_us": 0,
        "ttft_us": None,
        "credential_id": "",
        "config_slug": "",
    }
    same = simulated({"strategy": "single", "model": STRONG}, events, **imported)
    assert {
        (row["evidence"], row["reproduced"], row["candidate_latency_us"])
        for row in same
        if row["candidate_attempts"] == 1
    } == {("reused", None, None)}
    assert {row["baseline_latency_us"] for row in same} == {None}
    other = simulated({"strategy": "single", "model": MINI}, events, **imported)
    assert {row["evidence"] for row in other} == {"projected"}


def test_what_nobody_knows_is_said() -> None:
    events = list(Maker(60, configs=["single"], budget_every=0).events())
    plan = plan_for({"strategy": "single", "model": FLASH}, events)
    credentials = (replace(CREDENTIALS[3], models=(FLASH, "own-model")),)
    nothing = CALLS.empty_table()
    unseen = prepare(replace(plan, calls=nothing))(rows_of(events), 0).to_pylist()
    assert {(row["evidence"], row["candidate_latency_us"]) for row in unseen} == {("projected", None)}
    assert all(int(row["candidate_cost_nano"]) > 0 for row in unseen)
    own = replace(plan.candidate, policy_json=b'{"strategy":"single","model":"own-model"}')
    unpriced = prepare(replace(plan, candidate=own, credentials=credentials))(rows_of(events), 0).to_pylist()
    assert {(row["evidence"], row["candidate_cost_nano"], row["candidate_status"]) for row in unpriced} == {
        ("not_evaluable", None, "")
    }


def test_what_a_request_earned_itself_it_earns_anywhere() -> None:
    events = list(Maker(40, configs=["single"], budget_every=0).events())
    bad = {"trace": b"", "outcome": "error", "status": 413, "error_code": "context_length_exceeded", "output_tokens": 0}
    rows = simulated({"strategy": "single", "model": FLASH}, events, **bad)
    assert {(row["candidate_status"], row["candidate_error_code"]) for row in rows} == {
        ("error", "context_length_exceeded")
    }
    refused = bad | {"status": 401, "attempts": 0, "model": "", "provider": "", "cost_nano": 0}
    rows = simulated({"strategy": "single", "model": FLASH}, events, **refused)
    assert {(row["evidence"], row["candidate_status"], row["candidate_cost_nano"]) for row in rows} == {
        ("reused", "error", 0)
    }


def test_results_have_their_shape() -> None:
    found = prepare(plan_for(CONFIGS["single"], EVENTS))(rows_of(EVENTS[:3]), 41)
    assert found.schema == RESULTS
    assert found.column("row").to_pylist() == [41, 42, 43]
    assert found.column("cluster").to_pylist() == ["run_0"] * 3
    assert len(prepare(plan_for(CONFIGS["single"], EVENTS))(rows_of([]), 0)) == 0


def test_traces_of_today_are_read_as_the_core_reads_them() -> None:
    """By the quick way, which gives up silently where a shape is not what it was made for."""
    for event in EVENTS:
        stored.decode(event.trace_json)
        assert_read(event.trace_json)
    old = json.loads(EVENTS[0].trace_json)
    del old["policy_version"], old["measured"]["output_cost_usd"]
    assert_read(json.dumps(old).encode())
    assert [read_trace(text) for text in (b"", b"{}", b"{broken", b'{"other": 1}')] == [None] * 4


def assert_read(text: bytes) -> None:
    """That reading the text tells what the core's own reading does."""
    found, told = read_trace(text), from_json(text)
    assert found is not None
    world = world_from(told, {}, {})
    assert (outcomes_of(found), health_of(found)) == (recorded_outcomes(told), world.health)
    assert budgets_of(found) == world.budgets
    assert lists(found, [Candidate(target_of(each.model), each.rank, each.reason) for each in told.candidates])
    unread = {"measured": json.loads(text)["measured"]}  # the columns of the log tell it too
    assert from_json(json.dumps(json.loads(msgspec.json.encode(found)) | unread).encode()) == told


def target_of(name: str) -> Target:
    return Target(*name.rpartition(":")[::2], "")


@pytest.mark.parametrize("slug", CONFIGS)
def test_traces_are_written_as_the_core_writes_them(slug: str) -> None:
    """The quick way of `telling` against `Run.trace`, whatever the candidate."""
    simulation = Simulation(plan_for(CONFIGS[slug], EVENTS))
    batch = read_batch(rows_of(EVENTS), PROJECT, 7)
    logged = [look_back(simulation._worlds, batch, index) for index in range(len(batch))]
    routed = [index for index, each in enumerate(logged) if not each.never_routed]
    assert len(routed) > 0.9 * len(EVENTS)
    for case in simulation._run(batch, logged, routed, "drawn").values():
        told = json.loads(tell(case)[0])
        assert set(told.pop("sources")) <= {"projected", "reused"}
        trace = case.run.trace(case.ended)
        attempts = [replace(a, answer=None) if case.assumed(a.number) else a for a in trace.attempts]
        assert told == json.loads(msgspec.json.encode(replace(trace, attempts=tuple(attempts))))


_SPLIT = [
    (b'{"policy_type":"single",', b'"request_id":', b'"r"}'),
    (b'{"policy_name":"\\"request_id\\":",', b'"request_id":', b'"r"}'),
    (b'{"policy_type":"single",', b'"request_id":', b'"s","note":"\\"request_id\\":"}'),
    (b"{", b'"request_id":', b'"r"}'),
    (b"", b"", b'{"selected":"1"}'),
    (b"", b"", b""),
]
"""Traces in what they share, the mark after which a request's own part comes, and that part."""


@pytest.mark.parametrize("cases", [[each, each] for each in _SPLIT] + [_SPLIT, _SPLIT[::-1], []])
def test_what_traces_share_goes_apart(cases: list[tuple[bytes, bytes, bytes]]) -> None:
    table = pa.table({"trace": pa.array([b"".join(each) for each in cases], pa.binary()), "row": range(len(cases))})
    found = split_traces(table)
    assert found.column("trace_head").to_pylist() == [head + mark for head, mark, _ in cases]
    assert found.column("trace").to_pylist() == [own for _, _, own in cases]
    assert len(found.column("trace_head").combine_chunks().dictionary) <= len(set(cases)) + 1
