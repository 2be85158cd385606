"""Experiments that call their candidate, on the whole product: what is called, scored, shown, capped and cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from processes import until
from stack import Product, Project, suppress_unanswered

CALLS = 40
SLOW = 12


@pytest.fixture(scope="module")
def project(product: Product) -> Project:
    made = product.project("with responses", {"strategy": "single", "model": "gpt-4o"})
    bounds = product.manage(f"/projects/{made.id}", {"experimentSampleMin": 1}, method="PATCH")
    assert bounds.status == 200, bounds.body
    for number in range(CALLS):
        model = "gpt-4o-mini" if number % 4 == 0 else "@it"
        messages = [{"role": "user", "content": f"Call {number}"}]
        answer = product.chat(made.key, model=model, messages=messages, stream=number % 2 == 1, max_tokens=50)
        assert answer.status == 200, answer.body
    product.until_logged(made, CALLS)
    return made


def wanted(project: Project, **fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    window = {"windowStart": (now - timedelta(hours=1)).isoformat(), "windowEnd": now.isoformat()}
    candidate = {"candidatePolicy": "single", "candidateConfig": {"model": "gpt-4o-mini"}}
    calls = {"mode": "with_responses", "sample": {"size": 1_000}, "spendCapUsd": 1}
    return {"name": "are its answers good", "projectId": project.id, **window, **candidate, **calls, **fields}


def ended(product: Product, made: dict[str, Any]) -> dict[str, Any]:
    """The experiment at its end."""
    found: dict[str, Any] = {}

    def over() -> bool:
        found.update(product.manage(f"/experiments/{made['id']}").json()["data"])
        return found["status"] not in ("pending", "running")

    until(over, "the experiment ends", 90)
    return found


def rows_of(product: Product, found: dict[str, Any], **query: object) -> list[dict[str, Any]]:
    answer = product.manage(f"/experiments/{found['id']}/results", **query)
    assert answer.status == 200, answer.body
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def test_rows_that_change_are_called_scored_and_shown_with_both_answers(product: Product, project: Project) -> None:
    body = wanted(project, sample={"size": 1_000, "aaShare": 0.2})
    estimate = product.made("/experiments/preflight", {name: body[name] for name in body if name != "name"})
    assert (estimate["estimate"]["effectiveSampleSize"], estimate["estimate"]["calls"]) == (CALLS, 30)
    found = ended(product, product.made("/experiments", body))
    assert (found["status"], found["status_reason"], found["rows_done"]) == ("completed", "", CALLS)
    assert found["coverage"]["evidence"] == {"observed": 30, "reused": 10, "projected": 0, "not_evaluable": 0}
    assert 0 < found["spent_usd"] < found["spend_cap_usd"]
    rows = rows_of(product, found, sort="similarity_asc", limit=50, include="answers", evidence="observed")
    assert len(rows) == 30
    assert sum(row["repeat"] is not None for row in rows) == 6
    first = rows[0]
    assert 0 <= first["similarity"] <= rows[-1]["similarity"] <= 1
    assert first["answers"]["baseline"] != first["answers"]["candidate"]
    assert first["answers"]["baseline_trace"]["selected"].startswith("gpt-4o:")
    assert first["candidate_trace"]["selected"].startswith("gpt-4o-mini:")
    call = product.manage(f"/logs/{first['candidate_request_id']}").json()["data"]
    assert (call["source"], call["model"], call["cost_usd"]) == (
        "experiment",
        "gpt-4o-mini",
        first["candidate"]["cost_usd"],
    )
    assert {row["candidate"]["ttft_ms"] is not None for row in rows if row["row"] % 2} == {True}
    histogram = product.manage(f"/experiments/{found['id']}/similarity-histogram").json()["data"]
    assert histogram["scored"] == CALLS, "rows that keep the logged choice keep its answer"
    again = product.made("/experiments/preflight", wanted(project))
    assert again["estimate"]["rowCountInWindow"] == CALLS, "what experiments call is no traffic"


def test_a_cap_that_is_too_small_ends_the_run_and_is_not_crossed(product: Product, project: Project) -> None:
    estimate = product.made("/experiments/preflight", wanted(project))["estimate"]
    cap_usd = round(estimate["estimatedCostUsd"] / 2, 9)
    found = ended(product, product.made("/experiments", wanted(project, spendCapUsd=cap_usd)))
    assert found["status"] == "cancelled"
    assert "(spendCapUsd) was reached after " in found["status_reason"]
    assert found["spent_usd"] <= cap_usd
    spent = sum(row["candidate"]["cost_usd"] or 0 for row in rows_of(product, found, evidence="observed", limit=50))
    assert 0 < spent <= cap_usd
    assert found["stopped_early"]["called"] < 30


def test_a_cancelled_run_keeps_what_came_and_calls_no_more(product: Product) -> None:
    slow = product.project("slow responses", {"strategy": "single", "model": "gpt-4o"})
    product.manage(f"/projects/{slow.id}", {"experimentSampleMin": 1}, method="PATCH")
    for number in range(SLOW):
        messages = [{"role": "user", "content": f"Answer slowly, {number}"}]
        assert product.chat(slow.key, messages=messages, max_tokens=50).status == 200
    product.until_logged(slow, SLOW)
    made = product.made("/experiments", wanted(slow))
    until(lambda: product.manage(f"/experiments/{made['id']}").json()["data"]["status"] == "running", "it runs")
    assert product.manage(f"/experiments/{made['id']}/cancel", method="POST").status == 200
    found = ended(product, made)
    assert found["status"] == "cancelled"
    assert found["status_reason"].startswith("Cancelled by a caller after ")
    calls = product.manage("/logs", project_id=slow.id, source="experiment", limit=200).json()["data"]
    assert len(calls) == found["coverage"]["evidence"]["observed"]


@pytest.mark.nightly
def test_a_killed_process_calls_no_row_twice(product: Product) -> None:
    killed = product.project("killed", {"strategy": "single", "model": "gpt-4o"})
    product.manage(f"/projects/{killed.id}", {"experimentSampleMin": 1}, method="PATCH")
    for number in range(CALLS):
        messages = [{"role": "user", "content": f"Answer {'slowly' if number % 2 else 'now'}, {number}"}]
        assert product.chat(killed.key, messages=messages, max_tokens=50).status == 200
    product.until_logged(killed, CALLS)
    made = product.made("/experiments", wanted(killed))

    def logged() -> list[dict[str, Any]]:
        with suppress_unanswered():
            rows: list[dict[str, Any]] = product.manage(
                "/logs", project_id=killed.id, source="experiment", limit=200
            ).json()["data"]
            return rows
        return []

    until(logged, "calls are made")
    product.kill_child("config")
    until(product.settled, "everything is back", 60)
    found = ended(product, made)
    assert (found["status"], found["status_reason"]) == ("completed", ""), found
    evidence = found["coverage"]["evidence"]
    assert evidence["observed"] + evidence["not_evaluable"] == CALLS
    assert evidence["observed"] >= CALLS // 2
    until(lambda: len(logged()) == CALLS, "every call is in the log")
    rows = rows_of(product, found, limit=50)
    interrupted = [row for row in rows if row["candidate"]["error_code"] == "interrupted"]
    assert len(interrupted) == evidence["not_evaluable"]
    assert len({row["candidate_request_id"] for row in rows if row["candidate_request_id"]}) == evidence["observed"]
