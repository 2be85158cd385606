"""Anthropic's message as an OpenAI chat completion; what its stream shares with it."""

from __future__ import annotations

import msgspec

from modelux_providers.dialects import usage
from modelux_providers.dialects.completion import Choice, ToolCall
from routing_core.types import Usage, UsageExtras

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}


class _OutputDetails(msgspec.Struct):
    thinking_tokens: object = None


class Counts(msgspec.Struct):
    """Anthropic's `usage`, as untrusted as it comes. Its input excludes what was cached."""

    input_tokens: object = None
    cache_read_input_tokens: object = None
    cache_creation_input_tokens: object = None
    cache_creation: object = None
    """How the written tokens part into those kept for minutes and for an hour."""
    output_tokens: object = None
    server_tool_use: object = None
    output_tokens_details: _OutputDetails | None = None

    def updated(self, later: Counts) -> Counts:
        """Counts in a stream are cumulative: each later number replaces the earlier one."""
        names = self.__struct_fields__
        pairs = {name: getattr(self, name) if (new := getattr(later, name)) is None else new for name in names}
        return Counts(**pairs)

    def usage(self) -> Usage | None:
        """OpenAI's sums, or None where a number cannot be believed."""
        fresh, output = usage.count(self.input_tokens), usage.count(self.output_tokens or 0)
        if fresh is None or output is None:
            return None
        read = usage.count(self.cache_read_input_tokens) or 0
        brief = _member(self.cache_creation, "ephemeral_5m_input_tokens")
        hour = _member(self.cache_creation, "ephemeral_1h_input_tokens")
        write = usage.count(self.cache_creation_input_tokens) or brief + hour
        thought = usage.count(self.output_tokens_details.thinking_tokens) if self.output_tokens_details else 0
        searches = _member(self.server_tool_use, "web_search_requests")
        extras = UsageExtras(hour, web_searches=searches) if hour or searches else None
        total = fresh + read + write
        return usage.believable(
            total, output, cache_read=read, cache_write=write, reasoning=thought or 0, extras=extras
        )


def _member(group: object, name: str) -> int:
    return (usage.count(group.get(name)) or 0) if isinstance(group, dict) else 0


class Block(msgspec.Struct):
    """One content block."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct):
    """A whole message, or the empty one of message_start."""

    type: str = ""
    id: str = ""
    model: str = ""
    content: list[Block] = []
    stop_reason: str | None = None
    usage: Counts | None = None


def finish_reason(stop_reason: str | None, tool_calls: int) -> str:
    """OpenAI's reason: `tool_calls` wherever a call was made to be carried out, however an unknown reason may be
    named."""
    if stop_reason in (None, "tool_use") or stop_reason not in _FINISH:
        return "tool_calls" if tool_calls else "stop"
    return _FINISH[stop_reason]


def choice(message: Message, forced_tool: str | None) -> Choice:
    """The message's blocks sorted into one choice. The input of `forced_tool` is the answer's text."""
    text, reasoning = "", ""
    thoughts: list[object] = []
    calls: list[ToolCall] = []
    for block in message.content:
        match block.type:
            case "text":
                text += block.text
            case "thinking":
                reasoning += block.thinking
                if block.signature:
                    thoughts.append({"type": "thinking", "thinking": block.thinking, "signature": block.signature})
            case "redacted_thinking":
                thoughts.append({"type": "redacted_thinking", "data": block.data})
            case "tool_use" if block.name == forced_tool:
                text += bytes(block.input).decode()
            case "tool_use":
                calls.append(ToolCall(block.id, block.name, bytes(block.input).decode()))
            case _:
                pass  # Blocks of Anthropic's own server tools have no place in a chat completion.
    return Choice(
        text=text,
        reasoning=reasoning,
        thinking_blocks=thoughts,
        tool_calls=calls,
        finish_reason=finish_reason(message.stop_reason, len(calls)),
    )
