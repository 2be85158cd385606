"""Rank targets by measured latency: power of two choices, with a floor of exploration for cold targets.

Two random candidates are compared and the better one leads, so that many proxies with the same stale numbers do not
all rush to one provider (Mitzenmacher 2001; the load factor is that of PeakEWMA in Finagle and Linkerd). All chance
comes in as draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from routing_core.draws import pick
from routing_core.types import Target
from routing_core.world import UNMEASURED, Health

Metric = Literal["p50", "ttft"]

COLD_SAMPLES = 5
"""A target with fewer recent answers than this is cold: its latency is a guess."""
_WORST_SUCCESS = 0.05


def score(health: Health, metric: Metric) -> float | None:
    """Expected milliseconds to a usable answer, or None where nothing is measured.

    Latency x (calls in flight + 1) / success rate: a busy target queues, a failing one must be asked again (the rate
    is floored at 5 %).
    """
    latency = health.ttft_ms if metric == "ttft" else health.p50_ms
    if latency is None:
        return None
    return latency * (health.inflight + 1) / max(1.0 - health.error_rate, _WORST_SUCCESS)


def choose(
    candidates: Sequence[Target],
    healths: Mapping[Target, Health],
    draw_a: float,
    draw_b: float,
    explore_draw: float,
    floor: float,
    metric: Metric = "p50",
) -> tuple[tuple[Target, ...], str]:
    """All candidates in the order to try them, and why the first one leads.

    `draw_a`, `draw_b` and `explore_draw` are independent draws in [0, 1); `floor` is the share of requests spent on
    measuring. Behind the leader stand the others by score, then the unmeasured in the given order. Raises ValueError
    when there are no candidates.
    """
    if not candidates:
        raise ValueError("no candidates to choose from")
    scores = {target: score(healths.get(target, UNMEASURED), metric) for target in candidates}
    measured = sorted((t for t in candidates if scores[t] is not None), key=lambda t: scores[t] or 0.0)
    ordered = (*measured, *(t for t in candidates if scores[t] is None))
    if len(candidates) == 1:
        return ordered, "only candidate"
    leader, reason = _leader(candidates, healths, scores, (draw_a, draw_b), explore_draw < floor, metric)
    return (leader, *(t for t in ordered if t != leader)), reason


def _leader(
    candidates: Sequence[Target],
    healths: Mapping[Target, Health],
    scores: Mapping[Target, float | None],
    draws: tuple[float, float],
    exploring: bool,
    metric: Metric,
) -> tuple[Target, str]:
    if exploring:
        cold = [t for t in candidates if scores[t] is None or healths[t].samples < COLD_SAMPLES]
        found = (cold or candidates)[pick(draws[0], len(cold) or len(candidates))]
        samples = healths.get(found, UNMEASURED).samples
        return found, f"exploration: {found.name} has {samples} recent sample{'' if samples == 1 else 's'}"
    measured = [t for t in candidates if scores[t] is not None]
    if not measured:
        return candidates[pick(draws[0], len(candidates))], "nothing measured yet, drawn evenly"
    if len(measured) == 1:
        return measured[0], f"only candidate with a measured {metric}"
    first = pick(draws[0], len(measured))
    second = pick(draws[1], len(measured) - 1)
    second += second >= first
    one, other = measured[first], measured[second]
    if (scores[other] or 0.0, second) < (scores[one] or 0.0, first):
        one, other = other, one
    mine, theirs = _ms(healths, one, metric), _ms(healths, other, metric)
    return one, f"faster of two drawn: {metric} {mine} against {theirs} of {other.name}"


def _ms(healths: Mapping[Target, Health], target: Target, metric: Metric) -> str:
    health = healths[target]
    latency = health.ttft_ms if metric == "ttft" else health.p50_ms
    load = f" with {health.inflight} in flight" if health.inflight else ""
    return f"{latency:.0f} ms{load}"
