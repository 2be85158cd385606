"""A project whose three providers are one simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from budget_books import PRICE

from modelux_calling.tenants import Project
from modelux_providers.client import Origin
from modelux_providers.dialects.base import VendorFacts, auth_headers
from modelux_providers.dialects.table import DIALECTS
from modelux_providers.route import Route
from routing_core.config import NamedPolicy, parse_policy
from routing_core.pricing import ceiling
from routing_core.types import Target
from routing_core.world import Offer


def project(port: int, policies: Mapping[str, object], *, full_logging: bool = True) -> Project:
    """A project with models `a`, `b` and `c` at three simulated providers `one`, `two` and `three`."""
    routes: dict[str, Route] = {}
    offers: dict[str, tuple[Offer, ...]] = {}
    for model, provider in (
        ("a", "one"),
        ("b", "two"),
        ("c", "three"),
        ("embed", "one"),
        *((model, "one") for model in OTHERS),
    ):
        credential = f"pc_{provider}"
        vendor = VendorFacts(provider)
        origin = Origin("http", "127.0.0.1", port, True, credential)
        routes[credential] = Route(
            origin, "/v1", vendor, DIALECTS["openai"], auth_headers("bearer", f"sk-{provider}-secret")
        )
        price = OTHERS.get(model, PRICE)
        offers[model] = (
            Offer(Target(model, provider, credential), price, capabilities=_EMBEDS if model == "embed" else _CHATS),
        )
    named = {slug: NamedPolicy(slug, 1, parse_policy(document)) for slug, document in policies.items()}
    named |= {f"{slug}:1": policy for slug, policy in list(named.items())}
    facts = {offer.target: offer for each in offers.values() for offer in each}
    return Project(
        "proj_1", "org_1", full_logging, 0, named, frozenset({"old"}), offers, routes, facts, b"proj_1", "prices-1"
    )


OTHERS = {"unpriced": None, "ceiled": ceiling(1_000_000_000), "fee": replace(PRICE, request=5_000_000_000)}
"""Models that have another price, or none that is known."""
_CHATS = frozenset({"tools", "vision", "json_schema", "logprobs", "reasoning"})
_EMBEDS = frozenset({"embeddings"})
