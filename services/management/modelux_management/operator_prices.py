"""Every price that the operator set, as the catalogue takes them."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Caller
from modelux_providers.catalog import PriceOverride
from modelux_providers.price_overrides import override_of

_PAGE = 200


async def operator_prices(caller: Caller) -> list[PriceOverride]:
    """Every price that the operator set."""
    found: list[PriceOverride] = []
    cursor = ""
    while True:
        page = pb.Page(limit=_PAGE, cursor=cursor)
        answer = await caller.call(pb.ListPricesRequest(page=page), pb.ListPricesResponse)
        found += [override_of(record) for record in answer.prices]
        cursor = answer.next_cursor
        if not cursor:
            return found
