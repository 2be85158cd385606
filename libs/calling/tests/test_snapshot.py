"""Snapshots of the configuration: served when good, refused whole when not, kept on disk for the next start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux.config.v1 import snapshot_pb2 as pb
from modelux.config.v1.snapshot_pb2_grpc import SnapshotServiceServicer, add_SnapshotServiceServicer_to_server
from modelux_calling.clock import Clock
from modelux_calling.config_source import ConfigSource, watch_over
from modelux_calling.snapshot import Builder, Refused, merge
from modelux_contracts.hosts import host_of
from modelux_providers.catalog import Catalog
from modelux_providers.dialects.base import VendorFacts
from modelux_providers.vendors import Vendor
from modelux_runtime.rpc import channel, serving
from modelux_store.secrets import seal

SECRET_KEY = bytes(range(32))
BASE_URL = "https://api.example.com/v1"
HASH = sha256(b"mlx_sk_x").digest()


CATALOG = Catalog.load()


def builder(key: bytes = SECRET_KEY) -> Builder:
    return Builder(key, CATALOG, {"openai": Vendor("openai", "", BASE_URL, VendorFacts("openai"))})


def snapshot(version: int = 1, policy: object = "m") -> pb.Snapshot:
    sealed = seal(SECRET_KEY, b"sk-1", organization_id="org_1", credential_id="pc_1", host=host_of(BASE_URL))
    return pb.Snapshot(
        version=version,
        projects=[pb.Project(id="proj_1", organization_id="org_1", logging_mode="full")],
        keys=[pb.ProxyKey(id="key_1", project_id="proj_1", hash=HASH)],
        credentials=[
            pb.Credential(id="pc_1", organization_id="org_1", provider="openai", sealed_secret=sealed, models=["m"]),
            pb.Credential(id="pc_2", organization_id="org_2", provider="openai", models=["other"]),
        ],
        routing_configs=[
            pb.RoutingConfig(
                id="cfg_1",
                project_id="proj_1",
                slug="production",
                active_version=2,
                versions=[
                    pb.RoutingConfigVersion(version=1, policy_json=b'{"strategy":"single","model":"m"}'),
                    pb.RoutingConfigVersion(version=2, policy_json=json.dumps(document(policy)).encode()),
                ],
            )
        ],
    )


def document(policy: object) -> object:
    return {"strategy": "single", "model": policy} if isinstance(policy, str) else policy


def test_an_operators_price_arrives_with_all_its_parts():
    names = "input output cache_read cache_write cache_write_1h input_audio cache_audio_read input_image output_audio"
    parts = {name: place for place, name in enumerate([*names.split(), "output_image", "web_search", "request"], 1)}
    whole = snapshot()
    whole.prices.append(pb.PriceOverride(id="price_1", organization_id="org_1", provider="openai", model="m", **parts))
    (offer,) = builder().build(whole, 0).projects["proj_1"].offers_for("m")
    assert {name: getattr(offer.price, name) for name in parts} == parts
    assert offer.price.version == "override/price_1"
    for name in parts:
        setattr(whole.prices[0], name, -1)
        with pytest.raises(Refused, match="price_1 is negative"):
            builder().build(whole, 0)
        setattr(whole.prices[0], name, 1)


def test_a_snapshot_becomes_keys_policies_offers_and_routes():
    tenants = builder().build(snapshot(), 0)
    key = tenants.keys[HASH]
    project = key.project
    assert set(project.policies) == {"production", "production:1", "production:2"}
    assert project.policies["production"].version == 2
    assert set(project.offers) == {"m"}, "another organization's credentials are out of reach"
    assert set(project.routes) == {"pc_1"}
    assert project.routes["pc_1"].auth == ((b"authorization", b"Bearer sk-1"),)
    assert "sk-1" not in repr(project)


def bad(**changes: object) -> pb.Snapshot:
    changed = snapshot()
    for path, value in changes.items():
        name, _, attribute = path.partition("__")
        setattr(getattr(changed, name)[0], attribute, value)
    return changed


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param(bad(routing_configs__active_version=9), "version 9", id="a pointer to nothing"),
        pytest.param(snapshot(policy={"strategy": "guess"}), "@production", id="an unknown strategy"),
        pytest.param(snapshot(policy={"ref": "@production"}), "@production", id="a cycle"),
        pytest.param(snapshot(policy={"ref": "@gone"}), "@production", id="a reference to nothing"),
        pytest.param(bad(keys__project_id="proj_9"), "key_1", id="a key of no project"),
        pytest.param(bad(keys__hash=b"short"), "key_1", id="a key without a hash"),
    ],
)
def test_a_bad_snapshot_is_refused_whole_with_the_reason(changed, says):
    with pytest.raises(Refused, match=says):
        builder().build(changed, 0)


def test_another_encryption_key_is_refused_with_a_clear_text():
    changed = snapshot()
    del changed.credentials[1]
    with pytest.raises(Refused, match="not at hand"):
        builder(bytes(32)).build(changed, 0)


def test_a_moved_credential_is_left_out_because_its_secret_is_bound_to_its_host():
    changed = snapshot()
    changed.credentials[0].base_url = "https://evil.example/v1"
    assert not builder().build(changed, 0).keys[HASH].project.routes


@given(st.binary(max_size=300))
def test_a_damaged_policy_never_raises_anything_but_refused(noise):
    changed = snapshot()
    changed.routing_configs[0].versions[1].policy_json = noise
    try:
        builder().build(changed, 0)
    except Refused:
        return


def test_a_change_replaces_adds_and_deletes():
    change = pb.Change(
        version=2, keys=[pb.ProxyKey(id="key_2", project_id="proj_1", hash=bytes(32))], deleted_ids=["key_1", "pc_2"]
    )
    merged = merge(snapshot(), change)
    assert merged.version == 2
    assert [key.id for key in merged.keys] == ["key_2"]
    assert [each.id for each in merged.credentials] == ["pc_1"]


def source(folder: Path, now_ms: list[int]) -> ConfigSource:
    return ConfigSource(builder(), folder / "snapshot", Clock(lambda: now_ms[0] * 1_000_000), max_stale_ms=1000)


async def test_a_bad_update_is_refused_and_the_old_one_serves_on(tmp_path):
    ours = source(tmp_path, [0])
    assert await ours.apply(pb.WatchSnapshotResponse(snapshot=snapshot(1)))
    assert not await ours.apply(pb.WatchSnapshotResponse(snapshot=snapshot(2, {"strategy": "guess"})))
    current = ours.current()
    assert current is not None
    assert current.version == 1
    assert ours.counts.refused == 1
    assert "guess" in ours.last_refusal or "production" in ours.last_refusal


async def test_the_last_good_snapshot_serves_after_a_restart_until_it_is_stale(tmp_path):
    now_ms = [5000]
    assert await source(tmp_path, now_ms).apply(pb.WatchSnapshotResponse(snapshot=snapshot(3)))
    restarted = source(tmp_path, now_ms)
    assert restarted.current() is None
    await restarted.load()
    current = restarted.current()
    assert current is not None
    assert current.version == 3
    now_ms[0] += 1001
    assert restarted.current() is None, "keys may have been revoked meanwhile"


async def test_a_price_comes_into_force_at_its_moment(tmp_path):
    now_ms = [0]
    ours = source(tmp_path, now_ms)
    dated = snapshot()
    for number, (price, from_ms) in enumerate([(10**9, 0), (2 * 10**9, 700)]):
        dated.prices.add(
            id=f"price_{number}",
            organization_id="org_1",
            provider="openai",
            model="m",
            input=price,
            output=price,
            effective_from_us=from_ms * 1000,
        )
    assert await ours.apply(pb.WatchSnapshotResponse(snapshot=dated))

    async def charged() -> int:
        await ours.refresh()
        tenants = ours.current()
        assert tenants is not None
        (offer,) = tenants.projects["proj_1"].offers_for("m")
        assert offer.price is not None
        return offer.price.input

    now_ms[0] = 699
    assert await charged() == 10**9
    now_ms[0] = 700
    assert await charged() == 2 * 10**9
    assert ours.counts.accepted == 1, "nobody sent anything new"


async def test_a_damaged_file_is_passed_over(tmp_path):
    ours = source(tmp_path, [0])
    await ours.apply(pb.WatchSnapshotResponse(snapshot=snapshot()))
    file = tmp_path / "snapshot"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    again = source(tmp_path, [0])
    await again.load()
    assert again.current() is None
    assert b"sk-1" not in content


class Service(SnapshotServiceServicer):
    """Sends to each watcher what it is given for it, then keeps the stream open."""

    def __init__(self, streams: Sequence[Sequence[pb.WatchSnapshotResponse]]) -> None:
        self.streams = list(streams)
        self.asked: list[int] = []

    async def WatchSnapshot(
        self, request: pb.WatchSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchSnapshotResponse]:
        self.asked.append(request.since_version)
        for update in self.streams.pop(0):
            yield update
        await asyncio.Event().wait()


async def test_it_follows_a_service_and_asks_for_a_whole_after_a_refusal(tmp_path, until):
    bad_change = pb.Change(version=2, keys=[pb.ProxyKey(id="k", project_id="nobody", hash=bytes(32))])
    service = Service(
        [
            [pb.WatchSnapshotResponse(snapshot=snapshot(1)), pb.WatchSnapshotResponse(change=bad_change)],
            [pb.WatchSnapshotResponse(snapshot=snapshot(5))],
        ]
    )
    target = f"unix:{tmp_path}/config.sock"
    ours = source(tmp_path, [0])
    async with serving(target, lambda server: add_SnapshotServiceServicer_to_server(service, server)):
        over = channel(target)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(ours.follow(watch_over(over, "proxy-1")))
            await until(lambda: (current := ours.current()) is not None and current.version == 5)
            following.cancel()
        await over.close()
    assert service.asked[:2] == [0, 0], "the refused change leads to a whole snapshot"
