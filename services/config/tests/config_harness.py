"""A way to call the config service as one tenant or another; used by the tests of the management API too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from modelux.config.v1 import admin_pb2 as pb
from modelux.config.v1.snapshot_pb2 import WatchSnapshotRequest, WatchSnapshotResponse
from modelux_config.operations import OPERATIONS
from modelux_config.rpc import Edge
from modelux_config.scope import Ports
from modelux_config.service import SCHEMAS
from modelux_contracts.ids import new_key
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_runtime.auth import key_hash
from modelux_runtime.calls import PROBLEM_KEY
from modelux_store.database import Database
from modelux_store.migrate import migrate_postgres

KEY = bytes(range(32))
SINGLE = {"strategy": "single", "model": "gpt-4o-mini"}
NUMBERS = count(1)


class Refused(Exception):
    """What the service answered instead."""

    def __init__(self, code: grpc.StatusCode, problem: pb.ProblemDetail) -> None:
        super().__init__(f"{code.name} {problem.status} {problem.code}: {problem.detail}")
        self.code, self.problem = code, problem


@dataclass
class Installation:
    """The service under test."""

    channel: grpc.aio.Channel
    database: Database
    ports: Ports
    edge: Edge
    clock: list[int]

    async def raw(self, name: str, request: Message, answer: Any) -> Any:
        method = self.channel.unary_unary(
            f"/modelux.config.v1.AdminService/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return await method(request, timeout=20)
        except grpc.aio.AioRpcError as error:
            carried = error.trailing_metadata().get(PROBLEM_KEY)
            if carried is None:
                raise
            raise Refused(error.code(), pb.ProblemDetail.FromString(carried)) from error

    async def tenant(self, name: str, **fields: Any) -> Tenant:
        """A new organization with an owner's key."""
        key = new_key("mlx_mk_")
        request = pb.BootstrapRequest(
            organization_name=f"{name} {key[-6:]}", project_name="main", management_key=key, **fields
        )
        made = await self.raw("Bootstrap", request, pb.BootstrapResponse)
        return Tenant(self, key, made.organization_id, made.project_id)

    async def watch(self, since: int = 0) -> AsyncIterator[WatchSnapshotResponse]:
        method = self.channel.unary_stream(
            "/modelux.config.v1.SnapshotService/WatchSnapshot",
            request_serializer=WatchSnapshotRequest.SerializeToString,
            response_deserializer=WatchSnapshotResponse.FromString,
        )
        async for update in method(WatchSnapshotRequest(since_version=since, proxy_id="test")):
            yield update


@dataclass
class Tenant:
    """Calls in the name of one management key."""

    installation: Installation
    key: str
    organization_id: str
    project_id: str
    idempotency_key: str = ""
    made: dict[str, str] = field(default_factory=dict)

    async def __call__(self, operation_name: str, /, **fields: Any) -> Any:
        operation = OPERATIONS[operation_name]
        policy = fields.pop("policy", None)
        request: Any = ParseDict(fields, operation.request())
        if policy is not None:
            request.policy_json = json.dumps(policy).encode()
        actor = pb.Actor(key_hash=key_hash(self.key), request_id="req_test", idempotency_key=self.idempotency_key)
        request.actor.CopyFrom(actor)
        return await self.installation.raw(operation_name, request, operation.response)

    async def config(self, slug: str, policy: object = SINGLE, **fields: Any) -> pb.RoutingConfigRecord:
        made = await self("CreateRoutingConfig", project_id=self.project_id, slug=slug, policy=policy, **fields)
        record: pb.RoutingConfigRecord = made.routing_config
        return record

    async def version(self, config_id: str, policy: object, **fields: Any) -> pb.RoutingConfigRecord:
        made = await self("CreateRoutingConfigVersion", id=config_id, policy=policy, **fields)
        record: pb.RoutingConfigRecord = made.routing_config
        return record

    async def with_role(self, role: str) -> Tenant:
        """The same organization through a key of another role."""
        made = await self("CreateManagementKey", name=role, role=role)
        return Tenant(self.installation, made.secret, self.organization_id, self.project_id)


def migrated(server: EmbeddedPostgres) -> str:
    """A new database with the service's schemas."""
    url = server.create_database(f"config{next(NUMBERS)}")

    async def migrate() -> None:
        database = await Database.open(url)
        for schema in SCHEMAS:
            await migrate_postgres(database, schema)
        await database.close()

    asyncio.run(migrate())
    return url
