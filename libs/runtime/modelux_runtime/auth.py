"""Keys are known by their hash; roles are ordered."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, get_args

Role = Literal["viewer", "editor", "admin", "owner"]
ROLES: tuple[Role, ...] = get_args(Role)

PROXY_KEY_PREFIX = "mlx_sk_"
MANAGEMENT_KEY_PREFIX = "mlx_mk_"


def key_hash(key: str | bytes) -> bytes:
    """SHA-256 of the key's text: what is stored and looked up, so that no raw header ever reaches a query."""
    return sha256(key.encode() if isinstance(key, str) else key).digest()


def allows(held: Role, needed: Role) -> bool:
    """Whether a role includes another: owner > admin > editor > viewer."""
    return ROLES.index(held) >= ROLES.index(needed)
