"""The policies that call one model after the other: what they try, in which order, and what they say of it."""

from __future__ import annotations

from typing import Any

import pytest

from routing_core.pricing import Price, ceiling
from routing_core.types import Answer, Target
from routing_core.world import Offer

FALLBACK = {
    "strategy": "fallback",
    "attempts": [
        {"model": "claude-haiku-4-5", "timeout_ms": 2000},
        {"model": "gpt-4o-mini", "timeout_ms": 3000},
        "gpt-4o",
    ],
}
HAIKU, MINI, BIG = "claude-haiku-4-5:anthropic", "gpt-4o-mini:openai", "gpt-4o:openai"


def why(played: Any) -> str:
    return str(played.trace.selection_reason)


def left_out(played: Any) -> dict[str, str]:
    return {excluded.model: excluded.reason for excluded in played.trace.excluded}


@pytest.mark.parametrize(
    ("script", "calls", "reason"),
    [
        pytest.param({}, [HAIKU], "primary healthy", id="takes the first success"),
        pytest.param(
            {HAIKU: "timeout"}, [HAIKU, MINI], "primary timeout, secondary healthy", id="falls back on a timeout"
        ),
        pytest.param({HAIKU: 429}, [HAIKU, MINI], "primary 429, secondary healthy", id="falls back on 429"),
        pytest.param({HAIKU: 529}, [HAIKU, MINI], "primary 529, secondary healthy", id="529 is a 5xx"),
        pytest.param({HAIKU: 408}, [HAIKU, MINI], "primary 408, secondary healthy", id="408 is a timeout"),
        pytest.param({HAIKU: 401}, [HAIKU, MINI], "primary 401, secondary healthy", id="a dead key falls back"),
        pytest.param({HAIKU: "cut"}, [HAIKU, MINI], "primary connection cut, secondary healthy", id="a cut is a 5xx"),
        pytest.param(
            {HAIKU: "invalid"}, [HAIKU, MINI], "primary invalid answer, secondary healthy", id="so is nonsense"
        ),
        pytest.param(
            {HAIKU: "connect", MINI: 503},
            [HAIKU, MINI, BIG],
            "primary connection failed, secondary 503, third healthy",
            id="goes on to the third",
        ),
    ],
)
def test_fallback_selects(stage: Any, script: Any, calls: list[str], reason: str) -> None:
    played = stage.play(FALLBACK, script)
    assert (played.calls, why(played)) == (calls, reason)
    assert played.trace.selected == calls[-1]
    assert played.trace.selected_attempt == len(calls)
    assert played.decision.policy_type == "fallback"


@pytest.mark.parametrize(
    ("script", "calls", "reason"),
    [
        pytest.param({HAIKU: 400}, [HAIKU], "primary 400; not a fault to retry", id="a bad request"),
        pytest.param({HAIKU: "cancelled"}, [HAIKU], "primary cancelled; not a fault to retry", id="the caller left"),
        pytest.param({HAIKU: 404}, [HAIKU], "primary 404; not a fault to retry", id="an unknown model"),
        pytest.param(
            {HAIKU: 500, MINI: 500, BIG: "timeout"},
            [HAIKU, MINI, BIG],
            "primary 500, secondary 500, third timeout; nothing left to try",
            id="all fail",
        ),
    ],
)
def test_fallback_fails(stage: Any, script: Any, calls: list[str], reason: str) -> None:
    played = stage.play(FALLBACK, script)
    assert (played.calls, why(played)) == (calls, reason)
    assert (played.decision.selected, played.decision.code) == (None, "attempts_failed")
    assert (played.trace.selected, played.trace.selected_attempt) == (None, None)
    assert len(played.run.outcomes) == len(calls)


@pytest.mark.parametrize(
    ("retry_on", "fault", "goes_on"),
    [
        (["429"], 429, True),
        (["429"], 503, False),
        ([503], 503, True),
        ([503], 502, False),
        (["5xx"], "timeout", False),
        (["timeout"], "timeout", True),
        (["timeout"], "connect", False),
        (["connect"], "connect", True),
        (["cut"], "cut", True),
        (["cut"], "invalid", False),
        (["invalid"], "invalid", True),
        (["429"], "cut", False),
        (["401"], 401, True),
        (["429"], 401, False),
        (["credentials"], 403, True),
        (["credentials"], 404, False),
        ([], 500, False),
    ],
)
def test_retry_on_decides_which_faults_go_on(stage: Any, retry_on: list[Any], fault: Any, goes_on: bool) -> None:
    played = stage.play({**FALLBACK, "retry_on": retry_on}, {HAIKU: fault})
    assert (len(played.calls) == 2) is goes_on


def test_attempts_carry_their_timeouts_and_reasons(stage: Any) -> None:
    played = stage.play(FALLBACK, {HAIKU: "timeout", MINI: 503})
    assert [step.attempts[0].timeout_ms for step in played.run.steps] == [2000, 3000, None]
    assert [attempt.reason for attempt in played.trace.attempts] == ["primary", "after timeout", "after 503"]
    assert [(c.model, c.rank, c.reason) for c in played.trace.candidates] == [
        (HAIKU, 1, "primary"),
        (MINI, 2, "fallback"),
        (BIG, 3, "fallback"),
    ]


def test_an_open_circuit_is_passed_over(stage: Any) -> None:
    stage.feel(HAIKU, "open")
    played = stage.play(FALLBACK)
    assert played.calls == [MINI]
    assert why(played) == "primary circuit open, secondary healthy"
    assert left_out(played) == {HAIKU: "circuit open"}


def test_a_half_open_circuit_may_be_probed(stage: Any) -> None:
    stage.feel(HAIKU, "probe")
    assert stage.play(FALLBACK).calls == [HAIKU]


def test_the_least_bad_is_tried_when_every_circuit_is_open(stage: Any) -> None:
    stage.feel(HAIKU, "open", errors=0.9)
    stage.feel(MINI, "open", p50=300, errors=0.6)
    stage.feel(BIG, "open", p50=200, errors=0.6)
    played = stage.play(FALLBACK)
    assert played.calls == [BIG]
    assert why(played) == "every circuit open, third healthy"
    assert played.trace.candidates[0].reason == "least bad, every circuit is open"
    assert left_out(played) == {HAIKU: "circuit open", MINI: "circuit open"}


@pytest.mark.parametrize(
    "doc",
    [
        pytest.param({**FALLBACK, "retry_on": ["429", "5xx", "timeout"]}, id="fallback"),
        pytest.param({**FALLBACK, "strategy": "cascade"}, id="cascade"),
    ],
)
def test_the_least_bad_open_circuit_is_tried_when_all_others_failed(stage: Any, doc: Any) -> None:
    stage.feel(HAIKU, "open", errors=0.3)
    stage.feel(MINI, "open", errors=0.02)
    played = stage.play(doc, {BIG: 503})
    assert played.calls == [BIG, MINI]
    assert why(played) == "primary circuit open, secondary circuit open, third 503, secondary as a last resort healthy"
    assert left_out(played) == {HAIKU: "circuit open", MINI: "circuit open"}
    assert [candidate.model for candidate in played.trace.candidates] == [BIG]


def test_a_doubted_answer_is_not_traded_for_an_open_circuit(stage: Any) -> None:
    stage.feel(BIG, "open")
    attempts = [{"model": "gpt-4o-mini", "confidence": {"json_valid": True}}, {"model": "gpt-4o"}]
    played = stage.play({"strategy": "cascade", "attempts": attempts}, {MINI: Answer("no JSON")})
    assert played.calls == [MINI]
    assert played.decision.selected == 0


@pytest.mark.parametrize("strategy", ["cost_optimized", "latency_optimized"])
def test_rankings_end_with_the_least_bad_open_circuit(stage: Any, strategy: str) -> None:
    names = {"cost_optimized": "allow", "latency_optimized": "models"}[strategy]
    stage.feel(MINI, "open", errors=0.5)
    stage.feel(BIG, "open", errors=0.1)
    played = stage.play({"strategy": strategy, names: ["gpt-4o-mini", "claude-haiku-4-5", "gpt-4o"]}, {HAIKU: 500})
    assert played.calls == [HAIKU, BIG]
    assert why(played).endswith(f"500, {BIG} as a last resort healthy")


def test_a_fault_that_is_not_retried_never_reaches_the_last_resort(stage: Any) -> None:
    stage.feel(HAIKU, "open")
    assert stage.play(FALLBACK, {MINI: 400}).calls == [MINI]


def test_a_circuit_that_opened_meanwhile_is_passed_over_whatever_is_retried(stage: Any) -> None:
    doc = {**FALLBACK, "retry_on": ["timeout"]}
    played = stage.play(doc, {HAIKU: "timeout", MINI: "circuit_open"})
    assert played.calls == [HAIKU, MINI, BIG]
    assert why(played) == "primary timeout, secondary circuit open, third healthy"


def test_unknown_models_are_left_out_and_said(stage: Any) -> None:
    played = stage.play({"strategy": "fallback", "attempts": ["gpt-9", "gpt-4o"]})
    assert played.calls == [BIG]
    assert left_out(played) == {"gpt-9": "no credential offers it"}
    assert why(played) == "primary not offered, secondary healthy"


def test_nothing_eligible_decides_without_an_attempt(stage: Any) -> None:
    played = stage.play({"strategy": "fallback", "attempts": [{"model": "gpt-4o", "provider_credential_id": "pc_x"}]})
    assert played.calls == []
    assert played.decision.code == "no_candidates"
    assert left_out(played) == {"gpt-4o": "credential pc_x does not offer it"}
    assert played.trace.measured.cost_usd == 0


@pytest.mark.parametrize("fault", [401, 402, 403, 429, "connect"])
def test_single_moves_to_the_next_credential_on_its_faults(stage: Any, fault: Any) -> None:
    stage.offer("gpt-4o:openai#pc_2")
    played = stage.play({"strategy": "single", "model": "gpt-4o"}, {"gpt-4o:openai#pc_openai": fault})
    assert [outcome.target.credential_id for outcome in played.run.outcomes] == ["pc_openai", "pc_2"]
    assert why(played).endswith("primary with credential pc_2 healthy")


@pytest.mark.parametrize("fault", [400, 404, 500, "timeout", "cut"])
def test_single_answers_with_any_other_fault(stage: Any, fault: Any) -> None:
    stage.offer("gpt-4o:openai#pc_2")
    played = stage.play("gpt-4o", {BIG: fault})
    assert played.calls == [BIG]
    assert played.decision.code == "attempts_failed"


def test_single_goes_through_three_credentials_at_most(stage: Any) -> None:
    for number in range(2, 7):
        stage.offer(f"gpt-4o:openai#pc_{number}")
    played = stage.play("gpt-4o", {BIG: 429})
    assert len(played.calls) == 3
    assert why(played).endswith("; nothing left to try")


def test_single_is_pinned_to_its_credential(stage: Any) -> None:
    stage.offer("gpt-4o:openai#pc_2")
    doc = {"strategy": "single", "model": "gpt-4o", "provider_credential_id": "pc_2", "timeout_ms": 700}
    played = stage.play(doc, {BIG: 429})
    assert [outcome.target.credential_id for outcome in played.run.outcomes] == ["pc_2"]
    assert played.run.steps[0].attempts[0].timeout_ms == 700


def test_single_reports_plainly(stage: Any) -> None:
    played = stage.play({"strategy": "single", "model": "gpt-4o"})
    assert why(played) == "the model asked for"
    assert why(stage.play("gpt-4o:openai", {BIG: 503})) == "gpt-4o:openai 503; nothing left to try"


def test_single_with_its_only_circuit_open_is_tried_all_the_same(stage: Any) -> None:
    stage.feel(BIG, "open")
    played = stage.play("gpt-4o")
    assert played.calls == [BIG]
    assert why(played) == "every circuit open, primary healthy"


def test_a_fallback_asks_the_same_model_at_another_provider_before_the_next_model(stage: Any) -> None:
    stage.offer("claude-haiku-4-5:anthropic#pc_2")
    stage.offer("claude-haiku-4-5:bedrock")
    played = stage.play(FALLBACK, {HAIKU: 503})
    assert played.calls == [HAIKU, "claude-haiku-4-5:bedrock"]
    assert why(played) == "primary 503, primary at bedrock healthy"


def test_cost_optimized_takes_the_cheapest_of_the_allowlist(stage: Any) -> None:
    doc = {"strategy": "cost_optimized", "allow": ["gpt-4o", "claude-haiku-4-5", "gpt-4o-mini"]}
    played = stage.play(doc)
    assert why(played) == "cheapest"
    assert [(c.model, c.rank, c.reason) for c in played.trace.candidates] == [
        (MINI, 1, "cheapest in allowlist"),
        (HAIKU, 2, "fallback"),
        (BIG, 3, "fallback"),
    ]
    assert why(stage.play(doc, {MINI: 503})) == "cheapest 503, second cheapest healthy"


def test_cost_optimized_leaves_out_with_reasons(stage: Any) -> None:
    stage.offer("tiny:local", 1, tier=1)
    stage.offer("mystery:local", None)
    stage.offer("short:local", 1, context=1200, can=("tools",))
    stage.offer("terse:local", 1, most_output=100, can=("tools",))
    stage.offer("embed:local", 1, can=("embeddings", "tools"))
    stage.offer("free:local", 1, can=("tools",))
    stage.feel("free:local", "open")
    stage.ask(needs=frozenset({"tools"}), max_tokens=500)
    played = stage.play({"strategy": "cost_optimized", "quality": "standard", "deny": ["gpt-4o-mini"]})
    assert played.calls == [HAIKU]
    assert why(played) == "cheapest with a closed circuit"
    assert played.trace.candidates[0].reason == "cheapest of quality standard or better"
    assert left_out(played) == {
        MINI: "denied",
        "tiny:local": "quality light is below standard",
        "mystery:local": "lacks tools",
        "short:local": "holds 1200 tokens of context, 1500 needed",
        "terse:local": "writes at most 100 tokens, 500 asked",
        "embed:local": "an embeddings model",
        "free:local": "circuit open",
    }


@pytest.mark.parametrize("price", [None, ceiling(1)], ids=["none", "a low ceiling"])
def test_cost_optimized_leaves_out_what_has_no_price(stage: Any, price: Price | None) -> None:
    stage.offers["mystery"] = (Offer(stage.target("mystery:local"), price),)
    played = stage.play({"strategy": "cost_optimized", "allow": ["mystery", "gpt-4o", "gpt-4o:openai", "gone"]})
    assert played.calls == [BIG]
    assert left_out(played) == {"mystery:local": "no price known", "gone": "no credential offers it"}


def test_cost_optimized_weighs_input_and_expected_output(stage: Any) -> None:
    reads, writes = Target("reads", "p", "pc"), Target("writes", "p", "pc")
    stage.offers = {
        "reads": (Offer(reads, Price(1_000_000_000, 9_000_000_000)),),
        "writes": (Offer(writes, Price(2_000_000_000, 1_000_000_000)),),
    }
    stage.ask(input_tokens=1000, max_tokens=10)
    assert stage.play({"strategy": "cost_optimized"}).calls == ["reads:p"]
    stage.ask(max_tokens=1000)
    assert stage.play({"strategy": "cost_optimized"}).calls == ["writes:p"]
    stage.ask(max_tokens=None)
    assert stage.play({"strategy": "cost_optimized", "expected_output_tokens": 10}).calls == ["reads:p"]
    stage.offers = {
        name: (Offer(o.target, o.price, capabilities=frozenset({"embeddings"})),) for name, (o,) in stage.offers.items()
    }
    stage.ask(endpoint="embeddings", needs=frozenset({"embeddings"}))
    assert stage.play({"strategy": "cost_optimized"}).calls == ["reads:p"]


def test_cost_optimized_is_for_embeddings_too(stage: Any) -> None:
    stage.offer("embed:openai", 1, can=("embeddings",))
    stage.ask(endpoint="embeddings", needs=frozenset({"embeddings"}))
    played = stage.play({"strategy": "cost_optimized"})
    assert played.calls == ["embed:openai"]
    assert left_out(played)[MINI] == "not an embeddings model"


def test_cost_optimized_keeps_one_place_per_model_and_provider(stage: Any) -> None:
    for number in range(2, 6):
        stage.offer(f"gpt-4o-mini:openai#pc_{number}")
    played = stage.play({"strategy": "cost_optimized"}, {MINI: 429})
    assert played.calls == [MINI, MINI, MINI, HAIKU]
    assert stage.play({"strategy": "cost_optimized"}, {MINI: 503}).calls == [MINI, HAIKU]


def test_cost_optimized_bounds_what_it_tries_and_lists(stage: Any) -> None:
    for number in range(40):
        stage.offer(f"m{number:02}:local", 5000 + number)
        stage.offer(f"x{number:02}:local", None)
    script = {f"{model}:local": 503 for model in stage.offers} | {HAIKU: 503, MINI: 503, BIG: 503}
    played = stage.play({"strategy": "cost_optimized"}, script)
    assert len(played.calls) == 10
    assert len(played.trace.excluded) == 21
    assert played.trace.excluded[-1].reason == "and 20 more"


def test_cost_optimized_panics_when_every_circuit_is_open(stage: Any) -> None:
    for name in (HAIKU, MINI, BIG):
        stage.feel(name, "open", errors=0.5 if name == BIG else 1)
    played = stage.play({"strategy": "cost_optimized"})
    assert played.calls == [BIG]
    assert why(played) == "every circuit open, gpt-4o:openai healthy"


def test_latency_optimized_prefers_the_faster(stage: Any) -> None:
    stage.feel(HAIKU, p50=900)
    stage.feel(MINI, p50=100)
    doc = {"strategy": "latency_optimized", "models": ["claude-haiku-4-5", "gpt-4o-mini"], "explore": 0}
    played = stage.play(doc)
    assert played.calls == [MINI]
    assert why(played) == f"faster of two drawn: p50 100 ms against 900 ms of {HAIKU}"
    assert played.trace.candidates[0].reason == why(played)
    assert 0 <= played.trace.saw.draw < 1
    assert why(stage.play(doc, {MINI: "timeout"})) == "fastest timeout, next fastest healthy"


def test_latency_optimized_measures_streams_by_their_first_token(stage: Any) -> None:
    stage.feel(HAIKU, p50=900)
    stage.feel(MINI, p50=100)
    stage.ask(stream=True)
    doc = {"strategy": "latency_optimized", "models": ["claude-haiku-4-5", "gpt-4o-mini"], "explore": 0}
    assert "ttft 100 ms" in why(stage.play(doc))
    assert "p50 100 ms" in why(stage.play({**doc, "metric": "p50"}))


def test_latency_optimized_explores_its_share(stage: Any) -> None:
    stage.feel(HAIKU, p50=100)
    stage.feel(MINI, p50=100, n=1)
    doc = {"strategy": "latency_optimized", "models": ["claude-haiku-4-5", "gpt-4o-mini"], "explore": 1}
    played = stage.play(doc)
    assert played.calls == [MINI]
    assert why(played) == f"exploration: {MINI} has 1 recent sample"


def test_latency_optimized_leaves_out_and_panics(stage: Any) -> None:
    stage.feel(HAIKU, "open")
    stage.ask(needs=frozenset({"vision"}))
    doc = {"strategy": "latency_optimized", "models": ["claude-haiku-4-5", "gpt-4o-mini", "gpt-4o", "gone"]}
    played = stage.play(doc)
    assert (played.calls, why(played)) == ([BIG], "only candidate")
    assert left_out(played)["gone"] == "no credential offers it"
    stage.feel(BIG, "open")
    assert why(stage.play(doc)) == f"every circuit open, {BIG} healthy"
    stage.offers = {}
    assert stage.play(doc).decision.code == "no_candidates"
