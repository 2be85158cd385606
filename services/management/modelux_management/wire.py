"""The shapes of the REST API: requests in camelCase and strict, answers in snake_case inside `{"data": …}`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from routing_core.money import NANO, nano_usd

T = TypeVar("T")

_LAST = datetime(9999, 1, 1, tzinfo=UTC)


class JsonFloat(float):
    """A number as it stood in the body: money is read from its digits, not from what a double makes of them."""

    __slots__ = ("literal",)
    literal: str

    @classmethod
    def parse(cls, literal: str) -> JsonFloat:
        number = cls(literal)
        number.literal = literal
        return number


class Body(BaseModel):
    """A request's body. Unknown fields are refused, and values are not converted from other types."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_alias=True, validate_by_name=False, extra="forbid", strict=True
    )


class Query(BaseModel):
    """A request's query. Unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=200, description="Rows per page, 1 to 200.")
    cursor: str = Field("", max_length=1_000, description="next_cursor of the page before.")


class Data(BaseModel, Generic[T]):
    """One thing."""

    data: T


class PolicyWarning(BaseModel):
    """Something that was saved and is probably not meant."""

    field: str = Field(description="The path in the request, e.g. policy.attempts[1].model.")
    message: str
    hint: str
    code: str = Field(description="Stable, for programs.")


class Warned(Data[T], Generic[T]):
    """One thing, and what of it is probably not meant."""

    warnings: list[PolicyWarning]


class Listing(BaseModel, Generic[T]):
    """A page of things."""

    data: list[T]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    deleted: bool = True


def listing(rows: list[T], next_cursor: str) -> Listing[T]:
    return Listing(data=rows, next_cursor=next_cursor or None)


def micros(moment: datetime) -> int:
    """Microseconds since the epoch."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def moment(micros_since_epoch: int) -> datetime:
    seconds, rest = divmod(micros_since_epoch, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def moment_or_none(micros_since_epoch: int) -> datetime | None:
    """0 stands for never."""
    return moment(micros_since_epoch) if micros_since_epoch else None


def usd(nano: int) -> float:
    """Dollars, for reading. Money is kept in nano-USD."""
    return float(Decimal(nano) / NANO)


def from_json(text: str | bytes) -> JsonValue:
    """A stored JSON text; None where there is none."""
    value: JsonValue = json.loads(text) if text else None
    return value


def _in_range(value: datetime) -> datetime:
    if not datetime(1970, 1, 1, tzinfo=UTC) <= value <= _LAST:
        raise ValueError("is not between the years 1970 and 9999")
    return value


def _iso_text(value: object) -> object:
    if not isinstance(value, str) or "-" not in value:
        raise ValueError("give a moment as text, such as '2026-04-10T00:00:00Z'")
    return value


def _nano(value: object, most: int) -> int:
    """Dollars as a JSON number or text, with at most nine decimals, to nano-USD."""
    plain = isinstance(value, JsonFloat) and "e" not in value.literal.lower()
    nano = nano_usd(value.literal if plain else value)  # type: ignore[attr-defined]  # plain: it is a JsonFloat
    if nano > most:
        raise ValueError(f"is more than {most // NANO:,} dollars")
    return nano


Moment = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_in_range), BeforeValidator(_iso_text)]
"""ISO 8601 with an offset; a naive time is refused."""
NanoUsd = Annotated[int, BeforeValidator(partial(_nano, most=10**15), json_schema_input_type=float | str)]
"""Dollars on the wire, nano-USD in the code."""
CapNanoUsd = Annotated[int, BeforeValidator(partial(_nano, most=10**18), json_schema_input_type=float | str)]
"""The same for caps, which may be larger."""
