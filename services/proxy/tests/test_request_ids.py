"""Request ids are UUIDv7s of our alphabet, unique and in the order of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelux_contracts.ids import as_uuid, time_ms
from modelux_proxy.request_ids import RequestIds


@given(st.integers(0, 2**48 - 1))
def test_they_hold_their_millisecond_and_are_version_seven(now_ms):
    made = RequestIds().next(now_ms)
    assert len(made) == 30
    assert time_ms(made) == now_ms
    assert as_uuid(made).version == 7


def test_they_are_unique_and_sort_by_time():
    ids = RequestIds()
    made = [ids.next(now_ms) for now_ms in range(1000) for _ in range(20)]
    assert len(set(made)) == len(made)
    assert [time_ms(each) for each in sorted(made)] == sorted(time_ms(each) for each in made)
