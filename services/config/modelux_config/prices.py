"""Prices that the operator sets over the seed table: rows with a date from which they hold."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks
from modelux_config.pages import page
from modelux_config.records import fill
from modelux_config.scope import Change, Scope
from modelux_config.vendors import find as find_vendor
from modelux_contracts.ids import new_id
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found

MAX_NANO = 10**15
"""A million dollars per million tokens: beyond that it is a typing error."""
PARTS = {
    "cache_read": "cacheReadUsdPerMillion",
    "cache_write": "cacheWriteUsdPerMillion",
    "cache_write_1h": "cacheWrite1hUsdPerMillion",
    "input_audio": "inputAudioUsdPerMillion",
    "cache_audio_read": "cacheAudioReadUsdPerMillion",
    "input_image": "inputImageUsdPerMillion",
    "output_audio": "outputAudioUsdPerMillion",
    "output_image": "outputImageUsdPerMillion",
    "web_search": "webSearchUsdPerThousand",
    "request": "requestUsdPerThousand",
}
"""What a price may leave out: the column and field, and its name on the management API."""


async def list_prices(scope: Scope, request: pb.ListPricesRequest) -> pb.ListPricesResponse:
    rows, cursor = await page(scope, request.page, "prices")
    return pb.ListPricesResponse(prices=[fill(pb.PriceRecord, row) for row in rows], next_cursor=cursor)


async def create_price(scope: Scope, request: pb.CreatePriceRequest) -> pb.CreatePriceResponse:
    """A price from a moment on. Raises a 409 problem where one begins at that very moment."""
    (model,) = checks.models([request.model], "model")
    record = pb.PriceRecord(
        id=new_id("price_", scope.now_us // 1000),
        provider=find_vendor(scope, request.provider).name,
        model=model,
        input=_nano(request.input, "inputUsdPerMillion"),
        output=_nano(request.output, "outputUsdPerMillion"),
        effective_from_us=request.effective_from_us or scope.now_us,
        created_at_us=scope.now_us,
    )
    for name, wire_name in PARTS.items():
        if request.HasField(name):
            setattr(record, name, _nano(getattr(request, name), wire_name))
    values = {
        name: getattr(record, name) for name in ("id", "provider", "model", "input", "output", "effective_from_us")
    }
    if await scope.row("prices", "same", **values):
        raise conflict(
            "price_exists",
            f"A price of {model!r} begins at that moment already.",
            "Delete it, or choose another moment.",
        )
    parts = {name: getattr(record, name) if record.HasField(name) else None for name in PARTS}
    await scope.run("prices", "insert", **values, **parts, now_us=scope.now_us)
    scope.record(Change("price", record.id, "created", after=record))
    return pb.CreatePriceResponse(price=record)


async def delete_price(scope: Scope, request: pb.DeletePriceRequest) -> pb.DeletePriceResponse:
    """Costs that were stored with it stay as they are."""
    row = await scope.row("prices", "get", id=request.id)
    if row is None:
        raise not_found("price", request.id)
    await scope.run("prices", "delete", id=request.id)
    scope.record(Change("price", request.id, "deleted", fill(pb.PriceRecord, row)))
    return pb.DeletePriceResponse()


def _nano(value: int, field: str) -> int:
    if not 0 <= value <= MAX_NANO:
        raise invalid(FieldError(field, "is out of range", "Use 0 to 1,000,000 USD."))
    return value
