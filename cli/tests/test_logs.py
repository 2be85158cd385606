"""How logged requests are asked for, and explained on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelux_cli.api import Api
from modelux_cli.logs import list_logs, trace_lines

ROW: dict[str, object] = {
    "request_id": "req_a1b2c3",
    "requested_model": "@production",
    "model": "gpt-4o-mini",
    "latency_ms": 238.0,
    "ttft_ms": 138.4,
    "cost_usd": 0.002134,
    "charged_usd": 0.002134,
    "status": 200,
    "project_id": "proj_1",
    "config": "production",
    "config_version": 4,
    "trace": {
        "policy_type": "fallback",
        "selected": "gpt-4o-mini:openai",
        "selection_reason": "primary timeout, secondary healthy",
        "excluded": [{"model": "gemini-2.5-flash:google", "reason": "circuit open"}],
        "path": [],
        "attempts": [
            {
                "number": 1,
                "model": "claude-haiku-4-5:anthropic",
                "outcome": "timeout",
                "status": None,
                "latency_ms": 2000,
            },
            {
                "number": 2,
                "model": "gpt-4o-mini:openai",
                "outcome": "ok",
                "status": 200,
                "latency_ms": 238,
                "usage": {"input": 1000, "output": 247},
            },
        ],
        "measured": {"cost_usd": 0.002134, "output_cost_usd": 0.001947},
    },
}


def test_a_failover_is_told_in_plain_words() -> None:
    assert list(trace_lines(ROW)) == [
        "[modelux] req_a1b2c3 gpt-4o-mini 238ms $0.002134 200",
        "  attempt_1  claude-haiku-4-5:anthropic   timeout (2000ms)",
        "  attempt_2  gpt-4o-mini:openai           200 OK 238ms 1,247 tokens",
        "  excluded   gemini-2.5-flash:google      circuit open",
        "  decision: fallback -> attempt_2",
        "  reason: primary timeout, secondary healthy",
        "  cost: input $0.000187 + output $0.001947",
        "  latency: ttft_138ms ttlt_238ms",
        "  project: proj_1",
        "  config: @production (v4)",
    ]


def test_a_charge_beyond_the_cost_is_told() -> None:
    assert "  cost: input $0.000187 + output $0.001947; budgets were charged $0.500000" in list(
        trace_lines(ROW | {"charged_usd": 0.5})
    )


def test_a_request_without_an_answer_says_so() -> None:
    row = ROW | {"model": None, "status": 503, "trace": None, "ttft_ms": None, "config": None}
    lines = list(trace_lines(row))
    assert lines[0] == "[modelux] req_a1b2c3 - 238ms $0.002134 503"
    assert "  decision: - -> no answer" in lines
    assert lines[-1] == "  config: none (model '@production')"


def test_a_refused_request_names_the_refusal() -> None:
    row = ROW | {"model": None, "status": 404, "trace": None, "error_code": "model_not_found"}
    assert "  reason: model_not_found" in list(trace_lines(row))


def test_a_downgrade_is_told_with_the_budgets_that_were_seen() -> None:
    denied = {"number": 1, "model": "gpt-4o:openai", "outcome": "connect", "error_code": "budget_exceeded"}
    hop = {"policy_type": "budget", "policy_name": "", "chose": "gpt-4o-mini", "reason": "over budget"}
    seen = {"budget_id": "bud_1", "name": "runs", "cap_usd": 0.05, "spent_usd": 0.0495, "downgrade_to": "gpt-4o-mini"}
    trace = {"attempts": [denied | {"status": None, "latency_ms": 0}], "path": [hop], "saw": {"budgets": [seen]}}
    assert list(trace_lines(ROW | {"trace": trace}))[1:4] == [
        "  attempt_1  gpt-4o:openai                not sent: over budget",
        "  via        budget  -> gpt-4o-mini (over budget)",
        "  budget     runs                         $0.049500 of $0.050000, then gpt-4o-mini",
    ]


def test_an_unknown_price_is_not_said_to_be_nothing() -> None:
    attempts = [{"price_version": None}, {"price_version": "ceiling/100000000000"}]
    lines = list(trace_lines(ROW | {"cost_usd": None, "charged_usd": 0.1247, "attempt_log": attempts}))
    assert lines[0] == "[modelux] req_a1b2c3 gpt-4o-mini 238ms unknown 200"
    assert "  cost: unknown, as no price is known; charged $0.124700" in lines
    assert "  price: ceiling/100000000000" in lines


def test_an_imported_request_says_where_it_came_from_and_what_it_does_not_tell() -> None:
    lines = list(trace_lines(ROW | {"source": "litellm", "latency_ms": None, "ttft_ms": None}))
    assert lines[0] == "[modelux] req_a1b2c3 gpt-4o-mini - $0.002134 200"
    assert lines[-1] == "  imported: litellm"
    assert "  latency: ttlt_-" in lines
    assert list(trace_lines(ROW | {"source": "experiment"}))[-1] == "  called by: experiment"


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        pytest.param("team:search", "team:search", id="as the API takes it"),
        pytest.param("team=search", "team:search", id="as for budgets"),
        pytest.param("url=http://x/?a=b", "url:http://x/?a=b", id="a value with both signs"),
        pytest.param("url:http://x/?a=b", "url:http://x/?a=b", id="the same, as the API takes it"),
        pytest.param("team=", "team:", id="an empty value"),
        pytest.param("team", "team", id="no value: the API says what to mend"),
    ],
)
def test_a_tag_is_taken_with_either_sign(monkeypatch: pytest.MonkeyPatch, written: str, asked: str) -> None:
    seen: list[Mapping[str, Any] | None] = []

    def get(api: Api, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        seen.append(parameters)
        return {"data": []}

    monkeypatch.setattr(Api, "get", get)
    list_logs(Api("http://localhost", "key"), {"model": "gpt-4o"}, [written, "run_id=7"], as_json=True)
    assert seen == [{"model": "gpt-4o", "tag": [asked, "run_id:7"]}]
