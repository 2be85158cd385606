"""A chat completion request as its caller wrote it, read once into typed parts for the providers that speak
otherwise."""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from modelux_providers.dialects import fault
from modelux_providers.dialects.base import ProviderError
from modelux_providers.dialects.lenient import readable

MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType


class Refused(Exception):
    """This provider cannot do what was asked; `error` tells the caller why."""

    def __init__(self, message: str, param: str | None, code: str = "unsupported_parameter") -> None:
        super().__init__(message)
        self.error: ProviderError = fault.refused(message, param, code)


class ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class Audio(msgspec.Struct):
    data: str
    format: str = "wav"


class File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """One piece of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: Audio | None = None
    file: File | None = None
    cache_control: MaybeRaw = msgspec.UNSET


class CalledFunction(msgspec.Struct):
    name: str
    arguments: str = ""


class GoogleExtra(msgspec.Struct):
    thought_signature: str | None = None


class Extra(msgspec.Struct):
    """`extra_content`, where Google's OpenAI endpoint (and ours) keeps a thought signature."""

    google: GoogleExtra | None = None


class ToolCall(msgspec.Struct):
    id: str
    function: CalledFunction | None = None
    type: str = "function"
    extra_content: Extra | None = None

    @property
    def signature(self) -> str | None:
        return self.extra_content.google.thought_signature if self.extra_content and self.extra_content.google else None


class Thought(msgspec.Struct):
    """A reasoning block handed back: Anthropic's own (`thinking`, `redacted_thinking`) or OpenRouter's
    (`reasoning.text`, `.encrypted`)."""

    type: str
    thinking: str | None = None
    text: str | None = None
    signature: str | None = None
    data: str | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    thinking_blocks: list[Thought] | None = None
    reasoning_details: list[Thought] | None = None
    extra_content: Extra | None = None

    @property
    def parts(self) -> list[Part]:
        """The content as parts, without empty text (which Anthropic and Bedrock reject)."""
        if self.content is None:
            return []
        parts = [Part("text", text=self.content)] if isinstance(self.content, str) else self.content
        return [part for part in parts if part.type != "text" or (part.text or "").strip()]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text or "" for part in self.content or ())


class Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: MaybeRaw = msgspec.UNSET
    strict: bool | None = None


class Tool(msgspec.Struct):
    type: str
    function: Function | None = None
    cache_control: MaybeRaw = msgspec.UNSET


class NamedFunction(msgspec.Struct):
    name: str


class NamedChoice(msgspec.Struct):
    type: str
    function: NamedFunction | None = None


class JsonSchema(msgspec.Struct):
    name: str = "answer"
    description: str | None = None
    schema: MaybeRaw = msgspec.UNSET
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class ChatRequest(msgspec.Struct):
    """The fields that a mapping reads."""

    messages: list[Message]
    tools: list[Tool] | None = None
    tool_choice: str | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None
    user: str | None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def functions(self) -> list[Function]:
        return [tool.function for tool in self.tools or () if tool.function is not None]


_EVERYWHERE = frozenset({"model", "messages", "stream", "stream_options", "user"})
_HARMLESS: dict[str, tuple[bytes, ...]] = {
    "n": (b"1",),
    "store": (b"false",),
    "logprobs": (b"false",),
    "presence_penalty": (b"0", b"0.0"),
    "frequency_penalty": (b"0", b"0.0"),
    "modalities": (b'["text"]',),
    "logit_bias": (b"{}",),
    "parallel_tool_calls": (b"true",),
    "service_tier": (b'"auto"',),
}
"""Values that say what is done anyway: leaving them out loses nothing."""


Members: TypeAlias = dict[str, msgspec.Raw]
"""All top-level members of the body but nulls, unread."""


def parse(body: bytes) -> tuple[ChatRequest, Members]:
    """The request in `body`, and all its members. Raises Refused naming the field that cannot be read."""
    try:
        return _decode(body)
    except (msgspec.ValidationError, RecursionError) as wrong:
        raise Refused(f"The request cannot be read: {wrong}.", _path(str(wrong)), "invalid_type") from wrong
    except msgspec.DecodeError as broken:
        repaired = readable(body)
        if repaired is None:
            raise Refused("The body is not valid JSON.", None, "invalid_json") from broken
    try:
        return _decode(repaired)
    except msgspec.DecodeError as wrong:
        raise Refused(f"The request cannot be read: {wrong}.", _path(str(wrong)), "invalid_type") from wrong


def _decode(body: bytes) -> tuple[ChatRequest, Members]:
    members = msgspec.json.decode(body, type=Members)
    request = msgspec.json.decode(body, type=ChatRequest)
    members = {name: raw for name, raw in members.items() if bytes(raw) != b"null"}
    _check(request, members)
    return request, members


def _check(request: ChatRequest, members: Members) -> None:
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise Refused(
            "Give either `max_tokens` or `max_completion_tokens`, not both.", "max_tokens", "invalid_parameter"
        )
    for old, new in (("functions", "tools"), ("function_call", "tool_choice")):
        if old in members:
            raise Refused(f"This model's provider has no `{old}`; use `{new}`.", old)
    for place, tool in enumerate(request.tools or ()):
        if tool.type != "function" or tool.function is None:
            raise Refused(f"This model's provider has no tools of type {tool.type!r}.", f"tools[{place}].type")


def unknown(members: Members, handled: frozenset[str]) -> tuple[str, ...]:
    """Fields that would be lost: in the body, not handled, and not saying what happens anyway. Ours (`mlx:*`) are
    none."""
    return tuple(
        name
        for name, raw in members.items()
        if name not in handled
        and name not in _EVERYWHERE
        and not name.startswith("mlx:")
        and bytes(raw) not in _HARMLESS.get(name, ())
    )


_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.=+-]+)*;base64,", re.ASCII)


def inline(url: str, param: str) -> tuple[str, str] | None:
    """Media type and base64 text of a data URL (not re-encoded); None for an https URL. Raises Refused for any
    other."""
    if url.startswith("data:"):
        head = _DATA_URL.match(url)
        if head is None:
            raise Refused("A data URL must be `data:<media type>;base64,<data>`.", param, "invalid_value")
        return head[1], url[head.end() :]
    if url.startswith("https://"):
        return None
    raise Refused("Images are given as https or data URLs.", param, "invalid_value")


def url_of(part: Part) -> str:
    image = part.image_url
    return image if isinstance(image, str) else image.url if image is not None else ""


def _path(message: str) -> str | None:
    """`messages[0].content` out of msgspec's "… - at `$.messages[0].content`"."""
    found = re.search(r"`\$\.?([^`]*)`$", message)
    missing = re.search(r"missing required field `([^`]*)`", message)
    path = found[1] if found else ""
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
    return path or None
