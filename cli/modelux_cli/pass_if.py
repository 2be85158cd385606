"""Success criteria in the words of the command line, such as `cost_delta_pct <= -20`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from routing_core.errors import ModeluxError

_PREDICATE = re.compile(r"\s*(\w+)\s*(?:@\s*([0-9.]+))?\s*(<=|>=|<|>)\s*(-?[0-9.]+)\s*%?\s*")
_HINT = "Write METRIC OP NUMBER, such as 'cost_delta_pct <= -20' or 'similarity_pct_above_threshold@0.9 >= 80'."


def criteria(written: Sequence[str], *, any_of: bool, min_sample: int) -> dict[str, Any] | None:
    """As the API takes them, which knows the metrics; None without any. Raises ModeluxError."""
    if not written:
        return None
    found: dict[str, Any] = {"logic": "or" if any_of else "and", "predicates": [_predicate(each) for each in written]}
    return found | ({"min_sample_size": min_sample} if min_sample else {})


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
