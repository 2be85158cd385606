"""Read what was asked out of logged bodies: the text that topics go by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

LONGEST_CHARS = 2_000
"""Of one prompt: its beginning tells the topic."""

_decode = msgspec.json.Decoder().decode


def prompt(body: str | bytes) -> str:
    """The last text that the user gave in the body of a chat; "" where there is none."""
    try:
        request = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    messages = request.get("messages") if isinstance(request, Mapping) else None
    if not isinstance(messages, list):
        return ""
    asked = [each.get("content") for each in messages if isinstance(each, Mapping) and each.get("role") == "user"]
    texts = [text for text in map(_text, asked) if text]
    return texts[-1] if texts else ""


def _text(content: object) -> str:
    parts = content if isinstance(content, list) else [content]
    told = [each.get("text") if isinstance(each, Mapping) else each for each in parts]
    return "\n".join(each for each in told if isinstance(each, str)).strip()[:LONGEST_CHARS]
