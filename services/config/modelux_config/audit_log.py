"""Read the audit log, and write into it what other services did in a caller's name."""

from __future__ import annotations

import json

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import audit
from modelux_config.pages import page
from modelux_config.records import fill
from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError, invalid

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


async def record_audit(scope: Scope, request: pb.RecordAuditRequest) -> pb.RecordAuditResponse:
    """One row more in the organization's chain. Nothing of the configuration changes, so no proxy is told."""
    for name in ("entity", "entity_id", "action"):
        if not getattr(request, name):
            raise invalid(FieldError(name, "is missing", "Say what was done to what."))
    for name in ("before_json", "after_json"):
        _check_json(name, getattr(request, name))
    entry = audit.Entry(
        organization_id=scope.organization_id,
        at_us=scope.now_us,
        actor=scope.actor,
        action=request.action,
        entity=request.entity,
        entity_id=request.entity_id,
        project_id=request.project_id,
        before_json=request.before_json,
        after_json=request.after_json,
        request_id=scope.request_id,
        snapshot_version=0,
    )
    await audit.append(scope.tx, entry)
    return pb.RecordAuditResponse()


def _check_json(name: str, text: str) -> None:
    try:
        json.loads(text or "null")
    except (ValueError, RecursionError) as error:
        raise invalid(FieldError(name, f"is not JSON: {error}")) from error
