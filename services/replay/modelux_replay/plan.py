"""The contract between the life of an experiment and the simulation of its rows: what goes in, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from modelux_providers.catalog import CredentialFacts, PriceOverride


@dataclass(frozen=True, slots=True)
class Document:
    """A policy as it is stored. `slug` is empty and `version` 0 where it was never saved."""

    slug: str
    version: int
    policy_json: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All that a simulation knows beside the rows. Plain data: it is sent to other processes."""

    project_id: str
    seed: int
    candidate: Document
    versions: tuple[Document, ...]
    """Every version of every routing config of the project, archived ones too."""
    active: Mapping[str, int]
    """The active version of each slug that is in service."""
    credentials: tuple[CredentialFacts, ...]
    """Those that the project may use, in the order in which they are offered."""
    prices: tuple[PriceOverride, ...]
    """The organization's own, of all dates."""
    calls: pa.Table = field(repr=False)
    """Past attempts of the project in the window and somewhat before it: a table of `CALLS`, in no certain order."""
    run_tag: str = "run_id"
    """The tag whose values become `cluster`."""
    pilot: pa.Table | None = field(default=None, repr=False)
    """Calls of the candidate that this experiment made to learn its tokens: a table of `PAIRS`."""
    history: pa.Table | None = field(default=None, repr=False)
    """Calls of both models on one request, and batches of live splits, that the project has on record: of `PAIRS`."""
    stratum_tag: str = "agent"
    """The tag that, beside what a request needs, makes the strata of `PAIRS`: see `calibration.stratum`."""
    budgets: tuple[bytes, ...] = ()
    """The organization's, serialised as the configuration has them: what the candidate spends of them is carried on."""


class Simulator(Protocol):
    """Replays one batch of rows. `first_row` is the place of the first one in the window."""

    def __call__(self, rows: pa.Table, first_row: int) -> pa.Table:
        """A table of `RESULTS`, one row for each of `rows` (a table of `ROWS`), in order."""


class Ordered(Simulator, Protocol):
    """One that carries state from request to request."""

    def under_budgets(self, rows: pa.Table) -> pa.Array:
        """Marks the rows that budgets held for: they have to be replayed in order, by `in_order`."""

    def in_order(self, rows: pa.Table, state: bytes, weight: float) -> tuple[pa.Table, bytes]:
        """Results of rows that follow those which left `state` (empty: the first), and the state after them."""


Prepare = Callable[[Plan], Simulator]
"""`simulate.prepare`: called once per process, so that policies are parsed and evidence is sorted only once."""

_MOMENT = pa.timestamp("us", "UTC")
ROWS = pa.schema(
    [
        ("request_id", pa.string()),
        ("started_at", _MOMENT),
        ("endpoint", pa.string()),
        ("requested_model", pa.string()),
        ("config_slug", pa.string()),
        ("config_version", pa.int32()),
        ("policy_type", pa.string()),
        ("outcome", pa.string()),
        ("status", pa.uint16()),
        ("error_code", pa.string()),
        ("model", pa.string()),
        ("provider", pa.string()),
        ("credential_id", pa.string()),
        ("stream", pa.bool_()),
        ("tags", pa.map_(pa.string(), pa.string())),
        ("end_user_id", pa.string()),
        ("key_id", pa.string()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cache_read_tokens", pa.int64()),
        ("cache_write_tokens", pa.int64()),
        ("reasoning_tokens", pa.int64()),
        ("estimated_input_tokens", pa.int64()),
        ("max_tokens", pa.int64()),
        ("needs", pa.list_(pa.string())),
        ("cost_nano", pa.int64()),
        ("price_unknown", pa.bool_()),
        ("latency_us", pa.int64()),
        ("ttft_us", pa.int64()),
        ("attempts", pa.uint16()),
        ("source", pa.string()),
        ("trace", pa.binary()),
    ]
)
"""Columns of the request log, in order of (started_at, request_id); names and meaning as in ClickHouse."""

CALLS = pa.schema(
    [
        ("model", pa.string()),
        ("provider", pa.string()),
        ("credential_id", pa.string()),
        ("started_at", _MOMENT),
        ("kind", pa.string()),
        ("status", pa.uint16()),
        ("latency_us", pa.int64()),
        ("ttft_us", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
    ]
)
"""Columns of the log of attempts; `started_at` is that of the request, `ttft_us` null where it was not measured."""

_SIDE = (
    ("model", pa.string()),
    ("provider", pa.string()),
    ("cost_nano", pa.int64()),
    ("latency_us", pa.int64()),
    ("ttft_us", pa.int64()),
    ("status", pa.string()),
    ("error_code", pa.string()),
    ("input_tokens", pa.int64()),
    ("output_tokens", pa.int64()),
    ("attempts", pa.uint16()),
)
RESULTS = pa.schema(
    [
        ("row", pa.uint32()),
        ("request_id", pa.string()),
        ("started_at", _MOMENT),
        ("evidence", pa.string()),
        *((f"baseline_{name}", kind) for name, kind in _SIDE),
        *((f"candidate_{name}", kind) for name, kind in _SIDE),
        ("candidate_cost_low_nano", pa.int64()),
        ("candidate_cost_high_nano", pa.int64()),
        ("similarity", pa.float64()),
        ("repeat_similarity", pa.float64()),
        ("repeat_status", pa.string()),
        ("weight", pa.float64()),
        ("propensity", pa.float64()),
        ("split_draw", pa.float64()),
        ("stratum", pa.string()),
        ("cluster", pa.string()),
        ("reproduced", pa.bool_()),
        ("trace", pa.binary()),
    ]
)
"""Columns of ClickHouse's table `experiment_rows`, without the experiment's own.

Null: cost, latency and time to first token of a candidate that cannot be evaluated, what was not measured, similarity
that was not scored, `reproduced` where there is no trace, `propensity` where no split led to the logged choice or the
candidate draws too, `split_draw` where no split was met. Statuses are `ok` or `error`; empty of a candidate that cannot
be evaluated, and of a logged model that was not asked again.
"""

PAIRS = pa.schema(
    [
        ("source", pa.string()),
        ("request_id", pa.string()),
        ("baseline_model", pa.string()),
        ("candidate_model", pa.string()),
        ("stratum", pa.string()),
        ("baseline_input_tokens", pa.float64()),
        ("baseline_output_tokens", pa.float64()),
        ("candidate_input_tokens", pa.float64()),
        ("candidate_output_tokens", pa.float64()),
        ("candidate_latency_us", pa.float64()),
        ("chance", pa.float64()),
    ]
)
"""Answered calls of a candidate where a baseline's tokens are known too: what token ratios are learned from.

`source`: `pilot` (calls of this experiment), `history` (of earlier experiments that called their candidate) or `live`
(means of like batches of both arms of a split). `stratum`: see `calibration.with_strata`. `chance`: with what
probability the pilot chose the row, 0 elsewhere.
"""
