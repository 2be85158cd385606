"""Every case of the corpus has its test: P1 to P50 for callers, U1 to U12 for providers, F10 to F16 for faults."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ELSEWHERE = {"P47", "P48"}
"""Spend caps: tested where those are built."""
CASES = {f"P{n}" for n in range(1, 51)} | {f"U{n}" for n in range(1, 13)} | {f"F{n}" for n in range(10, 17)}


def test_every_case_is_put_to_the_proxy(request):
    """Cases are named in the id of a test, or else at the beginning of its docstring."""
    folder = Path(__file__).parent
    items = [item for item in request.session.items if item.path.parent == folder]
    if {item.path.name for item in items} != {path.name for path in folder.glob("test_*.py")}:
        pytest.skip("only a part of the corpus was collected")
    variants: Counter[str] = Counter()
    for item in items:
        named = re.findall(r"\b([PUF]\d+)\b", item.name) or re.findall(r"^([PUF]\d+):", item.function.__doc__ or "")
        variants.update(set(named))
    assert CASES - ELSEWHERE - variants.keys() == set()
    assert variants.keys() & ELSEWHERE == set()
