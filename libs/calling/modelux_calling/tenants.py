"""What the proxy serves from:
keys, projects, policies, offers and routes, built whole from one snapshot and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelux_providers.route import Route
from routing_core.budgets import BudgetRule, Matcher, compile_rules
from routing_core.config import NamedPolicy, Single
from routing_core.types import Target
from routing_core.world import Offer

_MAX_PLAIN = 10_000
_NO_BUDGETS = compile_rules((), "", "", "")


@dataclass(frozen=True, slots=True)
class Project:
    """One project. `policies` holds active versions by slug and every version by `slug:version`."""

    id: str
    organization_id: str
    full_logging: bool
    default_max_tokens: int
    policies: Mapping[str, NamedPolicy]
    archived: frozenset[str]
    offers: Mapping[str, tuple[Offer, ...]]
    routes: Mapping[str, Route]
    """By credential id."""
    facts: dict[Target, Offer] = field(repr=False)
    key: bytes = b""
    """Its id as the bus key."""
    price_version: str = ""
    budgets: tuple[BudgetRule, ...] = field(default=(), repr=False)
    """Of its organization: those that hold for it are found for each key, and for each call made in its name."""
    wire: dict[tuple[object, ...], bytes] = field(default_factory=dict, repr=False, compare=False)
    """Encoded parts of events that come again and again."""
    lineups: dict[int, tuple[object, object]] = field(default_factory=dict, repr=False, compare=False)
    """See `World.memo`."""
    plain: dict[str, NamedPolicy] = field(default_factory=dict, repr=False, compare=False)

    def plain_policy(self, model: str) -> NamedPolicy:
        """The policy of a call that names a model; kept, as the same names come again."""
        policy = self.plain.get(model)
        if policy is None:
            if len(self.plain) >= _MAX_PLAIN:
                self.plain.clear()
            policy = self.plain[model] = NamedPolicy("", 0, Single(model))
        return policy

    def offers_for(self, model: str) -> tuple[Offer, ...]:
        """Offers for `model` or `model:provider`, as `World.resolve` reads it."""
        found = self.offers.get(model)
        if found is None and ":" in model:
            bare, _, provider = model.rpartition(":")
            found = tuple(o for o in self.offers.get(bare, ()) if o.target.provider == provider)
        return found or ()

    def offer_of(self, target: Target) -> Offer | None:
        """The offer a target was chosen from; kept, as names that are not listed are made anew otherwise."""
        offer = self.facts.get(target)
        if offer is None:
            offer = next((each for each in self.offers_for(target.model) if each.target == target), None)
            if offer is not None and len(self.facts) < _MAX_PLAIN:
                self.facts[target] = offer
        return offer


@dataclass(frozen=True, slots=True)
class Key:
    """One proxy key. Limits of 0 mean none; `allowed` is empty where everything is."""

    id: str
    project: Project
    expires_at_us: int
    requests_per_minute: int
    tokens_per_minute: int
    allowed: frozenset[str]
    budgets: Matcher = field(default=_NO_BUDGETS, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Tenants:
    """One snapshot, ready to serve."""

    version: int
    keys: Mapping[bytes, Key]
    """By SHA-256 of the key text."""
    projects: Mapping[str, Project]
    prices_until_ms: int | None = None
    """When the first of its prices gives way to another; None: none is known to."""
    seen: dict[bytes, Key] = field(default_factory=dict, repr=False, compare=False)
    """By what callers that hold one of the keys send, which spares hashing it for every request."""
