"""Play the config service to a proxy under test: one snapshot, and the ledger's own code over rows in memory."""

from __future__ import annotations

import json
import time
from asyncio import Event
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256

from modelux.config.v1 import snapshot_pb2
from modelux.config.v1.snapshot_pb2_grpc import SnapshotServiceServicer
from modelux.ledger.v1 import ledger_pb2 as pb
from modelux.ledger.v1.ledger_pb2_grpc import LedgerServiceServicer
from modelux_contracts.hosts import host_of
from modelux_contracts.ids import new_id
from modelux_ledger import wire
from modelux_store.secrets import seal
from routing_core.ledger import server
from routing_core.ledger.books import Account
from routing_core.ledger.meters import Meter
from routing_core.ledger.server import Unit

KEY = "mlx_sk_bench"
SECRET = bytes(range(32))
CAP_NANO = 10**15


class Config(SnapshotServiceServicer):
    """Gives every proxy one snapshot."""

    def __init__(self, snapshot: snapshot_pb2.Snapshot) -> None:
        self._snapshot = snapshot

    async def WatchSnapshot(  # gRPC's name
        self, request: snapshot_pb2.WatchSnapshotRequest, context: object
    ) -> AsyncIterator[snapshot_pb2.WatchSnapshotResponse]:
        yield snapshot_pb2.WatchSnapshotResponse(snapshot=self._snapshot)
        await Event().wait()


def snapshot(upstream: int) -> snapshot_pb2.Snapshot:
    """One project, one key, `@production` over two models at two credentials, `@streaming` over a third; a budget each
    for the organization, the project and the key.
    """
    made = snapshot_pb2.Snapshot(
        version=1,
        projects=[snapshot_pb2.Project(id="proj_bench", organization_id="org_bench", logging_mode="full")],
        keys=[snapshot_pb2.ProxyKey(id="key_bench", project_id="proj_bench", hash=sha256(KEY.encode()).digest())],
    )
    for name, model, path in (
        ("pc_1", "gpt-4o-mini", "v1"),
        ("pc_2", "claude-haiku-4-5", "v1"),
        ("pc_3", "gpt-4o", "stream"),
    ):
        url = f"http://127.0.0.1:{upstream}/{path}"
        sealed = seal(SECRET, b"sk-bench", organization_id="org_bench", credential_id=name, host=host_of(url))
        made.credentials.add(
            id=name, organization_id="org_bench", provider="simulator", base_url=url, sealed_secret=sealed,
            models=[model], allow_private=True,
        )  # fmt: skip
        made.prices.add(
            id=f"price_{name}", organization_id="org_bench", provider="simulator", model=model,
            input=150_000_000, output=600_000_000,
        )  # fmt: skip
    for scope, which in (("organization", ""), ("project", "proj_bench"), ("key", "key_bench")):
        made.budgets.add(
            id=f"bud_{scope}", organization_id="org_bench", scope=scope, scope_key=which, cap_nano=CAP_NANO,
            action="block",
        )  # fmt: skip
    production = {"strategy": "fallback", "attempts": [{"model": "gpt-4o-mini", "timeout_ms": 3000},
                                                       {"model": "claude-haiku-4-5", "timeout_ms": 3000}]}  # fmt: skip
    for slug, policy in (("production", production), ("streaming", {"strategy": "single", "model": "gpt-4o"})):
        config = made.routing_configs.add(id=f"cfg_{slug}", project_id="proj_bench", slug=slug, active_version=1)
        config.versions.add(version=1, policy_json=json.dumps(policy).encode())
    return made


class MemoryLedger(LedgerServiceServicer):
    """Budgets by id with their caps in nano-USD, hard, without a window."""

    def __init__(self, caps: Mapping[str, int]) -> None:
        self._unit = Unit(_now_us())
        for budget_id, cap in caps.items():
            meter = Meter(budget_id, "", "usd")
            account = Account(meter, 0, 0, cap, True, started_us=self._unit.now_us)
            self._unit.current[meter] = self._unit.accounts[meter, 0] = account

    def settled(self) -> list[int]:
        """What each budget was charged by now, as far as it was reported."""
        return [account.settled for account in self._unit.current.values()]

    async def Join(self, request: pb.JoinRequest, context: object) -> pb.JoinResponse:
        return wire.join_response(server.join(self._at_now(), request.replica_id or new_id("rep_")))

    async def Grant(self, request: pb.GrantRequest, context: object) -> pb.GrantResponse:
        found = server.grant(self._at_now(), request.replica_id, request.epoch, request.op_id, wire.asks(request))
        return wire.grant_response(found)

    async def Report(self, request: pb.ReportRequest, context: object) -> pb.ReportResponse:
        found = server.report(self._at_now(), request.replica_id, request.epoch, wire.reports(request))
        return pb.ReportResponse(leases=wire.to_answers(found))

    async def Recalls(self, request: pb.RecallsRequest, context: object) -> AsyncIterator[pb.RecallsResponse]:
        await Event().wait()
        yield pb.RecallsResponse()

    def _at_now(self) -> Unit:
        self._unit.now_us = _now_us()
        return self._unit


def _now_us() -> int:
    return time.time_ns() // 1000
