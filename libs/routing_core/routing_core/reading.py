"""Read an untrusted document strictly: each value with its path, each refusal with the fix."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from routing_core.errors import InvalidConfig

_SHOWN = 60
_LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document and where it stands (`split[1].policy.attempts[0]`; empty at the root).

    Every reader below returns the value with its type and bounds checked, or raises InvalidConfig with that path.
    """

    value: object
    path: str = ""

    def error(self, message: str, hint: str = "") -> InvalidConfig:
        return InvalidConfig(message, where=self.path, hint=hint)

    def child(self, key: str) -> Node:
        value = self.value[key] if isinstance(self.value, Mapping) and key in self.value else None
        return Node(value, f"{self.path}.{key}" if self.path else key)

    def fields(self, known: Collection[str], required: Collection[str] = ()) -> dict[str, Node]:
        """The fields of an object that are present. A key outside `known` is refused, with the nearest known one as the
        hint.
        """
        if not isinstance(self.value, Mapping):
            raise self.error(f"expected an object, found {describe(self.value)}")
        for key in self.value:
            if not isinstance(key, str) or key not in known:
                hint = _nearest(key, known) or f"Known here: {', '.join(known)}."
                raise self.child(str(key)[:_LONGEST_KEY]).error(f"unknown field {_shorten(repr(key))}", hint)
        for key in required:
            if key not in self.value:
                raise self.child(key).error(f"{key!r} is missing")
        return {key: self.child(key) for key in self.value}

    def items(self, least: int, most: int) -> list[Node]:
        if not isinstance(self.value, list | tuple):
            raise self.error(f"expected a list, found {describe(self.value)}")
        count = len(self.value)
        if count < least:
            raise self.error(f"needs at least {least}, has {count}")
        if count > most:
            raise self.error(f"holds at most {most}, has {count}")
        return [Node(value, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    def text(self, most: int = 200) -> str:
        """Non-empty text of at most `most` characters without control, invisible or direction-changing characters."""
        if not isinstance(self.value, str):
            raise self.error(f"expected text, found {describe(self.value)}")
        if not self.value.strip():
            raise self.error("must not be empty")
        if len(self.value) > most:
            raise self.error(f"holds at most {most} characters, has {len(self.value)}")
        for place, char in enumerate(self.value):
            if not char.isprintable():
                raise self.error(f"holds the invisible character U+{ord(char):04X} at {place}", "Remove it.")
        return self.value

    def word(self, most: int = 200) -> str:
        """Text that is printable ASCII without spaces: look-alike letters of other scripts cannot pass for a name."""
        found = self.text(most)
        for place, char in enumerate(found):
            if not "!" <= char <= "~":
                hint = "Names are ASCII letters, digits and punctuation, without spaces."
                raise self.error(f"holds the character {char!r} (U+{ord(char):04X}) at {place}", hint)
        return found

    def integer(self, least: int, most: int) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.error(f"expected a whole number, found {describe(self.value)}")
        if not least <= self.value <= most:
            raise self.error(f"must be between {least} and {most}, is {describe(self.value)}")
        return self.value

    def number(self, least: float, most: float) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.error(f"expected a number, found {describe(self.value)}")
        if not (isinstance(self.value, int) or isfinite(self.value)) or not least <= self.value <= most:
            raise self.error(f"must be between {least:g} and {most:g}, is {describe(self.value)}")
        return float(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.error(f"expected true or false, found {describe(self.value)}")
        return self.value

    def choice(self, options: Collection[str]) -> str:
        if not isinstance(self.value, str) or self.value not in options:
            raise self.error(f"{describe(self.value)} is none of {', '.join(options)}", _nearest(self.value, options))
        return self.value


def describe(value: object) -> str:
    """A value for an error message: short, on one line, and safe for numbers of any length."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > _SHOWN:
        return "a number too large"
    if isinstance(value, str | int | float):
        return _shorten(repr(value))
    return type(value).__name__


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _nearest(found: object, known: Collection[str]) -> str:
    near = get_close_matches(found[:_LONGEST_KEY].lower(), known, 1) if isinstance(found, str) else []
    return f"Did you mean {near[0]!r}?" if near else ""
