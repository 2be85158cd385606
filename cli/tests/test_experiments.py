"""`modelux experiments` against an API that takes experiments as the product does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import Server, experiment_server, record, replayed, run


@pytest.fixture
def server() -> Iterator[Server]:
    with experiment_server() as serving:
        yield serving


def test_create_prints_the_id_alone(server: Server) -> None:
    words = ("--start", "2026-04-10T00:00:00Z", "--end", "2026-04-17T00:00:00Z", "--hypothesis", "cheaper by 30 %")
    assert run(server, "experiments", "create", "--config=gpt-4o-mini", *words).output == "sim_1\n"
    assert server.bodies == [
        {
            "candidatePolicy": "single",
            "candidateConfig": {"model": "gpt-4o-mini"},
            "windowStart": "2026-04-10T00:00:00Z",
            "windowEnd": "2026-04-17T00:00:00Z",
            "projectId": "proj_1",
            "name": "gpt-4o-mini over 2026-04-10T00:00:00Z to 2026-04-17T00:00:00Z",
            "hypothesis": "cheaper by 30 %",
        }
    ]


def test_calls_are_asked_for_as_the_api_takes_them(server: Server) -> None:
    window = ("--config=gpt-4o-mini", "--start", "2026-04-10T00:00:00Z")
    sample = ("--sample=1000", "--method=stratified", "--sample-tag=agent", "--aa-share=0.1", "--call-unchanged")
    run(server, "experiments", "create", *window, *sample, "--spend-cap=$0.05")
    run(server, "experiments", "create", *window, "--pilot=50", "--spend-cap=1")
    called, piloted = server.bodies
    assert (called["mode"], called["spendCapUsd"]) == ("with_responses", "0.05")
    choice = {"method": "stratified", "tag": "agent", "callUnchanged": True, "aaShare": 0.1}
    assert called["sample"] == {"size": 1_000, **choice}
    assert (piloted["pilot"], piloted["spendCapUsd"]) == ({"size": 50}, "1")
    assert "mode" not in piloted
    for wrong in (("--sample=1000", "--pilot=50"), ("--method=random",)):
        assert run(server, "experiments", "create", *window, *wrong).exit_code == 2


def test_success_criteria_are_sent_as_the_api_takes_them(server: Server) -> None:
    words = ("--pass-if", "error_rate_delta_pct <= 1", "--pass-if=similarity_pct_above_threshold@0.9 >= 80")
    for more in ((), ("--any", "--min-sample=200")):
        shown = run(server, "experiments", "create", "--config=gpt-4o-mini", *words, *more)
        assert shown.exit_code == 0, shown.output
    similar = {"metric": "similarity_pct_above_threshold", "op": ">=", "value": 80.0, "params": {"threshold": 0.9}}
    predicates = [{"metric": "error_rate_delta_pct", "op": "<=", "value": 1.0}, similar]
    assert [body["successCriteria"] for body in server.bodies] == [
        {"logic": "and", "predicates": predicates},
        {"logic": "or", "predicates": predicates, "min_sample_size": 200},
    ]
    assert run(server, "experiments", "create", "--config=gpt-4o-mini", "--pass-if=cheaper").exit_code == 2


def test_a_verdict_is_told_with_its_sentence_and_each_criterion(server: Server) -> None:
    criteria = {"logic": "and", "predicates": [{"metric": "error_rate_delta_pct", "op": "<=", "value": 1}] * 2}
    found = record("running") | {"success_criteria": criteria}
    server.looks = [found]
    told = "  passes if: error_rate_delta_pct <= 1 and error_rate_delta_pct <= 1"
    assert run(server, "experiments", "show", "sim_1").output.splitlines()[-1] == told
    each = [{"outcome": "fail", "sentence": "broken: 13 [10, 17]"}, {"outcome": "pass", "sentence": "it holds"}]
    found["verdict_facts"] = {"verdict": "fail", "sentence": "Fail: broken: 13 [10, 17].", "predicates": each}
    lines = [told, "    fail: broken: 13 [10, 17]", "    pass: it holds", "  verdict: Fail: broken: 13 [10, 17]."]
    assert run(server, "experiments", "show", "sim_1").output.splitlines()[-4:] == lines
    assert run(server, "experiments", "get", "sim_1").output.splitlines()[-4:] == lines


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["preflight", "--config=@agent-v3", "--sample=1000"],
            [
                "81 requests in the window, 81 of them replayed, 60 called",
                "estimated cost $0.0003, $0.000005 a call",
                "comparing the answers $0.0000016 more",
                "suggested: --spend-cap 0.05; the project allows $50.00",
                "the cap is below 1.5 times the estimate: it may end the experiment early",
                "likely to show changes of the mean cost from 7.1% and of rates from 4.2 percentage points on",
                "Nothing is spent.",
            ],
        ),
        (
            ["preflight", "--config=@agent-v3"],
            ["81 requests in the window, 81 of them replayed", "estimated cost $0.00", "Nothing is spent."],
        ),
        (["cancel", "sim_1"], ["sim_1 is cancelled"]),
        (
            ["promote", "sim_1"],
            ["@production:7 is live", "  to go back: modelux rollback cfg_1"],
        ),
    ],
)
def test_what_is_done_is_told(server: Server, words: list[str], lines: list[str]) -> None:
    assert run(server, "experiments", *words).output.splitlines() == lines
    assert run(server, "experiments", *words, "--json").output.startswith("{")


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ([], {}),
        (["--to", "@support", "--note", "why"], {"slug": "@support", "note": "why"}),
        (["--to", "cfg_9", "--ab-test", "0.1"], {"routingConfigId": "cfg_9", "mode": "ab_test", "weight": 0.1}),
        (["--ab-test", "0"], {"mode": "ab_test", "weight": 0.0}),
    ],
)
def test_promote_sends_what_was_meant(server: Server, words: list[str], body: dict[str, Any]) -> None:
    shown = run(server, "experiments", "promote", "sim_1", *words)
    assert shown.exit_code == 0, shown.output
    assert server.bodies == [body]
    assert ("for 10% of the traffic" in shown.output) == ("0.1" in words)


def test_an_experiment_is_shown_with_what_it_found(server: Server) -> None:
    found = record(summary=replayed())
    found["hypothesis"] = "cheaper by 30 %"
    found["promotions"] = [{"slug": "production", "version": 7, "mode": "replace", "at": "2026-04-18T00:00:00Z"}]
    server.looks = [found]
    lines = run(server, "experiments", "show", "sim_1").output.splitlines()
    assert lines[:5] == [
        "sim_1  cheaper  completed",
        "  hypothesis: cheaper by 30 %",
        "  candidate: @agent-v3:4",
        "  only: tag agent=research-v2",
        "  promoted: @production:7, 2026-04-18T00:00:00Z",
    ]
    assert any(line.startswith("  mean cost/request") for line in lines)
    assert json.loads(run(server, "experiments", "show", "sim_1", "--json").output) == found


def test_one_under_way_tells_how_far_it_is(server: Server) -> None:
    lines = run(server, "experiments", "show", "sim_1").output.splitlines()
    assert lines[0] == "sim_1  cheaper  running, 25%"
    assert lines[-1] == "  window: 2026-04-10T00:00:00Z to 2026-04-17T00:00:00Z"
    server.looks = [record("failed", status_reason="the log cannot be read")]
    assert "failed: the log cannot be read" in run(server, "experiments", "show", "sim_1").output


def test_escalations_are_told_as_bounds(server: Server) -> None:
    found = record(summary=replayed())
    found["cost_bounds"] = {"lowest_total_cost_usd": 0.25, "highest_total_cost_usd": 1.5}
    server.looks = [found]
    shown = run(server, "experiments", "show", "sim_1").output
    assert "  escalations: the candidate costs $0.2500 to $1.5000 in all, by how many calls escalate" in shown


def test_experiments_are_listed_by_their_candidates(server: Server) -> None:
    server.looks = [
        record("running", rows_done=100) | {"candidate_reference": None, "candidate_config": {"model": "gpt-4o"},
                                            "candidate_policy": "single"},
    ]  # fmt: skip
    lines = run(server, "experiments", "list", "--status", "running").output.splitlines()
    assert [line.split()[:6] for line in lines[:2]] == [
        ["ID", "NAME", "STATUS", "CANDIDATE", "WINDOW", "REQUESTS"],
        ["sim_1", "cheaper", "running", "25%", "single", "gpt-4o"],
    ]
    assert len(lines) == 4
    assert server.asked[-1][1] == "/experiments?status=running&limit=50"


def test_results_are_read_over_as_many_pages_as_it_takes(server: Server) -> None:
    shown = run(server, "experiments", "results", "sim_1", "--limit", "410", "--sort", "cost_delta_desc")
    lines = shown.output.splitlines()
    assert len(lines) == 411
    assert lines[0].split() == ["TIME", "REQUEST", "EVIDENCE", "CURRENT", "CANDIDATE", "COST", "CHANGE", "LATENCY",
                                "CHANGE", "SIMILARITY"]  # fmt: skip
    assert lines[-1].split() == ["2026-04-10T00:00:00Z", "req_409", "projected", "gpt-4o", "gpt-4o-mini", "(timeout)",
                                 "$0.000120", "-$0.00188", "-", "-", "-"]  # fmt: skip
    paths = [path.partition("?")[2] for _, path, _ in server.asked]
    first = "sort=cost_delta_desc&limit="
    assert paths == [f"{first}200", f"{first}200&cursor=200", f"{first}10&cursor=400"]
    assert len(json.loads(run(server, "experiments", "results", "sim_1", "--limit", "1000", "--json").output)) == 450


def test_answers_are_asked_for_in_pages_of_fifty(server: Server) -> None:
    shown = run(server, "experiments", "results", "sim_1", "--answers", "--limit", "70")
    assert shown.output.count("CANDIDATE gpt-4o-mini") == 70
    paths = [path.partition("?")[2] for _, path, _ in server.asked]
    first = "sort=timestamp_desc&include=answers&limit="
    assert paths == [f"{first}50", f"{first}20&cursor=50"]


def test_filters_of_results_reach_the_api(server: Server) -> None:
    words = ("--status", "error", "--evidence", "projected", "--model", "m", "--run", "r", "--min-similarity", "0",
             "--max-similarity", "0.6")  # fmt: skip
    assert run(server, "experiments", "results", "sim_1", *words).exit_code == 0
    assert dict(parse_qsl(server.asked[0][1].partition("?")[2])) == {
        "sort": "timestamp_desc",
        "candidate_status": "error",
        "evidence": "projected",
        "candidate_model": "m",
        "run": "r",
        "min_similarity": "0.0",
        "max_similarity": "0.6",
        "limit": "20",
    }


def test_the_histogram_leads_with_its_headline(server: Server) -> None:
    lines = run(server, "experiments", "histogram", "sim_1", "--threshold", "0.9").output.splitlines()
    assert lines[0] == "73% agreement (≥0.9) over 100 scored pairs"
    assert lines[1] == "  0.0-0.1         0"
    assert lines[6] == "  0.5-0.6         1 #"
    assert lines[10] == f"  0.9-1.0        63 {'#' * 56}"
    assert lines[11:] == ["  agreement 73.0%, 95% interval [63.6, 80.7]", "  mean 0.871; 10 pairs are not scored"]


def test_an_id_stays_within_its_path(server: Server) -> None:
    run(server, "experiments", "show", "../keys")
    assert server.asked == [("GET", "/experiments/..%2Fkeys", None)]
