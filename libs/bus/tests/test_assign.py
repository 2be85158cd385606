"""Partitions are spread evenly, completely, and with as few moves as possible."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_bus.assign import assign, partition_of
from modelux_bus.base import Partition


def places(topic: str, count: int) -> list[Partition]:
    return [Partition(topic, number) for number in range(count)]


@pytest.mark.parametrize(
    ("members", "count", "loads"),
    [
        pytest.param("a", 4, [4], id="one takes all"),
        pytest.param("ab", 4, [2, 2], id="two share"),
        pytest.param("abc", 4, [2, 1, 1], id="as even as it goes"),
        pytest.param("abcde", 3, [1, 1, 1, 0, 0], id="more members than partitions"),
        pytest.param("", 3, [], id="nobody there"),
    ],
)
def test_spreads_evenly(members: str, count: int, loads: list[int]) -> None:
    answer = assign({member: ["t"] for member in members}, places("t", count), {})
    counted = Counter(answer.values())
    assert [counted[member] for member in members] == loads


def test_a_member_gets_only_topics_that_it_reads() -> None:
    members = {"a": ["x"], "b": ["x", "y"]}
    answer = assign(members, places("x", 2) + places("y", 3) + places("z", 1), {})
    assert answer == {**dict.fromkeys(places("x", 2), "a"), **dict.fromkeys(places("y", 3), "b")}


@given(
    st.integers(1, 20), st.sets(st.sampled_from("abcdefg"), min_size=1), st.sets(st.sampled_from("abcdefg"), min_size=1)
)
def test_a_change_moves_no_more_than_it_must(count: int, before: set[str], after: set[str]) -> None:
    first = assign({member: ["t"] for member in before}, places("t", count), {})
    second = assign({member: ["t"] for member in after}, places("t", count), first)
    assert second.keys() == set(places("t", count))
    loads = Counter(second.values())
    assert max(loads.values()) - min(loads[member] for member in after) <= 1
    assert second == assign({member: ["t"] for member in sorted(after)}, places("t", count)[::-1], first)
    stayed = sum(first[place] == second[place] for place in first)
    share = count // len(after)
    held = Counter(first.values())
    # Each staying member may keep what it has up to its new share, and with luck one more.
    assert stayed >= sum(min(held[member], share) for member in before & after)
    if before == after:
        assert first == second


@given(st.binary(), st.integers(1, 64))
def test_equal_keys_share_a_partition_in_range(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, partitions) == partition_of(bytes(key), partitions)
