"""Events to bytes and back, with the schema named in a header so that a reader can refuse what it does not know."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto

from modelux_contracts.topics import TOPICS

SCHEMA_HEADER = "mlx-schema"
ID_HEADER = "mlx-id"

E = TypeVar("E", bound=Proto)


class Undecodable(Exception):
    """The bytes are not the message they claim to be."""


def headers(topic: str) -> tuple[tuple[str, bytes], ...]:
    """The headers every message of a topic carries."""
    return ((SCHEMA_HEADER, TOPICS[topic].schema.encode()),)


def encode(event: Proto) -> bytes:
    return event.SerializeToString()


def decode(kind: type[E], value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> E:
    """Parses `value` as `kind`, keeping unknown fields.

    Another schema in the headers, an empty value or broken bytes raise `Undecodable`.
    """
    named = next((v for k, v in headers if k == SCHEMA_HEADER), None)
    expected = kind.DESCRIPTOR.full_name
    if named is not None and named != expected.encode():
        raise Undecodable(f"schema {named.decode(errors='replace')!r} where {expected!r} was expected")
    if not value:
        raise Undecodable("the value is empty")
    try:
        return kind.FromString(value)
    except DecodeError as error:
        raise Undecodable(f"not a {expected}: {error}") from error
