"""How far a projected cost may be off, for want of counts of the candidate's own tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.intervals import Estimate, Interval
from experiment_core.projection.totals import Share, TotalCost, total_cost

ASSUMES = "The candidate reads and writes as many tokens as the log says; a pilot would tell how many it really does."


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """Columns of the evaluable rows. Codes of models are the caller's, equal for one model at several providers."""

    baseline: Ints
    candidate: Ints
    projected: Bools
    """Rows whose cost is projected; of the others it is known."""
    cost_nano: Floats
    """Of the candidate, weighted."""
    input_tokens: Floats
    output_tokens: Floats


def remaining(rows: Projected) -> TotalCost:
    """The candidate's total cost with the 95 % interval that other pairs of models suggest.

    Where the same model answers, its tokens are those of the log.
    """
    return total_cost(_shares(rows), {}, {})


def percent_of(total: TotalCost, baseline_nano: float) -> Estimate:
    """The change of the total in percent of the baseline's."""
    if baseline_nano <= 0 or total.nano.value is None:
        return Estimate(None, Interval(None, None))
    return total.nano.scaled(100 / baseline_nano, -100)


def _shares(rows: Projected) -> Iterator[Share]:
    uncalled = rows.projected & (rows.baseline != rows.candidate)
    pairs = np.unique(np.stack([rows.baseline, rows.candidate]), axis=1).T.tolist() if len(rows.baseline) else []
    for baseline, candidate in pairs:
        own = (rows.baseline == baseline) & (rows.candidate == candidate)
        unknown = own & uncalled
        spent = float(rows.cost_nano[unknown].sum())
        output = spent * _output_share(rows, unknown)
        known = float(rows.cost_nano[own].sum()) - spent
        yield Share(baseline, candidate, int(own.sum()), int(unknown.sum()), known, spent - output, output)


def _output_share(rows: Projected, chosen: Bools) -> float:
    """What part of the cost the output made: costs are sums of both kinds of tokens times their prices."""
    paid = chosen & (rows.cost_nano > 0)
    if not paid.any():
        return 0.0
    tokens = np.stack([rows.input_tokens[paid], rows.output_tokens[paid]], axis=1)
    (_, price), *_ = np.linalg.lstsq(tokens, rows.cost_nano[paid], rcond=None)
    share = float(price) * float(tokens[:, 1].sum()) / float(rows.cost_nano[paid].sum())
    return min(max(share, 0.0), 1.0)
