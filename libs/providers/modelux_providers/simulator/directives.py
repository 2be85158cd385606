"""Read behaviour out of a model's name (`gpt-4o-sim-cut-after-3`) or a prompt (`[[sim: status=429 retry_after=2]]`)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

import msgspec

from modelux_providers.simulator.scenario import Behaviour, InvalidScenario, merged

_IN_MODEL = re.compile(r"(?:^|[-/:])sim-([a-z0-9_.-]+)$")
_IN_PROMPT = re.compile(r"\[\[sim:(.*?)\]\]", re.DOTALL)
_FIELDS = sorted(Behaviour.__struct_fields__, key=len, reverse=True)
_LISTS = frozenset({"rejects", "requires"})


def apply(base: Behaviour, model: str, prompt: str, named: Mapping[str, Behaviour]) -> Behaviour:
    """Return `base` changed by the directives of the model's name, then of the prompt.

    A model's name ends in `sim-` and settings joined by `--`, as in `sim-status-429--retry-after-2`; a named
    behaviour is a setting too.

    Raises:
        InvalidScenario: a directive names no field, or gives it a value of the wrong kind.
    """
    found = _IN_MODEL.search(model)
    if found:
        for part in found[1].split("--"):
            base = merged(base, named[part]) if part in named else _set(base, *_from_name(part))
    for directive in _IN_PROMPT.findall(prompt):
        for word in _words(directive):
            name, equals, value = word.partition("=")
            base = merged(base, named[name]) if name in named else _set(base, name, value if equals else "true")
    return base


def _from_name(part: str) -> tuple[str, str]:
    text = part.replace("-", "_")
    name = next((field for field in _FIELDS if text == field or text.startswith(field + "_")), None)
    if name is None:
        raise InvalidScenario(f"no setting of the simulator in {part!r}")
    return name, part[len(name) + 1 :] or "true"


def _words(directive: str) -> list[str]:
    try:
        return shlex.split(directive)
    except ValueError as error:
        raise InvalidScenario(f"unbalanced quotes in {directive!r}") from error


def _set(base: Behaviour, name: str, value: str) -> Behaviour:
    raw = {name: tuple(value.split(",")) if name in _LISTS else value}
    try:
        return msgspec.structs.replace(base, **{name: getattr(msgspec.convert(raw, Behaviour, strict=False), name)})
    except msgspec.ValidationError as error:
        raise InvalidScenario(f"bad directive {name!r}: {error}") from error
