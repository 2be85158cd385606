"""The column maps of exports that others make, and how to tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from modelux_management.imports.columns import FIELDS, ColumnMap, parse_map
from modelux_management.imports.records import Values

Preset = Literal["modelux", "openai", "litellm", "langfuse", "helicone"]

_BODIES = ("response.body.", "response.", "")
"""Where an OpenAI answer stands: in a line of a batch's output, beside its request, or alone."""


def preset_of(values: Values) -> Preset:
    """Whose export a row comes from; `modelux` where its columns are named as our fields, or by a map."""
    return next((name for name, fits in _SIGNS if fits(values)), "modelux")


def column_map(preset: Preset, own: ColumnMap) -> ColumnMap:
    """A preset's map, with what the caller says in place of it."""
    return {**_MAPS[preset], **own}


def _in(paths: str, places: Sequence[str] = _BODIES) -> str:
    return "|".join(f"{place}{path}" for path in paths.split("|") for place in places)


_OPENAI = {
    "row_id": "response.body.id|response.id|id|custom_id",
    "model": _in("model") + "|request.model|body.model",
    "provider": "provider",
    "started_at": _in("created|created_at") + "|request_created_at|timestamp",
    "latency_ms": "latency_ms|duration_ms",
    "latency_s": "latency_s|duration_s|latency",
    "status": "response.status_code|status_code",
    "error": "error.message|error|response.body.error.message|response.error.message",
    "input_tokens": _in("usage.prompt_tokens|usage.input_tokens"),
    "output_tokens": _in("usage.completion_tokens|usage.output_tokens"),
    "cache_read_tokens": _in("usage.prompt_tokens_details.cached_tokens|usage.input_tokens_details.cached_tokens"),
    "reasoning_tokens": _in(
        "usage.completion_tokens_details.reasoning_tokens|usage.output_tokens_details.reasoning_tokens"
    ),
    "endpoint": _in("object"),
    "stream": "request.stream|stream",
    "max_tokens": "request.max_completion_tokens|request.max_tokens",
    "end_user_id": "request.user|user",
    "tags": "metadata|request.metadata",
    "tag.custom_id": "custom_id",
    "request": "request|messages|input",
    "response": "response.body|response|.",
}
_LITELLM = {
    "row_id": "request_id|id",
    "started_at": "startTime|start_time",
    "ended_at": "endTime|end_time",
    "first_token_at": "completionStartTime|completion_start_time",
    "model": "model",
    "provider": "custom_llm_provider",
    "requested_model": "model_group",
    "endpoint": "call_type",
    "status": "status|metadata.status",
    "error": "error_str|error_information.error_message|metadata.error_information.error_message",
    "cached": "cache_hit",
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_tokens": "metadata.usage_object.prompt_tokens_details.cached_tokens"
    "|metadata.additional_usage_values.cache_read_input_tokens",
    "cache_write_tokens": "metadata.additional_usage_values.cache_creation_input_tokens",
    "reasoning_tokens": "metadata.usage_object.completion_tokens_details.reasoning_tokens",
    "cost_usd": "spend|response_cost",
    "stream": "stream",
    "max_tokens": "model_parameters.max_tokens",
    "end_user_id": "end_user|user",
    "tags": "request_tags",
    "tag.session_id": "session_id",
    "request": "messages",
    "response": "response",
}
_USAGE = ("usageDetails.", "usage_details.")
_LANGFUSE = {
    "row_id": "id",
    "kind": "type",
    "started_at": "startTime|start_time",
    "ended_at": "endTime|end_time",
    "first_token_at": "completionStartTime|completion_start_time",
    "model": "providedModelName|provided_model_name|model|internalModel|model_id",
    "failed": "level",
    "error": "statusMessage|status_message",
    "uncached_input_tokens": _in("input", _USAGE),
    "input_tokens": "promptTokens|prompt_tokens|inputUsage|input_usage|usage.input",
    "cache_read_tokens": _in("input_cached_tokens|cache_read_input_tokens|input_cache_read", _USAGE),
    "cache_write_tokens": _in("cache_creation_input_tokens|input_cache_creation", _USAGE),
    "visible_output_tokens": _in("output", _USAGE),
    "output_tokens": "completionTokens|completion_tokens|outputUsage|output_usage|usage.output",
    "reasoning_tokens": _in("output_reasoning_tokens|output_reasoning", _USAGE),
    "cost_usd": "calculatedTotalCost|calculated_total_cost|totalCost|total_cost|costDetails.total|cost_details.total",
    "max_tokens": "modelParameters.max_tokens|model_parameters.max_tokens",
    "end_user_id": "userId|user_id",
    "tags": "tags|traceTags|trace_tags",
    "tag.run_id": "traceId|trace_id",
    "tag.session_id": "sessionId|session_id",
    "tag.name": "name",
    "request": "input",
    "response": "output",
}
_HELICONE = {
    "row_id": "request_id",
    "started_at": "request_created_at",
    "latency_ms": "delay_ms",
    "ttft_ms": "time_to_first_token",
    "model": "model|response_model|model_override|request_model",
    "provider": "provider",
    "requested_model": "request_model",
    "endpoint": "request_path",
    "status": "response_status",
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_tokens": "prompt_cache_read_tokens",
    "cache_write_tokens": "prompt_cache_write_tokens",
    "cost_usd": "cost|costUSD|cost_usd",
    "stream": "request_body.stream",
    "max_tokens": "request_body.max_completion_tokens|request_body.max_tokens",
    "end_user_id": "request_user_id|user_id|helicone_user",
    "tags": "request_properties|properties",
    "request": "request_body",
    "response": "response_body",
}
_MODELUX = {name: name for name in FIELDS}


def _parsed(written: Mapping[str, str]) -> ColumnMap:
    return parse_map(",".join(f"{name}={column}" for name, column in written.items()))


_MAPS: Mapping[Preset, ColumnMap] = {
    "modelux": _parsed(_MODELUX),
    "openai": _parsed(_OPENAI),
    "litellm": _parsed(_LITELLM),
    "langfuse": _parsed(_LANGFUSE),
    "helicone": _parsed(_HELICONE),
}
PRESETS: Sequence[Preset] = tuple(_MAPS)


def _is_openai(values: Values) -> bool:
    response = values.get("response")
    body = response.get("body", response) if isinstance(response, dict) else values
    return "choices" in (body or ()) or {"custom_id", "response"} <= values.keys()


_SIGNS: Sequence[tuple[Preset, Callable[[Values], bool]]] = (
    ("litellm", lambda values: "custom_llm_provider" in values and bool({"spend", "response_cost"} & values.keys())),
    ("langfuse", lambda values: "type" in values and bool({"traceId", "trace_id"} & values.keys())),
    ("helicone", lambda values: {"request_id", "request_created_at"} <= values.keys()),
    ("openai", _is_openai),
)
