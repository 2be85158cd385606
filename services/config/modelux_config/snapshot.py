"""What proxies need, read whole from the database at one moment, and the difference between two such moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_config.records import fill
from modelux_config.statements import sql
from modelux_store.database import Database

Part = pb.Project | pb.ProxyKey | pb.Credential | pb.RoutingConfig | pb.PriceOverride | pb.Budget


@dataclass(frozen=True, slots=True)
class State:
    """Everything at one version, by id."""

    version: int
    parts: Mapping[str, Part]

    def snapshot(self) -> pb.Snapshot:
        message = pb.Snapshot(version=self.version)
        for part in self.parts.values():
            _add(message, part)
        return message

    def since(self, earlier: State) -> pb.Change:
        """Upserts and deletions that lead from an earlier state to this one."""
        change = pb.Change(version=self.version)
        for identifier, part in self.parts.items():
            if earlier.parts.get(identifier) != part:
                _add(change, part)
        change.deleted_ids.extend(identifier for identifier in earlier.parts if identifier not in self.parts)
        return change


async def current_version(database: Database) -> int:
    async with database.transaction() as tx:
        row = await tx.fetch_one(sql("snapshot", "version"), {})
        assert row is not None
        return cast(int, row["version"])


async def read(database: Database) -> State:
    """The state of all organizations in one repeatable-read transaction: never a mixture of two versions."""
    async with database.transaction() as tx:
        await tx.execute(sql("snapshot", "one_moment"), {})
        version = await tx.fetch_one(sql("snapshot", "version"), {})
        assert version is not None
        parts: dict[str, Part] = {}
        for name, kind in _KINDS.items():
            for row in await tx.fetch_all(sql("snapshot", name), {}):
                parts[cast(str, row["id"])] = fill(kind, row)
        for row in await tx.fetch_all(sql("snapshot", "versions"), {}):
            config = cast(pb.RoutingConfig, parts[cast(str, row["routing_config_id"])])
            config.versions.add(version=cast(int, row["version"]), policy_json=cast(str, row["policy"]).encode())
        return State(cast(int, version["version"]), parts)


def _add(message: pb.Snapshot | pb.Change, part: Part) -> None:
    match part:
        case pb.Project():
            message.projects.append(part)
        case pb.ProxyKey():
            message.keys.append(part)
        case pb.Credential():
            message.credentials.append(part)
        case pb.RoutingConfig():
            message.routing_configs.append(part)
        case pb.PriceOverride():
            message.prices.append(part)
        case pb.Budget():
            message.budgets.append(part)


_KINDS: Mapping[str, type[Part]] = {
    "projects": pb.Project,
    "keys": pb.ProxyKey,
    "credentials": pb.Credential,
    "routing_configs": pb.RoutingConfig,
    "prices": pb.PriceOverride,
    "budgets": pb.Budget,
}
