"""Read a pair's prompt and answers out of the request log, and see whether they speak to a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from experiment_core.judge.envelope import Case
from experiment_core.judge.screening import steering
from modelux_calling.answers import text_of
from modelux_judge.population import Pair
from modelux_judge.statements import sql
from modelux_store.analytics import Analytics

LONGEST_PROMPT = 60_000
"""Characters of what a judge is shown of a prompt: the last ones, as what was asked stands at the end."""
_LEFT_OUT = "[an earlier part is left out]\n"
_OWNERS = ("system", "developer")
"""Roles whose texts the application's owner wrote: they may well speak of judging, and are not screened."""

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Texts:
    """What a judge sees of a pair."""

    case: Case = field(repr=False)
    cues: tuple[str, ...]
    """How its texts speak to a judge; empty: they do not."""


async def read_texts(analytics: Analytics, organization_id: str, pair: Pair) -> Texts | None:
    """None where the log holds no prompt or not both answers. Raises `Unavailable`."""
    ids = [pair.request_id, pair.candidate_request_id]
    values = {"organization_id": organization_id, "ids": ids}
    rows = await analytics.rows(sql("texts", "bodies"), values, raw=("request_body", "response_body"))
    found = {cast(str, row["request_id"]): row for row in rows}
    if not all(name in found and found[name]["response_body"] for name in ids):
        return None
    messages = _messages(cast(bytes, found[pair.request_id]["request_body"]))
    if not messages:
        return None
    baseline, candidate = (text_of(cast(bytes, found[name]["response_body"])).strip() for name in ids)
    asked = [text for role, text in messages if role not in _OWNERS]
    cues = {cue for text in (*asked, baseline, candidate) for cue in steering(text)}
    return Texts(Case(_transcript(messages), baseline, candidate), tuple(sorted(cues)))


def _transcript(messages: Sequence[tuple[str, str]]) -> str:
    text = messages[0][1] if len(messages) == 1 else "\n\n".join(f"({role})\n{text}" for role, text in messages)
    return text if len(text) <= LONGEST_PROMPT else _LEFT_OUT + text[-LONGEST_PROMPT:]


def _messages(body: bytes) -> list[tuple[str, str]]:
    """Role and text of every message; of completions the prompt."""
    try:
        request = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    if not isinstance(request, Mapping):
        return []
    messages = request.get("messages")
    if not isinstance(messages, list):
        text = _text(request.get("prompt"))
        return [("user", text)] if text else []
    found = [(str(each.get("role")), _said(each)) for each in messages if isinstance(each, Mapping)]
    return [(role, text) for role, text in found if text]


def _said(message: Mapping[str, object]) -> str:
    text, calls = _text(message.get("content")), message.get("tool_calls")
    called = msgspec.json.encode(calls).decode() if isinstance(calls, list) else ""
    return "\n".join(part for part in (text, called) if part)


def _text(content: object) -> str:
    """Of a string, or of a list of strings and content parts; a picture is only named."""
    parts = content if isinstance(content, list) else [content]
    told = [_part(each) for each in parts]
    return "\n".join(each for each in told if each).strip()


def _part(part: object) -> str:
    if isinstance(part, Mapping):
        text = part.get("text")
        return text if isinstance(text, str) else f"[{part.get('type')}]"
    return part if isinstance(part, str) else ""
