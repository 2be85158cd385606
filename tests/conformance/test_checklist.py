"""The checklist itself: every behaviour has a test here, or a reason why it does not apply."""

from __future__ import annotations

import re
from pathlib import Path

CASES = 61
NOT_APPLICABLE = {
    12: "an error of a spend cap: there are no spend caps yet, so no request is blocked by one",
    59: "stream grammars of the Responses API and of /v1/messages: neither endpoint is served",
}
PARTLY = {
    7: "x-should-retry on a spend cap's error waits for spend caps; what exists of hopeless errors is tested",
    11: "Bedrock is not spoken to",
    38: "cutting max_tokens to what a budget has left waits for spend caps",
    57: "/v1/completions with array prompts, suffix and echo is not served, and says so",
    61: "the time to connect is not told apart from the time to the head of the answer",
}
"""What of an applicable behaviour has no test."""


def test_every_behaviour_has_a_test_or_a_reason():
    marked = {
        int(number)
        for path in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(r"@pytest\.mark\.conformance\((\d+)\)", path.read_text())
    }
    assert marked == set(range(1, CASES + 1)) - NOT_APPLICABLE.keys()
    assert len(marked) >= 55
    assert marked >= PARTLY.keys()
