"""The policies that read answers before they decide: cascade and ensemble."""

from __future__ import annotations

from typing import Any

import pytest

from routing_core.config import parse_policy
from routing_core.engine import Run
from routing_core.flow import Step
from routing_core.policies.answers import normalised
from routing_core.shapes import NamedPolicy
from routing_core.types import Answer, Outcome

HAIKU, MINI, BIG = "claude-haiku-4-5:anthropic", "gpt-4o-mini:openai", "gpt-4o:openai"


def cascade(**confidence: object) -> dict[str, object]:
    attempts = [{"model": "gpt-4o-mini", "timeout_ms": 2000, "confidence": confidence}, {"model": "gpt-4o"}]
    return {"strategy": "cascade", "attempts": attempts}


def ensemble(aggregation: str, *weights: float, **more: object) -> dict[str, object]:
    names = ["gpt-4o", "gpt-4o-mini", "claude-haiku-4-5"]
    members = [{"model": name, "weight": weight} for name, weight in zip(names, weights or (1, 1, 1), strict=True)]
    return {"strategy": "ensemble", "aggregation": aggregation, "members": members, "timeout_ms": 5000, **more}


def why(played: Any) -> str:
    return str(played.trace.selection_reason)


SURE, UNSURE = Answer("Paris", "stop", logprob_mean=-0.1), Answer("Paris?", "stop", logprob_mean=-2.5)


@pytest.mark.parametrize(
    ("rule", "answer", "doubt"),
    [
        pytest.param({"min_logprob_mean": -1}, SURE, "", id="log probabilities high enough"),
        pytest.param({"min_logprob_mean": -1}, UNSURE, "mean log probability -2.5 below -1", id="too low"),
        pytest.param({"min_logprob_mean": -1}, Answer("x"), "no log probabilities", id="not given"),
        pytest.param({"json": True}, Answer('{"a": [1, 2]}'), "", id="JSON"),
        pytest.param({"json_valid": True}, Answer("Sure! {}"), "not valid JSON", id="JSON with talk around it"),
        pytest.param({"json_valid": True}, Answer("[NaN]"), "not valid JSON", id="NaN is no JSON"),
        pytest.param({"json_valid": True}, Answer("[" * 100_000), "not valid JSON", id="nested too deep to read"),
        pytest.param({"json_valid": True}, Answer("9" * 5000), "not valid JSON", id="a number too long to read"),
        pytest.param({"no_refusal": True}, Answer("Gladly."), "", id="no refusal"),
        pytest.param({"no_refusal": True}, Answer("", refusal=True), "a refusal", id="the provider says so"),
        pytest.param({"no_refusal": True}, Answer("", "content_filter"), "a refusal", id="filtered"),
        pytest.param(
            {"no_refusal": True}, Answer(" I\u2019m sorry, but I can\u2019t do that."), "a refusal", id="in words"
        ),
        pytest.param({"matches": "^[A-Z]{2}-[0-9]+$"}, Answer("AB-12"), "", id="pattern found"),
        pytest.param({"matches": "^[A-Z]{2}-[0-9]+$"}, Answer("AB-x"), "pattern not matched", id="pattern not found"),
        pytest.param({"matches": "(a+)+$"}, Answer("a" * 40 + "b"), "pattern not matched", id="no backtracking"),
    ],
)
def test_a_confidence_rule_escalates_or_not(stage: Any, rule: Any, answer: Answer, doubt: str) -> None:
    played = stage.play(cascade(**rule), {MINI: answer})
    if doubt:
        assert played.calls == [MINI, BIG]
        assert why(played) == f"primary {doubt}, secondary healthy"
        assert played.trace.attempts[1].reason == f"after {doubt}"
    else:
        assert (played.calls, why(played)) == ([MINI], "primary confident")


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("Paris.\nConfidence: 0.9", ""),
        ("Paris. CONFIDENCE: **85%**", ""),
        ("confidence: 0.2 ... confidence: 1.", ""),
        ("Paris. Confidence: 0.5", "own score 0.5 below 0.8"),
        ("Paris. Confidence: 7/10", "no score of its own"),
        ("Paris. Confidence: 500%", "no score of its own"),
        ("Paris. Confidence: 1.2.3", "no score of its own"),
        ("Paris. Confidence: high", "no score of its own"),
        ("Paris.", "no score of its own"),
    ],
)
def test_an_answer_may_score_itself(stage: Any, text: str, doubt: str) -> None:
    played = stage.play(cascade(self_score={"marker": "Confidence:", "min": 0.8}), {MINI: Answer(text)})
    assert why(played) == (f"primary {doubt}, secondary healthy" if doubt else "primary confident")


def test_a_cascade_reads_whole_only_where_it_must(stage: Any) -> None:
    played = stage.play(cascade(json=True), {MINI: Answer("no")})
    assert [step.until for step in played.run.steps] == ["body", "head"]
    assert played.trace.attempts[0].answer.traits.json is False
    assert played.trace.attempts[1].answer is None


def test_a_cascade_goes_on_after_failures_like_a_fallback(stage: Any) -> None:
    assert why(stage.play(cascade(json=True), {MINI: 503})) == "primary 503, secondary healthy"
    stopped = stage.play(cascade(json=True), {MINI: 400})
    assert (stopped.decision.code, why(stopped)) == ("attempts_failed", "primary 400; not a fault to retry")
    stage.offers = {}
    assert stage.play(cascade(json=True)).decision.code == "no_candidates"


def test_the_last_answer_stands_though_it_misses_its_rule(stage: Any) -> None:
    attempts = [{"model": model, "confidence": {"json": True}} for model in ("gpt-4o-mini", "gpt-4o")]
    played = stage.play({"strategy": "cascade", "attempts": attempts}, {MINI: Answer("a"), BIG: Answer("b")})
    assert played.trace.selected == BIG
    assert why(played) == "primary not valid JSON, secondary not valid JSON; the last answer stands"


@pytest.mark.parametrize("fault", [503, 400, "timeout"])
def test_a_doubted_answer_stands_when_all_behind_it_fail(stage: Any, fault: Any) -> None:
    played = stage.play(cascade(json=True), {MINI: Answer("a"), BIG: fault})
    assert played.trace.selected == MINI
    assert why(played).endswith("; the last answer given stands")
    assert played.decision.selected == 0


def test_a_doubted_answer_skips_the_rest_of_its_key_pool(stage: Any) -> None:
    stage.offer("gpt-4o-mini:openai#pc_2")
    assert stage.play(cascade(json=True), {MINI: Answer("a")}).calls == [MINI, BIG]
    assert stage.play(cascade(json=True), {f"{MINI}#pc_openai": 429, f"{MINI}#pc_2": Answer("{}")}).calls == [
        MINI,
        MINI,
    ]


def test_a_cascade_says_which_circuits_are_open(stage: Any) -> None:
    stage.feel(MINI, "open")
    assert why(stage.play(cascade(json=True))) == "primary circuit open, secondary healthy"


def test_an_answer_that_was_not_read_is_not_believed(stage: Any) -> None:
    assert why(stage.play(cascade(json=True), {MINI: "ok"})) == "primary unread, secondary healthy"


@pytest.mark.parametrize(
    ("script", "selected", "reason"),
    [
        pytest.param(
            {BIG: Answer("Lyon"), MINI: Answer("Paris."), HAIKU: Answer(" paris")}, MINI, "2 of 3 agree", id="majority"
        ),
        pytest.param(
            {BIG: Answer("a"), MINI: Answer("b"), HAIKU: Answer("c")},
            BIG,
            "no two agree, member 1 with weight 1 of 3 stands",
            id="all differ",
        ),
        pytest.param(
            {BIG: 503, MINI: Answer("b"), HAIKU: "timeout"},
            MINI,
            "only member 2 answered; member 1 503, member 3 timeout",
            id="one answers",
        ),
        pytest.param(
            {BIG: Answer('{"a":1,"b":2}'), MINI: "cut", HAIKU: Answer('{"b": 2, "a": 1}')},
            BIG,
            "2 of 3 agree; member 2 connection cut",
            id="JSON is compared as JSON",
        ),
        pytest.param(
            {BIG: "ok", MINI: Answer("b"), HAIKU: Answer("B")}, MINI, "2 of 3 agree; member 1 unread", id="unread"
        ),
    ],
)
def test_voting(stage: Any, script: Any, selected: str, reason: str) -> None:
    played = stage.play(ensemble("voting"), script)
    assert (played.trace.selected, why(played)) == (selected, reason)
    (step,) = played.run.steps
    assert (step.mode, step.until, step.timeout_ms, len(step.attempts)) == ("all", "body", 5000, 3)


def test_weights_outvote_numbers(stage: Any) -> None:
    script = {BIG: Answer("a"), MINI: Answer("b"), HAIKU: Answer("b")}
    assert stage.play(ensemble("weighted", 3, 1, 1), script).trace.selected == BIG
    played = stage.play(ensemble("weighted_vote", 1.5, 1, 0.8), script)
    assert (played.trace.selected, why(played)) == (MINI, "1.8 of 3.3 agree")
    assert stage.play(ensemble("voting", 3, 1, 1), script).trace.selected == MINI
    assert [attempt.weight for attempt in played.run.steps[0].attempts] == [1.5, 1, 0.8]


def test_answers_that_are_not_valid_have_no_vote(stage: Any) -> None:
    script = {BIG: Answer("{}"), MINI: Answer("no"), HAIKU: Answer("no")}
    played = stage.play(ensemble("voting", valid={"json": True}), script)
    assert played.trace.selected == BIG
    assert why(played) == "only member 1 answered; member 2 not valid JSON, member 3 not valid JSON"
    none = stage.play(ensemble("voting", valid={"matches": "^x$"}), script)
    assert none.trace.selected == BIG
    assert why(none).startswith("no valid answer, member 1 stands; member 1 pattern not matched")


def test_first_valid_races(stage: Any) -> None:
    script = {BIG: "cancelled", MINI: Answer("{}"), HAIKU: "cancelled"}
    played = stage.play(ensemble("first_valid", valid={"json": True}), script)
    assert (played.trace.selected, why(played)) == (MINI, "first valid answer: member 2")
    (step,) = played.run.steps
    assert (step.mode, step.until) == ("race", "body")
    target = stage.target(MINI)
    assert step.accept is not None
    assert step.accept(Outcome(target, "ok", answer=Answer("[]")))
    assert not step.accept(Outcome(target, "ok", answer=Answer("no")))
    assert not step.accept(Outcome(target, "ok"))
    assert not step.accept(Outcome(target, "timeout"))


def test_first_valid_without_a_rule_takes_the_first_answer(stage: Any) -> None:
    played = stage.play(ensemble("first_valid"), {BIG: 500, MINI: Answer("x"), HAIKU: "cancelled"})
    assert why(played) == "first answer: member 2; member 1 500"
    assert played.run.steps[0].accept is None


def test_first_valid_falls_back_on_an_answer_that_is_not(stage: Any) -> None:
    script = {BIG: 500, MINI: Answer("x"), HAIKU: "timeout"}
    played = stage.play(ensemble("first_valid", valid={"json": True}), script)
    assert played.trace.selected == MINI
    expected = "no valid answer, member 2 stands; member 1 500, member 2 not valid JSON, member 3 timeout"
    assert why(played) == expected


@pytest.mark.parametrize("aggregation", ["voting", "weighted", "first_valid"])
def test_an_ensemble_without_any_answer_fails(stage: Any, aggregation: str) -> None:
    played = stage.play(ensemble(aggregation), {BIG: 500, MINI: "timeout", HAIKU: 429})
    assert played.decision.code == "attempts_failed"
    assert why(played) == "no member answered; member 1 500, member 2 timeout, member 3 429"
    stage.offers = {}
    assert stage.play(ensemble(aggregation)).decision.code == "no_candidates"


def test_an_ensemble_leaves_out_who_cannot_answer(stage: Any) -> None:
    stage.feel(BIG, "open")
    del stage.offers["claude-haiku-4-5"]
    played = stage.play(ensemble("voting"), {MINI: Answer("x")})
    assert played.calls == [MINI]
    assert {e.model: e.reason for e in played.trace.excluded} == {
        BIG: "circuit open",
        "claude-haiku-4-5": "no credential offers it",
    }
    stage.feel(MINI, "open", errors=1)
    panicked = stage.play(ensemble("voting"), {BIG: Answer("x")})
    assert (panicked.calls, why(panicked)) == ([BIG], "every circuit open, only member 1 answered")


def test_an_ensemble_may_ask_one_model_several_times(stage: Any) -> None:
    played = stage.play({"strategy": "ensemble", "members": ["gpt-4o"] * 3}, {BIG: Answer("x")})
    assert played.calls == [BIG] * 3
    assert why(played) == "3 of 3 agree"


def test_equal_answers_of_different_requests_have_different_digests(stage: Any) -> None:
    script = {name: Answer("yes") for name in (BIG, MINI, HAIKU)}
    one = stage.play(ensemble("voting"), script).trace.attempts[0].answer.traits.digest
    stage.ask(request_id="req_2")
    assert one != stage.play(ensemble("voting"), script).trace.attempts[0].answer.traits.digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes.", " yes"),
        ("\u201cA\u201d \n B", "\u201ca\u201d b"),
        ("{broken", "{BROKEN"),
        ("\ufb01ne", "fine"),
        ("[1, 2]", "[1,2]"),
    ],
)
def test_normalised_texts_are_equal(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("42", "43"), ("a b", "ab"), ("[1,2]", "[2,1]"), ("-1", "1")])
def test_normalised_texts_differ(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_a_tool_call_is_no_empty_answer(stage: Any) -> None:
    script = {BIG: Answer("", tool_calls=1), MINI: Answer(""), HAIKU: Answer("")}
    assert stage.play(ensemble("voting"), script).trace.selected == MINI


def test_a_broken_driver_is_told(stage: Any) -> None:
    run = Run(NamedPolicy("", 0, parse_policy(ensemble("voting"))), stage.request, stage.world())
    assert isinstance(run.start(), Step)
    with pytest.raises(ValueError, match="1 outcomes for a step of 3"):
        run.send([Outcome(stage.target(BIG), "ok")])
