"""An OpenAI chat request as Anthropic's Messages API wants it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from modelux_providers.dialects import chat
from modelux_providers.dialects.anthropic_messages import turns
from modelux_providers.dialects.base import ChatCall, WireRequest, path_for
from modelux_providers.dialects.chat import ChatRequest, Members, Refused
from modelux_providers.dialects.claude import Claude, claude

Fields: TypeAlias = dict[str, object]

_HEADERS = ((b"content-type", b"application/json"), (b"anthropic-version", b"2023-06-01"))
_NATIVE = (
    "thinking",
    "top_k",
    "metadata",
    "mcp_servers",
    "container",
    "context_management",
    "inference_geo",
    "output_config",
)
"""Anthropic's own fields: a caller who sends them means them."""
_HANDLED = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "n",
    }
)
_EFFORT_SHARE = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.9}
_MIN_BUDGET = 1024
_JSON_ONLY = "Answer with one JSON object and nothing else: no prose around it, no code fence."
_EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Notes:
    """What the caller has to be told."""

    dropped: list[str] = field(default_factory=list)
    emulated: list[str] = field(default_factory=list)


def build(call: ChatCall) -> WireRequest:
    """The wire request. Raises Refused where Anthropic cannot do what was asked."""
    request, members = chat.parse(call.body)
    if (request.n or 1) != 1:
        raise Refused("Anthropic gives one answer a call; send `n` requests.", "n")
    model, notes = claude(call.model), _Notes()
    system, messages = turns(request.messages, notes.emulated, notes.dropped)
    limit = call.max_tokens or request.max_completion_tokens or request.max_tokens
    body: Fields = {
        "model": call.model,
        "max_tokens": limit or min(call.max_output_tokens or model.default_max_tokens, model.default_max_tokens),
        "messages": messages,
    }
    body |= _native(members)
    body |= _tools(request, model, notes)
    body |= _format(request, model, system, body, notes)
    body |= _thinking(request, model, body, notes)
    body |= _sampling(request, model, body, notes)
    if system:
        body["system"] = system
    if request.user is not None and "metadata" not in body:
        body["metadata"] = {"user_id": request.user}
    if call.stream:
        body["stream"] = True
    taken = _HANDLED | {name for name in _NATIVE if name in body}
    notes.dropped += chat.unknown(members, taken)
    path = path_for(call.vendor.chat_path, "/messages", call.model)
    return WireRequest(path, _HEADERS, _encode(body), tuple(notes.dropped), tuple(notes.emulated))


def forced_tool(call: ChatCall) -> str | None:
    """The name of the tool whose input stands for the answer, where a JSON schema had to be carried out that way."""
    if b"json_schema" not in call.body or claude(call.model).structured_output:
        return None
    try:
        request, _ = chat.parse(call.body)
    except Refused:
        return None
    wanted = request.response_format
    return wanted.json_schema.name if wanted and wanted.type == "json_schema" and wanted.json_schema else None


def _native(members: Members) -> Fields:
    """Anthropic's own fields, as they are. `metadata` is also OpenAI's; it is Anthropic's only where it names a
    `user_id` alone."""
    fields: Fields = {name: members[name] for name in _NATIVE if name in members}
    if "metadata" in members:
        try:
            metadata = msgspec.json.decode(members["metadata"], type=dict[str, object])
        except msgspec.DecodeError:
            metadata = {}
        if set(metadata) != {"user_id"}:
            del fields["metadata"]
    return fields


def _tools(request: ChatRequest, model: Claude, notes: _Notes) -> Fields:
    if not request.tools:
        return {}
    tools = []
    for tool in request.tools:
        function = tool.function
        assert function is not None  # parse() refuses tools that are no functions
        written: Fields = {"name": function.name}
        if function.description:
            written["description"] = function.description
        given = isinstance(function.parameters, msgspec.Raw) and bytes(function.parameters) != b"null"
        written["input_schema"] = function.parameters if given else _EMPTY_SCHEMA
        if function.strict and model.structured_output:
            written["strict"] = True
        elif function.strict:
            notes.dropped.append("tools.function.strict")
        if isinstance(tool.cache_control, msgspec.Raw):
            written["cache_control"] = tool.cache_control
        tools.append(written)
    fields: Fields = {"tools": tools}
    choice = _tool_choice(request)
    if choice is not None:
        fields["tool_choice"] = choice
    return fields


def _tool_choice(request: ChatRequest) -> Fields | None:
    choice: Fields | None = None
    match request.tool_choice:
        case None:
            choice = None
        case "auto" | "none" as kind:
            choice = {"type": kind}
        case "required":
            choice = {"type": "any"}
        case chat.NamedChoice(type="function", function=chat.NamedFunction(name=name)):
            choice = {"type": "tool", "name": name}
        case _:
            raise Refused(
                "`tool_choice` is auto, none, required or a named function here.", "tool_choice", "invalid_value"
            )
    if request.parallel_tool_calls is False and (choice is None or choice["type"] != "none"):
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    return choice


def _format(request: ChatRequest, model: Claude, system: list[object], body: Fields, notes: _Notes) -> Fields:
    """`response_format`: Anthropic's own where the model has it, else a tool that must be called; `json_object` is
    an instruction."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return {}
    if wanted.type == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
        notes.emulated.append("response_format")
        return {}
    if (
        wanted.type != "json_schema"
        or wanted.json_schema is None
        or not isinstance(wanted.json_schema.schema, msgspec.Raw)
    ):
        raise Refused(
            "`response_format` is text, json_object or json_schema with a schema.", "response_format", "invalid_value"
        )
    schema = wanted.json_schema
    if model.structured_output:
        given = body.get("output_config")
        config = msgspec.json.decode(given, type=dict[str, msgspec.Raw]) if isinstance(given, msgspec.Raw) else {}
        return {"output_config": config | {"format": {"type": "json_schema", "schema": schema.schema}}}
    notes.emulated.append("response_format")
    tool: Fields = {
        "name": schema.name,
        "description": schema.description or "Gives the answer.",
        "input_schema": schema.schema,
    }
    others = body.get("tools")
    forced: Fields = {"type": "any"} if isinstance(others, list) else {"type": "tool", "name": schema.name}
    return {"tools": [*(others if isinstance(others, list) else ()), tool], "tool_choice": forced}


def _thinking(request: ChatRequest, model: Claude, body: Fields, notes: _Notes) -> Fields:
    effort = request.reasoning_effort
    if effort is None or "thinking" in body:
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}} if model.thinks else {}
    if effort not in _EFFORT_SHARE:
        raise Refused(f"Unknown `reasoning_effort` {effort!r}.", "reasoning_effort", "invalid_value")
    if model.adaptive_thinking:
        level = {"minimal": "low", "xhigh": "xhigh" if model.summarises_on_request else "high"}.get(effort, effort)
        config = body.get("output_config")
        if isinstance(config, msgspec.Raw):
            config = msgspec.json.decode(config, type=dict[str, msgspec.Raw])
        display: Fields = {"display": "summarized"} if model.summarises_on_request else {}
        fields: Fields = {"thinking": {"type": "adaptive"} | display}
        return fields | {"output_config": {"effort": level} | (config if isinstance(config, dict) else {})}
    # A budget it is, unless the model is too old, the tokens too few, a tool forced, or the loop has lost its thought.
    limit = body["max_tokens"]
    assert isinstance(limit, int)
    choice = body.get("tool_choice")
    forced = isinstance(choice, dict) and choice["type"] in ("any", "tool")
    if not model.thinks or forced or limit <= _MIN_BUDGET or _lost_its_thought(request):
        notes.dropped.append("reasoning_effort")
        return {}
    budget = max(_MIN_BUDGET, min(int(limit * _EFFORT_SHARE[effort]), limit - 1, 32_000))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _lost_its_thought(request: ChatRequest) -> bool:
    """The caller continues a tool loop without the thought it began with: Anthropic would refuse to think on."""
    last = next((message for message in reversed(request.messages) if message.role == "assistant"), None)
    return last is not None and bool(last.tool_calls) and not (last.thinking_blocks or last.reasoning_details)


def _sampling(request: ChatRequest, model: Claude, body: Fields, notes: _Notes) -> Fields:
    fields: Fields = {}
    thinking = body.get("thinking")
    thinks = thinking is not None and thinking != {"type": "disabled"}
    if request.temperature is not None:
        if not model.sampling or thinks:
            _drop_unless(request.temperature == 1, "temperature", notes)
        else:
            fields["temperature"] = min(request.temperature, 1.0)
            notes.emulated += ["temperature"] if request.temperature > 1 else []
    if request.top_p is not None:
        clash = "temperature" in fields and model.one_of_temperature_and_top_p
        if not model.sampling or thinks or clash:
            _drop_unless(request.top_p == 1, "top_p", notes)
        else:
            fields["top_p"] = request.top_p
    stops = [stop for stop in request.stops if stop.strip()]
    if stops:
        fields["stop_sequences"] = stops
    if len(stops) < len(request.stops):
        notes.dropped.append("stop")  # Anthropic rejects stops of white space alone.
    return fields


def _drop_unless(default: bool, name: str, notes: _Notes) -> None:
    if not default:
        notes.dropped.append(name)
