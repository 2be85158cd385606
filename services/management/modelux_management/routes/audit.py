"""The audit log: who changed what, in a chain of hashes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field, JsonValue

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import Data, Listing, Moment, PageQuery, from_json, listing, micros, moment

routes = Routes("audit")


class AuditEntry(BaseModel):
    """One change. Secrets never stand in it."""

    sequence: int
    at: datetime
    actor: str = Field(description="A management key's id, or `system`.")
    action: str
    entity: str
    entity_id: str
    project_id: str | None
    before: JsonValue
    after: JsonValue
    request_id: str | None
    snapshot_version: int
    previous_hash: str
    hash: str = Field(description="SHA-256 over the hash before and this entry, in hexadecimal.")


class AuditCheck(BaseModel):
    """Whether every entry follows from the one before."""

    entries: int
    intact: bool
    broken_at: int | None


class AuditQuery(PageQuery):
    """Which entries."""

    entity: str = Field(
        "", max_length=100, description="project, credential, key, management_key, routing_config or price."
    )
    entity_id: str = Field("", max_length=100)
    actor: str = Field("", max_length=100)
    action: str = Field("", max_length=100)
    start: Moment | None = None
    end: Moment | None = None


@routes.endpoint("GET", "/audit", "List changes of the configuration, newest first", role="admin")
async def list_audit(caller: Authorized, query: Annotated[AuditQuery, QueryParameters()]) -> Listing[AuditEntry]:
    request = pb.ListAuditRequest(
        page=pb.Page(limit=query.limit, cursor=query.cursor),
        entity=query.entity,
        entity_id=query.entity_id,
        actor_id=query.actor,
        action=query.action,
        start_us=micros(query.start) if query.start else 0,
        end_us=micros(query.end) if query.end else 0,
    )
    found = await caller.call(request, pb.ListAuditResponse)
    return listing([_entry(record) for record in found.entries], found.next_cursor)


@routes.endpoint("GET", "/audit/verify", "Check that the audit log's chain of hashes is whole", role="admin")
async def verify_audit(caller: Authorized) -> Data[AuditCheck]:
    found = await caller.call(pb.VerifyAuditRequest(), pb.VerifyAuditResponse)
    check = AuditCheck(entries=found.entries, intact=not found.broken_at, broken_at=found.broken_at or None)
    return Data(data=check)


def _entry(record: pb.AuditRecord) -> AuditEntry:
    return AuditEntry(
        sequence=record.sequence,
        at=moment(record.at_us),
        actor=record.actor,
        action=record.action,
        entity=record.entity,
        entity_id=record.entity_id,
        project_id=record.project_id or None,
        before=from_json(record.before_json),
        after=from_json(record.after_json),
        request_id=record.request_id or None,
        snapshot_version=record.snapshot_version,
        previous_hash=record.previous_hash.hex(),
        hash=record.hash.hex(),
    )
