"""The shapes of OpenAI request bodies, as far as they are read. Fields not named here are skipped."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Struct = msgspec.Struct
Meta = msgspec.Meta
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000)] | None
ABSENT = msgspec.Raw(b"")
"""Stands for a member that is not there."""


class ImageUrl(Struct, gc=False):
    url: str


class Part(Struct, gc=False):
    type: Literal["text", "image_url", "input_audio", "file", "refusal", "video_url", "thinking", "redacted_thinking"]
    text: str | None = None
    image_url: ImageUrl | str | None = None


class Message(Struct, gc=False):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    refusal: str | None = None
    audio: msgspec.Raw = ABSENT
    tool_call_id: str | None = None


class Function(Struct, gc=False):
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: dict[str, msgspec.Raw] | None = None


class Tool(Struct, gc=False):
    type: str
    function: Function | None = None


class JsonSchema(Struct, gc=False):
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    schema: dict[str, msgspec.Raw] | None = None


class ResponseFormat(Struct, gc=False):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, gc=False):
    include_usage: bool | None = None


class _Ours(Struct, kw_only=True, gc=False):
    model: str
    user: Annotated[str, Meta(max_length=512)] | None = None
    tags: dict[str, str] | None = msgspec.field(name="mlx:tags", default=None)
    end_user_id: Annotated[str, Meta(max_length=512)] | None = msgspec.field(name="mlx:end_user_id", default=None)


class ChatBody(_Ours, kw_only=True, gc=False):
    messages: Annotated[list[Message], Meta(min_length=1, max_length=2048)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Limit = None
    max_completion_tokens: Limit = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=16)] | None = None
    tools: Annotated[list[Tool], Meta(max_length=512)] | None = None
    functions: Annotated[list[Function], Meta(max_length=512)] | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream and self.stream_options is not None and self.stream_options.include_usage)


class EmbeddingsBody(_Ours, kw_only=True, gc=False):
    input: msgspec.Raw
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=100_000)] | None = None


class _Budget(Struct, gc=False):
    budget_tokens: int = 0


class Thinking(Struct, gc=False):
    thinking: _Budget | None = None


class Searching(Struct, gc=False):
    web_search_options: msgspec.Raw = ABSENT
    plugins: msgspec.Raw = ABSENT
    search_parameters: msgspec.Raw = ABSENT


decode_chat = msgspec.json.Decoder(ChatBody).decode
decode_embeddings = msgspec.json.Decoder(EmbeddingsBody).decode
decode_inputs = msgspec.json.Decoder(str | Annotated[list[str | int | list[int]], Meta(min_length=1)]).decode
decode_searching = msgspec.json.Decoder(Searching).decode
decode_thinking = msgspec.json.Decoder(Thinking).decode
