"""Spoil a usage object in the ways in which real ones are spoiled."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelux_providers.simulator.scenario import Behaviour

Json = dict[str, object]


def spoil(usage: Mapping[str, object], behaviour: Behaviour) -> object:
    """Return the usage as the behaviour wants its numbers; `None` stands for JSON null."""
    match behaviour.usage:
        case "null":
            return None
        case "negative":
            return _numbers(usage, -7)
        case "string":
            return {name: value if isinstance(value, dict) else str(value) for name, value in usage.items()}
        case "huge":
            return _numbers(usage, 1e30)
        case "nan":
            return _numbers(usage, msgspec.Raw(b"NaN"))
        case "fraction":
            return _numbers(usage, 12.5)
        case _:
            return dict(usage)


def _numbers(usage: Mapping[str, object], number: object) -> Json:
    return {
        name: _numbers(value, number) if isinstance(value, dict) else (number if isinstance(value, int) else value)
        for name, value in usage.items()
    }
