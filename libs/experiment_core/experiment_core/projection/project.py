"""Project what rows of a log would have cost and met at other targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.calls import Draws
from experiment_core.projection.costs import costs
from experiment_core.projection.draws import LENGTH, Keys, row_keys, uniforms
from experiment_core.projection.evidence import Evidence
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.totals import Models, Share, TotalCost, total_cost
from experiment_core.rows import OBSERVED, PROJECTED, REUSED
from routing_core.pricing import Price

_OK = 200


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Columns of a log. Codes of models and strata are the caller's; hours count from the epoch.

    `answered` are the logged outcomes, handed on for rows whose target is the baseline.
    """

    ids: Sequence[str] | npt.NDArray[np.str_]
    hour: Ints
    baseline: Ints
    stratum: Ints
    input_tokens: Floats
    output_tokens: Floats
    cached_tokens: Floats
    answered: Draws


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What a projection knows beside the rows."""

    evidence: Evidence
    models: Models
    prices: Mapping[int, Price]
    """By target; every target asked for must have one."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """One figure per row, and the total.

    Costs are those of the expected tokens, as if each call were answered: whoever runs a flow counts the calls that
    were. `met` is one draw per row, of an answer of `length` tokens. An answer's projected input is uncached: a target
    that did not serve the conversation starts cold.
    """

    keys: Keys
    evidence: npt.NDArray[np.int8]
    """Index in `rows.EVIDENCE`: reused, observed or projected. Projected rows have the baseline's tokens, corrected
    where pairs tell how; their latency is unknown where no call of the target is on record."""
    input_tokens: Floats
    output_tokens: Floats
    cost_nano: Floats
    length: Floats
    """Output tokens drawn for the row: spread as answers are, where `output_tokens` is their mean."""
    met: Draws
    shares: tuple[Share, ...]
    """For `total_cost`, over the batches of a window."""
    total: TotalCost


def project(targets: Ints, rows: Logged, knowledge: Knowledge, seed: int, attempt: int = 1) -> Projection:
    """What each row would have cost and met at its target, at the given attempt of its flow.

    A row's figures depend on seed, attempt, the row and the knowledge alone: not on its neighbours, nor on their
    order. Raises ValueError for a target without a price.
    """
    keys = row_keys(seed, rows.ids)
    lengths_at = uniforms(keys, LENGTH)
    evidence = np.full(len(keys), PROJECTED, np.int8)
    tokens_in, tokens_out, length = rows.input_tokens.copy(), rows.output_tokens.copy(), rows.output_tokens.copy()
    cost = np.zeros(len(keys))
    known: list[tuple[Ints, Draws]] = []
    shares = []
    for baseline, target, group in _groups(rows.baseline, targets):
        price = knowledge.prices.get(target)
        if price is None:
            raise ValueError(f"target {target} has no price: give one for every target that rows are projected to")
        cached = None
        if baseline == target:
            evidence[group], cached = REUSED, rows.cached_tokens[group]
            known.append((group, rows.answered.take(group)))
        elif (model := knowledge.models.get((baseline, target))) is not None:
            into, out = model.expected(rows.input_tokens[group], rows.output_tokens[group], rows.stratum[group])
            tokens_in[group], tokens_out[group] = into, out
            length[group] = model.lengths.draw(out, lengths_at[group])
            places, at = model.pairs.called(keys[group])
            called = group[places]
            evidence[called] = OBSERVED
            tokens_in[called], tokens_out[called] = model.pairs.input[at], model.pairs.output[at]
            length[called] = model.pairs.output[at]
            known.append((called, _met(model.pairs, at)))
        cost[group] = costs(price, tokens_in[group], tokens_out[group], cached)
        shares.append(_share(baseline, target, price, group, evidence, tokens_out, cost))
    met = knowledge.evidence.draws(targets, rows.hour, keys, attempt, length)
    for part, outcomes in known:
        met.put(part, outcomes)
    total = total_cost(shares, knowledge.models, knowledge.prices)
    return Projection(keys, evidence, tokens_in, tokens_out, cost, length, met, tuple(shares), total)


def _groups(baseline: Ints, targets: Ints) -> list[tuple[int, int, Ints]]:
    """Row numbers by (baseline, target), both ascending."""
    order = np.lexsort((targets, baseline))
    changed = (np.diff(baseline[order]) != 0) | (np.diff(targets[order]) != 0)
    parts = np.split(order, np.flatnonzero(changed) + 1) if len(order) else []
    return [(int(baseline[part[0]]), int(targets[part[0]]), part) for part in parts]


def _met(pairs: Pairs, at: Ints) -> Draws:
    answered = np.zeros(len(at), np.int64)
    return Draws(answered, answered + _OK, pairs.latency_ms[at], pairs.ttft_ms[at], answered)


def _share(
    baseline: int,
    target: int,
    price: Price,
    group: Ints,
    evidence: npt.NDArray[np.int8],
    tokens_out: Floats,
    cost: Floats,
) -> Share:
    uncalled = group[evidence[group] == PROJECTED]
    known = group[evidence[group] != PROJECTED]
    projected = math.fsum(cost[uncalled].tolist())
    output = min(math.fsum(tokens_out[uncalled].tolist()) * price.output / 1e6, projected)
    known_nano = math.fsum(cost[known].tolist())
    return Share(baseline, target, len(group), len(uncalled), known_nano, projected - output, output)
