"""gRPC between services: servers, channels, deadlines and retries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc.aio

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""A snapshot of every project travels in one message."""
DEADLINE_S = 5.0

_OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.enable_http_proxy", 0),
]
_KEEPALIVE_MS = 20_000
"""How often a channel asks whether the other side still lives, while it waits for something."""
_RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 800)]


def channel(target: str, *, keepalive_ms: int = _KEEPALIVE_MS) -> grpc.aio.Channel:
    """A channel to `unix:/path` or `dns:///host:port`. Connects on first use and reconnects by itself."""
    keepalive = [("grpc.keepalive_time_ms", keepalive_ms), ("grpc.keepalive_timeout_ms", 5_000)]
    keepalive += [("grpc.http2.max_pings_without_data", 0)]  # as many as it takes
    return grpc.aio.insecure_channel(target, options=_OPTIONS + keepalive + _RECONNECT)


@asynccontextmanager
async def serving(
    target: str, register: Callable[[grpc.aio.Server], None], *, keepalive_ms: int = _KEEPALIVE_MS
) -> AsyncIterator[grpc.aio.Server]:
    """Serves what `register` adds at `unix:/path` or `host:port`; on leaving, calls under way get two seconds.

    `keepalive_ms`: of the channels. A server takes more than two pings in five minutes for abuse and hangs up, unless
    it is told.
    """
    pings = [("grpc.http2.min_ping_interval_without_data_ms", keepalive_ms // 2)]
    server = grpc.aio.server(options=_OPTIONS + pings, maximum_concurrent_rpcs=256)
    register(server)
    server.add_insecure_port(target)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace=2.0)
