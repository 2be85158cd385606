"""Policies as configuration: parse a document, check its references, write it back. The face of `shapes`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from routing_core.dumping import dump_policy
from routing_core.errors import InvalidConfig
from routing_core.parsing import MAX_DEPTH, STRATEGIES, parse_policy, parse_reference
from routing_core.shapes import (
    AbTest,
    Arm,
    Cascade,
    Case,
    Confidence,
    CostOptimized,
    CustomRules,
    Ensemble,
    Fallback,
    LatencyOptimized,
    Member,
    NamedPolicy,
    Policy,
    Ref,
    SelfScore,
    Single,
    Try,
)

__all__ = [
    "MAX_DEPTH",
    "STRATEGIES",
    "AbTest",
    "Arm",
    "Cascade",
    "Case",
    "Confidence",
    "CostOptimized",
    "CustomRules",
    "Ensemble",
    "Fallback",
    "LatencyOptimized",
    "Member",
    "NamedPolicy",
    "Notice",
    "Policy",
    "Ref",
    "SelfScore",
    "Single",
    "Try",
    "dump_policy",
    "model_names",
    "parse_policy",
    "parse_reference",
    "references",
    "strategy_of",
    "validate",
]


_Place = str
"""The path in the document being saved, however far its references lead."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that may be saved and probably is not meant. `where` is the path in the document."""

    message: str
    where: str
    hint: str = ""


def validate(
    policy: Policy,
    known: Mapping[str, Policy],
    *,
    slug: str | None = None,
    models: Collection[str] | None = None,
    budgets: Collection[str] | None = None,
) -> tuple[Notice, ...]:
    """Check what `policy` refers to; `known` holds the active policies by `slug` and pinned ones by `slug:version`.

    `slug` is the name it will be saved under, so that a way back to itself is found. Raises InvalidConfig for an
    unknown reference, a circle, a nest more than five deep (a reference counts as a level, and what it leads to is
    followed), and, where `budgets` (ids) are given, a rule about another one. With `models` (names, `model` or
    `model:provider`), returns a notice for each model that is not among them.
    """
    _check(policy, "", 1, _Heights(known, [slug] if slug else [], {}))
    if budgets is not None:
        _check_budgets(policy, "", budgets)
    if models is None:
        return ()
    return tuple(_unknown_model(name, where, models) for where, name in model_names(policy) if name not in models)


def strategy_of(policy: Policy) -> str:
    """The policy type as documents and traces name it (`cost_optimized`; `reference` for `@slug`)."""
    return _NAMES[type(policy)]


def references(policy: Policy, path: str = "") -> Iterator[tuple[str, Ref]]:
    """Every `@slug` in the policy itself (references are not followed), with the path it stands at."""
    if isinstance(policy, Ref):
        yield path, policy
    for below, child in _children(policy, path):
        yield from references(child, below)


def model_names(policy: Policy, path: str = "") -> Iterator[tuple[str, str]]:
    """Every model that the policy itself names, with the path it stands at."""
    match policy:
        case Single():
            yield _join(path, "model"), policy.model
        case Fallback() | Cascade():
            yield from ((_join(path, f"attempts[{i}].model"), item.model) for i, item in enumerate(policy.attempts))
        case Ensemble():
            yield from ((_join(path, f"members[{i}].model"), item.model) for i, item in enumerate(policy.members))
        case LatencyOptimized():
            yield from ((_join(path, f"models[{i}]"), name) for i, name in enumerate(policy.models))
        case CostOptimized():
            yield from ((_join(path, f"allow[{i}]"), name) for i, name in enumerate(policy.allow or ()))
            yield from ((_join(path, f"deny[{i}]"), name) for i, name in enumerate(policy.deny))
        case _:
            for below, child in _children(policy, path):
                yield from model_names(child, below)


def _children(policy: Policy, path: str) -> Iterator[tuple[str, Policy]]:
    if isinstance(policy, AbTest):
        yield from ((_join(path, f"split[{i}].policy"), arm.policy) for i, arm in enumerate(policy.split))
    elif isinstance(policy, CustomRules):
        yield from ((_join(path, f"rules[{i}].then"), case.then) for i, case in enumerate(policy.rules))
        yield _join(path, "otherwise"), policy.otherwise


def _check(policy: Policy, place: _Place, depth: int, heights: _Heights) -> None:
    if isinstance(policy, Ref):
        below = heights.of(policy, place)
        if depth + below > MAX_DEPTH:
            hint = "Refer to a flatter policy."
            raise InvalidConfig(
                f"policies nest at most {MAX_DEPTH} deep, @{policy.key} makes it {depth + below}",
                where=place,
                hint=hint,
            )
    for where, child in _children(policy, place):
        _check(child, where, depth + 1, heights)


def _check_budgets(policy: Policy, place: _Place, budgets: Collection[str]) -> None:
    if isinstance(policy, CustomRules):
        for index, case in enumerate(policy.rules):
            for kind, name in sorted(case.when.refers):
                if kind == "budgets" and name not in budgets:
                    raise InvalidConfig(
                        f"there is no budget {name!r}",
                        where=_join(place, f"rules[{index}].when"),
                        hint="Create it first, or take the rule out.",
                    )
    for where, child in _children(policy, place):
        _check_budgets(child, where, budgets)


@dataclass(frozen=True, slots=True)
class _Heights:
    """How many levels stand below a reference. Each policy is walked once, however many references lead to it."""

    known: Mapping[str, Policy]
    chain: list[str]
    done: dict[str, int]

    def of(self, ref: Ref, where: _Place) -> int:
        key = ref.key
        if key in self.chain:
            way = " -> ".join(f"@{name}" for name in (*self.chain[self.chain.index(key) :], key))
            raise InvalidConfig(f"policies refer in a circle: {way}", where=where, hint="Break the circle.")
        if key not in self.known:
            near = get_close_matches(key, self.known, 1)
            hint = f"Did you mean '@{near[0]}'?" if near else "Create it first."
            raise InvalidConfig(f"there is no policy @{key}", where=where, hint=hint)
        if key not in self.done:
            if len(self.chain) > MAX_DEPTH:
                raise InvalidConfig(
                    f"policies nest at most {MAX_DEPTH} deep", where=where, hint="Refer to a flatter policy."
                )
            self.chain.append(key)
            self.done[key] = self._levels(self.known[key], where)
            self.chain.pop()
        return self.done[key]

    def _levels(self, policy: Policy, where: _Place) -> int:
        if isinstance(policy, Ref):
            return 1 + self.of(policy, where)
        return 1 + max((self._levels(child, where) for _, child in _children(policy, "")), default=0)


def _unknown_model(name: str, where: str, models: Collection[str]) -> Notice:
    near = get_close_matches(name, models, 1)
    return Notice(f"no credential offers {name!r} now", where, f"Did you mean {near[0]!r}?" if near else "")


def _join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


_NAMES: Mapping[type, str] = {
    Single: "single",
    Fallback: "fallback",
    CostOptimized: "cost_optimized",
    LatencyOptimized: "latency_optimized",
    Ensemble: "ensemble",
    AbTest: "ab_test",
    Cascade: "cascade",
    CustomRules: "custom_rules",
    Ref: "reference",
}
