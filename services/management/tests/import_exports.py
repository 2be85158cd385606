"""Rows as other tools export them, made here: the shape is theirs, every value is ours."""

from __future__ import annotations

import json
from collections.abc import Mapping

Row = dict[str, object]

MESSAGES = [{"role": "user", "content": "Hello?"}]
COMPLETION: Row = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_775_044_800,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
}
BATCH: Row = {
    "id": "batch_req_1",
    "custom_id": "request-1",
    "response": {"status_code": 200, "request_id": "req_1", "body": COMPLETION},
    "error": None,
}
LOGGED: Row = {"request": {"model": "gpt-4o-mini", "messages": MESSAGES, "user": "u-1"}, "response": COMPLETION}
LITELLM: Row = {
    "request_id": "chatcmpl-2",
    "call_type": "acompletion",
    "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
    "spend": 0.000024,
    "total_tokens": 120,
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "startTime": "2026-04-01T12:00:00.000Z",
    "endTime": "2026-04-01T12:00:01.500Z",
    "completionStartTime": "2026-04-01T12:00:00.400Z",
    "model": "openai/gpt-4o-mini",
    "model_group": "small",
    "custom_llm_provider": "openai",
    "end_user": "u-1",
    "request_tags": '["team:search"]',
    "metadata": {"additional_usage_values": {"cache_read_input_tokens": 40}},
    "cache_hit": "False",
    "messages": MESSAGES,
    "response": COMPLETION,
    "status": "success",
}
LANGFUSE: Row = {
    "id": "obs-1",
    "traceId": "trace-1",
    "type": "GENERATION",
    "name": "answer",
    "startTime": "2026-04-01T12:00:00.000Z",
    "endTime": "2026-04-01T12:00:01.500Z",
    "completionStartTime": "2026-04-01T12:00:00.400Z",
    "model": "claude-3-5-haiku-20241022",
    "modelParameters": {"max_tokens": 256},
    "input": MESSAGES,
    "output": {"role": "assistant", "content": "Hi."},
    "usageDetails": {"input": 60, "cache_read_input_tokens": 40, "output": 20, "total": 120},
    "costDetails": {"input": 0.00005, "output": 0.00008, "total": 0.00013},
    "calculatedTotalCost": 0.00013,
    "level": "DEFAULT",
    "statusMessage": None,
    "userId": "u-1",
}
LANGFUSE_STORED: Row = {
    "id": "obs-2",
    "trace_id": "trace-1",
    "type": "GENERATION",
    "start_time": "2026-04-01 12:00:00.000000",
    "end_time": "2026-04-01 12:00:01.500000",
    "provided_model_name": "gpt-4o-mini",
    "model_parameters": '{"max_tokens":256}',
    "input": json.dumps(MESSAGES),
    "output": "Hi.",
    "usage_details": '{"input":100,"output":20}',
    "cost_details": "{}",
    "total_cost": "",
    "level": "ERROR",
    "status_message": "the provider hung up",
    "user_id": "u-1",
}
HELICONE: Row = {
    "request_id": "5a1c1d2e-0000-4000-8000-000000000001",
    "request_created_at": "2026-04-01T12:00:00.000Z",
    "response_created_at": "2026-04-01T12:00:01.500Z",
    "request_path": "https://api.openai.com/v1/chat/completions",
    "request_body": {"model": "gpt-4o-mini", "messages": MESSAGES, "max_tokens": 256, "stream": True},
    "response_body": COMPLETION,
    "response_status": 200,
    "response_model": "gpt-4o-mini-2024-07-18",
    "request_model": "gpt-4o-mini",
    "provider": "OPENAI",
    "delay_ms": 1500,
    "time_to_first_token": 400,
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_cache_read_tokens": 40,
    "cost": 0.000024,
    "request_user_id": "u-1",
    "request_properties": {"team": "search"},
}
EXPORTS: Mapping[str, tuple[str, Row]] = {
    "a batch's output": ("openai", BATCH),
    "stored completions": ("openai", COMPLETION),
    "requests with their responses": ("openai", LOGGED),
    "LiteLLM's spend logs": ("litellm", LITELLM),
    "Langfuse's observations": ("langfuse", LANGFUSE),
    "Langfuse's stored observations": ("langfuse", LANGFUSE_STORED),
    "Helicone's requests": ("helicone", HELICONE),
}
"""Each export with the preset that must recognise it."""


def jsonl(*rows: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
