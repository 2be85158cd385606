"""Price logged usage again: what each model's calls would cost at other prices, to the nano."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelux_providers.catalog import Catalog, PriceOverride
from modelux_store.logged_usage import Used
from routing_core.pricing import Price, cost

PriceOf = Callable[[Used], Price | None]


@dataclass(slots=True)
class Tally:
    """Attempts added up. Amounts in nano-USD."""

    attempts: int = 0
    logged: int = 0
    """What the log says they cost, ceilings included."""
    unknown: int = 0
    """Attempts whose price was not known when they were made."""
    repriced: int = 0
    """What those with a price now cost."""
    unpriced: int = 0
    """Attempts that have no price now either."""
    unpriced_logged: int = 0

    @property
    def difference(self) -> int:
        """Repriced less logged, of those that have a price."""
        return self.repriced - (self.logged - self.unpriced_logged)

    def add(self, used: Used, amount: int | None) -> None:
        """`amount`: what all of them cost now; None where no price is known."""
        self.attempts += used.attempts
        self.logged += used.cost_nano
        self.unknown += used.attempts if used.price_unknown else 0
        if amount is None:
            self.unpriced += used.attempts
            self.unpriced_logged += used.cost_nano
        else:
            self.repriced += amount


@dataclass(slots=True)
class Charged:
    """What was charged at one version of a price."""

    attempts: int = 0
    cost: int = 0

    def add(self, attempts: int, cost: int) -> None:
        self.attempts += attempts
        self.cost += cost


@dataclass(slots=True)
class Line(Tally):
    """One model at one provider. Versions of prices by name; empty where none is known."""

    logged_at: dict[str, Charged] = field(default_factory=dict)
    repriced_at: dict[str, Charged] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything, and what it is made of by (provider, model)."""

    total: Tally
    lines: Mapping[tuple[str, str], Line]


def reprice(used: Iterable[Used], price_of: PriceOf) -> Report:
    """Adds up what attempts cost by the log and at the prices of `price_of`, by the arithmetic that charged them."""
    total, lines = Tally(), dict[tuple[str, str], Line]()
    for each in used:
        price = price_of(each)
        amount = None if price is None else cost(price, each.usage) * each.attempts
        line = lines.setdefault((each.provider, each.model), Line())
        total.add(each, amount)
        line.add(each, amount)
        line.logged_at.setdefault(each.price_version, Charged()).add(each.attempts, each.cost_nano)
        if price is not None and amount is not None:
            line.repriced_at.setdefault(price.version, Charged()).add(each.attempts, amount)
    return Report(total, lines)


def prices(
    catalog: Catalog, overrides: Sequence[PriceOverride], supposed: Sequence[PriceOverride], at_ms: int | None
) -> PriceOf:
    """The prices to use: those in force at `at_ms`, or for None at the moment each attempt is kept under.

    `supposed` prices replace all others of their model.
    """
    told = {(each.provider, each.model): each.price() for each in supposed}
    found: dict[tuple[str, str, int], Price | None] = {}

    def price_of(used: Used) -> Price | None:
        key = (used.provider, used.model, used.at_ms if at_ms is None else at_ms)
        if key not in found:
            found[key] = told.get(key[:2]) or catalog.price(*key, overrides)
        return found[key]

    return price_of


def moments_ms(catalog: Catalog, overrides: Sequence[PriceOverride], start_ms: int, end_ms: int) -> list[int]:
    """When prices changed in [start, end), after `start_ms` itself."""
    found, at_ms = [start_ms], catalog.next_change_ms(start_ms, overrides)
    while at_ms is not None and at_ms < end_ms:
        found.append(at_ms)
        at_ms = catalog.next_change_ms(at_ms, overrides)
    return found
