"""Dollars as people and programs write them, to whole nano-USD and back, exactly."""

from __future__ import annotations

import re
from decimal import Decimal

NANO = 10**9
"""Nano-USD in a dollar."""

_PLAIN = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,60})?", re.ASCII)


def nano_usd(value: object) -> int:
    """The amount in nano-USD. A number, or a plain decimal text such as "0.075"; never rounded.

    Raises ValueError, with a text that begins behind the field's name, for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is not a number of dollars: write 2.5 or '0.075'")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError("is not a number of dollars: write digits alone, such as '0.075', no unit, sign or exponent")
    amount = Decimal(repr(value) if isinstance(value, float) else value)
    if not amount.is_finite():
        raise ValueError("is not a number of dollars: write 2.5 or '0.075'")
    if amount < 0:
        raise ValueError("is negative: write 0 or more dollars")
    if amount >= NANO * NANO:
        raise ValueError("is more than a billion billion dollars")
    _, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    scale = int(10 ** abs(exponent + 9))
    written = int("".join(map(str, digits)))
    whole, rest = (written * scale, 0) if exponent >= -9 else divmod(written, scale)
    if rest:
        raise ValueError("has more than nine decimals: round it to whole nano-dollars, such as '0.000000001'")
    return whole


def dollars(nano: int) -> str:
    """Nano-USD exactly: `$0.05`, `$12.00`, `$0.000000001`."""
    whole, rest = divmod(abs(nano), NANO)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole:,}.{digits}"
