"""Read the prices that operators set, as the config service tells them."""

from __future__ import annotations

from modelux.config.v1.admin_pb2 import PriceRecord
from modelux.config.v1.snapshot_pb2 import PriceOverride as Told
from modelux_providers.catalog import PriceOverride

_PARTS = (
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "cache_audio_read",
    "input_image",
    "output_audio",
    "output_image",
    "web_search",
    "request",
)


def override_of(price: Told | PriceRecord) -> PriceOverride:
    """The price as the catalogue takes it. Raises ValueError for a negative one."""
    told = {field.name for field, _ in price.ListFields()}
    parts: dict[str, int | None] = {name: getattr(price, name) if name in told else None for name in _PARTS}
    if min(price.input, price.output, *(part or 0 for part in parts.values())) < 0:
        raise ValueError(f"price {price.id} is negative")
    return PriceOverride(
        id=price.id,
        provider=price.provider,
        model=price.model,
        input=price.input,
        output=price.output,
        effective_from_ms=price.effective_from_us // 1000,
        **parts,
    )
