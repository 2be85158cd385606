"""Make a value that fits a JSON schema, always the same one for the same identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from modelux_providers.simulator.words import draw

_DEPTH = 12
_ITEMS = 16


def sample(schema: bytes, identity: str) -> str:
    """Return JSON text that fits `schema`; `{}` for what is no schema.

    Understood are types, enum, const, default, properties, items, anyOf and its kin, and local `$ref`.
    """
    try:
        root = msgspec.json.decode(schema)
    except msgspec.DecodeError:
        return "{}"
    value = _value(root, root, identity, 0) if isinstance(root, dict) and root else {}
    return msgspec.json.encode(value).decode()


def _value(schema: object, root: Mapping[str, object], identity: str, depth: int) -> object:
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return None
    if "$ref" in schema:
        return _value(_resolve(str(schema["$ref"]), root), root, identity, depth + 1)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    choices = schema.get("enum")
    if isinstance(choices, Sequence) and choices:
        return choices[int(draw(identity, "enum", depth) * len(choices))]
    for key in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(key)
        if isinstance(branches, Sequence) and branches:
            return _value(branches[0], root, identity, depth + 1)
    return _typed(schema, root, identity, depth)


def _typed(schema: Mapping[str, object], root: Mapping[str, object], identity: str, depth: int) -> object:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if kind == "object":
        properties = schema.get("properties")
        names = properties.items() if isinstance(properties, Mapping) else ()
        return {name: _value(inner, root, f"{identity}.{name}", depth + 1) for name, inner in names}
    if kind == "array":
        least = schema.get("minItems", 1)
        return [
            _value(schema.get("items", {"type": "string"}), root, f"{identity}[{index}]", depth + 1)
            for index in range(min(least, _ITEMS) if isinstance(least, int) else 1)
        ]
    return _scalar(kind, schema, draw(identity, "scalar"))


def _scalar(kind: str, schema: Mapping[str, object], chance: float) -> object:
    low, high = schema.get("minimum", 0), schema.get("maximum", 100)
    low = low if isinstance(low, int | float) else 0
    high = high if isinstance(high, int | float) else low + 100
    if kind == "integer":
        return int(low + chance * (high - low))
    if kind == "number":
        return round(low + chance * (high - low), 2)
    if kind == "boolean":
        return chance < 0.5
    return None if kind == "null" else f"sample {int(chance * 1000)}"


def _resolve(pointer: str, root: Mapping[str, object]) -> object:
    value: object = root
    for step in pointer.removeprefix("#").strip("/").split("/"):
        if step:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value
