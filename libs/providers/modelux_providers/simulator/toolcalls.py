"""Cut tool calls into the fragments in which a stream carries them, in good order and in bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from modelux_providers.simulator.reply import pieces
from modelux_providers.simulator.words import ToolCall

Order = Literal["in_order", "interleaved", "shuffled", "gapped"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of call `number`, sent under `index`; the first one opens the call and has no text."""

    number: int
    index: int
    first: bool
    text: str


def fragments(calls: Sequence[ToolCall], order: Order) -> list[Fragment]:
    """Return the fragments of all calls: one after the other, taking turns, last call first, or with gaps."""
    step = 3 if order == "gapped" else 1
    runs = [list(_run(number, number * step, call.arguments)) for number, call in enumerate(calls)]
    if order == "shuffled":
        runs.reverse()
    if order == "interleaved":
        return [fragment for turn in zip_longest(*runs) for fragment in turn if fragment]
    return [fragment for run in runs for fragment in run]


def _run(number: int, index: int, arguments: str) -> Iterator[Fragment]:
    yield Fragment(number, index, True, "")
    for piece in pieces(arguments):
        yield Fragment(number, index, False, piece)
