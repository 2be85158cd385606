"""Write what became of a batch as a table of `plan.RESULTS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from modelux_replay.plan import RESULTS
from modelux_replay.simulation.cases import PROJECTED, Case
from modelux_replay.simulation.logged import Logged
from modelux_replay.simulation.requests import Batch
from modelux_replay.simulation.stored import StoredMeasured
from modelux_replay.simulation.telling import SOURCES, tell

_COPIED = {
    "request_id": "request_id",
    **{f"baseline_{name}": name for name in ("model", "provider", "cost_nano", "ttft_us", "error_code", "attempts")},
    **{f"baseline_{name}": name for name in ("input_tokens", "output_tokens")},
    "baseline_status": "outcome",
    "started_at": "started_us",
}
"""Columns of the results that the log holds, and their names there."""


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
    count = len(batch)
    told = batch.columns
    columns: dict[str, object] = {
        "row": range(first_row, first_row + count),
        "evidence": [each.evidence for each in outlooks],
        "baseline_latency_us": [
            None if imported and not latency else latency
            for imported, latency in zip(told["source"], told["latency_us"], strict=True)
        ],
        "candidate_cost_low_nano": [each.cost_low_nano for each in outlooks],
        "candidate_cost_high_nano": [each.cost_high_nano for each in outlooks],
        "similarity": [None] * count,
        "repeat_similarity": [None] * count,
        "repeat_status": [""] * count,
        "weight": [1.0] * count,
        "propensity": [
            None if outlook.drawn else each.propensity for each, outlook in zip(logged, outlooks, strict=True)
        ],
        "stratum": [""] * count,
        "cluster": [tags.get(tag, "") for tags in told["tags"]],
        "reproduced": [each.reproduced for each in logged],
        "trace": [each.trace for each in outlooks],
    }
    columns |= {name: told[source] for name, source in _COPIED.items()}
    for name in RESULTS.names:
        if name not in columns:
            part = name.removeprefix("candidate_")
            columns[name] = [getattr(each, part) for each in outlooks]
    return pa.table({each.name: pa.array(columns[each.name], each.type) for each in RESULTS}, schema=RESULTS)


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
