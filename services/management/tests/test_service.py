"""The wiring: the management API over real TCP."""

from __future__ import annotations

import asyncio
import socket

import httpx2
from config_harness import Installation

from modelux_bus.memory import MemoryBus
from modelux_management.service import SERVICE, ManagementSettings
from modelux_runtime.platform import Platform
from modelux_runtime.settings import PlatformSettings
from modelux_store.analytics import Analytics


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_the_service_serves_its_document_and_its_routes(installation: Installation, nowhere: Analytics) -> None:
    tenant = await installation.tenant("acme")
    port = free_port()
    settings = PlatformSettings(clickhouse_url="http://u:p@127.0.0.1:1/modelux")
    # Nobody serves experiments or similarity at this channel: the API does not mind.
    channels = dict.fromkeys(("_config", "_replay", "_embedding", "_judge"), installation.channel)
    platform = Platform(settings, _analytics=nowhere, _bus=MemoryBus(), **channels)
    async with SERVICE.serve(ManagementSettings(port=port), platform) as tasks, asyncio.TaskGroup() as group:
        running = [group.create_task(task) for task in tasks]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            document = await http.get("/openapi.json")
            assert document.json()["info"]["title"] == "Modelux management API"
            me = await http.get("/manage/v1/me", headers={"authorization": f"Bearer {tenant.key}"})
            assert me.json()["data"]["organization_id"] == tenant.organization_id
            assert me.headers["cache-control"] == "no-store"
            assert (await http.get("/manage/v1/me")).status_code == 401
        for task in running:
            task.cancel()
