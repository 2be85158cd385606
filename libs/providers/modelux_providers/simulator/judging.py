"""Answer as a judge that compares two answers, where a request asks for such a verdict.

A judge's question quotes texts between lines of fences (`[<fence> begin <name>]` … `[<fence> end <name>]`) and wants a
JSON object whose verdict is one of two of these names or `equal`. What stands in the texts decides, never a draw of
their order: marks such as `[[quality 3]]` where both answers have one; else what is cut short is worse, and answers
that share their words are alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from modelux_providers.simulator.words import Ask, draw

_FENCED = re.compile(r"^\[([0-9a-f]+) begin (\S+)\]\n(.*?)\n\[\1 end \2\]$", re.DOTALL | re.MULTILINE)
_MARK = re.compile(r"\[\[quality (\d+)\]\]")
_BEGS = re.compile(r"\b(?:evaluator|rubric|verdict|plagiarised|Jury|evalúa)\b|评审|^SYSTEM:", re.MULTILINE)
"""How an answer asks to be preferred, in the languages of canaries, which makes it the worse one."""
_ALIKE = 0.6
"""Share of the words of both that makes two answers equally good."""


_CUT_SHORT = 0.6
"""Share of the other's words below which an answer that says the same was cut short."""


def judged(ask: Ask) -> str | None:
    """The reply of a judge; None where the request is no judge's question."""
    wanted = _wanted(ask.schema)
    if wanted is None:
        return None
    check, names = wanted
    texts = {name: text for _, name, text in _FENCED.findall(ask.text)}
    if any(name not in texts for name in names):
        return None
    found = _better(*(texts[name] for name in names))
    chosen = {-1: names[0], 0: "equal", 1: names[1]}[found]
    reason = "Both serve the request equally well." if found == 0 else f"{chosen} serves the request better."
    return msgspec.json.encode({"check": check, "reason": reason, "verdict": chosen}).decode()


def _wanted(schema: bytes | None) -> tuple[str, tuple[str, str]] | None:
    """The check to repeat, and the names of the answers."""
    try:
        root = msgspec.json.decode(schema or b"null")
    except msgspec.DecodeError:
        return None
    properties = root.get("properties") if isinstance(root, Mapping) else None
    if not isinstance(properties, Mapping) or set(properties) != {"check", "reason", "verdict"}:
        return None
    checks, verdicts = (_enum(properties[name]) for name in ("check", "verdict"))
    if len(checks) != 1 or len(verdicts) != 3 or verdicts[2] != "equal":
        return None
    return checks[0], (verdicts[0], verdicts[1])


def _enum(schema: object) -> list[str]:
    found = schema.get("enum") if isinstance(schema, Mapping) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _better(first: str, second: str) -> int:
    """-1: the first text; 1: the second; 0: neither. Exchanged texts give the exchanged answer."""
    marks = [_MARK.search(text) for text in (first, second)]
    if marks[0] and marks[1]:
        one, two = (int(mark[1]) for mark in marks if mark)
        return (two > one) - (one > two)
    begs = [_BEGS.search(text) is not None for text in (first, second)]
    if begs[0] != begs[1]:
        return 1 if begs[0] else -1
    words = [set(text.lower().split()) for text in (first, second)]
    for one, other, better in ((0, 1, 1), (1, 0, -1)):
        if len(words[one]) < _CUT_SHORT * len(words[other]) and len(words[one] & words[other]) >= len(words[one]) / 2:
            return better
    shared = len(words[0] & words[1]) / max(len(words[0] | words[1]), 1)
    drawn = draw(*sorted((first, second)))
    if shared >= _ALIKE or drawn < 0.3:
        return 0
    smaller = -1 if first < second else 1
    return smaller if drawn < 0.65 else -smaller
