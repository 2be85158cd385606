"""What of the configuration an experiment needs: asked of the config service once, and kept with the experiment."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import grpc.aio

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import not_found
from modelux_providers.catalog import Catalog, CredentialFacts, Offers, PriceOverride
from modelux_providers.price_overrides import override_of
from modelux_runtime.rpc import DEADLINE_S

_METHOD = "/modelux.config.v1.SnapshotService/WatchSnapshot"


async def read_configuration(channel: grpc.aio.Channel, organization_id: str, project_id: str) -> pb.Snapshot:
    """The project with its routing configs, the credentials it may use, the organization's prices and its budgets; no
    keys, no secrets.

    Raises a 404 problem for a project that the organization does not have, 503 while config cannot be reached.
    """
    watch = channel.unary_stream(
        _METHOD,
        request_serializer=pb.WatchSnapshotRequest.SerializeToString,
        response_deserializer=pb.WatchSnapshotResponse.FromString,
    )
    call = watch(pb.WatchSnapshotRequest(proxy_id="replay"), timeout=DEADLINE_S)
    try:
        async for update in call:
            return part_of(update.snapshot, organization_id, project_id)
    except grpc.aio.AioRpcError as error:
        raise _unavailable() from error
    finally:
        call.cancel()
    raise _unavailable()


def part_of(snapshot: pb.Snapshot, organization_id: str, project_id: str) -> pb.Snapshot:
    """What concerns one project. Raises a 404 problem where the organization has none of that id."""
    projects = [p for p in snapshot.projects if p.id == project_id and p.organization_id == organization_id]
    if not projects:
        raise not_found("project", project_id)
    usable = [c for c in snapshot.credentials if c.organization_id == organization_id and _may_use(c, project_id)]
    return pb.Snapshot(
        version=snapshot.version,
        projects=projects,
        routing_configs=[c for c in snapshot.routing_configs if c.project_id == project_id],
        credentials=[pb.Credential(id=c.id, provider=c.provider, models=c.models, name=c.name) for c in usable],
        prices=[p for p in snapshot.prices if p.organization_id == organization_id],
        budgets=[b for b in snapshot.budgets if b.organization_id == organization_id and _of(b, project_id)],
    )


def _of(budget: pb.Budget, project_id: str) -> bool:
    """Whether requests of the project draw on it: not the caps of experiments and judge runs themselves."""
    return budget.project_id in ("", project_id) and budget.scope not in ("experiment", "judge_run")


def credentials(configuration: pb.Snapshot) -> tuple[CredentialFacts, ...]:
    return tuple(CredentialFacts(c.id, c.provider, tuple(c.models)) for c in configuration.credentials)


def prices(configuration: pb.Snapshot) -> tuple[PriceOverride, ...]:
    return tuple(override_of(each) for each in configuration.prices)


def offers(configuration: pb.Snapshot, catalog: Catalog, at_ms: int) -> Offers:
    """What the project can reach, at the prices of a moment."""
    return catalog.offers(credentials(configuration), prices(configuration), at_ms)


def active_versions(configuration: pb.Snapshot) -> Mapping[str, int]:
    """Of each slug that is in service."""
    return {c.slug: c.active_version for c in configuration.routing_configs if not c.archived}


def _may_use(credential: pb.Credential, project_id: str) -> bool:
    return not credential.project_ids or project_id in credential.project_ids


def _unavailable() -> ProblemError:
    hint = "Try again in a few seconds; see /readyz and the logs of the config service."
    return ProblemError(
        Problem(503, "config_unavailable", "Not available", "The config service cannot be reached.", hint)
    )
