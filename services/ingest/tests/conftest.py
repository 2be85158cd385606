"""Request events to feed the service with, and the real analytics engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from engines import NewUrl

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage
from modelux_store.analytics import Analytics

START_US = 1_770_000_000_000_000
EventMaker = Callable[..., RequestCompleted]


@pytest.fixture
async def analytics(new_analytics: NewUrl) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(await new_analytics())
    yield opened
    await opened.close()


@pytest.fixture
def make_event() -> EventMaker:
    """`make_event(number, **fields)`: a request with a failed and a good attempt, at so many ms after the start."""

    def make(number: int, **fields: object) -> RequestCompleted:
        usage = Usage(input=10, output=5, cache_read=2, reasoning=1)
        common: dict[str, object] = {
            "request_id": f"req_{number:06}",
            "organization_id": "org_1",
            "project_id": "proj_1",
            "key_id": "key_1",
            "started_at_us": START_US + number * 1000,
            "endpoint": "chat",
            "requested_model": "@production",
            "config_slug": "production",
            "config_version": 4,
            "policy_type": "fallback",
            "outcome": "ok",
            "status": 200,
            "model": "gpt-4o-mini",
            "provider": "openai",
            "credential_id": "pc_2",
            "stream": True,
            "tags": {"env": "prod"},
            "end_user_id": "user-é",
            "usage": usage,
            "cost_nano": 2_134_000,
            "latency_us": 238_000,
            "ttft_us": 138_000,
            "overhead_us": 300,
            "attempts": [
                AttemptRecord(
                    number=1, model="haiku", provider="anthropic", kind="timeout", latency_us=2000, ttft_us=-1
                ),
                AttemptRecord(
                    number=2, model="gpt-4o-mini", provider="openai", credential_id="pc_2", kind="ok", status=200,
                    latency_us=236_000, ttft_us=136_000, usage=usage, cost_nano=2_134_000, started_us=2000,
                ),
            ],
            "trace_json": b'{"policy_type":"fallback"}',
            "request_body": b'{"messages":[]}',
            "response_body": b"\xff\x00not text",
            "logging_mode": "full",
            "price_version": "p1",
            "response_id": "chatcmpl-1",
            "estimated_input_tokens": 12,
            "max_tokens": 256,
            "needs": ["tools", "vision"],
        }  # fmt: skip
        return RequestCompleted(**{**common, **fields})  # type: ignore[arg-type]  # fields by name

    return make
