"""Read what routing needs of an OpenAI request body, and refuse what no provider could carry out.

Fields not named here are neither read nor touched: they go to the provider as they came.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from modelux_calling import json_guard
from modelux_calling.openai_shapes import (
    ABSENT,
    ChatBody,
    EmbeddingsBody,
    Message,
    Part,
    decode_chat,
    decode_embeddings,
    decode_inputs,
    decode_searching,
    decode_thinking,
)
from modelux_contracts.errors import OpenAIError
from modelux_providers.egress import BlockedAddress, Guard
from routing_core.types import Capability

MAX_TAGS = 50
MAX_TOOLS_BYTES = 1024 * 1024
MAX_INPUT_TOKENS = 300_000
_PATH = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_ID = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_NO_NEEDS: frozenset[Capability] = frozenset()
_GUARD = Guard()
_PLAIN = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "mlx:end_user_id",
        "mlx:tags",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)
"""Members that ask for nothing but an answer in text, whatever they hold."""


def read_chat(body: bytes) -> tuple[ChatBody, frozenset[Capability], int, bool]:
    """A chat request, what it needs of a model, about how many tokens it holds, and whether it is certain to be about
    text alone: no tools, pictures, sound, files, searches or thinking budgets. Raises OpenAIError (400).
    """
    members = json_guard.members(body)
    try:
        chat = decode_chat(body)
    except msgspec.ValidationError as error:
        raise _told(str(error)) from None
    _check_ours(chat)
    if chat.max_tokens is not None and chat.max_completion_tokens is not None:
        raise _invalid("set either max_tokens or max_completion_tokens, not both", "max_tokens")
    if chat.top_logprobs is not None and not chat.logprobs:
        raise _invalid("top_logprobs needs logprobs to be true", "top_logprobs")
    tokens, vision, text = _check_messages(chat.messages)
    text = text and _PLAIN.issuperset(members)
    if not (vision or chat.tools or chat.functions or chat.response_format or chat.logprobs):
        return chat, _NO_NEEDS, tokens, text
    if chat.tools or chat.functions:
        tokens += _check_tools(chat, members)
    _check_format(chat)
    return chat, _needs(chat, vision), tokens, text


def limit_of(chat: ChatBody) -> int | None:
    """The caller's limit on output tokens."""
    limit: int | None = chat.max_completion_tokens
    return chat.max_tokens if limit is None else limit


def read_embeddings(body: bytes) -> tuple[EmbeddingsBody, int]:
    """An embeddings request and about how many tokens it holds. Raises OpenAIError (400)."""
    json_guard.members(body)
    try:
        request = decode_embeddings(body)
        inputs = decode_inputs(request.input)
    except msgspec.ValidationError as error:
        told = _told(str(error))
        raise told if told.param else _invalid("input must be a string, strings, or token ids", "input") from None
    _check_ours(request)
    _check_inputs(inputs)
    return request, len(memoryview(request.input)) // 4 + 1


def thinking_tokens(body: bytes) -> int:
    """Anthropic's `thinking.budget_tokens`, which may reach beyond the limit where thoughts and tools take turns."""
    if b"budget_tokens" not in body and b"\\u00" not in body:
        return 0
    try:
        found = decode_thinking(body).thinking
    except (msgspec.DecodeError, RecursionError):
        return 0
    return max(found.budget_tokens, 0) if found is not None else 0


def searches(body: bytes) -> bool:
    """Whether the provider is asked to search the web by itself, other than by a tool."""
    if b'"web_search_options"' in body or b'"plugins"' in body or b'"search_parameters"' in body:
        return True
    if b"\\u00" not in body:
        return False
    found = decode_searching(body)
    return any(len(memoryview(each)) > 0 for each in (found.web_search_options, found.plugins, found.search_parameters))


def _check_ours(body: ChatBody | EmbeddingsBody) -> None:
    model = body.model
    if not model or len(model) > 256 or not model.isprintable():
        raise _invalid("model must be a name of 1 to 256 printable characters", "model")
    if model[0] == "@" and (len(model) == 1 or " " in model):
        raise _invalid("after the @ comes the slug of a routing config, for example @production", "model")
    _check_id(body.user, "user")
    _check_id(body.end_user_id, "mlx:end_user_id")
    if body.tags:
        check_tags(body.tags, "mlx:tags")


def _check_id(value: str | None, name: str) -> None:
    if value and _ID.fullmatch(value) is None:
        raise _invalid(f"{name} must not hold control characters", name)


def check_tags(tags: Mapping[str, str], param: str) -> None:
    """At most 50;
    keys of 1 to 64 and values of up to 256 characters, none of them control characters. Raises OpenAIError.
    """
    if len(tags) > MAX_TAGS:
        raise _invalid(f"at most {MAX_TAGS} tags are allowed", param)
    for key, value in tags.items():
        if not 1 <= len(key) <= 64 or not key.isprintable():
            raise _invalid("tag names have 1 to 64 printable characters", param)
        if len(value) > 256 or not (value.isprintable() or not value):
            raise _invalid(f"the value of tag {key!r} must have at most 256 printable characters", f"{param}.{key}")


def _check_messages(messages: list[Message]) -> tuple[int, bool, bool]:
    """Estimated tokens, whether there are images, and whether there is nothing but text."""
    characters = 0
    vision = False
    text = True
    for index, message in enumerate(messages):
        content = message.content
        if isinstance(content, str):
            characters += len(content) + 16
            text = text and message.audio is ABSENT
        elif content is None:
            _check_empty(message, index)
            characters += 16 + (len(memoryview(message.tool_calls)))
            text = text and message.audio is ABSENT
        else:
            size, images = _check_parts(content, index)
            characters += size + 16
            vision = vision or images
            text = False
        if message.role == "tool" and not message.tool_call_id:
            raise _invalid("a tool message needs the tool_call_id it answers", f"messages[{index}].tool_call_id")
    return characters // 4 + 1, vision, text


def _check_empty(message: Message, index: int) -> None:
    answered = message.refusal or any(map(_given, (message.tool_calls, message.function_call, message.audio)))
    if message.role != "assistant" or not answered:
        if message.role == "function":
            return
        raise _invalid("content must be a string or a list of parts", f"messages[{index}].content")


def _given(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null", b"[]")


def _check_parts(parts: list[Part], index: int) -> tuple[int, bool]:
    size = 0
    images = False
    where = f"messages[{index}].content"
    if not parts:
        raise _invalid("content must not be an empty list", where)
    for number, part in enumerate(parts):
        if part.type == "image_url":
            images = True
            size += 4 * 1000
            image = part.image_url
            if image is None:
                raise _invalid("an image_url part needs image_url.url", f"{where}[{number}].image_url")
            _check_image(image if isinstance(image, str) else image.url, f"{where}[{number}].image_url.url")
        elif part.type == "text":
            if part.text is None:
                raise _invalid("a text part needs text", f"{where}[{number}].text")
            size += len(part.text)
    return size, images


def _check_image(url: str, param: str) -> None:
    """Images are fetched by providers, never here; still nobody is sent to an address inside a network."""
    if url.startswith("data:"):
        return
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _GUARD.check_name(host, 443)
        if parts.scheme in ("https", "http") and host and not _numeric(host):
            return
    except (ValueError, BlockedAddress):
        pass
    raise _invalid("images are data: URLs or https:// URLs of public hosts", param)


def _numeric(host: str) -> bool:
    """Spellings of private addresses that only some resolvers read as such (127.1, 0x7f.1, 2130706433)."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return all(label.isdigit() or label.startswith("0x") for label in host.rstrip(".").split("."))


def _check_tools(chat: ChatBody, members: Mapping[str, msgspec.Raw]) -> int:
    size = sum(len(memoryview(members[name])) for name in ("tools", "functions") if name in members)
    if size > MAX_TOOLS_BYTES:
        raise _invalid("the tools exceed 1 MiB", "tools")
    names = [tool.function.name for tool in chat.tools or () if tool.function is not None]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _invalid(f"two tools are named {twice!r}", "tools")
    for index, tool in enumerate(chat.tools or ()):
        if tool.type == "function" and tool.function is None:
            raise _invalid("a function tool needs function.name", f"tools[{index}].function")
    return size // 4


def _check_format(chat: ChatBody) -> None:
    wanted = chat.response_format
    if wanted is None or wanted.type != "json_schema":
        return
    if wanted.json_schema is None or wanted.json_schema.schema is None:
        raise _invalid("a json_schema format needs json_schema.name and json_schema.schema", "response_format")


def _needs(chat: ChatBody, vision: bool) -> frozenset[Capability]:
    needs: set[Capability] = set()
    if chat.tools or chat.functions:
        needs.add("tools")
    if vision:
        needs.add("vision")
    if chat.response_format is not None and chat.response_format.type == "json_schema":
        needs.add("json_schema")
    if chat.logprobs:
        needs.add("logprobs")
    return frozenset(needs)


def _check_inputs(inputs: str | list[str | int | list[int]]) -> None:
    items = [inputs] if isinstance(inputs, str) else inputs
    kind = type(items[0])
    if len(items) > (MAX_INPUT_TOKENS if kind is int else 2048):
        raise _invalid("input holds at most 2048 texts", "input")
    if len(set(map(type, items))) > 1:
        other = next(index for index, item in enumerate(items) if type(item) is not kind)
        raise _invalid("input must not mix texts and token ids", f"input[{other}]")
    if "" in items or [] in items:
        empty = next(index for index, item in enumerate(items) if item in ("", []))
        raise _invalid("input must not hold empty texts", f"input[{empty}]" if len(items) > 1 else "input")
    if kind is list:
        for index, item in enumerate(items):
            _check_tokens(item, f"input[{index}]")
    if kind is int:
        _check_tokens(items, "input")


def _check_tokens(tokens: object, param: str) -> None:
    """Looks at the ends of the range alone: there may be many."""
    assert isinstance(tokens, list)
    if min(tokens) < 0 or max(tokens) >= 2**20:
        raise _invalid("a token id is out of range", param)


def _told(message: str) -> OpenAIError:
    """msgspec's complaint as an OpenAI error with the path of the field."""
    found = _PATH.match(message)
    reason, path = (found[1], found[2] or "") if found else (message, "")
    missing = _MISSING.search(reason)
    if missing:
        param = f"{path}.{missing[1]}" if path else missing[1]
        return OpenAIError(400, f"{param} is required", code="missing_required_parameter", param=param)
    path = path.replace("[...]", "")
    reason = reason.replace("`", "").replace("Expected", "expected").replace("Invalid", "invalid")
    return OpenAIError(400, f"{path or 'the body'}: {reason}", code="invalid_value", param=path or None)


def _invalid(message: str, param: str) -> OpenAIError:
    return OpenAIError(400, message, code="invalid_value", param=param)
