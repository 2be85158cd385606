"""Where calls in the request log come from, as far as that is not a history that somebody imported."""

from __future__ import annotations

SERVED = ""
"""A proxy served it."""
EXPERIMENT = "experiment"
JUDGE = "judge"
MADE = (EXPERIMENT, JUDGE)
"""Calls that we made ourselves: they cost, and budgets count them, but they are nobody's traffic."""
