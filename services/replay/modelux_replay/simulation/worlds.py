"""The worlds that requests met: offers and prices of the moment, versions of policies, health as it was seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from modelux_providers.catalog import Catalog, CredentialFacts, Offers, PriceOverride
from modelux_replay.plan import Document, Plan
from modelux_replay.simulation.courses import Courses
from modelux_replay.simulation.past import Past
from modelux_replay.simulation.stored import StoredTrace
from modelux_replay.simulation.traces import budgets_of, health_of
from routing_core.config import NamedPolicy, parse_policy
from routing_core.policies.reference import ACTIVE
from routing_core.pricing import Price
from routing_core.shapes import Single
from routing_core.types import Target
from routing_core.world import Budget, Health, World

_MODELS_KEPT = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """Offers and prices, for as long as they hold."""

    offers: Offers
    from_ms: int
    until_ms: int | None
    memo: dict[int, tuple[object, object]] = field(default_factory=dict)
    """`World.memo` of these offers."""
    _prices: dict[Target, Price] = field(default_factory=dict)

    def price(self, target: Target) -> Price | None:
        """What the target costs; None where nobody knows."""
        if not self._prices:
            listed = (offer for offers in self.offers.values() for offer in offers)
            self._prices.update({offer.target: offer.price for offer in listed if offer.price and offer.price.known})
        found = self._prices.get(target)
        if found is None:
            dated = (offer.price for offer in self.offers.get(target.model) or () if offer.target == target)
            found = next((price for price in dated if price and price.known), None)
        return found

    def again(self, from_ms: int, until_ms: int | None) -> Moment:
        """The same offers at another time, with what was derived of them."""
        return Moment(self.offers, from_ms, until_ms, self.memo, self._prices)


class Moments:
    """Gives offers to rows: the same ones, and all that is derived of them, wherever the same prices are in force."""

    def __init__(self, credentials: Sequence[CredentialFacts], prices: Sequence[PriceOverride]) -> None:
        self._catalog = Catalog.load()
        self._credentials = credentials
        self._prices = prices
        self._known: list[Moment] = []

    def at(self, at_ms: int) -> Moment:
        """The moment that holds at `at_ms`."""
        for known in self._known:
            if known.from_ms <= at_ms and (known.until_ms is None or at_ms < known.until_ms):
                return known
        offers = self._catalog.offers_kept(self._credentials, self._prices, at_ms)
        until_ms = self._catalog.next_change_ms(at_ms, self._prices)
        like = next((known for known in self._known if known.offers is offers), None)
        made = Moment(offers, at_ms, until_ms) if like is None else like.again(at_ms, until_ms)
        # rows come in order of time, so the last one made is the one that is asked for
        self._known.insert(0, made)
        return made


class Policies:
    """All versions of the project's policies, and those that traces and candidates refer to."""

    def __init__(self, versions: Sequence[Document], active: Mapping[str, int]) -> None:
        self._versions = {(each.slug, each.version): named(each) for each in versions}
        self._pinned = {f"{slug}:{number}": policy for (slug, number), policy in self._versions.items()}
        self.active = self._pinned | {
            slug: self._versions[slug, number] for slug, number in active.items() if (slug, number) in self._versions
        }
        """As `World.policies` of a candidate: what is in service now, and what is pinned."""
        self._plain: dict[str, NamedPolicy] = {}
        self._followed: dict[tuple[str, ...], Mapping[str, NamedPolicy]] = {(): self._pinned}

    def logged(self, slug: str, version: int, model: str) -> NamedPolicy | None:
        """The policy of a logged request: of a config, or a plain call of a model. None where the version is gone."""
        if slug:
            return self._versions.get((slug, version))
        found = self._plain.get(model)
        if found is None:
            if len(self._plain) >= _MODELS_KEPT:
                self._plain.clear()
            found = self._plain[model] = NamedPolicy("", 0, Single(model))
        return found

    def seen(self, trace: StoredTrace) -> Mapping[str, NamedPolicy]:
        """`routing_core.replay.policies_from`, made once for each set of versions that was followed."""
        followed = tuple([hop.chose for hop in trace.path if hop.reason == ACTIVE]) if trace.path else ()
        found = self._followed.get(followed)
        if found is None:
            found = self._followed[followed] = self._pinned | dict(self._active_then(followed))
        return found

    def _active_then(self, followed: Sequence[str]) -> Iterator[tuple[str, NamedPolicy]]:
        """What `@slug (v3)` names, of those that still exist."""
        for chose in followed:
            slug, _, number = chose.removeprefix("@").removesuffix(")").rpartition(" (v")
            policy = self._versions.get((slug, int(number))) if number.isdigit() else None
            if policy is not None:
                yield slug, policy


@dataclass(slots=True)
class Worlds:
    """Makes worlds for rows of the log."""

    moments: Moments
    policies: Policies
    past: Past
    courses: Courses = field(default_factory=Courses)

    @classmethod
    def of(cls, plan: Plan) -> Worlds:
        """Of one project."""
        moments = Moments(plan.credentials, plan.prices)
        return cls(moments, Policies(plan.versions, plan.active), Past(plan.calls))

    def logged(self, trace: StoredTrace, moment: Moment) -> World:
        """The world as the logged request saw it."""
        policies, budgets = self.policies.seen(trace), budgets_of(trace)
        return World(moment.offers, health_of(trace), policies, budgets, trace.saw.price_version, moment.memo)

    def candidate(
        self, looked: Mapping[Target, Health | None], budgets: tuple[Budget, ...], moment: Moment, at_us: int
    ) -> World:
        """The same world for the candidate: the health that was `looked` up, completed by what past calls tell of all
        other targets, and the budgets as they stood.
        """
        offers = moment.offers
        health = Completed(looked, self.past, at_us)
        return World(offers, health, self.policies.active, budgets, offers.price_version, moment.memo)


class Completed(Mapping[Target, Health]):
    """Health as it was seen, else as past calls tell it."""

    __slots__ = ("_at_us", "_looked", "_past")

    def __init__(self, looked: Mapping[Target, Health | None], past: Past, at_us: int) -> None:
        self._looked = looked
        self._past = past
        self._at_us = at_us

    def get(self, target: Target, default: Health | None = None) -> Health | None:  # type: ignore[override]  # no TypeVar
        looked = self._looked
        found = looked[target] if target in looked else self._past.health(target, self._at_us)
        return default if found is None else found

    def __getitem__(self, target: Target) -> Health:
        found = self.get(target)
        if found is None:
            raise KeyError(target)
        return found

    def __iter__(self) -> Iterator[Target]:
        return iter(self._looked)

    def __len__(self) -> int:
        return len(self._looked)


def named(document: Document) -> NamedPolicy:
    """The policy of a stored document, which was checked when it was stored."""
    return NamedPolicy(document.slug, document.version, parse_policy(json.loads(document.policy_json)))
