"""Who the caller is."""

from __future__ import annotations

from pydantic import BaseModel

from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import Data
from modelux_runtime.auth import Role

routes = Routes("account")


class Me(BaseModel):
    """The management key that was sent, and its organization."""

    key_id: str
    key_name: str
    role: Role
    organization_id: str
    organization_name: str


@routes.endpoint("GET", "/me", "Show the calling key, its role and its organization", role="viewer")
async def get_me(caller: Authorized) -> Data[Me]:
    me = Me(
        key_id=caller.key_id,
        key_name=caller.key_name,
        role=caller.role,
        organization_id=caller.organization_id,
        organization_name=caller.organization_name,
    )
    return Data(data=me)
