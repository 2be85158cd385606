"""What a process shares among its services, opened once from URLs: the form we run in is decided here alone."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio

from modelux_bus.base import Bus
from modelux_bus.connect import open_bus
from modelux_runtime.rpc import channel
from modelux_runtime.service import Need
from modelux_runtime.settings import InvalidSetting, PlatformSettings
from modelux_store.analytics import Analytics
from modelux_store.database import Database

Check = Callable[[], str | None]
"""Says what keeps a service from being ready; None: nothing."""


def system_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Platform:
    """The shared things. Asking for one that no service declared in `needs` is a programming error."""

    settings: PlatformSettings
    now_ms: Callable[[], int] = system_clock
    readiness: dict[str, Check] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _bus: Bus | None = None
    _database: Database | None = None
    _analytics: Analytics | None = None
    _config: grpc.aio.Channel | None = None
    _replay: grpc.aio.Channel | None = None
    _embedding: grpc.aio.Channel | None = None
    _judge: grpc.aio.Channel | None = None
    _encryption_key: bytes | None = None

    @property
    def bus(self) -> Bus:
        assert self._bus is not None, "declare 'bus' in the service's needs"
        return self._bus

    @property
    def database(self) -> Database:
        assert self._database is not None, "declare 'database' in the service's needs"
        return self._database

    @property
    def analytics(self) -> Analytics:
        assert self._analytics is not None, "declare 'analytics' in the service's needs"
        return self._analytics

    @property
    def config(self) -> grpc.aio.Channel:
        """Channel to the config service."""
        assert self._config is not None, "declare 'config' in the service's needs"
        return self._config

    @property
    def replay(self) -> grpc.aio.Channel:
        """Channel to the replay service."""
        assert self._replay is not None, "declare 'replay' in the service's needs"
        return self._replay

    @property
    def embedding(self) -> grpc.aio.Channel:
        """Channel to the embedding service."""
        assert self._embedding is not None, "declare 'embedding' in the service's needs"
        return self._embedding

    @property
    def judge(self) -> grpc.aio.Channel:
        """Channel to the judge service."""
        assert self._judge is not None, "declare 'judge' in the service's needs"
        return self._judge

    @property
    def encryption_key(self) -> bytes:
        assert self._encryption_key is not None, "declare 'encryption_key' in the service's needs"
        return self._encryption_key


@asynccontextmanager
async def open_platform(settings: PlatformSettings, needs: frozenset[Need]) -> AsyncIterator[Platform]:
    """Opens what is needed. A missing setting is refused at once; nothing here waits for a server to be up."""
    async with AsyncExitStack() as stack:
        platform = Platform(settings)
        if "encryption_key" in needs:
            platform._encryption_key = decode_key(settings.encryption_key)
        if "database" in needs:
            platform._database = await Database.open(_required(settings.database_url, "MODELUX_DATABASE_URL"))
            stack.push_async_callback(platform._database.close)
        if "analytics" in needs:
            platform._analytics = await Analytics.open(_required(settings.clickhouse_url, "MODELUX_CLICKHOUSE_URL"))
            stack.push_async_callback(platform._analytics.close)
        if "bus" in needs:
            platform._bus = open_bus(_required(settings.bus_url, "MODELUX_BUS_URL"))
            stack.push_async_callback(platform._bus.close)
        if "config" in needs:
            platform._config = channel(_required(settings.config_url, "MODELUX_CONFIG_URL"))
            stack.push_async_callback(platform._config.close)
        if "replay" in needs:
            platform._replay = channel(_required(settings.replay_url, "MODELUX_REPLAY_URL"))
            stack.push_async_callback(platform._replay.close)
        if "embedding" in needs:
            platform._embedding = channel(_required(settings.embedding_url, "MODELUX_EMBEDDING_URL"))
            stack.push_async_callback(platform._embedding.close)
        if "judge" in needs:
            platform._judge = channel(_required(settings.judge_url, "MODELUX_JUDGE_URL"))
            stack.push_async_callback(platform._judge.close)
        yield platform


def decode_key(text: str) -> bytes:
    """The 32 bytes of `MODELUX_ENCRYPTION_KEY`. Refuses what is not base64 of exactly that many."""
    try:
        key = base64.b64decode(_required(text, "MODELUX_ENCRYPTION_KEY"), validate=True)
    except binascii.Error as error:
        raise InvalidSetting("setting_invalid", "MODELUX_ENCRYPTION_KEY is not base64") from error
    if len(key) != 32:
        raise InvalidSetting("setting_invalid", f"MODELUX_ENCRYPTION_KEY holds {len(key)} bytes, not 32")
    return key


def _required(value: str, name: str) -> str:
    if not value:
        raise InvalidSetting("setting_missing", f"{name} is not set")
    return value
