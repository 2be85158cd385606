"""Read an experiment's results into the table that is compared, with the weights that a stop leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.answers import Pairs
from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.rows import EVIDENCE, NOT_EVALUABLE, OBSERVED, REUSED, Rows, Side
from experiment_core.stopping import carried
from modelux_replay.summary.off_policy import Splits

_UNTOLD = pa.table({"split_draw": pa.array([], pa.float64())})
"""What a replica that was not upgraded yet leaves out of the units that it helps with."""


def joined(streams: Sequence[bytes]) -> pa.Table:
    """The tables of these Arrow streams, at least one, as one. What an earlier version did not tell is null."""
    tables = [pa.ipc.open_stream(each).read_all() for each in streams]
    return pa.concat_tables([*tables, _UNTOLD], promote_options="default").unify_dictionaries()


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The results of an experiment."""

    rows: Rows
    """Weighted; without weight where a row that was to be called has no answer and others stand for it."""
    repeat: Floats
    """Similarity of the logged answer and that of the logged model asked again; NaN: none."""
    splits: Splits
    repeats: int
    """Rows whose logged model was asked again."""
    repeats_failed: int
    called: int
    """Rows that were called and of which it is known how that ended."""
    to_call: int
    """The same, and those that were to be called and have no answer."""

    def pairs(self) -> Pairs:
        """Of the evaluable rows."""
        known = self.rows.evaluable()
        evidence = self.rows.evidence[known]
        return Pairs(self.rows.similarity[known], self.repeat[known], evidence == OBSERVED, evidence == REUSED)


def read(table: pa.Table, *, with_responses: bool = False) -> Read:
    """`table` has `pool.SUMMARY_COLUMNS`. `with_responses`: rows that keep the logged choice count as equal answers."""
    before, after = _names(table, "baseline"), _names(table, "candidate")
    models = tuple(name for name in sorted(pc.unique(pa.concat_arrays([before, after])).to_pylist()) if name)
    coded = pa.array(models, pa.string())
    evidence = _codes(text(table, "evidence"), pa.array(EVIDENCE, pa.string())).astype(np.int8)
    baseline = _side(table, "baseline", _codes(before, coded))
    candidate = _side(table, "candidate", _codes(after, coded))
    similarity, repeat_status = floats(table, "similarity"), text(table, "repeat_status")
    if with_responses:
        same = (evidence == REUSED) & baseline.ok & candidate.ok & np.isnan(similarity)
        same &= baseline.model == candidate.model  # a logged failure may be kept that another target made good
        similarity = np.where(same, 1.0, similarity)
    # The code says why a call never left, or that nobody knows what came of it; no other such row has one.
    unanswered = (evidence == NOT_EVALUABLE) & _marked(pc.not_equal(text(table, "candidate_error_code"), ""))
    came = evidence == OBSERVED
    weight = carried(floats(table, "weight"), _own_codes(text(table, "stratum")), came, unanswered)
    rows = Rows(baseline, candidate, models, evidence, similarity, _own_codes(text(table, "cluster"), empty=-1), weight)
    called = int(came.sum())
    return Read(
        rows,
        floats(table, "repeat_similarity"),
        Splits(floats(table, "propensity"), floats(table, "split_draw")),
        int(_marked(pc.not_equal(repeat_status, "")).sum()),
        int(_marked(pc.equal(repeat_status, "error")).sum()),
        called,
        called + int(unanswered.sum()),
    )


def nothing() -> Read:
    """Of an experiment without rows."""
    none, never = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    side = Side(none, np.zeros(0), never, none, none, none)
    rows = Rows(side, side, (), none.astype(np.int8), np.zeros(0), none, np.zeros(0))
    return Read(rows, np.zeros(0), Splits(np.zeros(0), np.zeros(0)), 0, 0, 0, 0)


def text(table: pa.Table, name: str) -> pa.Array:
    """Null as empty."""
    column = table.column(name)
    thin = pa.types.is_dictionary(column.type)
    return pc.fill_null((column.cast(column.type.value_type) if thin else column).combine_chunks(), "")


def ints(table: pa.Table, name: str) -> Ints:
    """Null as 0."""
    found: Ints = pc.fill_null(table.column(name).combine_chunks(), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def floats(table: pa.Table, name: str) -> Floats:
    """Null as NaN."""
    values = pc.cast(table.column(name).combine_chunks(), pa.float64())
    found: Floats = np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
    return found


def _side(table: pa.Table, side: str, models: Ints) -> Side:
    return Side(
        ints(table, f"{side}_cost_nano"),
        floats(table, f"{side}_latency_us") / 1000,
        _marked(pc.equal(text(table, f"{side}_status"), "ok")),
        ints(table, f"{side}_input_tokens"),
        ints(table, f"{side}_output_tokens"),
        models,
    )


def _names(table: pa.Table, side: str) -> pa.Array:
    """`model:provider`; empty where no model was reached."""
    model, provider = text(table, f"{side}_model"), text(table, f"{side}_provider")
    joined = pc.binary_join_element_wise(model, provider, ":")
    return pc.if_else(pc.equal(model, ""), "", joined)


def _marked(values: pa.Array) -> Bools:
    found: Bools = values.to_numpy(zero_copy_only=False)
    return found


def _codes(values: pa.Array, known: pa.Array) -> Ints:
    """The place of each value among the known ones; -1 where it is none of them."""
    found: Ints = pc.fill_null(pc.index_in(values, known), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _own_codes(values: pa.Array, empty: int | None = None) -> Ints:
    """A code for each value of a column; `empty` for the empty one, where it is given."""
    known = [name for name in pc.unique(values).to_pylist() if name or empty is None]
    return _codes(values, pa.array(known, pa.string()))
