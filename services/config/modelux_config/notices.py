"""What a policy may be saved with and is probably not meant: models that no credential of the project offers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config.policies import known_policies, parse
from modelux_config.scope import Scope
from modelux_providers.catalog import CredentialFacts, Offers
from routing_core.config import validate
from routing_core.world import World

UNKNOWN_MODEL = "unknown_model"


async def notices(scope: Scope, project_id: str, policy_json: bytes) -> list[pb.PolicyWarning]:
    """One warning for each model of the stored policy that no call could reach now. Never refuses."""
    policy = parse(policy_json).policy
    known = await known_policies(scope, project_id, policy)
    models = _Offered(World(await _offers(scope, project_id)))
    return [
        pb.PolicyWarning(
            field=f"policy.{notice.where}",
            message=notice.message,
            hint=notice.hint or "Check the name, or add a credential that offers it.",
            code=UNKNOWN_MODEL,
        )
        for notice in validate(policy, known, models=models)
    ]


async def _offers(scope: Scope, project_id: str) -> Offers:
    """What the credentials that the project may use offer, as a proxy sees it; prices do not matter here."""
    rows = await scope.rows("credentials", "usable", project_id=project_id)
    facts = [
        CredentialFacts(cast(str, row["id"]), cast(str, row["provider"]), tuple(cast("list[str]", row["models"])))
        for row in rows
    ]
    return scope.ports.catalog.offers(facts)


@dataclass(frozen=True, slots=True)
class _Offered(Collection[str]):
    """The names that resolve to an offer: `model`, `model:provider` and dated names too; lists the plain ones."""

    world: World

    def __contains__(self, name: object) -> bool:
        return bool(self.world.resolve(cast(str, name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.world.offers)

    def __len__(self) -> int:
        return len(self.world.offers)
