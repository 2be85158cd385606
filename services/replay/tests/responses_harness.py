"""What tests of experiments with responses have in common: logged chats, and everybody around a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from played import Sampler
from replay_harness import Replay, requests

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux.replay.v1 import replay_pb2 as pb
from modelux_bus.consume import consume
from modelux_contracts.topics import EXPERIMENT_RESULTS, EXPERIMENT_SCORES, partitions
from modelux_ingest.experiments import ResultsWriter
from modelux_replay.consumer import Scores
from modelux_replay.runs import Runs
from modelux_runtime.calls import call

CAP_NANO = 5_000_000
WITH_RESPONSES: Mapping[str, Any] = {
    "mode": "with_responses",
    "sample": {"size": 1_000, "method": "random"},
    "spendCapNano": CAP_NANO,
}
BODY = json.dumps({"messages": [{"role": "user", "content": "hello there"}]}).encode()


def askable(replay: Replay, count: int, **fields: Any) -> list[RequestCompleted]:
    """Requests whose bodies the log kept."""
    return requests(replay.tenant, count, **{"request_body": BODY, "response_body": b"{}"} | fields)


@asynccontextmanager
async def around(runs: Runs, sampler: Sampler) -> AsyncIterator[None]:
    """Everybody but the run itself: who calls, who keeps scores, who writes results."""
    await runs.bus.ensure(partitions())
    handlers = {EXPERIMENT_SCORES.name: Scores(runs.pairs).handle}
    results = {EXPERIMENT_RESULTS.name: ResultsWriter(runs.analytics).handle}
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(sampler.work()),
            group.create_task(consume(runs.bus, "replay", handlers, max_wait_s=0.05)),
            group.create_task(consume(runs.bus, "ingest", results, max_wait_s=0.05)),
        ]
        yield
        for task in tasks:
            task.cancel()


def prompt_sampler(runs: Runs, **fields: Any) -> Sampler:
    """One that answers at once."""
    sampler = Sampler(runs.bus, **fields)
    sampler.go_on.set()
    return sampler


async def rows_of(runs: Runs, identifier: str) -> list[dict[str, Any]]:
    """The rows that the log has of an experiment, in order."""
    query = "SELECT * EXCEPT (written_at) FROM experiment_rows FINAL WHERE experiment_id = {id:String} ORDER BY row"
    return await runs.analytics.rows(query, {"id": identifier})


async def may_call(acme: Replay, identifier: str) -> bool:
    asked = pb.MayCallRequest(organization_id=acme.tenant.organization_id, experiment_id=identifier)
    return (await call(acme.channel, "modelux.replay.v1.ReplayService", asked, pb.MayCallResponse)).may_call
