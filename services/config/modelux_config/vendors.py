"""Look a provider up by the name a tenant wrote."""

from __future__ import annotations

import difflib

from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError, invalid
from modelux_providers.vendors import Vendor


def find(scope: Scope, provider: str) -> Vendor:
    """The provider's row. Raises a 422 problem that names the nearest one."""
    vendor = scope.ports.vendors.get(provider)
    if vendor is None:
        near = difflib.get_close_matches(provider.lower(), scope.ports.vendors, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(sorted(scope.ports.vendors))}."
        raise invalid(FieldError("provider", f"{provider[:40]!r} is not a provider", hint), code="unknown_provider")
    return vendor
