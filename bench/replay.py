"""Measure a whole replay on the real embedded stack: window read, simulation in processes, bus, ingest, rows to query.

The log is made by the engine itself: eight strategies in several configs, three providers, an outage, budgets and a
change of prices (services/replay/tests/made_log.py). The candidate is its `fallback` config. Prints one JSON line:
`rows`, `seconds` from the start of the run until a query sees every result with its trace and the experiment is
completed, `rows_per_s`, `rss_mb` at most of the largest process of the replay (`rss_mb_here`: of this one),
`identical_twice` (a second run with the same seed left the same rows), `reproduced` (share of logged decisions), and
the machine's load. Worker processes are started before, by a run over a day of the window.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "replay" / "tests"))

from made_log import CONFIGS, CREDENTIALS, DAY_US, ORGANIZATION, PROJECT, START_US, Maker

from modelux.config.v1 import snapshot_pb2 as config
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux.replay.v1 import replay_pb2 as pb
from modelux_bus.connect import open_bus
from modelux_bus.consume import consume
from modelux_contracts.ids import new_id
from modelux_contracts.topics import EXPERIMENT_RESULTS, partitions
from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_ingest.experiments import ResultsWriter
from modelux_ingest.rows import attempt_columns, request_columns
from modelux_ingest.schema import prepare as prepare_tables
from modelux_replay.called.embeddings import Embeddings
from modelux_replay.caps import Caps
from modelux_replay.experiments import Experiment, Experiments, New
from modelux_replay.pool import Pool
from modelux_replay.runs import Runs
from modelux_replay.simulation.simulate import prepare
from modelux_runtime.rpc import channel
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.migrate import migrate_postgres

DAYS = 7
CANDIDATE = "fallback"
BATCH = 5_000
SEED = 7


@asynccontextmanager
async def stack(most_rows: int) -> AsyncIterator[Runs]:
    """The stores, the bus, and ingest's part."""
    with TemporaryDirectory(prefix="mlx-bench-") as folder:
        os.chmod(folder, 0o711)
        with EmbeddedPostgres(f"{folder}/pg") as postgres, EmbeddedClickHouse(f"{folder}/ch") as clickhouse:
            bus, analytics = open_bus(postgres.url), await Analytics.open(clickhouse.url)
            database, pool = await Database.open(postgres.url), Pool(0)
            try:
                await prepare_tables(analytics, retention_days=3650)
                for schema in ("outbox", "replay"):
                    await migrate_postgres(database, schema)
                await bus.ensure(partitions())
                async with channel(f"unix:{folder}/nobody.sock") as nobody:
                    caps, embeddings = Caps(nobody, "experiment"), Embeddings(nobody)
                    yield Runs(
                        Experiments(database), analytics, bus, pool, prepare, most_rows, _now_us, caps, embeddings
                    )
            finally:
                pool.close()
                await database.close()
                await analytics.close()
                await bus.close()


async def fill(analytics: Analytics, count: int) -> None:
    """Writes the log."""
    events = Maker(count, days=DAYS).events()
    for batch in _batches(events):
        await analytics.insert("attempts", attempt_columns(batch))
        await analytics.insert("requests", request_columns(batch))


async def replay(runs: Runs, days: float) -> Experiment:
    """One experiment over the first `days` of the log, run to its end."""
    one = _experiment(round(days * DAY_US))
    made = await runs.experiments.create(New(one, None), most_at_work=1)
    await runs.run(made.id)
    return await runs.experiments.get(ORGANIZATION, made.id)


async def digest(analytics: Analytics, identifier: str) -> tuple[object, ...]:
    """What an experiment's rows say, all columns of them, and how many there are."""
    query = (
        "SELECT count() AS rows, sum(cityHash64(toString(tuple(* EXCEPT (experiment_id, written_at))))) AS hash,"
        " avg(reproduced) AS reproduced, countIf(trace = '') AS bare FROM experiment_rows FINAL"
        " WHERE experiment_id = {id:String}"
    )
    (row,) = await analytics.rows(query, {"id": identifier})
    return tuple(row.values())


async def main(count: int) -> dict[str, object]:
    async with stack(count) as runs, asyncio.TaskGroup() as group:
        await fill(runs.analytics, count)
        writer = ResultsWriter(runs.analytics)
        ingest = consume(runs.bus, "ingest", {EXPERIMENT_RESULTS.name: writer.handle}, max_wait_s=0.05)
        ingesting = group.create_task(ingest)
        await replay(runs, 1.0)
        began = time.perf_counter()
        one = await replay(runs, DAYS)
        seconds = time.perf_counter() - began
        other = await replay(runs, DAYS)
        first, second = [await digest(runs.analytics, each.id) for each in (one, other)]
        ingesting.cancel()
    rows, _, reproduced, bare = first
    if one.status != "completed" or rows != count or bare:
        raise SystemExit(f"the replay is {one.status} with {rows} rows of {count}: {one.status_reason}")
    workers, here = (resource.getrusage(who).ru_maxrss // 1024 for who in (_CHILDREN, resource.RUSAGE_SELF))
    return {
        "rows": count,
        "seconds": round(seconds, 2),
        "rows_per_s": round(count / seconds),
        "rss_mb": max(workers, here),
        "rss_mb_here": here,
        "identical_twice": first == second,
        "reproduced": reproduced,
        "load_average": round(os.getloadavg()[0], 1),
    }


_CHILDREN = resource.RUSAGE_CHILDREN


def _experiment(window_us: int) -> Experiment:
    snapshot = config.Snapshot(
        routing_configs=[
            config.RoutingConfig(
                slug=slug,
                active_version=1,
                versions=[config.RoutingConfigVersion(version=1, policy_json=json.dumps(document).encode())],
            )
            for slug, document in CONFIGS.items()
        ],
        credentials=[config.Credential(id=c.id, provider=c.provider, models=c.models) for c in CREDENTIALS],
        prices=[
            config.PriceOverride(
                id=p.id,
                provider=p.provider,
                model=p.model,
                input=p.input,
                output=p.output,
                effective_from_us=p.effective_from_ms * 1000,
            )
            for p in Maker(1).prices
        ],
    )
    return Experiment(
        id=new_id("sim_"),
        organization_id=ORGANIZATION,
        project_id=PROJECT,
        spec=pb.ExperimentSpec(name="bench", run_tag="run_id"),
        candidate_reference=f"@{CANDIDATE}:1",
        policy=json.dumps(CONFIGS[CANDIDATE]),
        configuration=snapshot.SerializeToString(),
        window_start_us=START_US,
        window_end_us=START_US + window_us,
        seed=SEED,
        status="pending",
        status_reason="",
        revision=0,
        epoch=0,
        rows_total=0,
        rows_done=0,
        created_at_us=_now_us(),
        started_at_us=0,
        finished_at_us=0,
        created_by="bench",
        summary="",
        request_hash=None,
    )


def _batches(events: Iterator[RequestCompleted]) -> Iterator[list[RequestCompleted]]:
    while batch := list(islice(events, BATCH)):
        yield batch


def _now_us() -> int:
    return time.time_ns() // 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=50_000)
    print(json.dumps(uvloop.run(main(parser.parse_args().rows))))
