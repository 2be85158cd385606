"""Prices that you set over the built-in table, each from a date on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import (
    Body,
    Data,
    Deleted,
    Listing,
    Moment,
    NanoUsd,
    PageQuery,
    listing,
    micros,
    moment,
    usd,
)
from modelux_providers.catalog import override_version

routes = Routes("prices")


class Price(BaseModel):
    """A price from a moment on, in dollars per million tokens."""

    id: str
    version: str = Field(description="By this name logs tell which price a call was charged at.")
    provider: str
    model: str
    input_usd_per_million: float
    output_usd_per_million: float
    cache_read_usd_per_million: float | None = Field(description="Null: charged as plain input.")
    cache_write_usd_per_million: float | None
    cache_write_1h_usd_per_million: float | None = Field(description="Kept for an hour. Null: as any cache.")
    input_audio_usd_per_million: float | None = Field(description="Null: as text, as with those below.")
    cache_audio_read_usd_per_million: float | None
    input_image_usd_per_million: float | None
    output_audio_usd_per_million: float | None
    output_image_usd_per_million: float | None
    web_search_usd_per_thousand: float | None = Field(description="Per thousand searches that the provider makes.")
    request_usd_per_thousand: float | None = Field(description="Per thousand calls.")
    effective_from: datetime
    created_at: datetime


class PriceParts(Body):
    """A price, in dollars per million tokens."""

    provider: str
    model: str
    input_usd_per_million: NanoUsd
    output_usd_per_million: NanoUsd
    cache_read_usd_per_million: NanoUsd | None = None
    cache_write_usd_per_million: NanoUsd | None = None
    cache_write_1h_usd_per_million: NanoUsd | None = Field(None, alias="cacheWrite1hUsdPerMillion")
    input_audio_usd_per_million: NanoUsd | None = None
    cache_audio_read_usd_per_million: NanoUsd | None = None
    input_image_usd_per_million: NanoUsd | None = None
    output_audio_usd_per_million: NanoUsd | None = None
    output_image_usd_per_million: NanoUsd | None = None
    web_search_usd_per_thousand: NanoUsd | None = None
    request_usd_per_thousand: NanoUsd | None = None


class CreatePrice(PriceParts):
    """A price to use from a moment on, in dollars per million tokens."""

    effective_from: Moment | None = Field(None, description="Left out: from now on.")


@routes.endpoint("GET", "/prices", "List the prices you set", role="viewer")
async def list_prices(caller: Authorized, query: Annotated[PageQuery, QueryParameters()]) -> Listing[Price]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    found = await caller.call(pb.ListPricesRequest(page=page), pb.ListPricesResponse)
    return listing([_price(record) for record in found.prices], found.next_cursor)


@routes.endpoint("POST", "/prices", "Set the price of a model from a moment on", role="admin", status=201)
async def create_price(caller: Authorized, body: CreatePrice) -> Data[Price]:
    request = pb.CreatePriceRequest(
        provider=body.provider,
        model=body.model,
        input=body.input_usd_per_million,
        output=body.output_usd_per_million,
        effective_from_us=micros(body.effective_from) if body.effective_from else 0,
        **{field: getattr(body, name) for field, name in PARTS.items()},
    )
    found = await caller.call(request, pb.CreatePriceResponse)
    return Data(data=_price(found.price))


@routes.endpoint("DELETE", "/prices/{price_id}", "Delete a price; costs already stored stay", role="admin")
async def delete_price(caller: Authorized, price_id: str) -> Data[Deleted]:
    await caller.call(pb.DeletePriceRequest(id=price_id), pb.DeletePriceResponse)
    return Data(data=Deleted(id=price_id))


def _price(record: pb.PriceRecord) -> Price:
    told = {field.name for field, _ in record.ListFields()}
    parts = {name: usd(getattr(record, field)) if field in told else None for field, name in PARTS.items()}
    return Price(
        id=record.id,
        version=override_version(record.id),
        provider=record.provider,
        model=record.model,
        input_usd_per_million=usd(record.input),
        output_usd_per_million=usd(record.output),
        effective_from=moment(record.effective_from_us),
        created_at=moment(record.created_at_us),
        **parts,
    )


PARTS = {
    "cache_read": "cache_read_usd_per_million",
    "cache_write": "cache_write_usd_per_million",
    "cache_write_1h": "cache_write_1h_usd_per_million",
    "input_audio": "input_audio_usd_per_million",
    "cache_audio_read": "cache_audio_read_usd_per_million",
    "input_image": "input_image_usd_per_million",
    "output_audio": "output_audio_usd_per_million",
    "output_image": "output_image_usd_per_million",
    "web_search": "web_search_usd_per_thousand",
    "request": "request_usd_per_thousand",
}
"""What a price may leave out, as the config service and as this API call it."""
