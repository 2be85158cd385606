"""The host that a stored secret is bound to: what seals it and what opens it must spell it alike."""

from __future__ import annotations

from urllib.parse import urlsplit


def host_of(base_url: str) -> str:
    """`host:port` of a base URL, the port always written: the `host` in the associated data of a sealed secret."""
    parts = urlsplit(base_url)
    return f"{parts.hostname}:{parts.port or (80 if parts.scheme == 'http' else 443)}"
