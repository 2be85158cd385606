"""Edits change what they mean to change and no other byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.dialects import edit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=6)


def written(value: object, ascii_only: bool, indent: int | None) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")


@settings(deadline=None, derandomize=True)
@given(OBJECTS, st.booleans(), st.sampled_from([None, 0, 3]))
def test_members_stand_where_they_are_said_to(value: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    body = b" \n" + written(value, ascii_only, indent) + b"\t"
    found = edit.members(body)
    assert all(body[start : start + 1] == b'"' for _, start, _, _ in found)
    if ascii_only:
        assert [key for key, *_ in found] == list(value)
    assert [json.loads(body[value_at:end]) for _, _, value_at, end in found] == list(value.values())


@settings(deadline=None, derandomize=True)
@given(OBJECTS, st.data())
def test_without_leaves_the_rest_and_its_commas(value: dict[str, object], data: st.DataObject) -> None:
    ascii_keys = {f"k{place}": each for place, each in enumerate(value.values())}
    gone = data.draw(st.sets(st.sampled_from(sorted(ascii_keys)))) if ascii_keys else set()
    body = written(ascii_keys, True, None)
    left = json.loads(edit.without(body, *gone))
    assert list(left.items()) == [(key, each) for key, each in ascii_keys.items() if key not in gone]


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        pytest.param(b'{"a":1,"a":[2,{"a":3}]}', ["a", "a"], id="duplicates"),
        pytest.param(b'{"\\u0061":1,"b":2}', ["a", "b"], id="escaped key"),
        pytest.param(b'{"s":"\\ud83d","b":2}', ["s", "b"], id="lone surrogate"),
        pytest.param(b'{"n":' + b"1" * 6000 + b',"f":1e999}', ["n", "f"], id="a huge number"),
        pytest.param(b" { } ", [], id="empty"),
        pytest.param(b'{"a:\\"b":1 , "c" : "}" }', ['a:"b', "c"], id="punctuation in strings"),
    ],
)
def test_odd_objects(body: bytes, keys: list[str]) -> None:
    assert [key for key, *_ in edit.members(body)] == keys


@pytest.mark.parametrize("body", [b"[]", b"", b"null", b'{"a" 1}', b'{"a":1', b'{"a":1 "b":2}', b"{1:2}", b'{"a":}'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # json's own errors are ValueErrors too
        edit.members(body)
