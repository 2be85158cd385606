"""What proxies are told, and how soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from config_harness import Installation, Tenant, migrated

from modelux.config.v1.snapshot_pb2 import Snapshot, WatchSnapshotResponse
from modelux.events.v1.config_pb2 import ConfigChanged
from modelux_bus.memory import MemoryBus
from modelux_config import audit, snapshot
from modelux_config.feed import Feed
from modelux_contracts.topics import partitions
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_runtime.auth import key_hash
from modelux_store.outbox import relay_once

OTHER = {"strategy": "single", "model": "gpt-4o"}


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> str:
    """A database of its own: a snapshot holds every tenant."""
    return migrated(postgres)


class Proxy:
    """What a proxy does with the stream: hold the whole, apply changes."""

    def __init__(self, stream: AsyncIterator[WatchSnapshotResponse]) -> None:
        self.stream = stream
        self.version = 0
        self.parts: dict[str, object] = {}
        self.updates = 0

    async def step(self) -> None:
        update = await asyncio.wait_for(anext(self.stream), 30)
        self.updates += 1
        if update.HasField("snapshot"):
            self.parts = {}
        else:
            assert update.change.version > self.version
        message = update.snapshot if update.HasField("snapshot") else update.change
        for kind in (message.projects, message.keys, message.credentials, message.routing_configs, message.prices):
            self.parts |= {part.id: part for part in kind}
        for identifier in () if isinstance(message, Snapshot) else message.deleted_ids:
            del self.parts[identifier]
        self.version = message.version

    async def until(self, version: int) -> None:
        while self.version < version:
            await self.step()


async def version_of(installation: Installation) -> int:
    return await snapshot.current_version(installation.database)


async def test_the_whole_comes_first_then_changes_live(acme: Tenant, installation: Installation) -> None:
    config = await acme.config("production")
    proxy = Proxy(installation.watch())
    await proxy.step()
    held = proxy.parts[config.id]
    assert (held.slug, held.active_version, len(held.versions)) == ("production", 1, 1)  # type: ignore[attr-defined]
    await acme.version(config.id, OTHER, activate=True)
    began = time.monotonic()
    await proxy.until(await version_of(installation))
    assert time.monotonic() - began < 10
    assert proxy.parts[config.id].active_version == 2  # type: ignore[attr-defined]


async def test_every_kind_of_change_arrives_as_such(acme: Tenant, installation: Installation) -> None:
    proxy = Proxy(installation.watch())
    await proxy.step()
    key = await acme("CreateProxyKey", project_id=acme.project_id, name="app", requests_per_minute=5)
    credential = await acme("CreateCredential", name="c", provider="openai", secret="sk-12345678")
    price = await acme(
        "CreatePrice", provider="openai", model="gpt-4o", input=25, output=10, cache_read=0, web_search=7
    )
    config = await acme.config("production")
    await acme("UpdateProject", id=acme.project_id, logging_mode="metadata_only")
    await proxy.until(await version_of(installation))
    assert proxy.parts[key.key.id].hash == key_hash(key.secret)  # type: ignore[attr-defined]
    assert proxy.parts[credential.credential.id].sealed_secret  # type: ignore[attr-defined]
    held = proxy.parts[price.price.id]
    assert (held.input, held.HasField("cache_read"), held.HasField("cache_write")) == (25, True, False)  # type: ignore[attr-defined]
    assert (held.web_search, held.HasField("request")) == (7, False)  # type: ignore[attr-defined]
    assert proxy.parts[acme.project_id].logging_mode == "metadata_only"  # type: ignore[attr-defined]
    await acme("RevokeProxyKey", id=key.key.id)
    await acme("DeleteCredential", id=credential.credential.id)
    await acme("DeletePrice", id=price.price.id)
    await acme("ArchiveRoutingConfig", id=config.id, archived=True)
    await proxy.until(await version_of(installation))
    assert set(proxy.parts) == {acme.project_id, config.id}
    assert proxy.parts[config.id].archived  # type: ignore[attr-defined]


async def test_a_proxy_that_is_current_hears_nothing_until_something_changes(
    acme: Tenant, installation: Installation
) -> None:
    version = await version_of(installation)
    proxy = Proxy(installation.watch(version))
    first = asyncio.ensure_future(proxy.step())  # noqa: TID251
    behind = Proxy(installation.watch(version - 1))
    await behind.step()
    assert behind.parts
    assert not first.done()
    await acme("CreateProject", name="new")
    await first
    assert proxy.version == version + 1
    (project,) = proxy.parts.values()
    assert project.name == "new"  # type: ignore[attr-defined]


async def test_a_proxy_of_another_database_gets_the_whole(acme: Tenant, installation: Installation) -> None:
    proxy = Proxy(installation.watch(await version_of(installation) + 1000))
    await proxy.step()
    assert acme.project_id in proxy.parts


async def test_several_proxies_end_with_the_same_and_fast_changes_fold(
    acme: Tenant, globex: Tenant, installation: Installation
) -> None:
    proxies = [Proxy(installation.watch()) for _ in range(3)]
    for proxy in proxies:
        await proxy.step()
    changes = 30
    await asyncio.gather(
        *(tenant("CreateProject", name=f"p{n}") for n in range(changes // 2) for tenant in (acme, globex))
    )
    version = await version_of(installation)
    await asyncio.gather(*(proxy.until(version) for proxy in proxies))
    whole = {part.id for part in (await snapshot.read(installation.database)).snapshot().projects}
    assert len(whole) == changes + 2
    for proxy in proxies:
        assert set(proxy.parts) == whole
        assert proxy.updates <= changes + 1


async def test_versions_rise_by_one_per_write(acme: Tenant, globex: Tenant, installation: Installation) -> None:
    before = await version_of(installation)
    await asyncio.gather(*(t("CreateProject", name=f"p{n}") for n in range(10) for t in (acme, globex)))
    assert await version_of(installation) == before + 20
    seen = [
        entry.snapshot_version for t in (acme, globex) for entry in (await t("ListAudit", entity="project")).entries
    ]
    assert sorted(v for v in seen if v > before) == list(range(before + 1, before + 21))
    project = (await acme("GetProject", id=acme.project_id)).project
    await acme("UpdateProject", id=project.id, name=project.name)
    assert await version_of(installation) == before + 20


async def test_a_change_by_another_replica_is_seen(acme: Tenant, installation: Installation) -> None:
    """A second feed over the same database, which nobody pokes."""
    feed = Feed(installation.database)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(feed.run())
        updates = feed.watch(0)
        await asyncio.wait_for(anext(updates), 30)
        await acme("CreateProject", name="new")
        began = time.monotonic()
        update = await asyncio.wait_for(anext(updates), 30)
        assert time.monotonic() - began < 10
        assert [p.name for p in update.change.projects] == ["new"]
        running.cancel()


async def test_every_write_publishes_an_event(acme: Tenant, installation: Installation) -> None:
    bus = MemoryBus()
    await bus.ensure(partitions())
    config = await acme.config("production")
    await acme.version(config.id, OTHER, activate=True)
    await acme("RollbackRoutingConfig", id=config.id)
    while await relay_once(installation.database, bus):
        pass
    async with bus.subscribe("test", ["config.changed"]) as subscription:
        deliveries = await subscription.fetch(100, 1.0)
    events = [ConfigChanged.FromString(d.message.value) for d in deliveries]
    told = [(e.action, e.slug, e.version, e.previous_version) for e in events if e.entity == "routing_config"]
    assert told == [
        ("created", "production", 1, 0),
        ("version_created", "production", 2, 1),
        ("rolled_back", "production", 1, 2),
    ]
    assert {d.message.key for d in deliveries} == {acme.organization_id.encode()}
    assert len({d.message.id for d in deliveries}) == len(deliveries)
    assert all(e.actor and e.snapshot_version and e.organization_id == acme.organization_id for e in events)


async def test_the_audit_chain_shows_what_was_taken_out_or_rewritten(acme: Tenant, installation: Installation) -> None:
    for number in range(3):
        await acme("CreateProject", name=f"p{number}")
    check = await acme("VerifyAudit")
    assert (check.entries, check.broken_at) == (6, 0)
    statements = {
        "UPDATE config.audit SET actor = 'nobody' WHERE sequence = 4 AND organization_id = %s": 4,
        "DELETE FROM config.audit WHERE sequence = 5 AND organization_id = %s": 5,
    }
    for statement, broken_at in statements.items():
        with pytest.raises(Exception, match="never changed"):
            async with installation.database.transaction() as tx:
                await tx.execute(statement, (acme.organization_id,))
        assert await _broken_after(installation, acme, statement) == broken_at
    assert (await acme("VerifyAudit")).broken_at == 0


async def test_a_change_without_an_audit_row_cannot_be_committed(acme: Tenant, installation: Installation) -> None:
    for statement in (
        "UPDATE config.projects SET name = 'x'",
        "DELETE FROM config.management_keys",
        "INSERT INTO config.organizations (id, name, created_at_us) VALUES ('org_x', 'x', 0)",
    ):
        with pytest.raises(Exception, match="without an audit row"):
            async with installation.database.transaction() as tx:
                await tx.execute(statement)


async def test_audit_entries_tell_before_and_after(acme: Tenant) -> None:
    await acme("UpdateProject", id=acme.project_id, default_max_tokens=100)
    (entry,) = (await acme("ListAudit", action="updated")).entries
    assert '"default_max_tokens":0' in entry.before_json
    assert '"default_max_tokens":100' in entry.after_json
    assert (entry.entity, entry.entity_id, entry.request_id) == ("project", acme.project_id, "req_test")
    assert entry.actor == (await acme("AuthenticateKey")).key_id
    page = await acme("ListAudit", page={"limit": 2})
    following = await acme("ListAudit", page={"limit": 2, "cursor": page.next_cursor})
    assert [e.sequence for e in [*page.entries, *following.entries]] == [4, 3, 2, 1]


async def _broken_after(installation: Installation, tenant: Tenant, statement: str) -> int:
    """Where the chain breaks once somebody with the rights of the table's owner did this; undone afterwards."""
    with suppress(_Undone):
        async with installation.database.transaction() as tx:
            await tx.execute("ALTER TABLE config.audit DISABLE TRIGGER USER")
            await tx.execute(statement, (tenant.organization_id,))
            _, broken_at = await audit.verify(tx, tenant.organization_id)
            raise _Undone
    return broken_at


class _Undone(Exception):
    pass


async def test_a_project_comes_with_what_experiments_may_spend_and_sample(
    acme: Tenant, installation: Installation
) -> None:
    limits = {
        "experiment_spend_cap_nano": 5,
        "judge_spend_cap_nano": 6,
        "experiment_sample_min": 7,
        "experiment_sample_max": 8,
    }
    await acme("UpdateProject", id=acme.project_id, **limits)
    (part,) = (await snapshot.read(installation.database)).snapshot().projects
    assert {name: getattr(part, name) for name in limits} == limits
    (entry,) = (await acme("ListAudit", action="updated")).entries
    assert '"experiment_sample_min":7' in entry.after_json
