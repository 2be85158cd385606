"""How a provider is reached with one credential, and on what terms a call is made there."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelux_providers.client import Deadlines, Origin, request_head
from modelux_providers.dialects.base import Dialect, Headers, ProviderError, VendorFacts
from modelux_providers.dialects.fault import without_secrets
from routing_core.pricing import Price
from routing_core.records import record


@dataclass(frozen=True, slots=True)
class Route:
    """How one credential's provider is reached. `auth` holds the secret; it is never printed."""

    origin: Origin
    base_path: str
    vendor: VendorFacts
    dialect: Dialect
    auth: Headers = field(repr=False, default=())
    heads: dict[tuple[str, Headers], bytes] = field(repr=False, compare=False, default_factory=dict)
    """Request heads by path, made once."""

    def shown(self, error: ProviderError) -> ProviderError:
        """The error as a caller may see it: without the secret this route holds."""
        return without_secrets(error, [value.decode("latin-1").removeprefix("Bearer ") for _, value in self.auth])

    def head(self, path: str, headers: Headers) -> bytes:
        """The request head for `path`, made once (there are few of them)."""
        head = self.heads.get((path, headers))
        if head is None:
            if len(self.heads) > 1000:
                self.heads.clear()
            head = request_head(self.origin, "POST", self.base_path + path, (*headers, *self.auth))
            self.heads[path, headers] = head
        return head


@record
class Terms:
    """What bounds and prices a call. Times in seconds."""

    deadlines: Deadlines
    timeout_s: float | None = None
    """To the first content byte (`head`) or the whole (`body`)."""
    price: Price | None = None
    input_tokens: int = 0
    """Estimate, for calls whose usage the provider does not report."""
    headers: Headers = ()
    """Sent beside the dialect's own, at the caller's wish."""
