"""What an operation works with, and how a write is recorded: one transaction for the rows, the audit, the event and
the version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

from google.protobuf.message import Message as Proto

from modelux.events.v1.config_pb2 import ConfigChanged
from modelux_bus.base import Message
from modelux_config import audit
from modelux_config.cursors import Cursors
from modelux_config.identity import Identity
from modelux_config.records import as_json
from modelux_config.statements import sql
from modelux_contracts import codec
from modelux_contracts.ids import new_id
from modelux_contracts.topics import CONFIG_CHANGED
from modelux_providers.catalog import Catalog
from modelux_providers.vendors import Vendor
from modelux_store import outbox
from modelux_store.database import Transaction


@dataclass(frozen=True, slots=True)
class Ports:
    """What operations need beside their transaction."""

    now_ms: Callable[[], int]
    encryption_key: bytes
    cursors: Cursors
    vendors: Mapping[str, Vendor]
    private_hosts: Collection[str] = ()
    catalog: Catalog = field(default_factory=Catalog.load, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a write did. `before` and `after` are records: they hold no secrets."""

    entity: str
    entity_id: str
    action: str
    before: Proto | None = None
    after: Proto | None = None
    project_id: str = ""
    slug: str = ""
    version: int = 0
    previous_version: int = 0


@dataclass(slots=True)
class Scope:
    """One operation under way: its transaction, who asks, and what it changed so far."""

    tx: Transaction
    ports: Ports
    who: Identity
    actor: str
    now_us: int
    request_id: str = ""
    changes: list[Change] = field(default_factory=list)

    @property
    def organization_id(self) -> str:
        return self.who.organization_id

    def record(self, change: Change) -> None:
        """Says what was changed. Without it the database refuses the commit."""
        self.changes.append(change)

    async def rows(self, noun: str, name: str, /, **parameters: object) -> list[dict[str, object]]:
        """Runs a statement with the caller's organization bound."""
        return await self.tx.fetch_all(sql(noun, name), {"organization_id": self.organization_id, **parameters})

    async def row(self, noun: str, name: str, /, **parameters: object) -> dict[str, object] | None:
        return await self.tx.fetch_one(sql(noun, name), {"organization_id": self.organization_id, **parameters})

    async def run(self, noun: str, name: str, /, **parameters: object) -> None:
        await self.tx.execute(sql(noun, name), {"organization_id": self.organization_id, **parameters})


async def lock(tx: Transaction, organization_id: str) -> None:
    """Writes of one organization happen one after the other: names, references and the audit chain are checked
    without races.
    """
    await tx.execute(sql("changes", "lock_organization"), {"organization_id": organization_id})


async def finish(scope: Scope) -> int:
    """Raises the snapshot version and writes audit rows and events for what was recorded. Returns the version, 0
    where nothing changed.
    """
    if not scope.changes:
        return 0
    row = await scope.tx.fetch_one(sql("changes", "raise_version"), {})
    assert row is not None
    version = cast(int, row["version"])
    for change in scope.changes:
        await audit.append(scope.tx, _entry(scope, change, version))
        await outbox.append(scope.tx, _message(scope, change, version))
    return version


def _entry(scope: Scope, change: Change, version: int) -> audit.Entry:
    return audit.Entry(
        organization_id=scope.organization_id,
        at_us=scope.now_us,
        actor=scope.actor,
        action=change.action,
        entity=change.entity,
        entity_id=change.entity_id,
        project_id=change.project_id,
        before_json=as_json(change.before),
        after_json=as_json(change.after),
        request_id=scope.request_id,
        snapshot_version=version,
    )


def _message(scope: Scope, change: Change, version: int) -> Message:
    event = ConfigChanged(
        organization_id=scope.organization_id,
        project_id=change.project_id,
        entity=change.entity,
        entity_id=change.entity_id,
        action=change.action,
        actor=scope.actor,
        at_us=scope.now_us,
        snapshot_version=version,
        slug=change.slug,
        version=change.version,
        previous_version=change.previous_version,
    )
    topic = CONFIG_CHANGED.name
    key = scope.organization_id.encode()
    return Message(topic, key, codec.encode(event), new_id("evt_", scope.now_us // 1000), codec.headers(topic))
