"""Write amounts of money down."""

from __future__ import annotations


def dollars(nano: int) -> str:
    """Nano-USD exactly: `$0.05`, `$12.00`, `$0.000000001`."""
    whole, rest = divmod(abs(nano), 1_000_000_000)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole:,}.{digits}"
