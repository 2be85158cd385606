"""Make the requests of a batch anew from the columns of the log, as their policies saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.draws import Keys, row_keys
from routing_core.types import Capability, Request

_HOUR_US = 3_600_000_000


class Columns(dict[str, list[Any]]):
    """Columns of `plan.ROWS` as lists, each made when it is first asked for: most rows need few of them."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows

    def __missing__(self, name: str) -> list[Any]:
        found: list[Any] = self.rows.column(name).to_pylist()
        self[name] = found
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of the log. `columns` are those of `plan.ROWS`, with sets for `needs`, dictionaries for `tags`, and
    `started_us`.
    """

    rows: pa.Table = field(repr=False)
    columns: Mapping[str, list[Any]] = field(repr=False)
    requests: Sequence[Request] = field(repr=False)
    keys: Keys
    """What all chance of a row comes from: seed and request id."""
    hours: Ints
    output_tokens: Floats
    """Of the logged answer; NaN where there was none that tells its length."""

    def __len__(self) -> int:
        return len(self.requests)


def read_batch(rows: pa.Table, project_id: str, seed: int) -> Batch:
    """The batch that a table of `plan.ROWS` holds."""
    columns = Columns(rows)
    moments: Ints = pc.cast(rows.column("started_at"), pa.int64()).to_numpy()
    columns["started_us"] = moments.tolist()
    columns["tags"], columns["needs"] = _tags(rows), _needs(rows)
    tokens = rows.column("output_tokens").to_numpy().astype(np.float64)
    silent = (tokens == 0) & pc.not_equal(rows.column("outcome"), "ok").to_numpy()
    keys = row_keys(seed, columns["request_id"])
    requests = _requests(columns, project_id)
    return Batch(rows, columns, requests, keys, moments // _HOUR_US, np.where(silent, np.nan, tokens))


def _requests(columns: Mapping[str, list[Any]], project_id: str) -> list[Request]:
    names = (
        "request_id", "endpoint", "requested_model", "stream", "estimated_input_tokens", "input_tokens", "max_tokens",
        "needs", "tags", "end_user_id", "key_id", "started_us",
    )  # fmt: skip
    return [
        Request(
            request_id,
            project_id,
            "embeddings" if endpoint == "embeddings" else "chat",
            model,
            stream,
            estimated or told,
            limit or None,
            needs,
            tags,
            end_user or None,
            key,
            at_us // 1000,
        )
        for (
            request_id, endpoint, model, stream, estimated, told, limit, needs, tags, end_user, key, at_us
        ) in zip(*(columns[name] for name in names), strict=True)
    ]  # fmt: skip


def _tags(rows: pa.Table) -> list[dict[str, str]]:
    column = rows.column("tags").combine_chunks()
    starts = column.offsets.to_pylist()
    first = starts[0] if starts else 0
    pairs = list(zip(column.keys.to_pylist(), column.items.to_pylist(), strict=True))
    assert first == 0 or len(pairs) >= starts[-1]
    return [dict(pairs[start:end]) for start, end in pairwise(starts)]


def _needs(rows: pa.Table) -> list[frozenset[Capability]]:
    known: dict[tuple[Capability, ...], frozenset[Capability]] = {}
    listed = [tuple(each) for each in rows.column("needs").to_pylist()]
    return [known.setdefault(each, frozenset(each)) for each in listed]
