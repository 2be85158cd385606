"""Read what was asked in OpenAI's dialect, and refuse what OpenAI refuses."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from modelux_providers.simulator.bodies import decode, fields_of
from modelux_providers.simulator.words import Ask, Refusal, Tool


class _Part(Struct):
    type: str = "text"
    text: str = ""


class _Call(Struct):
    id: str = ""


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Function(Struct):
    name: str
    parameters: Raw = Raw(b"{}")


class _Tool(Struct):
    type: str = "function"
    function: _Function | None = None


class _Named(Struct):
    name: str = ""


class _ToolChoice(Struct):
    function: _Named = msgspec.field(default_factory=_Named)


class _Schema(Struct):
    schema: Raw = Raw(b"{}")


class _Format(Struct):
    type: str = "text"
    json_schema: _Schema | None = None


class _StreamOptions(Struct):
    include_usage: bool = False
    include_obfuscation: bool = False


class _Chat(Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    temperature: float | None = None


class _Embeddings(Struct):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: str = "float"
    dimensions: int = 0


def chat(body: bytes, deployment: str = "") -> Ask:
    """Read a body of `/v1/chat/completions`; `deployment` is the model that Azure names in the path."""
    fields = fields_of(body)
    read = decode(body, _Chat, {"model": deployment} if deployment else {})
    if isinstance(read, Refusal):
        return Ask("openai", "chat", deployment or "unknown", refusal=read)
    options = read.stream_options or _StreamOptions()
    users = [_text(message) for message in read.messages if message.role == "user"]
    schema = read.response_format.json_schema if read.response_format else None
    return Ask(
        "openai",
        "chat",
        deployment or read.model,
        stream=bool(read.stream),
        prompt=users[-1] if users else "",
        text="\n".join(map(_text, read.messages)),
        choices=read.n or 1,
        max_tokens=read.max_completion_tokens or read.max_tokens,
        tools=tuple(
            Tool(tool.function.name, bytes(tool.function.parameters)) for tool in read.tools or () if tool.function
        ),
        tool_choice=_tool_choice(read.tool_choice),
        parallel=read.parallel_tool_calls is not False,
        after_tool=bool(read.messages) and read.messages[-1].role == "tool",
        schema=bytes(schema.schema) if schema else None,
        json_mode=read.response_format is not None and read.response_format.type == "json_object",
        logprobs=(read.top_logprobs or 0) if read.logprobs else None,
        include_usage=options.include_usage,
        obfuscate=options.include_obfuscation,
        thinking=read.reasoning_effort not in (None, "none", "minimal"),
        fields=fields,
        refusal=_chat_refusal(read),
    )


def _text(message: _Message) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if part.text)
    return message.content or ""


def _tool_choice(choice: str | _ToolChoice | None) -> str:
    return choice.function.name if isinstance(choice, _ToolChoice) else choice or "auto"


def _chat_refusal(read: _Chat) -> Refusal | None:
    if not read.messages:
        return _bad(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages", "empty_array"
        )
    if read.max_tokens is not None and read.max_completion_tokens is not None:
        return _bad("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens")
    if read.stream_options is not None and not read.stream:
        return _bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if read.temperature is not None and not 0 <= read.temperature <= 2:
        return _bad("Invalid 'temperature': expected a value between 0 and 2.", "temperature", "invalid_value")
    return _tool_order(read.messages)


def _tool_order(messages: Sequence[_Message]) -> Refusal | None:
    """Every tool call is answered, in the messages right behind it, by a tool message with its id."""
    awaited: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in awaited:
                return _bad(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            awaited.discard(message.tool_call_id)
        elif awaited:
            break
        else:
            awaited = {call.id for call in message.tool_calls or ()}
    if awaited:
        return _bad(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(sorted(awaited))}",
            "messages",
        )
    return None


def _bad(message: str, param: str, code: str | None = None) -> Refusal:
    return Refusal(400, message, code, param)


def embeddings(body: bytes, deployment: str = "") -> Ask:
    """Read a body of `/v1/embeddings`: a text, texts, tokens, or lists of tokens."""
    read = decode(body, _Embeddings, {"model": deployment} if deployment else {})
    if isinstance(read, Refusal):
        return Ask("openai", "embeddings", deployment or "unknown", refusal=read)
    inputs = _inputs(read.input)
    empty = not inputs or any(not text for text in inputs)
    return Ask(
        "openai",
        "embeddings",
        deployment or read.model,
        prompt=inputs[-1] if inputs else "",
        text="\n".join(inputs),
        inputs=inputs,
        dimensions=read.dimensions,
        base64=read.encoding_format == "base64",
        fields=fields_of(body),
        refusal=_bad("'$.input' is invalid. Please check the API reference.", "input") if empty else None,
    )


def _inputs(given: str | list[str | int | list[int]]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    tokens = [item for item in given if isinstance(item, int)]
    if tokens:
        return (" ".join(f"t{token}" for token in tokens),)
    return tuple(
        item if isinstance(item, str) else " ".join(f"t{token}" for token in item)
        for item in given
        if not isinstance(item, int)
    )
