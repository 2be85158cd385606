"""What the config service counts: calls by their ends, the proxies that watch, and what its outbox holds."""

from __future__ import annotations

import asyncio

import pytest
from config_harness import Installation, Refused, Tenant

from modelux.config.v1.snapshot_pb2 import WatchSnapshotRequest, WatchSnapshotResponse
from modelux_config.metrics import meters, watch_outbox
from modelux_store.outbox import waiting


async def test_calls_are_counted_by_operation_and_status(acme: Tenant, installation: Installation) -> None:
    counted = installation.edge.meters
    config = await acme.config("s")
    await acme("GetRoutingConfig", id=config.id)
    with pytest.raises(Refused):
        await acme("GetRoutingConfig", id="cfg_none")
    with pytest.raises(Refused):
        await acme.config("s")
    ends = [("CreateRoutingConfig", "200"), ("CreateRoutingConfig", "409")]
    ends += [("GetRoutingConfig", "200"), ("GetRoutingConfig", "404"), ("GetRoutingConfig", "409")]
    assert [counted.value("calls", *end) for end in ends] == [1, 1, 1, 1, 0]


async def test_watching_proxies_are_known_until_they_leave(acme: Tenant, installation: Installation) -> None:
    feed = installation.edge.feed
    assert feed.watching == 0
    method = installation.channel.unary_stream(
        "/modelux.config.v1.SnapshotService/WatchSnapshot",
        request_serializer=WatchSnapshotRequest.SerializeToString,
        response_deserializer=WatchSnapshotResponse.FromString,
    )
    call = method(WatchSnapshotRequest())
    await call.read()
    assert (feed.watching, feed.version > 0) == (1, True)
    call.cancel()
    async with asyncio.timeout(30):
        while feed.watching:
            await asyncio.sleep(0.01)


async def test_the_depth_of_the_outbox_is_kept(acme: Tenant, installation: Installation) -> None:
    await acme.config("s")
    counted = meters()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(watch_outbox(installation.database, counted))
        while not counted.value("outbox_messages"):
            await asyncio.sleep(0.01)
        running.cancel()
    assert counted.value("outbox_messages") == await waiting(installation.database)
