"""Experiments learn from each other: calls of one correct the tokens of the next, and are scores of projections."""

from __future__ import annotations

import json

from replay_harness import Clock, Replay, fill
from responses_harness import WITH_RESPONSES, around, askable, prompt_sampler

from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.runs import Runs

YEAR_US = 365 * 24 * 3600 * 1_000_000


async def test_a_replay_rests_on_the_calls_of_an_earlier_experiment(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, askable(acme, 100))
    called = await acme.create(**WITH_RESPONSES)
    async with around(runs, prompt_sampler(runs)):
        await runs.run(called.id)
        clock.us += 10 * YEAR_US  # rows are written by the clock of ClickHouse
        later = await acme.create()
        await runs.run(later.id)
    summary = json.loads((await acme.get(later.id)).summary_json)
    (route,) = summary["projection"]["routes"]
    assert (route["baseline"], route["candidate"], route["evidence"]) == ("gpt-4o", "gpt-4o-mini", "history")
    assert route["pairs"] == 90, "every tenth logged request failed"
    asked = pb.ScorecardRequest(project_id=acme.tenant.project_id)
    scores = {each.metric: each for each in (await acme.ask(asked, pb.ScorecardResponse)).entries}
    assert {each.source for each in scores.values()} == {"with_responses"}
    assert {each.experiment_id for each in scores.values()} == {called.id}
    assert {"mean_cost_usd", "error_rate"} <= set(scores)
    assert scores["mean_cost_usd"].requests == 100
