"""Channels between services that have nothing to say for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.empty_pb2 import Empty

from modelux_runtime.rpc import channel, serving

KEEPALIVE_MS = 1_000
"""As often as gRPC pings at most."""
PINGS = 4
"""A server that was not told hangs up at the third."""


def watched(server: grpc.aio.Server) -> None:
    async def watch(request: Empty, context: object) -> AsyncIterator[Empty]:
        yield Empty()
        await asyncio.Event().wait()

    handler = grpc.unary_stream_rpc_method_handler(watch, Empty.FromString, Empty.SerializeToString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Service", {"Watch": handler})])


async def test_a_stream_that_is_silent_for_long_is_not_cut(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/service.sock"
    async with (
        serving(target, watched, keepalive_ms=KEEPALIVE_MS),
        channel(target, keepalive_ms=KEEPALIVE_MS) as calling,
    ):
        watch = calling.unary_stream(
            "/test.Service/Watch", request_serializer=Empty.SerializeToString, response_deserializer=Empty.FromString
        )
        stream = watch(Empty())
        assert await stream.read() == Empty()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read(), PINGS * KEEPALIVE_MS / 1000)
