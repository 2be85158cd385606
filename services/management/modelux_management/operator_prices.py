"""Every price that the operator set, as the catalogue takes them."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Caller
from modelux_management.routes.prices import PARTS
from modelux_providers.catalog import PriceOverride

_PAGE = 200


async def operator_prices(caller: Caller) -> list[PriceOverride]:
    """Every price that the operator set."""
    found: list[PriceOverride] = []
    cursor = ""
    while True:
        page = pb.Page(limit=_PAGE, cursor=cursor)
        answer = await caller.call(pb.ListPricesRequest(page=page), pb.ListPricesResponse)
        found += [_override(record) for record in answer.prices]
        cursor = answer.next_cursor
        if not cursor:
            return found


def _override(record: pb.PriceRecord) -> PriceOverride:
    told = {field.name for field, _ in record.ListFields()}
    parts = {name: getattr(record, name) if name in told else None for name in PARTS}
    starts_ms = record.effective_from_us // 1000
    return PriceOverride(
        record.id, record.provider, record.model, record.input, record.output, effective_from_ms=starts_ms, **parts
    )
