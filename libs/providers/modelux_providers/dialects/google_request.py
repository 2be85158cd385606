"""An OpenAI chat request as Gemini's generateContent wants it."""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from modelux_providers.dialects import chat
from modelux_providers.dialects.base import ChatCall, WireRequest, path_for
from modelux_providers.dialects.chat import ChatRequest, Members, Refused
from modelux_providers.dialects.google_messages import Contents

Fields: TypeAlias = dict[str, object]

HEADERS = ((b"content-type", b"application/json"),)
_NATIVE = {"safety_settings": "safetySettings", "safetySettings": "safetySettings", "cachedContent": "cachedContent"}
_HANDLED = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "n",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        *_NATIVE,
    }
)
_VERSION = re.compile(r"gemini-(\d{1,2})(?:\.(\d))?")
_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
_LEVELS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_encode = msgspec.json.Encoder().encode


def build(call: ChatCall) -> WireRequest:
    """The wire request. Raises Refused where Gemini cannot do what was asked."""
    request, members = chat.parse(call.body)
    generation = _generation(call.model)
    contents = Contents(needs_signatures=generation >= (3, 0))
    contents.fold(request.messages)
    body: Fields = {"contents": contents.written()}
    if contents.system:
        body["systemInstruction"] = {"parts": contents.system}
    body |= _tools(request)
    config = _config(request, members, call) | _format(request) | _thinking(request, generation)
    if config:
        body["generationConfig"] = config
    body |= {native: members[name] for name, native in _NATIVE.items() if name in members}
    dropped = (*contents.dropped, *_lost_in_tools(request), *chat.unknown(members, _HANDLED))
    if request.user is not None:
        dropped += ("user",)
    method = ":streamGenerateContent?alt=sse" if call.stream else ":generateContent"
    path = path_for(call.vendor.chat_path, "/models/{model}", call.model) + method
    return WireRequest(path, HEADERS, _encode(body), dropped, tuple(contents.emulated))


def _generation(model: str) -> tuple[int, int]:
    """The generation in a model's name; a name without one is taken for 2.5."""
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (2, 5)


def _config(request: ChatRequest, members: Members, call: ChatCall) -> Fields:
    fields: Fields = {
        "maxOutputTokens": call.max_tokens or request.max_completion_tokens or request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": members.get("top_k"),
        "stopSequences": [stop for stop in request.stops if stop] or None,
        "candidateCount": request.n if request.n != 1 else None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
    }
    if request.logprobs:
        fields["responseLogprobs"] = True
        fields["logprobs"] = request.top_logprobs or None
    return {name: value for name, value in fields.items() if value is not None}


def _format(request: ChatRequest) -> Fields:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return {}
    if wanted.type == "json_object":
        return {"responseMimeType": "application/json"}
    schema = wanted.json_schema
    if wanted.type != "json_schema" or schema is None or not isinstance(schema.schema, msgspec.Raw):
        message = "`response_format` is text, json_object or json_schema with a schema."
        raise Refused(message, "response_format", "invalid_value")
    return {"responseMimeType": "application/json", "responseJsonSchema": schema.schema}


def _thinking(request: ChatRequest, generation: tuple[int, int]) -> Fields:
    effort = request.reasoning_effort
    if effort is None:
        return {}
    if effort not in _BUDGETS:
        raise Refused(f"Unknown `reasoning_effort` {effort!r}.", "reasoning_effort", "invalid_value")
    shown: Fields = {"includeThoughts": True} if effort != "none" else {}
    if generation >= (3, 0):
        return {"thinkingConfig": {"thinkingLevel": _LEVELS[effort]} | shown}
    return {"thinkingConfig": {"thinkingBudget": _BUDGETS[effort]} | shown}


def _tools(request: ChatRequest) -> Fields:
    if not request.functions:
        return {}
    declarations = []
    for function in request.functions:
        declaration: Fields = {"name": function.name}
        if function.description:
            declaration["description"] = function.description
        if isinstance(function.parameters, msgspec.Raw) and bytes(function.parameters) != b"null":
            declaration["parametersJsonSchema"] = function.parameters
        declarations.append(declaration)
    fields: Fields = {"tools": [{"functionDeclarations": declarations}]}
    match request.tool_choice:
        case None:
            return fields
        case str(kind) if kind in _MODES:
            choice: Fields = {"mode": _MODES[kind]}
        case chat.NamedChoice(type="function", function=chat.NamedFunction(name=name)):
            choice = {"mode": "ANY", "allowedFunctionNames": [name]}
        case _:
            message = "`tool_choice` is auto, none, required or a named function here."
            raise Refused(message, "tool_choice", "invalid_value")
    return fields | {"toolConfig": {"functionCallingConfig": choice}}


def _lost_in_tools(request: ChatRequest) -> tuple[str, ...]:
    strict = any(function.strict for function in request.functions)
    cached = any(isinstance(tool.cache_control, msgspec.Raw) for tool in request.tools or ())
    return (*(("tools.function.strict",) if strict else ()), *(("tools.cache_control",) if cached else ()))
