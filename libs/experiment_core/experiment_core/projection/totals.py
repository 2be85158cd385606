"""The projected total cost, with an interval that tells how far off it may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiment_core.arrays import Floats
from experiment_core.distributions import student, z
from experiment_core.intervals import Estimate, Interval
from experiment_core.projection.costs import costs
from experiment_core.projection.tokens import TokenModel, Uncertainty
from routing_core.pricing import Price

Models = Mapping[tuple[int, int], TokenModel]
"""By codes of baseline and candidate; a pair that is missing is projected with the baseline's own tokens."""

INPUT_PRIOR, OUTPUT_PRIOR = 0.78, 0.49
"""Standard deviation of the logarithm of candidate's over baseline's total tokens, where no call tells.

From the 812 ordered pairs of 29 model configurations that answered the same 1,700 function-calling prompts in the
public Berkeley leaderboard's results of 2024: 95 % of the pairs lie within 1.96 of these, that is, input between 0.22
and 4.6 times (tools as text or by API make the extremes; the middle half lies within 15 %), output between 0.38 and
2.6 times the baseline's. Other traffic may differ; a pilot replaces the prior.
"""


@dataclass(frozen=True, slots=True)
class Share:
    """Part of a window: rows that one baseline answered and one target would have got."""

    baseline: int
    target: int
    rows: int
    uncalled: int
    """Rows whose tokens are projected: neither logged nor called."""
    known_nano: float
    """Cost of the other rows."""
    input_nano: float
    """Projected cost of the uncalled rows' input, fees included."""
    output_nano: float

    def __add__(self, other: Share) -> Share:
        return Share(
            self.baseline,
            self.target,
            self.rows + other.rows,
            self.uncalled + other.uncalled,
            self.known_nano + other.known_nano,
            self.input_nano + other.input_nano,
            self.output_nano + other.output_nano,
        )


@dataclass(frozen=True, slots=True)
class TotalCost:
    """A sum over rows, in nano-USD, with its 95 % interval."""

    nano: Estimate
    remaining_error: float
    """How far beyond the value the interval reaches, over the value: .05 for 5 %."""
    naive_rows: int
    """Rows projected with the baseline's own tokens, for want of pairs."""


def total_cost(shares: Iterable[Share], models: Models, prices: Mapping[int, Price]) -> TotalCost:
    """The sum of the shares; those of one window's batches may be given one after the other.

    Errors of different pairs of models add up as independent ones. The interval is one of the logarithm, with Student's
    quantile t at Satterthwaite's degrees of freedom. The side to which the pilot's residuals lean is longer by
    g (1 + 2 t²) / 6 standard errors, g the skewness of the sum (Johnson 1978), at most 1: a heavy tail that 50 calls
    have met once may be heavier.
    """
    merged: dict[tuple[int, int], Share] = {}
    for share in shares:
        at = (share.baseline, share.target)
        merged[at] = merged[at] + share if at in merged else share
    every = merged.values()
    value = math.fsum(part for each in every for part in (each.known_nano, each.input_nano, each.output_nano))
    naive = sum(share.uncalled for at, share in merged.items() if at not in models)
    doubt = _sum([_uncertainty(share, models.get(at), prices) for at, share in merged.items()])
    if value <= 0 or doubt.variance <= 0:
        return TotalCost(Estimate(value, Interval(value, value)), 0.0, naive)
    quantile = student(0.95, doubt.freedom) if math.isfinite(doubt.freedom) else z(0.95)
    lean = max(-1.0, min(doubt.third / doubt.variance**1.5, 1.0)) * (1 + 2 * quantile**2) / 6
    error = math.sqrt(doubt.variance) / value
    below = math.exp(-error * (quantile + max(-lean, 0.0)))
    above = math.exp(error * (quantile + max(lean, 0.0)))
    return TotalCost(Estimate(value, Interval(value * below, value * above)), above - 1, naive)


def _uncertainty(share: Share, model: TokenModel | None, prices: Mapping[int, Price]) -> Uncertainty:
    if model is None:
        variance = (share.input_nano * INPUT_PRIOR) ** 2 + (share.output_nano * OUTPUT_PRIOR) ** 2
        return Uncertainty(variance, 0.0, math.inf)
    price = prices[share.target]

    def cost_of(input_tokens: Floats, output_tokens: Floats) -> Floats:
        return costs(price, input_tokens, output_tokens)

    return model.uncertainty(share.uncalled, cost_of)


def _sum(parts: Sequence[Uncertainty]) -> Uncertainty:
    """Of a sum of independent parts, with degrees of freedom by Satterthwaite (1946)."""
    variance = math.fsum(part.variance for part in parts)
    spent = math.fsum(part.variance**2 / part.freedom for part in parts)
    freedom = variance**2 / spent if spent > 0 else math.inf
    return Uncertainty(variance, math.fsum(part.third for part in parts), freedom)
