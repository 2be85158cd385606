"""What changed between two policies, by meaning: items are matched by what they are, not by where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["added", "removed", "changed", "moved"]

_IDENTITY = {"attempts": "model", "members": "model", "split": "name", "rules": "name"}
"""The field by which items of a list are recognised."""
_NOUNS = {
    "attempts": "attempt",
    "members": "member",
    "split": "arm",
    "rules": "rule",
    "allow": "model",
    "deny": "model",
    "models": "model",
    "retry_on": "retry_on",
}
_SETS = frozenset({"retry_on", "allow", "deny"})
"""Lists whose order means nothing."""
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One change. `path` is that of the new document (of the old one for what was removed); values are None where
    there is none.
    """

    path: str
    kind: Kind
    old: object
    new: object
    text: str


def diff(old: object, new: object) -> tuple[Difference, ...]:
    """The changes that lead from one canonical policy document to another, outermost first; empty when they mean the
    same.
    """
    return tuple(_values(old, new, "", ""))


def summary(differences: Sequence[Difference]) -> str:
    """All changes in one line of plain English."""
    return "; ".join(each.text for each in differences) or "No difference"


def _values(old: object, new: object, path: str, label: str) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _objects(old, new, path, label)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path, label)
    elif old is _MISSING:
        yield Difference(path, "added", None, new, f"{_name(path, label)} set to {_show(new)}")
    elif new is _MISSING:
        yield Difference(path, "removed", old, None, f"{_name(path, label)} removed (was {_show(old)})")
    else:
        yield Difference(path, "changed", old, new, f"{_name(path, label)} changed from {_show(old)} to {_show(new)}")


def _objects(old: Mapping[str, object], new: Mapping[str, object], path: str, label: str) -> Iterator[Difference]:
    before, after = _kind(old), _kind(new)
    if before != after:
        where = f" of {label}" if label else ""
        yield Difference(path, "changed", old, new, f"Strategy{where} changed from {before} to {after}")
        return
    for key in dict.fromkeys([*old, *new]):
        child = f"{path}.{key}" if path else key
        yield from _values(old.get(key, _MISSING), new.get(key, _MISSING), child, label)


def _lists(old: Sequence[object], new: Sequence[object], path: str, label: str) -> Iterator[Difference]:
    field = path.rpartition(".")[2]
    noun, before, after = _NOUNS.get(field, "entry"), _keyed(old, field), _keyed(new, field)
    where = f" of {label}" if label else ""
    for key, (index, value) in before.items():
        if key not in after:
            yield Difference(
                f"{path}[{index}]", "removed", value, None, _place("Removed", noun, field, index, value, where)
            )
    kept = [key for key in after if key in before]
    former = [key for key in before if key in after]
    for key, (index, value) in after.items():
        child = f"{path}[{index}]"
        if key not in before:
            yield Difference(child, "added", None, value, _place("Added", noun, field, index, value, where))
            continue
        place, earlier = before[key]
        if field not in _SETS and kept.index(key) != former.index(key):
            text = f"Moved {noun} {_title(value)} from place {place + 1} to {index + 1}{where}"
            yield Difference(child, "moved", place, index, text)
        yield from _values(earlier, value, child, f"{noun} {_title(value)}{where}")


def _keyed(items: Sequence[object], field: str) -> dict[tuple[str, int], tuple[int, object]]:
    """Items by identity; equal identities are told apart by their order."""
    found: dict[tuple[str, int], tuple[int, object]] = {}
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = _identity(item, field)
        seen[name] = seen.get(name, 0) + 1
        found[name, seen[name]] = (index, item)
    return found


def _identity(item: object, field: str) -> str:
    if isinstance(item, Mapping):
        named = item.get(_IDENTITY.get(field, "name"), item.get("when"))
        return str(named) if named is not None else _show(item)
    return _show(item)


def _kind(node: Mapping[str, object]) -> object:
    return f"a reference to {node['ref']}" if "ref" in node else node.get("strategy")


def _title(item: object) -> str:
    if isinstance(item, Mapping):
        return str(item.get("model") or item.get("name") or item.get("when") or _show(item))
    return str(item)


def _place(verb: str, noun: str, field: str, index: int, value: object, where: str) -> str:
    number = "" if field in _SETS else f" {index + 1}"
    return f"{verb} {noun}{number}: {_title(value)}{where}"


def _name(path: str, label: str) -> str:
    leaf = path.rpartition(".")[2]
    return f"{leaf} of {label}" if label else leaf


def _show(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}"
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}…"
