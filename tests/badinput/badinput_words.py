"""Write request bodies as they should not be, and tables of them with the number of their case."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

HI = '"messages":[{"role":"user","content":"hi"}]'


def text(extra: str = "", model: str = '"gpt-4o"', messages: str = HI) -> bytes:
    """A body with members as they are written."""
    return f'{{"model":{model},{messages}{"," if extra else ""}{extra}}}'.encode()


def content(value: object, role: object = "user") -> str:
    return f'"messages":{json.dumps([{"role": role, "content": value}])}'


def image(url: str) -> str:
    return content([{"type": "image_url", "image_url": {"url": url}}])


def cases(name: str, code: str, bodies: Iterable[tuple[str, bytes]]) -> list[object]:
    return [pytest.param(body, code, id=f"{name} {what}") for what, body in bodies]


def fields(name: str, field: str, values: Iterable[str], code: str = "invalid_value") -> list[object]:
    return cases(name, code, ((f"{field} {value[:24]}", text(f'"{field}":{value}')) for value in values))
