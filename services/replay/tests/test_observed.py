"""What a called experiment keeps of rows that it did not call."""

from __future__ import annotations

import pytest

from modelux_replay.called.observed import _same_answer

SAME = {
    "baseline_status": "ok",
    "candidate_status": "ok",
    "baseline_model": "gpt-4o",
    "candidate_model": "gpt-4o",
    "baseline_provider": "openai",
    "candidate_provider": "openai",
}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"candidate_status": "error"}, False),
        ({"baseline_status": "error"}, False),
        ({"baseline_model": "gemini-2.5-flash", "baseline_provider": "google"}, False),
        ({"candidate_provider": "azure"}, False),
    ],
)
def test_a_logged_answer_is_the_candidates_only_where_both_are_of_one_target(changed, same):
    assert _same_answer(SAME | changed) is same
