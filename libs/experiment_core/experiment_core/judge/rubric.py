"""The owner's rubric: what is accepted, and the hash that names a run's exact question."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

from routing_core.reading import Node

OrderPolicy = Literal["both", "random"]
DEFAULT_RUBRIC = (
    "Is the candidate response at least as correct, helpful, and complete as the baseline response for this prompt? "
    "Consider correctness first, then helpfulness, then completeness."
)
LONGEST_RUBRIC = 8_000
ENVELOPE_VERSION = "1"
"""Of the prompt around the rubric. Raise it with any change of `envelope.py` that a judge can see."""
PARSER_VERSION = "1"
"""Of what counts as a verdict. Raise it with any change of what is accepted."""


def parse_rubric(value: object, path: str = "rubric") -> str:
    """The rubric, normalised: NFC, newlines as LF, no spaces around it.

    Raises InvalidConfig where it is no text, empty, longer than 8,000 characters or holds invisible characters, which
    would let the judge read what its owner does not see.
    """
    node = Node(value, path)
    if not isinstance(value, str):
        raise node.error("expected text", "Say in words when an answer is better.")
    if len(value) > LONGEST_RUBRIC:
        raise node.error(f"holds at most {LONGEST_RUBRIC:,} characters, has {len(value):,}", "Shorten it.")
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not text:
        raise node.error("must not be empty", "Leave it out for the default rubric.")
    for place, char in enumerate(text):
        if not char.isprintable() and char not in "\n\t":
            raise node.error(f"holds the invisible character U+{ord(char):04X} at {place}", "Remove it.")
    return text


def rubric_hash(rubric: str, judge_model: str, parameters: Mapping[str, object], orders: OrderPolicy) -> str:
    """SHA-256, in hex, of everything that can move a verdict: two runs of one hash asked the same question.

    `rubric` is a normalised one, so edits of spaces around it or of line ends do not count. `parameters` go to the
    judge with each call and must be JSON.
    """
    asked = {
        "envelope": ENVELOPE_VERSION,
        "judge_model": judge_model,
        "orders": orders,
        "parameters": dict(parameters),
        "parser": PARSER_VERSION,
        "rubric": rubric,
    }
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
