"""OpenAI messages as Anthropic turns: system apart, roles alternating, tool results first in one user turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from modelux_providers.dialects import chat
from modelux_providers.dialects.chat import Message, Part, Refused, Thought, ToolCall

Block: TypeAlias = dict[str, object]

_TOOL_ID = re.compile(r"[^A-Za-z0-9_-]")


def turns(messages: Sequence[Message], emulated: list[str], dropped: list[str]) -> tuple[list[object], list[object]]:
    """The system blocks and the turns. Instructions that come later than the first turn keep their place, marked,
    in a user turn.

    Raises Refused for content that Anthropic cannot take.
    """
    system: list[object] = []
    done: list[tuple[str, list[Block]]] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if message.role in ("system", "developer"):
            blocks = [_block(part, f"{where}.content", dropped) for part in message.parts]
            if not done:
                system += blocks
                continue
            emulated.append(f"{where}.role")
            role, blocks = "user", [{"type": "text", "text": f"<system>\n{message.text}\n</system>"}]
        else:
            role, blocks = _turn(message, where, dropped)
        if not blocks:
            continue
        if done and done[-1][0] == role:
            done[-1][1].extend(blocks)
        else:
            done.append((role, blocks))
    return system, [{"role": role, "content": _results_first(blocks)} for role, blocks in done]


def _turn(message: Message, where: str, dropped: list[str]) -> tuple[str, list[Block]]:
    match message.role:
        case "user":
            return "user", [_block(part, f"{where}.content", dropped) for part in message.parts]
        case "assistant":
            return "assistant", _assistant(message, where, dropped)
        case "tool":
            if not message.tool_call_id:
                raise Refused(
                    "A tool message needs its `tool_call_id`.", f"{where}.tool_call_id", "missing_required_parameter"
                )
            content = [_block(part, f"{where}.content", dropped) for part in message.parts]
            result: Block = {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id)}
            return "user", [result | ({"content": content} if content else {})]
        case role:
            raise Refused(f"Unknown role {role!r}.", f"{where}.role", "invalid_value")


def _assistant(message: Message, where: str, dropped: list[str]) -> list[Block]:
    thoughts = message.thinking_blocks or message.reasoning_details or ()
    blocks = [block for thought in thoughts if (block := _thought(thought)) is not None]
    blocks += [_block(part, f"{where}.content", dropped) for part in message.parts]
    if message.refusal:
        blocks.append({"type": "text", "text": message.refusal})
    return blocks + [
        _tool_use(call, f"{where}.tool_calls[{place}]") for place, call in enumerate(message.tool_calls or ())
    ]


def _thought(thought: Thought) -> Block | None:
    """Only a signed thought may go back; Anthropic rejects others."""
    if thought.type in ("redacted_thinking", "reasoning.encrypted"):
        return {"type": "redacted_thinking", "data": thought.data} if thought.data else None
    if not thought.signature:
        return None
    return {"type": "thinking", "thinking": thought.thinking or thought.text or "", "signature": thought.signature}


def _tool_use(call: ToolCall, where: str) -> Block:
    if call.function is None:
        raise Refused("Only function calls can be handed back.", f"{where}.type")
    return {
        "type": "tool_use",
        "id": _tool_id(call.id),
        "name": call.function.name,
        "input": _input(call.function.arguments),
    }


def _input(arguments: str) -> object:
    """The arguments' own text where it is an object; Anthropic's documented wrapping where it is not (a call cut
    half-way)."""
    if not arguments.strip():
        return {}
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {"INVALID_JSON": arguments}
    return msgspec.Raw(arguments.encode())


def _tool_id(call_id: str) -> str:
    """Anthropic's alphabet for ids; the same on the call and on its result."""
    return _TOOL_ID.sub("_", call_id)


def _block(part: Part, where: str, dropped: list[str]) -> Block:
    block: Block
    match part:
        case Part(type="text"):
            block = {"type": "text", "text": part.text}
        case Part(type="refusal"):
            block = {"type": "text", "text": part.refusal or ""}
        case Part(type="image_url", image_url=image) if image is not None:
            block = {"type": "image", "source": _source(chat.url_of(part), f"{where}.image_url.url")}
            if isinstance(image, chat.ImageUrl) and image.detail not in (None, "auto"):
                dropped.append("image_url.detail")
        case Part(type="file", file=chat.File(file_data=str(data))):
            block = {"type": "document", "source": _source(data, f"{where}.file.file_data")}
            if part.file is not None and part.file.filename:
                block["title"] = part.file.filename
        case _:
            raise Refused(f"Anthropic takes no content of type {part.type!r} given this way.", where, "invalid_value")
    if isinstance(part.cache_control, msgspec.Raw):
        block["cache_control"] = part.cache_control
    return block


def _source(url: str, where: str) -> Block:
    data = chat.inline(url, where)
    if data is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": data[0], "data": data[1]}


def _results_first(blocks: list[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")
