"""Read what was asked in Gemini's dialect, and refuse what Gemini refuses."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from modelux_providers.simulator.bodies import decode, fields_of
from modelux_providers.simulator.words import Ask, Refusal, Tool


class _Named(Struct):
    name: str = ""


class _Part(Struct, rename="camel"):
    text: str = ""
    thought: bool = False
    thought_signature: str | None = None
    function_call: _Named | None = None
    function_response: _Named | None = None


class _Content(Struct):
    parts: list[_Part] = msgspec.field(default_factory=list)
    role: str = "user"


class _Function(Struct, rename="camel"):
    name: str
    parameters: Raw = Raw(b"{}")
    parameters_json_schema: Raw = Raw(b"")


class _Tool(Struct, rename="camel"):
    function_declarations: list[_Function] = msgspec.field(default_factory=list)


class _CallingConfig(Struct, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: list[str] = msgspec.field(default_factory=list)


class _ToolConfig(Struct, rename="camel"):
    function_calling_config: _CallingConfig = msgspec.field(default_factory=_CallingConfig)


class _ThinkingConfig(Struct, rename="camel"):
    include_thoughts: bool = False


class _Generation(Struct, rename="camel"):
    max_output_tokens: int | None = None
    candidate_count: int = 1
    response_schema: Raw = Raw(b"")
    response_json_schema: Raw = Raw(b"")
    response_mime_type: str = ""
    thinking_config: _ThinkingConfig = msgspec.field(default_factory=_ThinkingConfig)


class _Generate(Struct, rename="camel"):
    contents: list[_Content]
    system_instruction: _Content = msgspec.field(default_factory=_Content)
    tools: list[_Tool] = msgspec.field(default_factory=list)
    tool_config: _ToolConfig = msgspec.field(default_factory=_ToolConfig)
    generation_config: _Generation = msgspec.field(default_factory=_Generation)


class _Embed(Struct, rename="camel"):
    content: _Content
    output_dimensionality: int = 0


class _Batch(Struct):
    requests: list[_Embed]


def generate(body: bytes, model: str, stream: bool, sse: bool) -> Ask:
    """Read a body of `:generateContent` or `:streamGenerateContent`; without `sse` a stream is one JSON array."""
    read = decode(body, _Generate, {})
    if isinstance(read, Refusal):
        return Ask("google", "chat", model, refusal=read)
    config = read.generation_config
    last = read.contents[-1].parts if read.contents else []
    users = [_text(content) for content in read.contents if content.role == "user"]
    schema = bytes(config.response_json_schema) or bytes(config.response_schema)
    return Ask(
        "google",
        "chat",
        model,
        stream=stream,
        prompt=next((text for text in reversed(users) if text), ""),
        text="\n".join(map(_text, [read.system_instruction, *read.contents])),
        choices=config.candidate_count,
        max_tokens=config.max_output_tokens,
        tools=tuple(
            Tool(function.name, bytes(function.parameters_json_schema) or bytes(function.parameters))
            for tool in read.tools
            for function in tool.function_declarations
        ),
        tool_choice=_tool_choice(read.tool_config.function_calling_config),
        after_tool=any(part.function_response for part in last),
        schema=schema or None,
        json_mode=config.response_mime_type == "application/json" and not schema,
        thinking=config.thinking_config.include_thoughts,
        plural=stream and not sse,
        fields=fields_of(body),
        refusal=_refusal(read, model),
    )


def _text(content: _Content) -> str:
    return "\n".join(part.text for part in content.parts if part.text)


def _tool_choice(config: _CallingConfig) -> str:
    if config.mode == "ANY":
        return config.allowed_function_names[0] if len(config.allowed_function_names) == 1 else "required"
    return "none" if config.mode == "NONE" else "auto"


def _refusal(read: _Generate, model: str) -> Refusal | None:
    if not read.contents:
        return _bad("* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(read.contents):
        if content.role not in ("user", "model", "function"):
            return _bad(f"Please use a valid role: user, model. (contents[{index}].role)")
        if not content.parts:
            return _bad(f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.")
    if model.startswith("gemini-3"):
        return _signatures(read.contents)
    return None


def _signatures(contents: list[_Content]) -> Refusal | None:
    """Gemini 3 wants back the signature that came with the first function call of a turn."""
    for index, content in enumerate(contents):
        calls = [part for part in content.parts if part.function_call]
        if calls and not calls[0].thought_signature:
            return _bad(f"Function call is missing a thought_signature in functionCall parts. (contents[{index}])")
    return None


def _bad(message: str) -> Refusal:
    return Refusal(400, message, type="INVALID_ARGUMENT")


def embed(body: bytes, model: str, batch: bool) -> Ask:
    """Read a body of `:embedContent` or `:batchEmbedContents`."""
    read = decode(body, _Batch, {}) if batch else decode(body, _Embed, {})
    if isinstance(read, Refusal):
        return Ask("google", "embeddings", model, refusal=read)
    items = read.requests if isinstance(read, _Batch) else [read]
    inputs = tuple(_text(item.content) for item in items)
    return Ask(
        "google",
        "embeddings",
        model,
        prompt=inputs[-1] if inputs else "",
        text="\n".join(inputs),
        inputs=inputs,
        dimensions=max((item.output_dimensionality for item in items), default=0),
        plural=batch,
        fields=fields_of(body),
        refusal=None if inputs and all(inputs) else _bad("* EmbedContentRequest.content: contents is not specified"),
    )
