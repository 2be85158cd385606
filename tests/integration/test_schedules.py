"""Schedules on the whole product: created over REST, fired, judged by their criteria, and told on the bus."""

from __future__ import annotations

from typing import Any

import pytest
from processes import until
from stack import Product, Project

CALLS = 120
CHEAPER = {"metric": "cost_delta_pct", "op": "<=", "value": 0}


@pytest.fixture(scope="module")
def project(product: Product) -> Project:
    made = product.project("schedules", {"strategy": "single", "model": "gpt-4o"})
    for number in range(CALLS):
        answer = product.chat(made.key, messages=[{"role": "user", "content": f"Call {number}"}])
        assert answer.status == 200, answer.body
    product.until_logged(made, CALLS)
    return made


def wanted(project: Project, **fields: Any) -> dict[str, Any]:
    experiment = {"candidatePolicy": "single", "candidateConfig": {"model": "gpt-4o-mini"}}
    criteria = {"logic": "and", "min_sample_size": 50, "predicates": [CHEAPER]}
    body = {"name": "mini stays cheaper", "projectId": project.id, "cron": "0 6 * * MON-FRI", "window": "1h"}
    return {**body, "timeZone": "Europe/Berlin", "experiment": experiment, "successCriteria": criteria, **fields}


def ended(product: Product, identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(product.manage(f"/experiments/{identifier}").json()["data"])
        return found["status"] not in ("pending", "running")

    until(has_ended, "the experiment ends")
    return found


def test_from_creation_to_verdict_and_deletion(product: Product, project: Project) -> None:
    made = product.made("/experiment-schedules", wanted(project, alarm={"failures": 2, "of": 3}))
    path = f"/experiment-schedules/{made['id']}"
    assert (made["window"], made["time_zone"], made["paused"]) == ("1h", "Europe/Berlin", False)
    assert (made["alarm"], made["judge"], made["last_verdict"]) == ({"failures": 2, "of": 3}, None, None)
    assert made["next_at"] is not None
    fired = product.made(f"{path}/fire", {})
    assert fired["schedule_id"] == made["id"]
    found = ended(product, fired["id"])
    assert (found["status"], found["verdict"]) == ("completed", "pass"), found["verdict_facts"]
    assert found["success_criteria"] == wanted(project)["successCriteria"]
    assert found["verdict_facts"]["sentence"].startswith("Pass: cost_delta_pct <= 0 holds: -9")
    shown = product.manage(path).json()["data"]
    assert (shown["last_experiment_id"], shown["last_verdict"], shown["runs"]) == (fired["id"], "pass", 1)
    listed = product.manage(f"{path}/experiments").json()["data"]
    assert [(each["id"], each["verdict"]) for each in listed] == [(fired["id"], "pass")]
    paused = product.manage(f"{path}/pause", {}).json()["data"]
    assert (paused["paused"], paused["next_at"]) == (True, None)
    assert product.manage(f"{path}/resume", {}).json()["data"]["next_at"] is not None
    changed = product.manage(path, wanted(project, cron="30 7 * * *"), method="PUT").json()["data"]
    assert (changed["cron"], changed["alarm"]) == ("30 7 * * *", {"failures": 1, "of": 1})
    assert product.manage(path, method="DELETE").status == 200
    assert product.manage(path).status == 404
    assert product.manage(f"/experiments/{fired['id']}").status == 200


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"timeZone": "Mars"}, "timeZone"),
        ({"window": "a week"}, "window"),
        ({"window": "999d"}, "window"),
        ({"experiment": {"candidatePolicy": "single"}}, "experiment.candidateConfig"),
        ({"experiment": {"windowStart": "2026-04-10T00:00:00Z"}}, "experiment.windowStart"),
        ({"successCriteria": {"predicates": [{**CHEAPER, "op": "=="}]}}, "successCriteria.predicates[0].op"),
        ({"alarm": {"failures": 3, "of": 2}}, "alarm.failures"),
        ({"id": "sch_mine"}, "id"),
    ],
)
def test_refusals_name_the_field(product: Product, project: Project, fields: dict[str, Any], field: str) -> None:
    answer = product.manage("/experiment-schedules", wanted(project, **fields))
    assert answer.status == 422, answer.body
    assert answer.json()["errors"][0]["field"] == field


def test_an_experiment_of_its_own_may_have_criteria_too(product: Product, project: Project) -> None:
    from test_experiments import wanted as experiment

    dearer = {"predicates": [{**CHEAPER, "op": ">=", "value": 0}], "min_sample_size": 50}
    body = experiment(project, successCriteria=dearer)
    found = ended(product, product.made("/experiments", body)["id"])
    assert found["verdict"] == "fail"
    assert found["schedule_id"] is None
    refused = product.manage("/experiments", experiment(project, successCriteria={"predicates": []}))
    assert refused.json()["errors"][0]["field"] == "successCriteria.predicates"


def test_a_judge_looks_at_a_run_and_the_verdict_is_made_anew(product: Product, project: Project) -> None:
    """The judge run is made in the schedule's name: no key is there any more."""
    allowed = product.manage(f"/projects/{project.id}", {"experimentSampleMin": 1}, method="PATCH")
    assert allowed.status == 200, allowed.body
    experiment = {"candidatePolicy": "single", "candidateConfig": {"model": "gpt-4o-mini"}, "mode": "with_responses"}
    experiment |= {"sample": {"size": 20}, "spendCapUsd": 1}
    worse = {"metric": "judge_worse_pct_upper_ci", "op": "<=", "value": 100}
    criteria = {"predicates": [worse], "min_sample_size": 1}
    judge = {"judgeModel": "gpt-4o", "spendCapUsd": 1}
    body = wanted(project, experiment=experiment, successCriteria=criteria, judge=judge)
    made = product.made("/experiment-schedules", body)
    assert made["judge"] == {"judge_model": "gpt-4o", "rubric": "", "spend_cap_usd": 1.0}
    fired = product.made(f"/experiment-schedules/{made['id']}/fire", {})
    found = ended(product, fired["id"])
    assert (found["status"], found["verdict"]) == ("completed", "inconclusive"), found["status_reason"]
    path = f"/experiments/{fired['id']}"
    until(lambda: product.manage(path).json()["data"]["verdict"] == "pass", "the judge has ended", 60)
    (predicate,) = product.manage(path).json()["data"]["verdict_facts"]["predicates"]
    assert predicate["n"] > 0
    (run,) = product.manage(f"{path}/judge").json()["data"]
    assert run["status"] == "completed"
