"""Success criteria in the words of the command line, such as `cost_delta_pct <= -20`, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from routing_core.errors import ModeluxError

PassIf = Annotated[
    list[str] | None, typer.Option(help="A success criterion, e.g. 'cost_delta_pct <= -20'; repeatable.")
]
AnyOf = Annotated[bool, typer.Option("--any", help="One criterion is enough.")]
MinSample = Annotated[int, typer.Option(min=0, help="Requests that a verdict needs. Left out: 100.")]
_PREDICATE = re.compile(r"\s*(\w+)\s*(?:@\s*([0-9.]+))?\s*(<=|>=|<|>)\s*(-?[0-9.]+)\s*%?\s*")
_HINT = "Write METRIC OP NUMBER, such as 'cost_delta_pct <= -20' or 'similarity_pct_above_threshold@0.9 >= 80'."


def criteria(written: Sequence[str], *, any_of: bool, min_sample: int) -> dict[str, Any] | None:
    """As the API takes them, which knows the metrics; None without any. Raises ModeluxError."""
    if not written:
        return None
    found: dict[str, Any] = {"logic": "or" if any_of else "and", "predicates": [_predicate(each) for each in written]}
    return found | ({"min_sample_size": min_sample} if min_sample else {})


def told(criteria: Mapping[str, Any]) -> str:
    """Criteria of the API as one writes them, with `and` or `or` between."""
    return f" {criteria.get('logic', 'and')} ".join(map(_told, criteria["predicates"]))


def _told(each: Mapping[str, Any]) -> str:
    threshold = each.get("params", {}).get("threshold")
    return f"{each['metric']}{'' if threshold is None else f'@{threshold:g}'} {each['op']} {each['value']:g}"


def _predicate(written: str) -> dict[str, Any]:
    found = _PREDICATE.fullmatch(written)
    try:
        if found is None:
            raise ValueError
        metric, threshold, op, value = found.groups()
        predicate: dict[str, Any] = {"metric": metric, "op": op, "value": float(value)}
        return predicate | ({"params": {"threshold": float(threshold)}} if threshold else {})
    except ValueError:
        raise ModeluxError("usage", f"{written!r} is no criterion", hint=_HINT) from None
