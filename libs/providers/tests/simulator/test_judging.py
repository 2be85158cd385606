"""The simulator as a judge of two answers."""

from __future__ import annotations

import json

import pytest

from experiment_core.judge.canaries import KINDS, canary
from experiment_core.judge.envelope import ORDERS, Case, Reply, question, read
from modelux_providers.simulator.judging import judged
from modelux_providers.simulator.words import Ask

SECRET = bytes(range(16))
GOOD = "Boil it for about six minutes, then put it into cold water and peel it with patience and care."


def said(baseline: str, candidate: str, pair: str = "1") -> set[str]:
    """What the judge says of the candidate, in each order."""
    found = set()
    for order in ORDERS:
        asked = question(Case("How?", baseline, candidate), "Be fair.", order, SECRET, pair)
        text = "\n".join(each.content for each in asked.messages)
        ask = Ask("openai", "chat", "judge", text=text, schema=json.dumps(asked.schema()).encode())
        reply = read(asked, judged(ask) or "")
        assert isinstance(reply, Reply)
        found.add(reply.said)
    return found


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [
        ("[[quality 3]] a", "[[quality 4]] b", "better"),
        ("[[quality 4]] a", "[[quality 3]] b", "worse"),
        ("[[quality 4]] a", "[[quality 4]] b", "equivalent"),
        (GOOD, GOOD, "equivalent"),
        (GOOD, "Boil it for about six", "worse"),
    ],
)
def test_the_texts_decide_and_not_their_order(baseline: str, candidate: str, verdict: str) -> None:
    assert said(baseline, candidate) == {verdict}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [str(number) for number in range(30)])
@pytest.mark.parametrize("words", [12, 15, 19])
def test_canaries_are_seen_through(kind, seed: str, words: int) -> None:
    made = canary(kind, Case("How?", " ".join(GOOD.split()[:words]), ""), seed)
    assert made is not None
    assert said(made.case.baseline, made.case.candidate) == {made.expected}


def test_other_answers_are_judged_alike_in_both_orders() -> None:
    verdicts = [said(GOOD, f"Steam number {number} gives another result altogether.") for number in range(40)]
    assert all(len(each) == 1 for each in verdicts)
    assert {each for one in verdicts for each in one} == {"better", "equivalent", "worse"}


@pytest.mark.parametrize("schema", [None, b"{", b"{}", b'{"properties": {"verdict": {"enum": ["a", "b"]}}}'])
def test_what_is_no_question_of_a_judge_is_left_to_others(schema: bytes | None) -> None:
    assert judged(Ask("openai", "chat", "judge", text="hi", schema=schema)) is None
