"""Write into simulated rows what really came of their calls, in a worker process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentScore
from modelux_replay.plan import PAIRS, RESULTS
from modelux_replay.pool import Done, done, stream_of

OUTCOMES = ("ok", "error", "not_called", "interrupted")
ANSWERED = ("ok", "error")
"""Outcomes of calls that the provider has ended."""
ANSWERS = ("candidate_request_id", "repeat_request_id", "embedder")
"""Columns of `experiment_rows` that rows without calls leave out."""
_UNKNOWN: Values = {
    "evidence": "not_evaluable",
    "candidate_model": "",
    "candidate_provider": "",
    "candidate_cost_nano": None,
    "candidate_cost_low_nano": None,
    "candidate_cost_high_nano": None,
    "candidate_latency_us": None,
    "candidate_ttft_us": None,
    "candidate_status": "",
    "candidate_input_tokens": 0,
    "candidate_output_tokens": 0,
    "candidate_attempts": 0,
}
_NO_CALL = {"candidate_request_id": "", "repeat_request_id": "", "embedder": ""}
_TOKENS = tuple(f"{side}_{kind}_tokens" for side in ("baseline", "candidate") for kind in ("input", "output"))

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gathering:
    """Some rows of an experiment whose calls have ended."""

    results: bytes = field(repr=False)
    """Arrow stream of the simulated rows: a table of `RESULTS`, perhaps with more columns."""
    drawn: bytes = field(repr=False)
    """Arrow stream of a table of `DRAWN` that holds these rows, perhaps among others."""
    scores: tuple[bytes, ...] = field(repr=False)
    """Serialised `ExperimentScore`s of these rows, perhaps among others."""
    constants: Mapping[str, str]


def gather(work: Gathering) -> Done:
    """The rows with evidence `observed` where the call was answered, `not_evaluable` where it was to be made and was
    not; all others stay as they were simulated.
    """
    scores = _by_row(work.scores)
    drawn = {row["request_id"]: row for row in _read(work.drawn).to_pylist()}
    rows = [_gathered(row, drawn[row["request_id"]], scores) for row in _whole(_read(work.results)).to_pylist()]
    schema = RESULTS
    for name in ANSWERS:
        schema = schema.append(pa.field(name, pa.string()))
    return done(pa.Table.from_pylist(rows, schema), work.constants)


def pilot_pairs(results: bytes, drawn: bytes, scores: tuple[bytes, ...]) -> bytes:
    """Arrow stream of a table of `PAIRS`: the answered calls of a pilot."""
    told = _by_row(scores)
    places = {row["request_id"]: row for row in _read(drawn).to_pylist()}
    found = []
    for row in _read(results).to_pylist():
        place = places.get(row["request_id"])
        score = told.get((place["row"], "candidate")) if place else None
        if place is None or score is None or score.pair.outcome != "ok" or row["baseline_status"] != "ok":
            continue
        pair = score.pair
        tokens = {name: float(row[name]) for name in _TOKENS[:2]}
        tokens |= {_TOKENS[2]: float(pair.usage.input), _TOKENS[3]: float(pair.usage.output)}
        names = {"source": "pilot", "request_id": row["request_id"], "stratum": place["stratum"]}
        models = {"baseline_model": row["baseline_model"], "candidate_model": pair.model}
        found.append(
            names | models | tokens | {"candidate_latency_us": float(pair.latency_us), "chance": 1 / place["weight"]}
        )
    return stream_of(pa.Table.from_pylist(found, PAIRS))


def _gathered(row: Values, place: Values, scores: Mapping[tuple[object, str], ExperimentScore]) -> Values:
    found = row | _NO_CALL | {"row": place["row"], "stratum": place["stratum"], "weight": place["weight"]}
    if not place["asked"]:
        return found | ({"similarity": 1.0} if row["evidence"] == "reused" and _same_answer(row) else {})
    score = scores.get((place["row"], "candidate"))
    if score is None or score.pair.outcome not in ANSWERED:
        return found | _UNKNOWN | {"candidate_error_code": _unanswered(score)}
    found |= _called(score.pair) | {"embedder": score.embedder, "similarity": _alike(score)}
    repeat = scores.get((place["row"], "baseline"))
    if repeat is not None and repeat.pair.outcome in ANSWERED:
        found |= {"repeat_status": repeat.pair.outcome, "repeat_request_id": repeat.pair.call_id}
        found |= {"repeat_similarity": _alike(repeat)}
    return found


def _same_answer(row: Values) -> bool:
    """Whether the logged answer is the candidate's too. A candidate may also keep a logged failure that another target
    made good.
    """
    ok = row["baseline_status"] == row["candidate_status"] == "ok"
    return ok and all(row[f"baseline_{name}"] == row[f"candidate_{name}"] for name in ("model", "provider"))


def _called(pair: ExperimentPair) -> Values:
    """The candidate's side of an answered call."""
    cost = dict.fromkeys(("candidate_cost_nano", "candidate_cost_low_nano", "candidate_cost_high_nano"), pair.cost_nano)
    return cost | {
        "evidence": "observed",
        "candidate_request_id": pair.call_id,
        "candidate_model": pair.model,
        "candidate_provider": pair.provider,
        "candidate_latency_us": pair.latency_us,
        "candidate_ttft_us": pair.ttft_us if pair.ttft_us >= 0 else None,
        "candidate_status": pair.outcome,
        "candidate_error_code": pair.error_code,
        "candidate_input_tokens": pair.usage.input,
        "candidate_output_tokens": pair.usage.output,
        "candidate_attempts": pair.attempts,
        "trace": pair.trace_json,
    }


def _unanswered(score: ExperimentScore | None) -> str:
    """Why nothing is known of a call."""
    if score is None:
        return "stopped"
    return score.pair.error_code or score.pair.outcome


def _alike(score: ExperimentScore) -> float | None:
    return score.similarity if score.HasField("similarity") else None


def _by_row(scores: Iterable[bytes]) -> dict[tuple[object, str], ExperimentScore]:
    told = (ExperimentScore.FromString(each) for each in scores)
    return {(each.pair.row, each.pair.side): each for each in told}


def _whole(told: pa.Table) -> pa.Table:
    """Results as they were before `pool.split_traces`: a table of `RESULTS`."""
    head = pc.fill_null(pc.cast(told.column("trace_head"), pa.binary()), b"")
    traces = pc.binary_join_element_wise(head, told.column("trace"), b"")
    return told.set_column(told.schema.get_field_index("trace"), "trace", traces).select(RESULTS.names)


def _read(stream: bytes) -> pa.Table:
    return pa.ipc.open_stream(stream).read_all()
