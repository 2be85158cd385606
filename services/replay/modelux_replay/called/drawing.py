"""Draw the rows that an experiment calls: the same for the same seed and log, and part of every larger draw."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core import selection
from experiment_core.arrays import Floats, Ints
from experiment_core.projection import pilots
from experiment_core.projection.draws import row_keys
from modelux_replay.pool import stream_of

_MOMENT = pa.timestamp("us", "UTC")
POPULATION = pa.schema(
    [
        ("request_id", pa.string()),
        ("started_at", _MOMENT),
        ("model", pa.string()),
        ("tag", pa.string()),
        ("tokens", pa.int64()),
    ]
)
"""Requests that can be asked again, in order of (started_at, request_id)."""
DRAWN = pa.schema(
    [
        ("row", pa.uint32()),
        ("request_id", pa.string()),
        ("started_at", _MOMENT),
        ("stratum", pa.string()),
        ("weight", pa.float64()),
        ("key", pa.uint64()),
        ("asked", pa.bool_()),
        ("repeated", pa.bool_()),
    ]
)
"""Drawn rows, in order of time.

`row`: place among those that can be asked again. `weight`: for how many of them it stands. `key`: its place in the
order of calling. `asked`: the candidate is called. `repeated`: so is the logged model, once more.
"""
TOKEN_BUCKETS = (256, 1_024, 4_096, 16_384)
"""Where one bucket of input tokens ends and the next begins."""


def draw(population: pa.Table, method: str, size: int, seed: int, topics: Ints | None = None) -> pa.Table:
    """At most `size` rows of a table of `POPULATION`, as one of `DRAWN`; nothing is `asked` yet.

    `topics`: of each row's prompt, for method `semantic`; -1 for a row that is left out, which others stand for.
    """
    order = selection.keys(population.column("request_id").to_pylist(), str(seed))
    strata = None
    if method == "random":
        chosen = selection.random(order, size)
    elif method == "stratified":
        strata = _strata(population)
        chosen = selection.stratified(order, _codes(strata), size)
    else:
        assert topics is not None, "semantic samples need the topics of their prompts"
        strata, chosen = _named(topics), _semantic(order, topics, size)
    by_time = np.argsort(chosen.rows, kind="stable")
    places = chosen.rows[by_time]
    rows = population.take(pa.array(places))
    columns = {
        "row": pa.array(places.astype(np.uint32)),
        "request_id": rows.column("request_id"),
        "started_at": rows.column("started_at"),
        "stratum": pa.array([""] * len(places), pa.string()) if strata is None else strata.take(pa.array(places)),
        "weight": pa.array(1 / chosen.probability[by_time]),
        "key": pa.array(order[places]),
        "asked": pa.array(np.zeros(len(places), np.bool_)),
        "repeated": pa.array(np.zeros(len(places), np.bool_)),
    }
    return pa.table(columns).cast(DRAWN)


def draw_stream(population: bytes, method: str, size: int, seed: int, topics: Ints | None, rows: int) -> bytes:
    """`draw` on Arrow streams, for a worker process. `rows`: that the population was drawn evenly from."""
    table = pa.ipc.open_stream(population).read_all()
    table = pa.Table.from_arrays(
        [pc.cast(table.column(each.name), each.type) for each in POPULATION], schema=POPULATION
    )
    drawn = draw(table, method, size, seed, topics)
    weight = pc.multiply(drawn.column("weight"), rows / max(len(table), 1))
    return stream_of(drawn.set_column(DRAWN.get_field_index("weight"), DRAWN.field("weight"), weight), packed=True)


def again(ids: Sequence[str], share: float, seed: int) -> frozenset[int]:
    """Of rows that are asked, the places of those whose logged model is called once more: by an order of its own, so
    that more rows change nothing for those before.
    """
    order = selection.keys([f"{name} again" for name in ids], str(seed))
    return frozenset(selection.random(order, round(share * len(ids))).rows.tolist())


def pilot(ids: Sequence[str], strata: Sequence[str], cost: Floats, size: int, seed: int) -> pilots.Pilot:
    """Which of some rows a pilot calls, by how much each adds to what is not known of the candidate's total cost."""
    codes = np.unique(np.array(strata, np.str_), return_inverse=True)[1].astype(np.int64)
    return pilots.choose(size, row_keys(seed, ids), codes, cost, seed)


def _semantic(order: selection.Keys, topics: Ints, size: int) -> selection.Sample:
    """Of the rows whose topic is known; these stand for the others too."""
    known = np.flatnonzero(topics >= 0)
    found = selection.semantic(order[known], topics[known], size)
    return selection.Sample(known[found.rows], found.probability * len(known) / max(len(topics), 1))


def _strata(population: pa.Table) -> pa.Array:
    """`gpt-4o, 256-1023 tokens`, with the value of the tag between them where there is one."""
    tokens = population.column("tokens").to_numpy()
    edges = (0, *TOKEN_BUCKETS)
    ends = [*(f"{low}-{high - 1} tokens" for low, high in pairwise(edges)), f"{edges[-1]}+ tokens"]
    bucket = pa.array(ends).take(pa.array(np.searchsorted(np.array(TOKEN_BUCKETS), tokens, side="right")))
    model, tag = (population.column(name).combine_chunks() for name in ("model", "tag"))
    tagged = pc.if_else(pc.equal(tag, ""), "", pc.binary_join_element_wise(", ", tag, ""))
    return pc.binary_join_element_wise(model, tagged, ", ", bucket, "")


def _named(topics: Ints) -> pa.Array:
    return pa.array([f"topic {code}" if code >= 0 else "" for code in topics.tolist()], pa.string())


def _codes(strata: pa.Array) -> Ints:
    codes: Ints = strata.dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes
