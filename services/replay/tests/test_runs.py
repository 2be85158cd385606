"""An experiment from its creation to its end, over the real stores."""

from __future__ import annotations

import json

import pytest
from replay_harness import Replay, fill, requests

from modelux.events.v1.experiment_pb2 import ExperimentCompleted
from modelux_bus.base import Bus
from modelux_contracts import codec
from modelux_replay.runs import Runs

pytestmark = pytest.mark.usefixtures("at_work")


async def published(bus: Bus, topic: str) -> list[bytes]:
    async with bus.subscribe("test", [topic]) as member:
        return [each.message.value for each in await member.fetch(1000, 1.0)]


async def test_a_window_is_replayed_and_summed_up(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 6_000, **{}))
    made = await acme.create()
    assert (made.status, made.rows_done) == ("pending", 0)
    ended = await acme.until(made.id, "completed", "failed")
    assert (ended.status, ended.status_reason) == ("completed", "")
    summary = json.loads(ended.summary_json)
    assert summary["baseline_summary"]["route_distribution"] == {"gpt-4o:openai": 1.0}
    assert summary["candidate_summary"]["route_distribution"] == {"gpt-4o-mini:openai": 1.0}
    assert summary["deltas"]["cost_usd"]["percent"]["value"] == pytest.approx(-50, abs=0.01)
    assert summary["sentence"].startswith("cheaper by 50")
    assert summary["coverage"]["rows_in_window"] == 6_000
    assert 4_500 < ended.rows_done < 5_500, "of a larger window as many as are allowed are drawn"
    assert summary["self_check"]["share"] == 1.0
    (row,) = await runs.analytics.rows(
        "SELECT count() AS rows, uniqExact(request_id) AS requests, max(row) AS last, any(trace) AS trace,"
        " round(sum(weight)) AS weight FROM experiment_rows FINAL WHERE experiment_id = {id:String}",
        {"id": made.id},
    )
    assert (row["rows"], row["requests"], row["last"]) == (ended.rows_done, ended.rows_done, ended.rows_done - 1)
    assert row["weight"] == 6_000
    assert str(row["trace"]).startswith("{")
    (event,) = await published(runs.bus, "experiment.completed")
    told = codec.decode(ExperimentCompleted, event)
    assert (told.experiment_id, told.status, told.coverage) == (made.id, "completed", 1.0)
    assert told.cost_delta_percent == pytest.approx(-50, abs=0.01)
