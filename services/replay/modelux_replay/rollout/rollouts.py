"""The records of rollouts and of their steps, in PostgreSQL; who looks at one holds a claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import cast

from modelux.events.v1.experiment_pb2 import RolloutChanged
from modelux.replay.v1 import rollout_pb2 as pb
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.refusals import not_found
from modelux_contracts.topics import ROLLOUT_CHANGED
from modelux_replay.rollout.spec import Splitting, plan_of, read_split
from modelux_replay.rollout.stepping import Plan, Standing
from modelux_replay.statements import sql
from modelux_store import outbox
from modelux_store.database import Database, Transaction

AHEAD_US = 300_000_000
"""Clocks of replicas differ by less."""
CLAIM_US = 5_000_000
"""How long a claim lasts whose holder has died."""
ENDS = ("completed", "rolled_back", "cancelled", "superseded")

Row = Mapping[str, object]


class Lost(Exception):
    """Another process has claimed it since, or it has ended."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One row. Times in microseconds since the epoch."""

    id: str
    organization_id: str
    project_id: str
    experiment_id: str
    routing_config_id: str
    slug: str
    spec: pb.RolloutSpec
    policy: str = field(repr=False)
    base_version: int
    status: str
    status_reason: str
    version: int
    percent: int
    position: int
    standing: Standing
    wanted: str
    wanted_reason: str
    wanted_requests: int
    epoch: int
    created_at_us: int
    updated_at_us: int
    created_by: str
    request_hash: bytes = field(repr=False)

    @property
    def plan(self) -> Plan:
        return plan_of(self.spec)

    @property
    def splitting(self) -> Splitting:
        return read_split(self.policy, self.slug)

    def record(self, steps: Sequence[pb.RolloutStep] = ()) -> pb.RolloutRecord:
        """As the service answers."""
        names = [each.name for each in pb.RolloutRecord.DESCRIPTOR.fields if each.name != "history"]
        return pb.RolloutRecord(history=steps, **{name: getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True)
class Rollouts:
    """All reads and writes of rollouts. Every method is one transaction; raises `Unavailable`."""

    database: Database

    async def create(self, new: Rollout, idempotency_key: str) -> Rollout | None:
        """With its first step to be made. None where one runs on that routing config. Raises `AlreadyExists` for a used
        idempotency key.
        """
        values = _values(new) | {"idempotency_key": idempotency_key or None}
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("rollouts", "insert"), values)
            if row is None:
                return None
            await _tell(tx, new, new.created_at_us, "started")
        return _rollout(row)

    async def repeated(self, organization_id: str, created_by: str, key: str) -> Rollout | None:
        """What a request with this idempotency key started before."""
        wanted = {"organization_id": organization_id, "created_by": created_by, "idempotency_key": key}
        return await self._one("by_idempotency_key", wanted)

    async def running_on(self, routing_config_id: str) -> Rollout | None:
        return await self._one("running_on", {"routing_config_id": routing_config_id})

    async def get(self, organization_id: str, identifier: str) -> Rollout:
        """Raises a 404 problem where the organization has none of that id."""
        found = await self._one("get", {"organization_id": organization_id, "id": identifier})
        if found is None:
            raise not_found("rollout", identifier)
        return found

    async def page(self, organization_id: str, project_id: str, *, after: str, limit: int) -> list[Rollout]:
        """Newest first, those older than the id `after`."""
        wanted = {"organization_id": organization_id, "project_id": project_id, "after": after, "limit": limit}
        async with self.database.transaction() as tx:
            return [_rollout(row) for row in await tx.fetch_all(sql("rollouts", "list"), wanted)]

    async def steps(self, identifiers: Sequence[str]) -> Mapping[str, Sequence[pb.RolloutStep]]:
        """The history of each, oldest first."""
        names = [each.name for each in pb.RolloutStep.DESCRIPTOR.fields]
        found: dict[str, list[pb.RolloutStep]] = {each: [] for each in identifiers}
        async with self.database.transaction() as tx:
            for row in await tx.fetch_all(sql("rollouts", "steps"), {"ids": list(identifiers)}):
                step = pb.RolloutStep(**{name: row[name] for name in names})  # type: ignore[arg-type]  # as `_rollout`
                found[cast(str, row["rollout_id"])].append(step)
        return found

    async def made(self, experiment_id: str, routing_config_id: str, version: int) -> bool:
        """Whether a promotion of the experiment, or a rollout of it, made that version as a split."""
        wanted = {"experiment_id": experiment_id, "routing_config_id": routing_config_id, "version": version}
        async with self.database.transaction() as tx:
            return await tx.fetch_one(sql("rollouts", "made"), wanted) is not None

    async def due(self, now_us: int) -> list[str]:
        """Ids of those to be looked at."""
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("rollouts", "due"), {"now_us": now_us, "ahead_us": AHEAD_US})
        return [cast(str, row["id"]) for row in rows]

    async def claim(self, identifier: str, now_us: int) -> Rollout | None:
        """For this process alone until it writes; None where another one has it, or it has ended."""
        values = {"id": identifier, "now_us": now_us, "until_us": now_us + CLAIM_US, "ahead_us": AHEAD_US}
        return await self._one("claim", values)

    async def keep(self, one: Rollout, now_us: int, *, held: bool = False, tells: bool = False) -> Rollout:
        """Writes what the holder of the claim found; lets go of it unless `held`. `tells`: an event says so.

        Raises `Lost`.
        """
        async with self.database.transaction() as tx:
            kept = await _keep(tx, one, now_us, held)
            if tells:
                await _tell(tx, one, now_us, f"{one.position}.{now_us}")
        return kept

    async def stepped(self, one: Rollout, step: pb.RolloutStep, now_us: int) -> Rollout:
        """Keeps a step that was made, `one` being as it is after it, and tells. Raises `Lost`."""
        values: dict[str, object] = {"id": one.id, "now_us": now_us, "percent": step.percent, "version": step.version}
        values |= {"reason": step.reason, "requests": step.requests}
        async with self.database.transaction() as tx:
            kept = await _keep(tx, one, now_us, held=False)
            await tx.execute(sql("rollouts", "add_step"), values)
            await _tell(tx, one, now_us, f"{one.position}.{step.percent}")
        return kept

    async def _one(self, name: str, values: Mapping[str, object]) -> Rollout | None:
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("rollouts", name), values)
        return _rollout(row) if row else None


async def _keep(tx: Transaction, one: Rollout, now_us: int, held: bool) -> Rollout:
    times = {"updated_at_us": now_us, "claimed_until_us": now_us + CLAIM_US if held else 0}
    row = await tx.fetch_one(sql("rollouts", "update"), _values(one) | times)
    if row is None:
        raise Lost
    return _rollout(row)


async def _tell(tx: Transaction, one: Rollout, now_us: int, what: str) -> None:
    topic = ROLLOUT_CHANGED.name
    event = RolloutChanged(
        rollout_id=one.id,
        experiment_id=one.experiment_id,
        organization_id=one.organization_id,
        project_id=one.project_id,
        routing_config_id=one.routing_config_id,
        status=one.status,
        percent=one.percent,
        reason=one.status_reason,
        at_us=now_us,
    )
    key = one.organization_id.encode()
    await outbox.append(tx, Message(topic, key, codec.encode(event), f"{one.id}.{what}", codec.headers(topic)))


def _values(one: Rollout) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(one, name) for name in Rollout.__dataclass_fields__}
    return values | {"spec": one.spec.SerializeToString(), "standing": json.dumps(asdict(one.standing))}


def _rollout(row: Row) -> Rollout:
    values = {name: row[name] for name in Rollout.__dataclass_fields__}
    spec = pb.RolloutSpec.FromString(cast(bytes, row["spec"]))
    standing = Standing(**json.loads(cast(str, row["standing"])))
    found = Rollout(**{**values, "spec": spec, "standing": standing})  # type: ignore[arg-type]  # columns carry the names
    return replace(found, request_hash=bytes(found.request_hash))
