"""Requests broken at random: whatever they are, no answer is a fault of ours, and the proxy goes on serving."""

from __future__ import annotations

import pytest
from badinput_fuzz import GOOD, barrage, broken


@pytest.mark.parametrize("good", range(len(GOOD)))
def test_the_requests_to_be_broken_are_good(live, good):
    assert live.raw(GOOD[good]).startswith((b"HTTP/1.1 200", b"HTTP/1.1 204", b"HTTP/1.1 100"))


def test_a_seed_always_breaks_the_same():
    assert [broken(seed) for seed in range(50)] == [broken(seed) for seed in range(50)]


def test_two_thousand_broken_requests_do_no_harm(live):
    counts = barrage(live, range(2000), 60.0)
    assert counts.total() >= 2000
    assert counts[200] > 100, counts
    assert counts[400] > 500, counts
    assert {400, 401, 404, 405} <= counts.keys(), counts


@pytest.mark.nightly
def test_very_many_broken_requests_do_no_harm(live):
    """As many of 200,000 as ten minutes allow."""
    counts = barrage(live, range(1_000_000, 1_200_000), 600.0)
    assert counts.total() > 20_000, counts
