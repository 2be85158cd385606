"""Read what was asked in Anthropic's dialect, and refuse what Anthropic refuses."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from modelux_providers.simulator.bodies import decode, fields_of
from modelux_providers.simulator.words import Ask, Refusal, Tool


class _Block(Struct):
    type: str
    text: str = ""
    id: str = ""
    tool_use_id: str = ""
    signature: str | None = None
    content: Raw = Raw(b"null")


class _Turn(Struct):
    role: str
    content: str | list[_Block]


class _Tool(Struct):
    name: str
    input_schema: Raw = Raw(b"{}")


class _ToolChoice(Struct):
    type: str = "auto"
    name: str = ""
    disable_parallel_tool_use: bool = False


class _Thinking(Struct):
    type: str = "disabled"


class _Format(Struct):
    type: str = ""
    schema: Raw = Raw(b"{}")


class _OutputConfig(Struct):
    format: _Format | None = None


class _Messages(Struct):
    model: str
    messages: list[_Turn]
    max_tokens: int
    system: str | list[_Block] = ""
    stream: bool = False
    tools: list[_Tool] = msgspec.field(default_factory=list)
    tool_choice: _ToolChoice = msgspec.field(default_factory=_ToolChoice)
    thinking: _Thinking = msgspec.field(default_factory=_Thinking)
    stop_sequences: list[str] = msgspec.field(default_factory=list)
    temperature: float | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


def messages(body: bytes) -> Ask:
    """Read a body of `/v1/messages`."""
    read = decode(body, _Messages, {})
    if isinstance(read, Refusal):
        return Ask("anthropic", "chat", "unknown", refusal=read)
    users = [_text(turn.content) for turn in read.messages if turn.role == "user"]
    last = read.messages[-1].content if read.messages else ""
    output = read.output_format or (read.output_config.format if read.output_config else None)
    names = {"any": "required", "none": "none", "auto": "auto", "tool": read.tool_choice.name}
    return Ask(
        "anthropic",
        "chat",
        read.model,
        stream=read.stream,
        prompt=next((text for text in reversed(users) if text), ""),
        text="\n".join([_text(read.system), *(_text(turn.content) for turn in read.messages)]),
        max_tokens=read.max_tokens,
        tools=tuple(Tool(tool.name, bytes(tool.input_schema)) for tool in read.tools),
        tool_choice=names.get(read.tool_choice.type, "auto"),
        parallel=not read.tool_choice.disable_parallel_tool_use,
        after_tool=isinstance(last, list) and any(block.type == "tool_result" for block in last),
        schema=bytes(output.schema) if output else None,
        thinking=read.thinking.type != "disabled",
        fields=fields_of(body),
        refusal=_refusal(read),
    )


def _text(content: str | list[_Block]) -> str:
    return content if isinstance(content, str) else "\n".join(block.text for block in content if block.text)


def _refusal(read: _Messages) -> Refusal | None:
    if not read.messages:
        return _bad("messages: at least one message is required")
    if read.max_tokens < 1:
        return _bad("max_tokens: must be greater than or equal to 1")
    if any(not stop.strip() for stop in read.stop_sequences):
        return _bad("stop_sequences: each stop sequence must contain non-whitespace")
    if read.temperature is not None and not 0 <= read.temperature <= 1:
        return _bad("temperature: range: 0..1")
    if read.messages[0].role != "user":
        return _bad('messages: first message must use the "user" role')
    return _turns(read.messages, read.thinking.type != "disabled")


def _turns(turns: Sequence[_Turn], thinking: bool) -> Refusal | None:
    awaited: set[str] = set()
    for index, turn in enumerate(turns):
        if turn.role not in ("user", "assistant"):
            return _bad(f'messages.{index}.role: unexpected role {turn.role!r}, expected "user" or "assistant"')
        blocks = turn.content if isinstance(turn.content, list) else [_Block("text", turn.content)]
        refusal = (
            _empty(index, blocks) or _results(index, blocks, awaited) or _signatures(index, turn, blocks, thinking)
        )
        if refusal:
            return refusal
        awaited = {block.id for block in blocks if block.type == "tool_use"}
    return (
        _bad(f"`tool_use` ids were found without `tool_result` blocks: {', '.join(sorted(awaited))}")
        if awaited
        else None
    )


def _empty(index: int, blocks: Sequence[_Block]) -> Refusal | None:
    if not blocks or any(block.type == "text" and not block.text for block in blocks):
        return _bad(f"messages.{index}: text content blocks must be non-empty")
    return None


def _results(index: int, blocks: Sequence[_Block], awaited: set[str]) -> Refusal | None:
    """All results of a turn's tool calls stand first, in the one user turn behind it."""
    given = [block.tool_use_id for block in blocks if block.type == "tool_result"]
    if set(given) != awaited or len(given) != len(awaited):
        missing = ", ".join(sorted(awaited ^ set(given)))
        return _bad(f"messages.{index}: `tool_use` ids and `tool_result` blocks do not match: {missing}")
    if any(block.type != "tool_result" for block in blocks[: len(given)]):
        return _bad(f"messages.{index}: `tool_result` blocks must come first in the content")
    return None


def _signatures(index: int, turn: _Turn, blocks: Sequence[_Block], thinking: bool) -> Refusal | None:
    """With thinking on, a turn that used a tool goes back with its thinking block and that block's signature."""
    if any(block.type == "thinking" and not block.signature for block in blocks):
        return _bad(f"messages.{index}: thinking.signature: Field required")
    used = turn.role == "assistant" and any(block.type == "tool_use" for block in blocks)
    if thinking and used and blocks[0].type not in ("thinking", "redacted_thinking"):
        expected = "Expected `thinking` or `redacted_thinking`"
        return _bad(f"messages.{index}.content.0.type: {expected}, but found `{blocks[0].type}`.")
    return None


def _bad(message: str) -> Refusal:
    return Refusal(400, message, type="invalid_request_error")
