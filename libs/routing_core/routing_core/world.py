"""What a policy may see of the world at one moment: offers, health, budgets and the named policies it may refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from routing_core.records import record
from routing_core.types import Capability, Target

if TYPE_CHECKING:
    from routing_core.config import NamedPolicy
    from routing_core.pricing import Price

BreakerState = Literal["closed", "open", "probe"]
"""`closed`: healthy; `open`: ejected, do not use; `probe`: half-open, and this request may be its probe."""


@record
class Offer:
    """A model that this project can reach through one credential, with the facts that policies filter and rank by."""

    target: Target
    price: Price | None
    """None: no price is known. One that is not `known` is a ceiling, for charging alone."""
    tier: int = 2
    """Quality tier, 1 (light) to 4 (frontier)."""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] = frozenset()


@record
class Health:
    """What recent traffic says of a target. Latencies are EWMAs or quantiles of the window; None = not measured yet."""

    state: BreakerState = "closed"
    p50_ms: float | None = None
    ttft_ms: float | None = None
    error_rate: float = 0.0
    samples: int = 0
    inflight: int = 0
    reason: str = ""
    """Why the circuit is open; empty while it is not, and where nobody knows."""


@record
class Budget:
    """One spend cap that applies to the request, as enforcement sees it. Amounts in nano-USD."""

    budget_id: str
    cap_nano: int
    spent_nano: int
    """Settled plus reserved."""
    name: str = ""
    downgrade_to: str = ""
    """A model or `@slug` that serves instead once the money runs short; empty: nothing does."""
    downgrade_at_ppm: int = 0
    """Share of the cap, in millionths, from which on it serves; 0: only once an attempt was denied."""


@record
class World:
    """An immutable view. `offers` maps a model name to its offers in order of preference; `health` may lack targets
    never called.
    """

    offers: Mapping[str, tuple[Offer, ...]]
    health: Mapping[Target, Health] = field(default_factory=dict)
    policies: Mapping[str, NamedPolicy] = field(default_factory=dict)
    """Active version of each `@slug`; `slug:version` keys for pinned ones."""
    budgets: tuple[Budget, ...] = ()
    price_version: str = ""
    memo: dict[int, tuple[object, object]] = field(default_factory=dict, compare=False, repr=False)
    """What was derived of `offers` and a policy alone, with that policy, by its `id`. Whoever keeps the offers may keep
    it with them, for as long as they do not change.
    """

    def resolve(self, model: str, credential_id: str | None = None) -> tuple[Offer, ...]:
        """Offers for `model` or `model:provider`, restricted to a credential where one is named. Empty when there is
        none.

        A model name may itself hold colons (`llama3:8b`), so the whole string is looked up before its last colon is
        read as a provider.
        """
        found = self.offers.get(model)
        if found is None and ":" in model:
            bare, _, provider = model.rpartition(":")
            found = tuple(o for o in self.offers.get(bare, ()) if o.target.provider == provider)
        if found and credential_id:
            found = tuple(o for o in found if o.target.credential_id == credential_id)
        return found or ()

    def health_of(self, target: Target) -> Health:
        return self.health.get(target, UNMEASURED)


UNMEASURED = Health()
