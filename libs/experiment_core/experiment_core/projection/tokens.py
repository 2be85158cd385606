"""How many tokens a candidate would have used, from how many the baseline did and from calls of both on the same rows.

A candidate's tokens are the baseline's times the pooled ratio of the pairs, bent by three things that the pairs may
teach: a change of the ratio with the request's length, one with the answer's length, and one per stratum. Each is
shrunk towards no change, as if that many pairs had shown none (`SLOPE_PRIOR`, `STRATUM_PRIOR`). Input changes by so
many tokens (another tokenizer and a longer template), output by so many per cent (another verbosity). Beyond the
lengths that the pairs hold, the ratio stays as it is at their edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.lengths import Lengths
from experiment_core.projection.pairs import Pairs

FEWEST_PAIRS = 8
"""Below this many pairs there is no model: a ratio from a handful of heavy-tailed lengths is worse than none."""
SLOPE_PRIOR = 10.0
STRATUM_PRIOR = 10.0
_MOST_LEVERAGE = 0.9
_FREE, _STIFF = 1e-6, 1e12


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """Base lengths as regressors, centred and scaled as the pairs were, and within their range."""

    low: Floats
    high: Floats
    centre: Floats
    scale: Floats
    strata: Ints

    @classmethod
    def of(cls, columns: Floats, strata: Ints, weight: Floats) -> _Terms:
        spread = columns.std(axis=0)
        return cls(
            columns.min(axis=0),
            columns.max(axis=0),
            np.average(columns, axis=0, weights=weight),
            np.where(spread > 0, spread, 1.0),
            np.unique(strata),
        )

    def inside(self, columns: Floats) -> Floats:
        return (np.clip(columns, self.low, self.high) - self.centre) / self.scale

    def matrix(self, columns: Floats, strata: Ints) -> Floats:
        """Rows of [1, first length, second length, one column per stratum]."""
        member = (strata[:, None] == self.strata[None, :]).astype(np.float64)
        return np.hstack([np.ones((len(strata), 1)), self.inside(columns), member])

    def change(self, columns: Floats, strata: Ints, coefficients: Floats) -> Floats:
        """`matrix(columns, strata) @ coefficients`, summed in one order, so that a row comes out the same in any batch.

        A stratum that the pairs do not hold changes nothing.
        """
        scaled = self.inside(columns)
        at = np.minimum(np.searchsorted(self.strata, strata), len(self.strata) - 1)
        effect = np.where(self.strata[at] == strata, coefficients[3:][at], 0.0)
        changed: Floats = coefficients[0] + scaled[:, 0] * coefficients[1] + scaled[:, 1] * coefficients[2] + effect
        return changed

    def penalty(self, slope: float) -> Floats:
        return np.diag([_FREE, slope, slope, *[STRATUM_PRIOR] * len(self.strata)])


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One side of a call (input or output): expected tokens from the baseline's."""

    terms: _Terms
    coefficients: Floats
    ratio: float
    relative: bool
    """Whether the terms change the tokens by a factor (exp) or by a number of tokens."""
    factor: float = 1.0

    def expected(self, own: Floats, other: Floats, strata: Ints) -> Floats:
        change = self.terms.change(_columns(own, other, self.relative), strata, self.coefficients)
        bent = (own + 1) * self.ratio * np.exp(change) if self.relative else own * self.ratio + change
        return self.factor * np.maximum(bent, 0.0)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of a projected sum: second and third central moment of its error, and Student's degrees of freedom."""

    variance: float
    third: float
    freedom: float


@dataclass(frozen=True, slots=True, eq=False)
class TokenModel:
    """Expected tokens of a candidate, with the pairs it was learned from and how far it was off on them."""

    pairs: Pairs
    input: _Side
    output: _Side
    inflation: Floats
    """What a pair's residual is multiplied by, since the model was bent towards it (HC2, MacKinnon and White 1985)."""
    lengths: Lengths

    @classmethod
    def learn(cls, pairs: Pairs, *, slopes: bool = True) -> TokenModel | None:
        """The model of these pairs, or None where they are fewer than `FEWEST_PAIRS`.

        Without `slopes` the ratio is the same at every length: for pairs whose two sides are of different requests.
        """
        if len(pairs) < FEWEST_PAIRS:
            return None
        pairs = pairs.ordered()
        fit_weight = _normalised(pairs.stand_for() + (pairs.chance > 0))
        total_weight = _normalised(pairs.stand_for())
        base_in, base_out, strata = pairs.input_base, pairs.output_base, pairs.stratum
        prior = SLOPE_PRIOR if slopes else _STIFF
        into, leverage_in = _fit(base_in, base_out, strata, pairs.input, fit_weight, False, prior)
        out, leverage_out = _fit(base_out, base_in, strata, pairs.output, fit_weight, True, prior)
        into = _calibrated(into, base_in, base_out, strata, pairs.input, total_weight)
        out = _calibrated(out, base_out, base_in, strata, pairs.output, total_weight)
        lengths = Lengths.of(pairs.output, out.expected(base_out, base_in, strata), fit_weight)
        leverage = np.minimum(np.maximum(leverage_in, leverage_out), _MOST_LEVERAGE)
        return cls(pairs, into, out, 1 / np.sqrt(1 - leverage), lengths)

    def expected(self, input_base: Floats, output_base: Floats, stratum: Ints) -> tuple[Floats, Floats]:
        """Mean input and output tokens for each row; a row's figures do not depend on the other rows."""
        return (
            self.input.expected(input_base, output_base, stratum),
            self.output.expected(output_base, input_base, stratum),
        )

    def with_history(self, past: Floats, input_base: Floats, output_base: Floats, stratum: Ints) -> TokenModel:
        """The same model, whose drawn lengths also heed output tokens of the candidate's `past` answers.

        The other columns are the baseline's, of the rows to be projected (or a good many of them). See `Lengths`.
        """
        _, expected = self.expected(input_base, output_base, stratum)
        return replace(self, lengths=self.lengths.with_history(past, expected))

    def uncertainty(self, uncalled: int, cost_of: Callable[[Floats, Floats], Floats]) -> Uncertainty:
        """Of the summed cost of `uncalled` rows that are not among the pairs, as (true - projected).

        `cost_of` prices columns of input and output tokens. With v the number of those rows that a pair speaks for and
        e its residual, the variance is sum v (v + 1) e² n / (n - 1): the error of what the pairs taught, and the
        scatter of the rows themselves.
        """
        pairs, n = self.pairs, len(self.pairs)
        if uncalled == 0:
            return Uncertainty(0.0, 0.0, n - 1)
        speaks = _normalised(pairs.stand_for()) * (uncalled / n)
        expected = self.expected(pairs.input_base, pairs.output_base, pairs.stratum)
        residual = (cost_of(pairs.input, pairs.output) - cost_of(*expected)) * self.inflation
        residual = residual - float(speaks @ residual) / uncalled
        variance = float(np.sum(speaks * (speaks + 1) * residual**2)) * n / (n - 1)
        return Uncertainty(variance, float(np.sum((speaks * residual) ** 3)), n - 1)


def _columns(own: Floats, other: Floats, relative: bool) -> Floats:
    both = np.stack([own, other], axis=1)
    return np.log1p(both) if relative else both


def _fit(
    own: Floats, other: Floats, strata: Ints, answered: Floats, weight: Floats, relative: bool, slope_prior: float
) -> tuple[_Side, Floats]:
    """The side's coefficients by ridge regression, and the leverage of each pair."""
    columns = _columns(own, other, relative)
    terms = _Terms.of(columns, strata, weight)
    base = own + 1 if relative else own
    ratio = _over(float(weight @ (answered + relative)), float(weight @ base))
    off = np.log((answered + 1) / (ratio * base)) if relative else answered - ratio * base
    matrix = terms.matrix(columns, strata)
    inverse = np.linalg.inv(matrix.T @ (weight[:, None] * matrix) + terms.penalty(slope_prior))
    coefficients = inverse @ (matrix.T @ (weight * off))
    leverage = np.einsum("ij,jk,ik,i->i", matrix, inverse, matrix, weight)
    return _Side(terms, coefficients, ratio, relative), leverage


def _calibrated(side: _Side, own: Floats, other: Floats, strata: Ints, answered: Floats, weight: Floats) -> _Side:
    """The side with the factor that makes its total right on the pairs, so that sums of rows need no correction."""
    factor = _over(float(weight @ answered), float(weight @ side.expected(own, other, strata)))
    return _Side(side.terms, side.coefficients, side.ratio, side.relative, factor)


def _normalised(weight: Floats) -> Floats:
    """Weights that sum to their number; equal ones where all are 0, as after a census."""
    total = float(weight.sum())
    return weight * (len(weight) / total) if total > 0 else np.ones(len(weight))


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0
