"""The Gemini wire (generateContent, streamGenerateContent, embedContent), mapped both ways.

Thought signatures come back where Google's own OpenAI endpoint puts them, `extra_content.google.thought_signature`
on the tool call (or on
the message), and are put back from there.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelux_providers.dialects import fault, google_embeddings, google_error, google_request
from modelux_providers.dialects.base import Call, ChatCall, Complete, ProviderError, WireRequest
from modelux_providers.dialects.chat import Refused
from modelux_providers.dialects.completion import completion
from modelux_providers.dialects.google_answer import Response, choices
from modelux_providers.dialects.google_stream import GoogleStream
from modelux_providers.dialects.lenient import decode, given


class Google:
    """Chat completions and embeddings over the Gemini API."""

    def request(self, call: Call) -> WireRequest | ProviderError:
        if call.vendor.embeddings_path is None and not isinstance(call, ChatCall):
            return fault.refused(f"{call.vendor.name} has no embeddings.", "model", "unsupported_endpoint")
        try:
            return google_request.build(call) if isinstance(call, ChatCall) else google_embeddings.build(call)
        except Refused as refused:
            return refused.error

    def response(self, call: Call, body: bytes) -> Complete | ProviderError:
        answer = decode(body, Response)
        if answer is None:
            return fault.invalid("The provider's answer cannot be read.")
        if given(answer.error):
            return google_error.embedded(body)
        if not isinstance(call, ChatCall):
            return google_embeddings.response(call, body)
        answer_id, model = answer.response_id or call.request_id, answer.model_version or call.model
        made = choices(answer, answer_id)
        if isinstance(made, ProviderError):
            return made
        counted = answer.usage_metadata.usage() if answer.usage_metadata is not None else None
        return Complete(
            completion(answer_id, call.created_s, model, made, counted), counted, answer.response_id or None
        )

    def stream(self, call: ChatCall) -> GoogleStream:
        return GoogleStream(call)

    def error(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
        return google_error.read(status, headers, body)
