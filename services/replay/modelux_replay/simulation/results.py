"""Write what became of a batch as a table of `plan.RESULTS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.plan import RESULTS
from modelux_replay.simulation.cases import PROJECTED, Case
from modelux_replay.simulation.logged import Logged
from modelux_replay.simulation.requests import Batch
from modelux_replay.simulation.stored import StoredMeasured
from modelux_replay.simulation.telling import SOURCES, tell

_BASELINE = {
    "request_id": "request_id",
    **{f"baseline_{name}": name for name in ("model", "provider", "cost_nano", "ttft_us", "error_code", "attempts")},
    **{f"baseline_{name}": name for name in ("input_tokens", "output_tokens")},
    "baseline_status": "outcome",
    "started_at": "started_at",
}
"""Columns of the results that the log holds, and their names there."""
_UNASKED: Mapping[str, object] = {
    "similarity": None,
    "repeat_similarity": None,
    "repeat_status": "",
    "weight": 1.0,
    "stratum": "",
}
"""What only rows have whose candidate was called, or that were drawn from many."""


@dataclass(slots=True)
class Outlook:
    """The candidate's side of one row, in the words of `plan.RESULTS`."""

    evidence: str
    model: str = ""
    provider: str = ""
    cost_nano: int | None = None
    latency_us: int | None = None
    ttft_us: int | None = None
    status: str = ""
    error_code: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 0
    cost_low_nano: int | None = None
    cost_high_nano: int | None = None
    trace: bytes = field(default=b"", repr=False)
    drawn: bool = False
    """Whether chance has a say in what the candidate does."""


def outlook(case: Case, low_nano: int | None = None, high_nano: int | None = None) -> Outlook:
    """What a decided case tells; the bounds where its cost depends on answers that nobody has read."""
    text, measured = tell(case)
    if case.unpriced:
        return Outlook("not_evaluable", trace=text)
    decision, ended = case.run.decision, case.ended
    assert decision is not None
    last = ended[decision.selected] if decision.selected is not None else ended[-1] if ended else None
    cost = sum(outcome.cost_nano for outcome in ended)
    found = Outlook(
        _evidence(case),
        cost_nano=cost,
        attempts=len(ended),
        cost_low_nano=cost if low_nano is None else min(cost, low_nano),
        cost_high_nano=cost if high_nano is None else max(cost, high_nano),
        trace=text,
        drawn=any(hop.draw is not None for hop in decision.path),
    )
    if last is not None:
        found.model, found.provider = last.target.model, last.target.provider
        found.input_tokens, found.output_tokens = last.usage.input, last.usage.output
    answered = decision.selected is not None and last is not None and last.ok
    found.status = "ok" if answered else "error"
    if not answered:
        code = decision.code if decision.code not in (None, "attempts_failed") else None
        found.error_code = code or (last.error_code if last is not None else None) or decision.code or ""
    _time(found, case, measured)
    return found


def unchanged(logged: Logged) -> Outlook:
    """The candidate's side of a request that no policy ever saw: the same refusal."""
    told = logged.told
    return Outlook(
        "reused",
        status=told("outcome"),
        error_code=told("error_code"),
        cost_nano=told("cost_nano"),
        cost_low_nano=told("cost_nano"),
        cost_high_nano=told("cost_nano"),
        latency_us=told("latency_us"),
        model=told("model"),
        provider=told("provider"),
    )


def table(batch: Batch, first_row: int, outlooks: Sequence[Outlook], logged: Sequence[Logged], tag: str) -> pa.Table:
    """One row for each of the batch, whose past `logged` tells."""
    count, told = len(batch), batch.rows
    arrays = {name: told.column(source) for name, source in _BASELINE.items()}
    arrays["baseline_latency_us"] = _latencies(told)
    columns: dict[str, object] = {
        "row": range(first_row, first_row + count),
        "propensity": [
            None if outlook.drawn else each.propensity for each, outlook in zip(logged, outlooks, strict=True)
        ],
        "split_draw": [each.split_draw for each in logged],
        "cluster": [tags.get(tag, "") for tags in batch.columns["tags"]],
        "reproduced": [each.reproduced for each in logged],
    }
    for each in RESULTS:
        name = each.name
        if name in _UNASKED:
            arrays[name] = pa.repeat(pa.scalar(_UNASKED[name], each.type), count)
        elif name not in arrays:
            values = columns.get(name) or list(map(attrgetter(name.removeprefix("candidate_")), outlooks))
            arrays[name] = pa.array(values, each.type)
    return pa.table(arrays, schema=RESULTS)


def _latencies(rows: pa.Table) -> pa.ChunkedArray:
    """Null where an import did not tell it."""
    latency_us = rows.column("latency_us")
    untold = pc.and_(pc.not_equal(rows.column("source"), ""), pc.equal(latency_us, 0))
    return pc.if_else(untold, pa.scalar(None, latency_us.type), latency_us)


def _evidence(case: Case) -> str:
    if case.as_logged:
        return "reused"
    return SOURCES[case.unsure or not case.matches or PROJECTED in case.matches]


def _time(found: Outlook, case: Case, measured: StoredMeasured) -> None:
    """How long it takes: as logged where it does the same, unknown where an attempt's time is."""
    column = case.logged.told
    if case.as_logged:
        latency_us = column("latency_us")
        found.latency_us = None if column("source") and not latency_us else latency_us
        found.ttft_us = column("ttft_us")
    elif not case.unmeasured:
        found.latency_us = round(measured.latency_ms * 1000)
        found.ttft_us = None if measured.ttft_ms is None else round(measured.ttft_ms * 1000)
