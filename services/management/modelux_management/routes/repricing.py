"""What logged usage would have cost at other prices."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Request
from pydantic import Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.authorized import Authorized, Caller, Routes
from modelux_management.operator_prices import operator_prices
from modelux_management.repriced_views import Asked, Repriced, repriced
from modelux_management.repricing import moments_ms, prices, reprice
from modelux_management.routes.prices import PARTS, PriceParts
from modelux_management.wire import Body, Data, Moment, micros
from modelux_providers.catalog import VENDORS, Catalog, PriceOverride
from modelux_store.logged_usage import LogRange
from modelux_store.logs import Logs

routes = Routes("prices")

MOST_ATTEMPTS = 1_000_000
_LONGEST = timedelta(days=366)


class Reprice(Body):
    """Which requests, and at which prices. Nothing stored is changed."""

    project_id: Annotated[str, Field(max_length=200)] = Field("", description="Left out: all projects.")
    start: Moment = Field(description="Requests that began at this moment or later.")
    end: Moment | None = Field(None, description="Requests that began before it. Left out: until now.")
    as_of: Moment | None = Field(None, description="At the prices in force then. Left out: at those in force now.")
    as_of_call: bool = Field(
        False, description="Each call at the price in force when it was made, as prices are set today."
    )
    supposed: list[PriceParts] = Field(
        [], max_length=100, description="Prices to suppose for the whole range, in place of all others of their model."
    )


@routes.endpoint("POST", "/prices/reprice", "Tell what logged usage would have cost at other prices", role="viewer")
async def reprice_history(caller: Authorized, body: Reprice, request: Request) -> Data[Repriced]:
    """A report over at most 366 days and a million attempts, in whole nano-dollars by the arithmetic that charges
    calls. It reads and changes nothing.
    """
    now = datetime.now(UTC)
    end = body.end or now
    wanted = await _range(caller, body, end)
    logs: Logs = request.app.state.logs
    catalog: Catalog = request.app.state.catalog
    count = await logs.attempt_count(wanted)
    if count > MOST_ATTEMPTS:
        message = f"holds {count:,} attempts, and at most {MOST_ATTEMPTS:,} are priced at once"
        raise invalid(
            FieldError("start", message, "Ask for a shorter range, or for one project."), code="range_too_large"
        )
    overrides, supposed = await operator_prices(caller), _supposed(body.supposed)
    as_of = None if body.as_of_call else body.as_of or now
    start_ms, end_ms = wanted.start_us // 1000, -(-wanted.end_us // 1000)
    moments = [start_ms]
    if as_of is None:
        moments = await asyncio.to_thread(moments_ms, catalog, overrides, start_ms, end_ms)
    at_ms = None if as_of is None else micros(as_of) // 1000
    price_of = prices(catalog, overrides, supposed, at_ms)
    async with request.app.state.repricing:
        report = await logs.used(wanted, moments, lambda used: reprice(used, price_of))
    return Data(data=repriced(report, Asked(body.project_id, body.start, end, as_of, supposed)))


async def _range(caller: Caller, body: Reprice, end: datetime) -> LogRange:
    if body.as_of and body.as_of_call:
        raise invalid(FieldError("asOf", "stands with asOfCall", "Leave one of them out."))
    if end <= body.start:
        raise invalid(FieldError("end", "is not after start", "Exchange them, or take an earlier start."))
    if end - body.start > _LONGEST:
        message = f"is more than {_LONGEST.days} days before end"
        raise invalid(FieldError("start", message, "Ask for a shorter range."), code="range_too_large")
    if body.project_id:
        await caller.call(pb.GetProjectRequest(id=body.project_id), pb.GetProjectResponse)
    return LogRange(caller.organization_id, body.project_id, micros(body.start), micros(end))


def _supposed(asked: list[PriceParts]) -> list[PriceOverride]:
    found: dict[tuple[str, str], PriceOverride] = {}
    for index, each in enumerate(asked):
        if each.provider not in VENDORS:
            raise invalid(
                FieldError(f"supposed[{index}].provider", f"{each.provider[:80]!r} is not known", "See /openapi.json.")
            )
        parts = {name: getattr(each, wire) for name, wire in PARTS.items()}
        rates = (each.input_usd_per_million, each.output_usd_per_million)
        price = PriceOverride("supposed", each.provider, each.model, *rates, **parts)
        if found.setdefault((each.provider, each.model), price) is not price:
            raise invalid(
                FieldError(f"supposed[{index}]", f"prices {each.model[:80]!r} twice", "Leave one of them out.")
            )
    return list(found.values())
