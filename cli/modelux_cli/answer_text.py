"""How both answers of a replayed request look on a terminal: side by side, below each other where it is narrow."""

from __future__ import annotations

import json
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from modelux_calling.answers import text_of
from modelux_cli.judge_text import plain
from modelux_store.prompts import prompt

Row = dict[str, Any]
_MARGIN = "  "
_BETWEEN = " | "
_WIDE_ENOUGH, _WITHOUT_TERMINAL = 80, 120
"""Columns: from where on answers stand side by side, and what is taken where the output goes elsewhere."""
_LONGEST = 6_000


def answer_lines(rows: Sequence[Row], width: int | None = None) -> Iterator[str]:
    """What was asked and answered, row by row. `width`: of the terminal, None for none."""
    room = (width or _WITHOUT_TERMINAL) - len(_MARGIN)
    for number, row in enumerate(rows):
        if number:
            yield ""
        alike = "" if row["similarity"] is None else f"  similarity {row['similarity']:.3f}"
        yield f"{row['request_id']}  {row['timestamp']}  {row['evidence'].replace('_', ' ')}{alike}"
        answers = row["answers"] or {}
        asked = prompt(_body(answers.get("request_body"))) or "(not kept)"
        yield from (f"{_MARGIN}{line}".rstrip() for line in _wrapped(f"asked: {asked}", room))
        sides = [(f"{title} {row[side]['model'] or ''}", _said(row, side)) for title, side in _SIDES]
        laid = _beside(sides, room) if room + len(_MARGIN) >= _WIDE_ENOUGH else _below(sides, room)
        yield from (f"{_MARGIN}{line}".rstrip() for line in laid)


def _said(row: Row, side: str) -> str:
    """The answer, or why there is none to show."""
    if row[side]["status"] == "error":
        return f"(failed: {row[side]['error_code'] or 'error'})"
    if side == "candidate" and row["candidate_request_id"] is None:
        return "(the logged answer)" if row["evidence"] == "reused" else "(not called)"
    body = _body((row["answers"] or {}).get(side))
    return text_of(body) or body.decode() or "(not kept)"


def _body(shown: object) -> bytes:
    """The body as it was, of what the API shows of it: JSON, or a text such as the events of a stream."""
    if shown is None:
        return b""
    return (shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)).encode(errors="replace")


def _beside(sides: Sequence[tuple[str, str]], room: int) -> Iterator[str]:
    each = (room - len(_BETWEEN)) // 2
    columns = [[*_wrapped(title, each), "-" * each, *_wrapped(text, each)] for title, text in sides]
    for left, right in zip_longest(*columns, fillvalue=""):
        yield f"{left}{' ' * (each - _cells(left))}{_BETWEEN}{right}"


def _below(sides: Sequence[tuple[str, str]], room: int) -> Iterator[str]:
    for title, text in sides:
        yield from _wrapped(title, room)
        yield from (f"{_MARGIN}{line}" for line in _wrapped(text, room - len(_MARGIN)))


def _wrapped(text: str, room: int) -> list[str]:
    """Lines of at most so many cells; a text that is too long is cut, and says so."""
    shown = plain(text).expandtabs(4)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}\n… ({len(shown) - _LONGEST:,} more characters)"
    found: list[str] = []
    for line in shown.split("\n"):
        wide = _cells(line) > len(line)
        kept = textwrap.wrap(line, max(room // 2 if wide else room, 8), drop_whitespace=True, replace_whitespace=False)
        found += kept or [""]
    return found


def _cells(text: str) -> int:
    """How wide a terminal shows it."""
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


_SIDES = (("CURRENT", "baseline"), ("CANDIDATE", "candidate"))
