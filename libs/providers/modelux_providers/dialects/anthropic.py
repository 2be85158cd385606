"""The Anthropic wire (`/v1/messages`), mapped both ways.

Reasoning comes back as `reasoning_content` (text) and `thinking_blocks` (Anthropic's own blocks with their
signatures). A caller who hands
`thinking_blocks`, or OpenRouter's `reasoning_details`, back on the assistant message continues a tool loop with
thinking.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelux_providers.dialects import anthropic_error, fault
from modelux_providers.dialects.anthropic_answer import Message, choice
from modelux_providers.dialects.anthropic_request import build, forced_tool
from modelux_providers.dialects.anthropic_stream import AnthropicStream
from modelux_providers.dialects.base import Call, ChatCall, Complete, EmbeddingsCall, ProviderError, WireRequest
from modelux_providers.dialects.chat import Refused
from modelux_providers.dialects.completion import completion
from modelux_providers.dialects.lenient import decode


class _Kind(msgspec.Struct):
    type: str = ""


class Anthropic:
    """Chat completions over the Messages API. There are no embeddings."""

    def request(self, call: Call) -> WireRequest | ProviderError:
        if isinstance(call, EmbeddingsCall):
            return fault.refused("Anthropic has no embeddings.", "model", "unsupported_endpoint")
        try:
            return build(call)
        except Refused as refused:
            return refused.error

    def response(self, call: Call, body: bytes) -> Complete | ProviderError:
        kind = decode(body, _Kind)
        if kind is not None and kind.type == "error":
            return anthropic_error.embedded(body)
        message = decode(body, Message)
        if message is None or message.type != "message" or isinstance(call, EmbeddingsCall):
            return fault.invalid("The provider's answer is not a message.")
        counted = message.usage.usage() if message.usage is not None else None
        answer_id, model = message.id or call.request_id, message.model or call.model
        written = completion(answer_id, call.created_s, model, [choice(message, forced_tool(call))], counted)
        return Complete(written, counted, message.id or None)

    def stream(self, call: ChatCall) -> AnthropicStream:
        return AnthropicStream(call, forced_tool(call))

    def error(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
        return anthropic_error.read(status, headers, body)
