"""What a rule sees of a request and the world: each name computed when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from routing_core.pricing import estimate
from routing_core.types import Request
from routing_core.world import Budget, Health, World

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


def environment(request: Request, world: World) -> Mapping[str, object]:
    """The variables of `SCHEMA` for one request. Cheap to make: nothing is computed until a rule asks."""
    return _Environment(request, world)


class _Environment(Mapping[str, object]):
    __slots__ = ("_request", "_world")

    def __init__(self, request: Request, world: World) -> None:
        self._request = request
        self._world = world

    def __getitem__(self, name: str) -> object:
        return _FIELDS[name](self._request, self._world)

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)


class _PerModel:
    """A map from model names to one number, computed on asking."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[str], object]) -> None:
        self._compute = compute

    def get(self, model: str) -> object:
        return self._compute(model)


def _cost_usd(request: Request, world: World) -> _PerModel:
    def cheapest(model: str) -> float | None:
        prices = [offer.price for offer in world.resolve(model)]
        costs = [estimate(p, request.input_tokens, request.max_tokens) for p in prices if p is not None and p.known]
        return min(costs) / 1e9 if costs else None

    return _PerModel(cheapest)


def _least(read: Callable[[Health], float | None]) -> Callable[[Request, World], _PerModel]:
    """The lowest value over the model's targets, those with an open circuit left out where there are others."""

    def per_model(request: Request, world: World) -> _PerModel:
        def best(model: str) -> float | None:
            healths = [world.health_of(offer.target) for offer in world.resolve(model)]
            usable = [h for h in healths if h.state != "open"] or healths
            values = [value for h in usable if (value := read(h)) is not None]
            return min(values) if values else None

        return _PerModel(best)

    return per_model


def _healthy(request: Request, world: World) -> _PerModel:
    def any_closed(model: str) -> bool | None:
        offers = world.resolve(model)
        return any(world.health_of(o.target).state != "open" for o in offers) if offers else None

    return _PerModel(any_closed)


def used_fraction(budget: Budget) -> float:
    """Spent / cap; 1 for a cap of nothing."""
    return budget.spent_nano / budget.cap_nano if budget.cap_nano > 0 else 1.0


def _amounts(budget: Budget) -> dict[str, float]:
    return {
        "used_fraction": used_fraction(budget),
        "spent_usd": budget.spent_nano / 1e9,
        "remaining_usd": max(budget.cap_nano - budget.spent_nano, 0) / 1e9,
        "cap_usd": budget.cap_nano / 1e9,
    }


def _tightest(request: Request, world: World) -> dict[str, float]:
    if not world.budgets:
        return {"used_fraction": 0.0}
    return _amounts(max(world.budgets, key=used_fraction))


_FIELDS: Mapping[str, Callable[[Request, World], object]] = {
    "model": lambda r, w: r.model,
    "endpoint": lambda r, w: r.endpoint,
    "stream": lambda r, w: r.stream,
    "input_tokens": lambda r, w: r.input_tokens,
    "max_tokens": lambda r, w: r.max_tokens,
    "tokens": lambda r, w: r.input_tokens + (r.max_tokens or 0),
    "needs": lambda r, w: tuple(sorted(r.needs)),
    "tags": lambda r, w: r.tags,
    "end_user_id": lambda r, w: r.end_user_id,
    "project_id": lambda r, w: r.project_id,
    "key_id": lambda r, w: r.key_id,
    "cost_usd": _cost_usd,
    "latency_ms": _least(lambda h: h.p50_ms),
    "ttft_ms": _least(lambda h: h.ttft_ms),
    "error_rate": _least(lambda h: h.error_rate if h.samples else None),
    "healthy": _healthy,
    "budget": _tightest,
    "budgets": lambda r, w: {budget.budget_id: _amounts(budget) for budget in w.budgets},
    "now": lambda r, w: r.at_ms,
    "hour": lambda r, w: r.at_ms // _HOUR_MS % 24,
    "minute": lambda r, w: r.at_ms // 60_000 % 60,
    "weekday": lambda r, w: (r.at_ms // _DAY_MS + 4) % 7,
}
