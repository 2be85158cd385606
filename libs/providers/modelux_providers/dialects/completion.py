"""Write an OpenAI chat completion, for providers that speak otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelux_providers.dialects import usage
from routing_core.types import Usage

_encode = msgspec.json.Encoder().encode


class ToolCall(msgspec.Struct):
    """One call of a finished answer; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str
    signature: str | None = None
    """Gemini's thought signature, to be handed back with the call."""

    def written(self) -> dict[str, object]:
        call = {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}
        return call | signed(self.signature)


class Choice(msgspec.Struct):
    """One answer out of the pieces a provider gave. `thinking_blocks` are Anthropic's own, whole, to be handed back."""

    index: int = 0
    text: str = ""
    reasoning: str = ""
    thinking_blocks: Sequence[object] = ()
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str = "stop"
    logprobs: object = None
    signature: str | None = None

    def written(self) -> dict[str, object]:
        message: dict[str, object] = {
            "role": "assistant",
            "content": self.text if self.text or not self.tool_calls else None,
        }
        message["refusal"] = None
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.thinking_blocks:
            message["thinking_blocks"] = self.thinking_blocks
        if self.tool_calls:
            message["tool_calls"] = [call.written() for call in self.tool_calls]
        message |= signed(self.signature)
        return {
            "index": self.index,
            "message": message,
            "logprobs": self.logprobs,
            "finish_reason": self.finish_reason,
        }


def signed(signature: str | None) -> dict[str, object]:
    """Google's place for a thought signature in OpenAI's shape; nothing where there is none."""
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def completion(
    answer_id: str, created_s: int, model: str, choices: Sequence[Choice], counted: Usage | None, **extra: object
) -> bytes:
    """The body of a chat completion. `usage` is left out where the provider gave none that can be believed."""
    body: dict[str, object] = {"id": answer_id, "object": "chat.completion", "created": created_s, "model": model}
    body["choices"] = [choice.written() for choice in choices]
    if counted is not None:
        body["usage"] = usage.written(counted)
    return _encode(body | extra)
