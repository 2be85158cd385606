"""How far a projected cost may be off, for what is not known of the candidate's own tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.intervals import Estimate, Interval
from experiment_core.projection.totals import Share, TotalCost, total_cost
from modelux_replay.learned.calibration import Learned, Ratios, Route
from routing_core.pricing import Price

ASSUMES = "The candidate reads and writes as many tokens as the log says; a pilot would tell how many it really does."
CALIBRATED = "The candidate's tokens stand to the logged ones as they did in calls of both on the same requests."
PARTLY = "Some routes' tokens are corrected by calls of both models; of the others they are those of the log."


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """Columns of the evaluable rows. Codes of models are places in `models`, equal for one at several providers."""

    baseline: Ints
    candidate: Ints
    projected: Bools
    """Rows whose cost is projected; of the others it is known."""
    cost_nano: Floats
    """Of the candidate, weighted, as are its tokens."""
    input_tokens: Floats
    output_tokens: Floats
    weight: Floats
    models: Sequence[str]


@dataclass(frozen=True, slots=True)
class Routed:
    """Projected rows of one route."""

    route: Route
    rows: int
    learned: Learned | None
    """What their tokens were corrected by; None: they are those of the log."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """The candidate's total cost with its 95 % interval, and what it rests on."""

    total: TotalCost
    routes: tuple[Routed, ...] = field(repr=False)
    """The largest first."""

    @property
    def rows(self) -> int:
        """Rows whose tokens are projected."""
        return sum(each.rows for each in self.routes)

    @property
    def evidence(self) -> str:
        """Of the route with the most rows: `pilot`, `history`, `live`, or `naive`."""
        learned = self.routes[0].learned if self.routes else None
        return learned.source if learned else "naive"

    @property
    def pairs(self) -> int:
        """Calls of both models that the correction rests on."""
        return sum(len(each.learned.model.pairs) for each in self.routes if each.learned)

    @property
    def assumes(self) -> str:
        """In words."""
        corrected = [each.learned is not None for each in self.routes]
        return CALIBRATED if all(corrected) else PARTLY if any(corrected) else ASSUMES


def remaining(rows: Projected, ratios: Ratios) -> Remaining:
    """The total with the interval that the pairs leave, or where there are none that other pairs of models suggest.

    Where the same model answers, its tokens are those of the log.
    """
    shares, models, prices, routes = [], {}, {}, []
    for baseline, candidate, own in _routes(rows):
        route = rows.models[baseline], rows.models[candidate]
        unknown = own & rows.projected & (baseline != candidate)
        learned = ratios.learned.get(route) if unknown.any() else None
        price = _price(rows, unknown)
        if learned is not None:
            models[baseline, candidate], prices[candidate] = learned.model, price
        if unknown.any():
            routes.append(Routed(route, int(unknown.sum()), learned))
        shares.append(_share(rows, (baseline, candidate), own, unknown, price, learned))
    routes.sort(key=lambda each: (-each.rows, each.route))
    return Remaining(total_cost(shares, models, prices), tuple(routes))


def percent_of(total: TotalCost, baseline_nano: float) -> Estimate:
    """The change of the total in percent of the baseline's."""
    if baseline_nano <= 0 or total.nano.value is None:
        return Estimate(None, Interval(None, None))
    return total.nano.scaled(100 / baseline_nano, -100)


def _routes(rows: Projected) -> Iterator[tuple[int, int, Bools]]:
    count = max(len(rows.models), 1)
    codes = rows.baseline * count + rows.candidate
    for code in np.unique(codes).tolist():
        yield code // count, code % count, codes == code


def _share(
    rows: Projected, codes: tuple[int, int], own: Bools, unknown: Bools, price: Price, learned: Learned | None
) -> Share:
    spent = float(rows.cost_nano[unknown].sum())
    output = min(float(rows.output_tokens[unknown].sum()) * price.output / 1e6, spent)
    known = float(rows.cost_nano[own].sum()) - spent
    called = int(np.count_nonzero(learned.model.pairs.chance > 0)) if learned else 0
    uncalled = max(round(float(rows.weight[unknown].sum())) - called, 0)
    return Share(*codes, round(float(rows.weight[own].sum())), uncalled, known, spent - output, output)


def _price(rows: Projected, chosen: Bools) -> Price:
    """What a token of either kind costs: costs are sums of both kinds of tokens times their prices."""
    paid = chosen & (rows.cost_nano > 0)
    if not paid.any():
        return Price(0, 0)
    tokens = np.stack([rows.input_tokens[paid], rows.output_tokens[paid]], axis=1)
    prices, *_ = np.linalg.lstsq(tokens, rows.cost_nano[paid], rcond=None)
    into, out = (max(round(float(price) * 1e6), 0) for price in prices)
    return Price(into, out)
