"""The guide's way on the whole product: replay what was logged, see the difference, promote, serve it, go back."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from processes import until
from spending import cli
from stack import Product, Project

CALLS = 40
LIVE_S = 1.0
"""A promoted version is served by then."""


@pytest.fixture(scope="module")
def project(product: Product) -> Project:
    made = product.project("experiments", {"strategy": "single", "model": "gpt-4o"})
    for number in range(CALLS):
        tags = {"run_id": f"run_{number // 4}", "agent": "research"}
        answer = product.chat(made.key, messages=[{"role": "user", "content": f"Call {number}"}], **{"mlx:tags": tags})
        assert answer.status == 200, answer.body
    product.until_logged(made, CALLS)
    return made


def wanted(project: Project, **fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    body = {"name": "switch to gpt-4o-mini", "projectId": project.id, "candidatePolicy": "single"}
    window = {"windowStart": (now - timedelta(hours=1)).isoformat(), "windowEnd": now.isoformat()}
    return {**body, **window, "candidateConfig": {"model": "gpt-4o-mini"}, **fields}


def completed(product: Product, body: dict[str, Any]) -> dict[str, Any]:
    """An experiment, run to its end."""
    made = product.made("/experiments", body)
    path = f"/experiments/{made['id']}"
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(product.manage(path).json()["data"])
        return found["status"] not in ("pending", "running")

    until(ended, "the experiment ends")
    assert (found["status"], found["status_reason"]) == ("completed", "")
    return found


def answers_as(product: Product, project: Project, model: str) -> Callable[[], bool]:
    return lambda: bool(product.chat(project.key).json()["model"].startswith(model))


def test_from_preflight_to_promotion_and_back(product: Product, project: Project) -> None:
    estimate = product.made("/experiments/preflight", wanted(project))
    assert estimate["estimate"]["rowCountInWindow"] >= CALLS
    found = completed(product, wanted(project))
    assert found["rows_done"] >= CALLS
    assert found["self_check"]["share"] == 1.0
    assert found["coverage"]["cost_weighted"] == 1.0
    assert found["baseline_summary"]["route_distribution"] == {"gpt-4o:openai": 1.0}
    assert found["candidate_summary"]["route_distribution"] == {"gpt-4o-mini:openai": 1.0}
    assert found["deltas"]["cost_usd"]["percent"]["upper"] < -80
    assert found["sentence"].startswith("cheaper by 9")
    assert found["runs"]["count"] == CALLS // 4
    path = f"/experiments/{found['id']}"
    rows = product.manage(f"{path}/results", sort="cost_delta_desc", limit=5).json()["data"]
    assert [row["evidence"] for row in rows] == ["projected"] * 5
    assert rows[0]["candidate_trace"]["selected"] == "gpt-4o-mini:openai"
    assert product.manage(f"/logs/{rows[0]['request_id']}").status == 200
    promoted = product.made(f"{path}/promote", {"slug": "it"})["promotion"]
    began_s = time.monotonic()
    until(answers_as(product, project, "gpt-4o-mini"), "the promoted version is served", LIVE_S, pause_s=0.01)
    assert time.monotonic() - began_s < LIVE_S
    scores = product.manage("/experiments/scorecard", project_id=project.id).json()["data"]
    assert scores["waiting"] == 1, "the promoted version has served next to nothing yet"
    told = cli(product, "rollback", "@it", "--project", project.id)
    assert told == f"@it:1 is live, in place of version {promoted['version']}\n"
    until(
        lambda: not answers_as(product, project, "gpt-4o-mini")(), "the version before is served", LIVE_S, pause_s=0.01
    )


def test_the_unchanged_config_over_its_own_window_changes_nothing(product: Product, project: Project) -> None:
    pinned = wanted(project, candidatePolicy="", candidateConfig="@it:1", filter={"tags": {"agent": "research"}})
    found = completed(product, pinned)
    assert found["coverage"]["evidence"] == {"observed": 0, "reused": CALLS, "projected": 0, "not_evaluable": 0}
    assert found["projection"] is None
    for name, delta in found["deltas"].items():
        assert delta["value"] == 0, name
    again = completed(product, pinned)
    assert again["deltas"] == found["deltas"]
    assert again["candidate_summary"] == found["candidate_summary"]
