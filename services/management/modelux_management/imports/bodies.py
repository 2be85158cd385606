"""Make the bodies of an imported call what the proxy would have logged: chat completions' request and response."""

from __future__ import annotations

import json
from collections.abc import Iterator

from modelux_management.imports.entries import Entry
from routing_core.types import Capability

LIMIT_BYTES = 384 * 1024
"""Of both together, as for calls that the proxy serves."""


def bodies(entry: Entry) -> tuple[bytes, bytes]:
    """Request and response as JSON; empty where the file tells none."""
    return _json(request_body(entry)), _json(_response_body(entry))


def request_body(entry: Entry) -> dict[str, object] | None:
    """The request's body: as it stands where it is one, else made of the messages or the prompt."""
    told = _read(entry.request)
    if told is None or told in ({}, []):
        return None
    name = "input" if entry.endpoint == "embeddings" else "messages"
    if isinstance(told, dict) and ({name, "messages", "input", "prompt"} & told.keys()):
        return {"model": entry.requested_model, **told}
    if name == "input":
        return {"model": entry.requested_model, "input": told}
    if isinstance(told, list) and all(isinstance(each, dict) and "role" in each for each in told):
        return {"model": entry.requested_model, "messages": told}
    return {"model": entry.requested_model, "messages": [{"role": "user", "content": _text(told)}]}


def needs(entry: Entry) -> frozenset[Capability]:
    """What the model had to be able to do, as far as the request tells."""
    if entry.endpoint == "embeddings":
        return frozenset({"embeddings"})
    body = request_body(entry) or {}
    found: set[Capability] = set()
    if body.get("tools"):
        found.add("tools")
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        found.add("json_schema")
    if body.get("logprobs"):
        found.add("logprobs")
    if any(part.get("type") == "image_url" for part in _parts(body.get("messages"))):
        found.add("vision")
    return frozenset(found)


def _parts(messages: object) -> Iterator[dict[str, object]]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        yield from (part for part in content or () if isinstance(part, dict))


def _response_body(entry: Entry) -> dict[str, object] | None:
    told = _read(entry.response)
    if told is None or told in ({}, []):
        return None
    if isinstance(told, dict) and (entry.endpoint == "embeddings" or {"choices", "output", "error"} & told.keys()):
        return told
    message = told if isinstance(told, dict) and "role" in told else {"role": "assistant", "content": _text(told)}
    return {
        "object": "chat.completion",
        "model": entry.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": entry.usage.input, "completion_tokens": entry.usage.output},
    }


def _read(value: object) -> object:
    """What a cell of JSON holds; a text that is none stays."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value if value != "" else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(body: dict[str, object] | None) -> bytes:
    """UTF-8; half of a surrogate pair becomes its escape, which is JSON."""
    return b"" if body is None else json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
