"""Every operation of the admin service with the least role that may do it, and how one is performed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import cast

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import (
    audit_log,
    budget_accounts,
    budget_explain,
    budgets,
    credentials,
    management_keys,
    prices,
    projects,
    proxy_keys,
    routing_configs,
    spend_caps,
    versions,
)
from modelux_config.identity import Identity, of_schedule, resolve
from modelux_config.scope import Ports, Scope, finish, lock
from modelux_contracts.refusals import FieldError, conflict, invalid
from modelux_runtime.auth import Role
from modelux_store.database import Database, Transaction
from modelux_store.secrets import open_sealed, seal

_BY_SCHEDULES = frozenset({"OpenSpendCap", "GetProject"})
"""What a schedule of another service may ask for without a key."""
KEEP_ANSWERS_US = 24 * 3600 * 1_000_000
_SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"]

Run = Callable[[Scope, Message], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One RPC: the least role, whether it writes, and what it does."""

    name: str
    role: Role
    writes: bool
    run: Run

    @property
    def request(self) -> type[Message]:
        return GetMessageClass(_SERVICE.methods_by_name[self.name].input_type)

    @property
    def response(self) -> type[Message]:
        return GetMessageClass(_SERVICE.methods_by_name[self.name].output_type)


async def perform(database: Database, ports: Ports, operation: Operation, request: Message) -> Message:
    """Resolves the actor, checks the role, and runs the operation in one transaction. Raises `ProblemError`."""
    actor: pb.Actor = request.actor  # type: ignore[attr-defined]  # every request of OPERATIONS has it; tested
    now_us = ports.now_ms() * 1000
    async with database.transaction() as tx:
        who = await _who(tx, operation, actor, now_us)
        if operation.writes:
            await lock(tx, who.organization_id)
            who = await _who(tx, operation, actor, now_us)
        who.require(operation.role)
        scope = Scope(tx, ports, who, who.key_id, now_us, actor.request_id)
        if not operation.writes:
            return await operation.run(scope, request)
        return await _once(scope, operation, request, actor.idempotency_key)


async def _who(tx: Transaction, operation: Operation, actor: pb.Actor, now_us: int) -> Identity:
    if operation.name in _BY_SCHEDULES and actor.schedule_id and not actor.key_hash:
        return of_schedule(actor.organization_id, actor.schedule_id)
    return await resolve(tx, actor.key_hash, now_us)


async def _once(scope: Scope, operation: Operation, request: Message, key: str) -> Message:
    """Writes, or gives the answer that the same idempotency key got before. Raises a 409 problem for another request
    under the key.
    """
    if not key:
        return await _write(scope, operation, request)
    if len(key) > 255 or not key.isprintable():
        raise invalid(FieldError("Idempotency-Key", "is not 1 to 255 printable characters", "Send a UUID."))
    await scope.run("changes", "forget_answers", before_us=scope.now_us - KEEP_ANSWERS_US)
    fingerprint = _fingerprint(request)
    row = await scope.row("changes", "find_answer", key_id=scope.who.key_id, idempotency_key=key)
    if row is not None:
        if row["operation"] != operation.name or row["request_hash"] != fingerprint:
            raise conflict(
                "idempotency_key_reused", "The Idempotency-Key was used for another request.", "Send a new key."
            )
        return operation.response.FromString(_open(scope, key, cast(bytes, row["sealed_response"])))
    answer = await _write(scope, operation, request)
    await scope.run(
        "changes",
        "keep_answer",
        key_id=scope.who.key_id,
        idempotency_key=key,
        operation=operation.name,
        request_hash=fingerprint,
        sealed_response=_seal(scope, key, answer.SerializeToString()),
        now_us=scope.now_us,
    )
    return answer


async def _write(scope: Scope, operation: Operation, request: Message) -> Message:
    answer = await operation.run(scope, request)
    await finish(scope)
    return answer


def _fingerprint(request: Message) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("actor")
    return sha256(bare.SerializeToString(deterministic=True)).digest()


def _seal(scope: Scope, key: str, answer: bytes) -> bytes:
    """Answers may hold a new key's text: they are kept sealed."""
    who = scope.who
    return seal(
        scope.ports.encryption_key, answer, organization_id=who.organization_id, credential_id=who.key_id, host=key
    )


def _open(scope: Scope, key: str, sealed: bytes) -> bytes:
    who = scope.who
    return open_sealed(
        scope.ports.encryption_key, sealed, organization_id=who.organization_id, credential_id=who.key_id, host=key
    )


async def authenticate_key(scope: Scope, request: pb.AuthenticateKeyRequest) -> pb.AuthenticateKeyResponse:
    who = scope.who
    return pb.AuthenticateKeyResponse(
        key_id=who.key_id,
        key_name=who.key_name,
        organization_id=who.organization_id,
        organization_name=who.organization_name,
        role=who.role,
    )


def _table(*rows: tuple[str, Role, bool, object]) -> Mapping[str, Operation]:
    return {name: Operation(name, role, writes, cast(Run, run)) for name, role, writes, run in rows}


OPERATIONS: Mapping[str, Operation] = _table(
    ("AuthenticateKey", "viewer", False, authenticate_key),
    ("ListProjects", "viewer", False, projects.list_projects),
    ("GetProject", "viewer", False, projects.get_project),
    ("CreateProject", "admin", True, projects.create_project),
    ("UpdateProject", "admin", True, projects.update_project),
    ("DeleteProject", "owner", True, projects.delete_project),
    ("ListCredentials", "viewer", False, credentials.list_credentials),
    ("GetCredential", "viewer", False, credentials.get_credential),
    ("CreateCredential", "admin", True, credentials.create_credential),
    ("UpdateCredential", "admin", True, credentials.update_credential),
    ("DeleteCredential", "admin", True, credentials.delete_credential),
    ("ListProxyKeys", "viewer", False, proxy_keys.list_proxy_keys),
    ("GetProxyKey", "viewer", False, proxy_keys.get_proxy_key),
    ("CreateProxyKey", "admin", True, proxy_keys.create_proxy_key),
    ("UpdateProxyKey", "admin", True, proxy_keys.update_proxy_key),
    ("RevokeProxyKey", "admin", True, proxy_keys.revoke_proxy_key),
    ("ListManagementKeys", "admin", False, management_keys.list_management_keys),
    ("CreateManagementKey", "admin", True, management_keys.create_management_key),
    ("RevokeManagementKey", "admin", True, management_keys.revoke_management_key),
    ("ListRoutingConfigs", "viewer", False, routing_configs.list_routing_configs),
    ("GetRoutingConfig", "viewer", False, routing_configs.get_routing_config),
    ("CreateRoutingConfig", "editor", True, routing_configs.create_routing_config),
    ("UpdateRoutingConfig", "editor", True, routing_configs.update_routing_config),
    ("CreateRoutingConfigVersion", "editor", True, versions.create_routing_config_version),
    ("ListRoutingConfigVersions", "viewer", False, versions.list_routing_config_versions),
    ("GetRoutingConfigVersion", "viewer", False, versions.get_routing_config_version),
    ("DiffRoutingConfig", "viewer", False, versions.diff_routing_config),
    ("ActivateRoutingConfig", "editor", True, versions.activate_routing_config),
    ("RollbackRoutingConfig", "editor", True, versions.rollback_routing_config),
    ("ArchiveRoutingConfig", "editor", True, routing_configs.archive_routing_config),
    ("DeleteRoutingConfig", "admin", True, routing_configs.delete_routing_config),
    ("ListPrices", "viewer", False, prices.list_prices),
    ("CreatePrice", "admin", True, prices.create_price),
    ("DeletePrice", "admin", True, prices.delete_price),
    ("ListBudgets", "viewer", False, budgets.list_budgets),
    ("GetBudget", "viewer", False, budgets.get_budget),
    ("CreateBudget", "admin", True, budgets.create_budget),
    ("UpdateBudget", "admin", True, budgets.update_budget),
    ("DeleteBudget", "admin", True, budgets.delete_budget),
    ("GetBudgetSpend", "viewer", False, budget_accounts.get_budget_spend),
    ("ExplainBudget", "viewer", False, budget_explain.explain_budget),
    ("ReconcileBudget", "viewer", False, budget_accounts.reconcile_budget),
    ("OpenSpendCap", "editor", True, spend_caps.open_spend_cap),
    ("ListAudit", "admin", False, audit_log.list_audit),
    ("VerifyAudit", "admin", False, audit_log.verify_audit),
    ("RecordAudit", "editor", True, audit_log.record_audit),
)
"""All but those without an actor: `Bootstrap`, for launchers, and `GetSpendCap`, `CloseSpendCap` and `StepRollout`, for
services.
"""
