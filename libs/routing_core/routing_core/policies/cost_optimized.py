"""The cheapest model that can do the call and is good enough; the next cheapest where it fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from routing_core.flow import Excluded, Flow
from routing_core.parsing import TIERS
from routing_core.policies.chain import walk
from routing_core.policies.fitness import estimate, unfit
from routing_core.policies.lineup import APART, OPEN, POOL, Lineup, Link, in_pool, settle, unknown
from routing_core.shapes import CostOptimized
from routing_core.types import Request
from routing_core.world import Offer, World

MOST_TRIED = 10
_MOST_EXCLUDED = 20
_ORDINALS = ("cheapest", "second cheapest", "third cheapest", "fourth cheapest", "fifth cheapest")


def cost_optimized(policy: CostOptimized, request: Request, world: World) -> Flow:
    """Rank by the estimated cost of this call: its input tokens, and `max_tokens` or the policy's
    `expected_output_tokens` of output.

    Left out, each with its reason: what is denied, below `min_tier`, unable to do the call, without a known price, or
    has an open circuit. Equal costs keep the order of the allowlist. Up to ten targets are tried.
    """
    lineup = _lineup(policy, request, world)
    shut = any(excluded.reason.startswith(OPEN) for excluded in lineup.excluded)
    return walk(lineup, policy.retry_on, "cost_optimized", "cheapest with a closed circuit" if shut else "cheapest")


def _lineup(policy: CostOptimized, request: Request, world: World) -> Lineup:
    left_out: dict[Excluded, None] = {}
    ranked: list[tuple[int, int, Offer]] = []
    shut: list[Link] = []
    for offer in _offers(policy, world, left_out):
        price = offer.price
        reason = _unwanted(policy, offer) or unfit(offer, request)
        if reason or price is None or not price.known:
            left_out[Excluded(offer.target.name, reason or "no price known")] = None
        elif world.health_of(offer.target).state == "open":
            shut.append(Link(offer.target, APART, offer.target.name, "", policy.timeout_ms))
        else:
            ranked.append((estimate(offer, price, request, policy.expected_output_tokens), len(ranked), offer))
    ranked.sort()
    return settle(_links(policy, (offer for _, _, offer in ranked)), shut, _bounded(left_out), world)


def _offers(policy: CostOptimized, world: World, left_out: dict[Excluded, None]) -> Iterator[Offer]:
    seen = set()
    for model in world.offers if policy.allow is None else policy.allow:
        offers = world.resolve(model)
        if not offers:
            left_out[Excluded(model, unknown(None))] = None
        for offer in offers:
            if offer.target not in seen:
                seen.add(offer.target)
                yield offer


def _unwanted(policy: CostOptimized, offer: Offer) -> str:
    if offer.target.model in policy.deny or offer.target.name in policy.deny:
        return "denied"
    if offer.tier < policy.min_tier:
        return f"quality {TIERS[offer.tier - 1]} is below {TIERS[policy.min_tier - 1]}"
    return ""


def _links(policy: CostOptimized, offers: Iterable[Offer]) -> list[Link]:
    """The same model at the same provider is one place, by up to three credentials."""
    best = "cheapest in allowlist" if policy.allow is not None else "cheapest"
    if policy.min_tier > 1:
        best = f"{best} of quality {TIERS[policy.min_tier - 1]} or better"
    pools: dict[str, list[Link]] = {}
    for offer in offers:
        pool = pools.setdefault(offer.target.name, [])
        place = pool[0].place if pool else len(pools) - 1
        if len(pool) < POOL and place < MOST_TRIED:
            label = _ORDINALS[place] if place < len(_ORDINALS) else f"candidate {place + 1}"
            pool.append(
                in_pool(Link(offer.target, place, label, "fallback" if place else best, policy.timeout_ms), pool)
            )
    return [link for pool in pools.values() for link in pool][:MOST_TRIED]


def _bounded(left_out: Iterable[Excluded]) -> list[Excluded]:
    listed = list(left_out)
    more = len(listed) - _MOST_EXCLUDED
    return listed if more <= 0 else [*listed[:_MOST_EXCLUDED], Excluded("*", f"and {more} more")]
