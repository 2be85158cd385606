"""Request ids are UUIDv7s of our alphabet, unique and in the order of time."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from modelux_proxy.request_ids import RequestIds


def uuid_of(identifier: str) -> UUID:
    """The UUID inside an id, whose upper 48 bits are its millisecond."""
    value = 0
    for character in identifier[-26:]:
        value = value << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(character)
    return UUID(int=value)


@given(st.integers(0, 2**48 - 1))
def test_they_hold_their_millisecond_and_are_version_seven(now_ms):
    made = RequestIds().next(now_ms)
    assert len(made) == 30
    assert uuid_of(made).int >> 80 == now_ms
    assert uuid_of(made).version == 7


def test_they_are_unique_and_sort_by_time():
    ids = RequestIds()
    made = [ids.next(now_ms) for now_ms in range(1000) for _ in range(20)]
    assert len(set(made)) == len(made)
    assert [uuid_of(each).int >> 80 for each in sorted(made)] == [now_ms for now_ms in range(1000) for _ in range(20)]
