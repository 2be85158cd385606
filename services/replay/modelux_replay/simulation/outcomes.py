"""Project how attempts end that the log does not know: failures and latencies by what calls of the target met then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.calls import KINDS
from experiment_core.projection.draws import LENGTH, uniform, uniforms
from modelux_replay.learned.calibration import Asked, Expected, Ratios, stratum
from modelux_replay.simulation.cases import Case
from modelux_replay.simulation.past import Past
from modelux_replay.simulation.requests import Batch
from routing_core.flow import Attempt, Step
from routing_core.pricing import Price, bound, cost, output_cost
from routing_core.types import BUDGET_EXCEEDED, Outcome, Target, Usage

BELIEVED = 0.5
"""How many answers that nobody has read a cascade is taken to believe, in the central estimate: the middle of what is
possible, where nothing tells more.
"""
_BELIEF = 100
"""The purpose of that draw, see `experiment_core.projection.draws`."""
_CODES = {
    "timeout": "attempt_timeout",
    "connect": "connect_failed",
    "cut": "upstream_cut",
    "invalid": "upstream_invalid",
}
"""Error codes of kinds, as the proxy gives them."""


def believes(key: int, number: int) -> bool:
    """Whether the central estimate believes the answer of attempt `number`, where nobody has read it."""
    return uniform(key, _BELIEF, number) < BELIEVED


class Projector:
    """Fills in what is missing of the steps of many cases at once."""

    def __init__(self, past: Past, ratios: Ratios, stratum_tag: str) -> None:
        self._past = past
        self._ratios = ratios
        self._stratum_tag = stratum_tag
        self._lengths: dict[int, Floats] = {}

    def fill(self, cases: Iterable[Case], batch: Batch) -> None:
        """One outcome for each attempt that is missing, drawn by seed, request and number of the attempt."""
        asked: dict[int, list[tuple[Case, int]]] = {}
        for case in cases:
            for place in case.missing:
                asked.setdefault(len(case.ended) + place + 1, []).append((case, place))
        for number, places in asked.items():
            self._draw(number, places, batch)

    def _draw(self, number: int, places: Sequence[tuple[Case, int]], batch: Batch) -> None:
        attempts = [_attempt(case, place) for case, place in places]
        rows = np.array([case.index for case, _ in places], np.int64)
        codes = np.array([self._past.code(attempt.target) for attempt in attempts], np.int64)
        inputs = np.array([_input(case) for case, _ in places], np.float64)
        tokens = self._tokens(attempts, rows, inputs, self._outputs(codes, rows, batch), batch)
        met = self._past.evidence.draws(codes, batch.hours[rows], batch.keys[rows], number, tokens.length)
        whole = (np.rint(column).astype(np.int64) for column in (tokens.input, tokens.output))
        columns = (met.kind, met.status, met.latency_ms, met.ttft_ms, *whole)
        drawn = zip(*(column.tolist() for column in columns), strict=True)
        for (case, place), attempt, figures in zip(places, attempts, drawn, strict=True):
            case.outcomes[place] = _outcome(case, attempt, *figures)

    def _tokens(
        self, attempts: Sequence[Attempt], rows: Ints, inputs: Floats, outputs: Floats, batch: Batch
    ) -> Expected:
        """The tokens that ratios of calls expect, where the logged answer's are known and the endpoint has answers."""
        if not self._ratios.learned:
            return Expected(inputs, outputs, outputs)
        columns, tag = batch.columns, self._stratum_tag
        silent = np.isnan(batch.output_tokens[rows]).tolist()
        told = [
            "" if quiet or columns["endpoint"][row] == "embeddings" else columns["model"][row]
            for row, quiet in zip(rows.tolist(), silent, strict=True)
        ]
        names = [attempt.target.model for attempt in attempts]
        strata = [stratum(columns["needs"][row], columns["tags"][row].get(tag, "")) for row in rows.tolist()]
        return self._ratios.expected(Asked(batch.keys[rows], told, names, strata, inputs, outputs))

    def _outputs(self, codes: Ints, rows: Ints, batch: Batch) -> Floats:
        """Output tokens: those of the logged answer; where there was none, those of an answer of the target drawn from
        all on record, and nothing where there is no such either.
        """
        lengths = batch.output_tokens[rows]
        unknown = np.flatnonzero(np.isnan(lengths))
        chances = uniforms(batch.keys[rows[unknown]], LENGTH)
        for place, chance in zip(unknown.tolist(), chances.tolist(), strict=True):
            past = self._past_lengths(int(codes[place]))
            lengths[place] = past[int(chance * len(past))] if len(past) else 0.0
        return lengths

    def _past_lengths(self, code: int) -> Floats:
        found = self._lengths.get(code)
        if found is None:
            found = self._lengths[code] = np.sort(self._past.evidence.lengths(code))
        return found


def _attempt(case: Case, place: int) -> Attempt:
    assert case.step is not None
    return case.step.attempts[place]


def _outcome(
    case: Case,
    attempt: Attempt,
    kind: int,
    status: int,
    latency_ms: float,
    ttft_ms: float,
    input_tokens: int,
    output_tokens: int,
) -> Outcome:
    logged, target = case.logged, attempt.target
    price = logged.moment.price(target)
    if price is None:
        case.unpriced = True
    elif not _affordable(case, target, price, input_tokens, output_tokens):
        return Outcome(target, "connect", error_code=BUDGET_EXCEEDED)
    measured = latency_ms == latency_ms
    if not measured:
        case.unmeasured, latency_ms = True, 0.0
    fault = logged.own_fault
    if fault is not None:
        return Outcome(target, "status", fault.status, latency_ms, error_code=fault.error_code)
    if kind:
        code = _CODES.get(KINDS[kind], f"http_{status}")
        return _bounded(Outcome(target, KINDS[kind], status or None, latency_ms, error_code=code), attempt, case.step)
    embeds = logged.request.endpoint == "embeddings"
    usage = Usage(input_tokens, 0 if embeds else output_tokens)
    streams = logged.request.stream and ttft_ms == ttft_ms
    outcome = Outcome(
        target,
        "ok",
        status or 200,
        latency_ms,
        ttft_ms if streams else None,
        usage,
        0 if price is None else cost(price, usage),
        output_cost_nano=0 if price is None else output_cost(price, usage),
    )
    return _bounded(outcome, attempt, case.step)


def _bounded(outcome: Outcome, attempt: Attempt, step: Step | None) -> Outcome:
    """A timeout where the attempt, or its step, may not take so long."""
    assert step is not None
    limits = [limit for limit in (attempt.timeout_ms, step.timeout_ms) if limit is not None]
    if not limits or outcome.kind == "connect":
        return outcome
    first = outcome.ttft_ms if step.until == "head" and outcome.ttft_ms is not None else outcome.latency_ms
    limit = min(limits)
    if first <= limit:
        return outcome
    return Outcome(outcome.target, "timeout", None, float(limit), error_code=_CODES["timeout"])


def _input(case: Case) -> int:
    """Input tokens as the logged call counted them, else as they were estimated before it."""
    told: int = case.logged.told("input_tokens")
    return told or case.logged.request.input_tokens


def _affordable(case: Case, target: Target, price: Price, input_tokens: int, output_tokens: int) -> bool:
    """Whether the most that the call can cost fits under every budget, as these stood.

    Where no spend is carried it is asked only where the logged request was denied a call: not every budget that a
    trace tells of stops calls.
    """
    if case.purse is not None:
        return not case.denied(target, input_tokens, output_tokens)
    if not any(outcome.error_code == BUDGET_EXCEEDED for outcome in case.logged.ended):
        return True
    limit = case.logged.request.max_tokens or output_tokens
    most = bound(price, input_tokens, limit, audio=False, images=False)
    spent = sum(outcome.cost_nano for outcome in case.ended)
    capped = (budget for budget in case.run.world.budgets if budget.cap_nano > 0)
    return all(budget.spent_nano + spent + most <= budget.cap_nano for budget in capped)
