"""What an experiment would call and cost, and pilots and semantic samples that follow from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from played import COST_NANO, PlayedEmbedder
from replay_harness import Replay, fill
from responses_harness import WITH_RESPONSES, around, askable, prompt_sampler, rows_of

from modelux.embedding.v1 import embedding_pb2 as embedding
from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.runs import Runs


async def preflight(acme: Replay, **fields: Any) -> pb.PreflightResponse:
    return await acme.ask(pb.PreflightRequest(spec=acme.spec(**fields)), pb.PreflightResponse)


async def test_the_estimate_follows_the_rows_that_would_be_called(acme: Replay, runs: Runs) -> None:
    events = askable(acme, 81)
    for each in events[:21]:
        each.model = "gpt-4o-mini"
    await fill(runs.analytics, events)
    found = await preflight(acme, sample={"size": 1_000, "method": "random"}, name=None)
    assert (found.rows_in_window, found.effective_sample_size, found.calls) == (81, 81, 60)
    # The played candidate costs half of what was logged, about 2,000,000 nano-USD.
    assert found.estimated_cost_nano == pytest.approx(60 * 1_003_000, rel=0.01)
    assert found.per_call_nano == pytest.approx(1_003_000, rel=0.01)
    assert found.suggested_spend_cap_nano == 2 * found.estimated_cost_nano
    assert (found.spend_cap_nano, found.auto_cancel_ratio, found.requires_confirmation) == (50 * 10**9, 1.5, False)
    assert 0 < found.detectable_cost_percent < 50
    assert 1 < found.detectable_rate_points < 50
    assert found.embedding_cost_nano == 0
    assert any("played-1" in note for note in found.notes)
    assert any("21 of 81 rows keep the logged choice" in note for note in found.notes)
    assert not any("rows to show" in note for note in found.notes), "so large a change shows"
    twice = await preflight(acme, sample={"size": 1_000, "callUnchanged": True, "aaShare": 0.5}, name=None)
    assert twice.calls == 81
    assert twice.estimated_cost_nano == pytest.approx(81 * 2_006_000, rel=0.01)
    tight = await preflight(acme, sample={"size": 1_000}, spendCapNano=found.estimated_cost_nano)
    assert tight.requires_confirmation, "1.5 times the estimate is above the cap"


async def test_a_projected_change_that_takes_more_rows_to_show_is_told_with_their_number(
    acme: Replay, runs: Runs
) -> None:
    events = askable(acme, 80)
    for each in events[4:]:
        each.model = "gpt-4o-mini"
    await fill(runs.analytics, events)
    found = await preflight(acme, sample={"size": 1_000})
    # Half of what 1 row in 20 costs is saved. A saving p in share takes 2.8 ** 2 * (1 - p) / p rows.
    assert any(note.endswith("change by -2.5 %, which takes about 150 rows to show.") for note in found.notes)
    assert found.detectable_cost_percent > 2.5


async def test_an_endpoint_that_scores_is_paid_beside_the_cap(
    acme: Replay, runs: Runs, embedder: PlayedEmbedder
) -> None:
    model = "text-embedding-3-small"
    embedder.described = embedding.DescribeResponse(embedder=model, charged_model=model, groups=True)
    await fill(runs.analytics, askable(acme, 100))
    found = await preflight(acme, sample={"size": 1_000})
    # About 55 tokens of each answer, at $0.02 a million.
    assert found.embedding_cost_nano == pytest.approx(100 * 110 * 20, rel=0.05)
    assert any("outside of the spend cap" in note for note in found.notes)


async def test_what_cannot_be_asked_again_is_told(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 30, request_body=b""))
    found = await preflight(acme, sample={"size": 1_000})
    assert (found.rows_in_window, found.effective_sample_size, found.calls) == (30, 0, 0)
    assert found.suggested_spend_cap_nano == 50_000_000
    assert any("30 requests of the window cannot be asked again" in note for note in found.notes)


async def test_a_semantic_sample_covers_each_topic(acme: Replay, runs: Runs, embedder: PlayedEmbedder) -> None:
    await acme.tenant("UpdateProject", id=acme.tenant.project_id, experiment_sample_min=10)
    events = askable(acme, 200)
    for place, each in enumerate(events):
        text = "tax of 2025" if place % 50 == 0 else "weather today"
        each.request_body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    await fill(runs.analytics, events)
    made = await acme.create(**{**WITH_RESPONSES, "sample": {"size": 50, "method": "semantic"}})
    async with around(runs, prompt_sampler(runs)):
        await runs.run(made.id)
    rows = await rows_of(runs, made.id)
    assert len(rows) == 50
    assert sorted(row["row"] for row in rows if row["stratum"] == "topic 1") == [0, 50, 100, 150]
    assert sum(row["weight"] for row in rows) == pytest.approx(200)
    embedder.described = embedding.DescribeResponse(embedder="lexical-1", groups=False)
    problem = await acme.create_refused(**{**WITH_RESPONSES, "sample": {"size": 50, "method": "semantic"}})
    assert (problem.status, problem.code, problem.errors[0]["field"]) == (422, "extra_missing", "sample.method")


async def test_a_pilot_calls_some_rows_and_the_replay_projects_the_others(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 300))
    fields = {"pilot": {"size": 20}, "spendCapNano": 50_000_000}
    told = await preflight(acme, **fields)
    assert (told.effective_sample_size, told.calls) == (300, 20)
    assert 20 * 900_000 < told.estimated_cost_nano < 20 * 1_200_000
    made = await acme.create(**fields)
    sampler = prompt_sampler(runs)
    async with around(runs, sampler):
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, found.rows_done) == ("completed", 300)
    assert len(sampler.called) == 20
    learned = sum(row % 10 != 9 for _, row, _ in sampler.called)  # every tenth request failed: it has no tokens
    assert json.loads(found.summary_json)["pilot"] == {"asked": 20, "answered": learned, "stopped_early": None}
    projection = json.loads(found.summary_json)["projection"]
    assert (projection["evidence"], projection["pairs"], projection["rows"]) == ("pilot", learned, 300)
    assert found.spent_nano == 20 * COST_NANO
    assert {row["evidence"] for row in await rows_of(runs, made.id)} == {"projected"}
