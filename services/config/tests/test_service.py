"""The wiring: the service over a platform, with the database away at first."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from config_harness import KEY, NUMBERS, Installation, Refused, Tenant

from modelux.config.v1 import admin_pb2 as pb
from modelux_bus.memory import MemoryBus
from modelux_config.service import SERVICE, ConfigSettings
from modelux_contracts.topics import partitions
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import channel
from modelux_runtime.settings import PlatformSettings
from modelux_store.database import Database


async def test_the_service_migrates_serves_and_publishes(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/config.sock"
    bus = MemoryBus()
    await bus.ensure(partitions())
    database = await Database.open(postgres.create_database(f"service{next(NUMBERS)}"))
    platform = Platform(PlatformSettings(config_url=target), _bus=bus, _database=database, _encryption_key=KEY)
    async with SERVICE.serve(ConfigSettings(), platform) as tasks, channel(target) as connection:
        assert platform.readiness["config"]()
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(task) for task in tasks]
            request = pb.BootstrapRequest(management_key="mlx_mk_a", proxy_key="mlx_sk_a")
            installation = Installation(connection, database, None, None, [])  # type: ignore[arg-type]
            made = await installation.raw("Bootstrap", request, pb.BootstrapResponse)
            assert made.proxy_key_id
            assert platform.readiness["config"]() is None
            async with bus.subscribe("test", ["config.changed"]) as subscription:
                deliveries = await subscription.fetch(10, 5.0)
            assert deliveries
            for task in running:
                task.cancel()
        assert stat.S_IMODE((tmp_path / "config.sock").stat().st_mode) == 0o600
    await database.close()


async def test_calls_before_the_database_is_there_are_told_so(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/config.sock"
    database = await Database.open("postgresql://nobody@127.0.0.1:1/none")
    platform = Platform(PlatformSettings(config_url=target), _bus=MemoryBus(), _database=database, _encryption_key=KEY)
    async with SERVICE.serve(ConfigSettings(), platform) as tasks, channel(target) as connection:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(task) for task in tasks]
            tenant = Tenant(Installation(connection, database, None, None, []), "mlx_mk_a", "", "")  # type: ignore[arg-type]
            with pytest.raises(Refused) as refused:
                await tenant("ListProjects")
            for task in running:
                task.cancel()
        assert (refused.value.problem.status, refused.value.problem.code) == (503, "database_unavailable")
    await database.close()
