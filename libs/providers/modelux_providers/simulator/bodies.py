"""Decode request bodies leniently enough for what models and SDKs really send."""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec

from modelux_providers.simulator.words import Refusal

T = TypeVar("T")


def decode(body: bytes, kind: type[T], defaults: dict[str, str]) -> T | Refusal:
    """Read a JSON body into `kind`, or say as a 400 why not; `defaults` are set over the body's own fields."""
    try:
        if not defaults:
            return msgspec.json.decode(body, type=kind)
        return msgspec.convert({**_object(body), **defaults}, kind, from_attributes=False)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
        if isinstance(error, msgspec.ValidationError) and "surrogate" not in str(error):
            return _refusal(str(error))
    try:
        return msgspec.json.decode(mended(body), type=kind)
    except (ValueError, msgspec.ValidationError) as error:
        return _refusal(str(error))


def fields_of(body: bytes) -> frozenset[str]:
    """The names of a JSON object's own fields; none when it is no object."""
    try:
        return frozenset(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return frozenset()


def mended(body: bytes) -> bytes:
    """Return a JSON body without lone surrogates: models emit them when cut, and strict parsers refuse them."""
    return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")


def _object(body: bytes) -> dict[str, object]:
    return msgspec.json.decode(body, type=dict[str, object])


def _refusal(text: str) -> Refusal:
    path = text.partition("`$.")[2].rstrip("`") if "`$." in text else None
    return Refusal(400, f"Invalid request body: {text}", None, path)
