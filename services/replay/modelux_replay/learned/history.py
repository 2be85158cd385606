"""Read what a project's log teaches of models' tokens: earlier experiments' calls, and the arms of live splits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.draws import Keys, row_keys
from modelux_replay.plan import PAIRS, Document
from modelux_replay.statements import sql
from modelux_replay.window import Window
from modelux_store.analytics import Analytics

MOST = 2_000
"""Calls of a route, and answers of a split, that are read: the newest."""
BEFORE_US = 30 * 24 * 3600 * 1_000_000
"""How far before the window splits are evidence."""
BATCHES = 40
"""Into how many batches the answers of two arms are cut, together over all strata."""
SMALLEST = 3
"""Answers of an arm in a batch, at least."""
ONE_MODEL = 0.95
"""Of an arm's answers so many must come from one model for the arm to speak for it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """For which experiment. `splits`: versions (`slug:number`) that split the traffic."""

    experiment_id: str
    created_us: int
    stratum_tag: str
    splits: Sequence[str]


def splits_of(versions: Sequence[Document]) -> tuple[str, ...]:
    """Those of a plan's versions that are a split themselves."""
    told = ((each, json.loads(each.policy_json)) for each in versions)
    return tuple(
        f"{each.slug}:{each.version}"
        for each, policy in told
        if isinstance(policy, dict) and policy.get("strategy") == "ab_test"
    )


async def read_history(analytics: Analytics, window: Window, of: Asking) -> pa.Table:
    """A table of `PAIRS`, the same for the same experiment. Raises `Unavailable`."""
    values: dict[str, object] = {
        "organization_id": window.organization_id,
        "project_id": window.project_id,
        "id": of.experiment_id,
        "created_us": of.created_us,
        "start_us": window.start_us - BEFORE_US,
        "end_us": window.end_us,
        "stratum_tag": of.stratum_tag,
        "versions": list(of.splits),
        "most": MOST,
    }
    found = [await _called(analytics, values)]
    if of.splits:
        found.append(live_pairs(_read(await analytics.arrow(_sql("arms"), values))))
    return pa.concat_tables(found)


async def _called(analytics: Analytics, values: dict[str, object]) -> pa.Table:
    called = _read(await analytics.arrow(_sql("called"), values))
    columns = [pc.cast(_filled(called.column(each.name)), each.type) for each in PAIRS]
    pairs = pa.Table.from_arrays(columns, schema=PAIRS)
    if not len(pairs):
        return pairs
    ends = pc.min_max(called.column("at_us")).as_py()
    bounds = {"first_us": ends["min"], "last_us": ends["max"]}
    strata = _read(await analytics.arrow(_sql("strata"), values | bounds))
    known = dict(zip(strata.column("request_id").to_pylist(), strata.column("stratum").to_pylist(), strict=True))
    told = [known.get(name, "") for name in pairs.column("request_id").to_pylist()]
    return pairs.set_column(PAIRS.get_field_index("stratum"), "stratum", pa.array(told, pa.string()))


def live_pairs(arms: pa.Table) -> pa.Table:
    """Means of like batches of every two arms of a version, as a table of `PAIRS`.

    An arm's answers stand for the other's as requests went to either by chance; a batch's mean tells as much of the
    ratio as its answers do together. `arms`: columns `version`, `arm`, `request_id`, `model`, `stratum`, `input_tokens`
    and `output_tokens`, in any order.
    """
    found: list[dict[str, object]] = []
    for version in _by(arms, "version"):
        sides = [(model, side) for side in _by(version, "arm") if (model := _only_model(side))]
        for before, one in sides:
            for after, other in sides:
                if before != after:
                    found.extend(_batches(before, one, after, other))
    return pa.Table.from_pylist(found, PAIRS)


def _batches(before: str, one: pa.Table, after: str, other: pa.Table) -> Iterator[dict[str, object]]:
    both = len(one) + len(other)
    theirs = {stratum.column("stratum")[0].as_py(): stratum for stratum in _by(other, "stratum")}
    for mine in _by(one, "stratum"):
        name = mine.column("stratum")[0].as_py()
        if name not in theirs:
            continue
        like = theirs[name]
        share = round(BATCHES * (len(mine) + len(like)) / both)
        count = min(max(share, 1), len(mine) // SMALLEST, len(like) // SMALLEST)
        if count:
            means = zip(_means(mine, count), _means(like, count), strict=True)
            for (into_base, out_base), (into, out) in means:
                yield {
                    "source": "live",
                    "request_id": "",
                    "baseline_model": before,
                    "candidate_model": after,
                    "stratum": name,
                    "baseline_input_tokens": into_base,
                    "baseline_output_tokens": out_base,
                    "candidate_input_tokens": into,
                    "candidate_output_tokens": out,
                    "candidate_latency_us": 0.0,
                    "chance": 0.0,
                }


def _means(rows: pa.Table, count: int) -> Iterator[tuple[float, float]]:
    """Mean input and output tokens of `count` batches by the hash of the request's id."""
    keys: Keys = row_keys(0, rows.column("request_id").to_pylist())
    order = np.argsort(keys, kind="stable")
    columns: list[Floats] = [
        rows.column(f"{kind}_tokens").to_numpy().astype(np.float64)[order] for kind in ("input", "output")
    ]
    cuts: Ints = np.linspace(0, len(rows), count + 1).astype(np.int64)
    for first, last in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        yield float(columns[0][first:last].mean()), float(columns[1][first:last].mean())


def _only_model(arm: pa.Table) -> str:
    """The model that answers an arm; empty where several do."""
    models, counts = np.unique(arm.column("model").to_pylist(), return_counts=True)
    best = int(np.argmax(counts))
    return str(models[best]) if counts[best] >= ONE_MODEL * len(arm) else ""


def _by(table: pa.Table, name: str) -> Sequence[pa.Table]:
    """The rows of each value, in order of the values."""
    column = table.column(name)
    values = sorted(pc.unique(column).to_pylist())
    return [table.filter(pc.equal(column, value)) for value in values]


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else pc.fill_null(column, 0)


def _read(stream: bytes) -> pa.Table:
    return pa.ipc.open_stream(stream).read_all()


def _sql(name: str) -> str:
    return sql("history", name).replace("/* stratum */", sql("history", "stratum"))
