"""Who asks: a management key looked up by its hash on every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from modelux_config.problems import forbidden, unauthenticated
from modelux_config.statements import sql
from modelux_runtime.auth import ROLES, Role, allows
from modelux_store.database import Transaction

SYSTEM = "system"
"""The actor of what a launcher sets up."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A management key in force, and the organization it speaks for. Every query names that organization."""

    key_id: str
    key_name: str
    organization_id: str
    organization_name: str
    role: Role

    def require(self, needed: Role) -> None:
        """Raises a 403 problem that names the needed role."""
        if not allows(self.role, needed):
            raise forbidden(needed, self.role)


def of_schedule(organization_id: str, schedule_id: str) -> Identity:
    """A schedule acts as the editor who set it up may, also when that one's key is gone: it ends by being deleted."""
    return Identity(schedule_id, "schedule", organization_id, "", "editor")


async def resolve(tx: Transaction, key_hash: bytes, now_us: int) -> Identity:
    """The identity behind a key's hash. Unknown, revoked and expired keys raise the same 401 problem."""
    row = await tx.fetch_one(sql("keys", "find_management_key"), {"hash": key_hash, "now_us": now_us})
    if row is None:
        raise unauthenticated()
    return Identity(
        key_id=cast(str, row["id"]),
        key_name=cast(str, row["name"]),
        organization_id=cast(str, row["organization_id"]),
        organization_name=cast(str, row["organization_name"]),
        role=ROLES[ROLES.index(cast(Role, row["role"]))],
    )
