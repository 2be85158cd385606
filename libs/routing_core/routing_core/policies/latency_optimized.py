"""The target that answers fastest now, by power of two choices over recent latencies; then the next fastest."""

from __future__ import annotations

from collections.abc import Sequence

from routing_core.draws import draw
from routing_core.flow import Excluded, Flow
from routing_core.policies.chain import walk
from routing_core.policies.fitness import unfit
from routing_core.policies.lineup import APART, Link, settle, unknown
from routing_core.scoring import choose
from routing_core.shapes import LatencyOptimized
from routing_core.types import Request, Target
from routing_core.world import World

MOST_TRIED = 10
_LABELS = ("fastest", "next fastest", "third", "fourth", "fifth")


def latency_optimized(policy: LatencyOptimized, request: Request, world: World) -> Flow:
    """Each offer of each model is a candidate; those with an open circuit or unable to do the call are left out.

    Two are drawn and the faster leads, except in a share `explore` of the requests, which measures cold targets. The
    draws are hashes of the request's id, so that a replay ranks as live traffic did. Up to ten targets are tried.
    """
    candidates, shut, left_out = _sorted_out(policy, request, world)
    if not candidates:
        return walk(settle((), shut, left_out, world), policy.retry_on, "latency_optimized", "only candidate")
    metric = policy.metric or ("ttft" if request.stream else "p50")
    a, b, chance = (draw(request.request_id, "latency_optimized", part) for part in ("a", "b", "explore"))
    ranking, reason = choose(candidates, world.health, a, b, chance, policy.explore, metric)
    lineup = settle(_links(policy, ranking[:MOST_TRIED], reason), shut, left_out, world)
    return walk(lineup, policy.retry_on, "latency_optimized", reason, round(chance, 6))


def _sorted_out(
    policy: LatencyOptimized, request: Request, world: World
) -> tuple[list[Target], list[Link], list[Excluded]]:
    candidates: dict[Target, None] = {}
    shut: list[Link] = []
    left_out: dict[Excluded, None] = {}
    for model in policy.models:
        offers = world.resolve(model)
        if not offers:
            left_out[Excluded(model, unknown(None))] = None
        for offer in offers:
            reason = unfit(offer, request)
            if reason:
                left_out[Excluded(offer.target.name, reason)] = None
            elif world.health_of(offer.target).state == "open":
                shut.append(Link(offer.target, APART, offer.target.name, "", policy.timeout_ms))
            else:
                candidates[offer.target] = None
    return list(candidates), shut, list(left_out)


def _links(policy: LatencyOptimized, ranking: Sequence[Target], reason: str) -> list[Link]:
    places: dict[str, int] = {}
    return [
        Link(
            target,
            places.setdefault(target.name, len(places)),
            _LABELS[rank] if rank < len(_LABELS) else f"candidate {rank + 1}",
            "fallback" if rank else reason,
            policy.timeout_ms,
        )
        for rank, target in enumerate(ranking)
    ]
