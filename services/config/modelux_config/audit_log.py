"""Read the audit log."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import audit
from modelux_config.pages import page
from modelux_config.records import fill
from modelux_config.scope import Scope

_NEWEST = str(2**63 - 1)


async def list_audit(scope: Scope, request: pb.ListAuditRequest) -> pb.ListAuditResponse:
    """Newest first."""
    rows, cursor = await page(
        scope,
        request.page,
        "audit",
        key="sequence",
        start=_NEWEST,
        entity=request.entity,
        entity_id=request.entity_id,
        actor=request.actor_id,
        action=request.action,
        start_us=request.start_us,
        end_us=request.end_us,
    )
    return pb.ListAuditResponse(entries=[fill(pb.AuditRecord, row) for row in rows], next_cursor=cursor)


async def verify_audit(scope: Scope, request: pb.VerifyAuditRequest) -> pb.VerifyAuditResponse:
    entries, broken_at = await audit.verify(scope.tx, scope.organization_id)
    return pb.VerifyAuditResponse(entries=entries, broken_at=broken_at)
