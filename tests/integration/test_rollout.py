"""A guarded rollout on the whole product, under live load: a broken candidate loses its traffic by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from processes import until
from stack import Product, Project, data_folder, free_ports, simulator
from test_experiments import completed, wanted

SOUND, BROKEN = "gpt-4o", "gpt-4.1-mini"
SCENARIO: dict[str, object] = {
    "behaviour": {"ttft_ms": 5, "output_tokens": 5},
    "rules": [{"match": {"model": BROKEN, "prompt": "live"}, "behaviour": {"status": 500}}],
}
"""The candidate answers nothing once it is live."""
PER_S = 50.0
CALLERS = 12
MOST_REQUESTS = 100


@pytest.fixture(scope="module")
def rolling() -> Iterator[Product]:
    """A product of its own, as its providers break."""
    with simulator(SCENARIO) as url, data_folder() as folder:
        running = Product(folder, free_ports(), url).start()
        running.provider("simulated openai", "openai", "/openai/v1")
        try:
            yield running
        finally:
            running.stop()


def promoted(product: Product, name: str, model: str) -> tuple[Project, dict[str, Any]]:
    """A project whose `@it` splits with a candidate, and the experiment."""
    project = product.project(name, {"strategy": "single", "model": SOUND})
    for number in range(20):
        product.chat(project.key, messages=[{"role": "user", "content": f"Call {number}"}])
    product.until_logged(project, 20)
    found = completed(product, wanted(project, candidateConfig={"model": model}))
    product.made(f"/experiments/{found['id']}/promote", {"slug": "it", "mode": "ab_test", "weight": 0.01})
    return project, found


@contextmanager
def load(product: Product, project: Project, says: str = "live", per_s: float = PER_S) -> Iterator[list[str]]:
    """Live calls, evenly over time, whatever they are answered; they say the last of what is yielded."""
    ended, numbers, began_s, said = threading.Event(), count(), time.monotonic(), [says]

    def call() -> None:
        while not ended.wait(max(began_s + next(numbers) / per_s - time.monotonic(), 0)):
            product.chat(project.key, messages=[{"role": "user", "content": said[-1]}])

    with ThreadPoolExecutor(CALLERS) as callers:
        calling = [callers.submit(call) for _ in range(CALLERS)]
        try:
            yield said
        finally:
            ended.set()
    for each in calling:
        each.result()


def rollout(product: Product, made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = product.manage(f"/rollouts/{made['id']}").json()["data"]
    return found


def served(product: Product, project: Project, version: int) -> list[dict[str, object]]:
    """Requests of the candidate's arm of one version, oldest first, from the log."""
    rows = product.analytics(
        "SELECT project_id, config_version, outcome, toUnixTimestamp64Micro(started_at) AS started_us "
        "FROM requests_once WHERE JSONExtractString(trace, 'path', 1, 'chose') = 'candidate' ORDER BY started_at"
    )
    return [row for row in rows if (row["project_id"], row["config_version"]) == (project.id, version)]


@pytest.mark.parametrize("percent", [5, pytest.param(50, marks=pytest.mark.nightly)])
def test_a_broken_candidate_is_rolled_back_within_100_requests(rolling: Product, percent: int) -> None:
    project, experiment = promoted(rolling, f"broken {percent}", BROKEN)
    with load(rolling, project):
        time.sleep(1)
        body = {"experimentId": experiment["id"], "steps": [percent, 100]}
        made = rolling.made("/rollouts", body)
        until(lambda: rollout(rolling, made)["status"] != "running", "the rollout ends", 60, pause_s=0.05)
        time.sleep(2)
    found = rollout(rolling, made)
    assert (found["status"], found["percent"]) == ("rolled_back", 0), found["status_reason"]
    (step, back) = found["history"]
    assert (step["percent"], back["percent"], back["version"]) == (percent, 0, 1)
    until(lambda: len(rolling.log(project)) > 100, "the load is in the log")
    rows = served(rolling, project, step["version"])
    seconds = (int(str(rows[-1]["started_us"])) - int(str(rows[0]["started_us"]))) / 1e6
    print(f"{percent} %: {len(rows)} requests of the broken candidate over {seconds:.2f} s; {found['status_reason']}")
    assert {row["outcome"] for row in rows} == {"error"}
    assert 5 <= len(rows) <= MOST_REQUESTS
    assert "error_rate_delta_pct <= 1 is broken" in found["status_reason"]
    config = rolling.manage(f"/routing-configs/{project.config_id}").json()["data"]
    assert config["active_version"] == 1
    audited = rolling.manage("/audit", entity_id=made["id"]).json()["data"]
    assert [row["action"] for row in audited] == ["rolled_back", "stepped", "started"]


@pytest.mark.nightly
def test_one_that_breaks_at_half_of_the_traffic_is_rolled_back_within_100_requests(rolling: Product) -> None:
    project, experiment = promoted(rolling, "breaks late", BROKEN)
    with load(rolling, project, "sound") as said:
        made = rolling.made("/rollouts", {"experimentId": experiment["id"], "steps": [50, 100]})
        time.sleep(8)
        assert rollout(rolling, made)["status"] == "running"
        said.append("live")
        until(lambda: rollout(rolling, made)["status"] != "running", "the rollout ends", 60, pause_s=0.05)
        time.sleep(2)
    found = rollout(rolling, made)
    assert (found["status"], found["percent"]) == ("rolled_back", 0), found["status_reason"]
    until(lambda: len(rolling.log(project)) > 300, "the load is in the log")
    failed = [row for row in served(rolling, project, found["history"][0]["version"]) if row["outcome"] == "error"]
    print(f"50 %, late: {len(failed)} requests failed; {found['status_reason']}")
    assert 5 <= len(failed) <= MOST_REQUESTS


def test_an_equal_candidate_reaches_the_whole(rolling: Product) -> None:
    project, experiment = promoted(rolling, "equal", "gpt-4o-mini")
    guards = {"predicates": [{"metric": "error_rate_delta_pct", "op": "<=", "value": 10}], "min_sample_size": 30}
    body = {"experimentId": experiment["id"], "steps": [25, 50, 100], "stepSeconds": 3, "stepRequests": 30}
    with load(rolling, project):
        made = rolling.made("/rollouts", body | {"guards": guards})
        until(lambda: rollout(rolling, made)["status"] != "running", "the rollout ends", 60, pause_s=0.1)
    found = rollout(rolling, made)
    assert (found["status"], found["percent"]) == ("completed", 100), found["status_reason"]
    assert [step["percent"] for step in found["history"]] == [25, 50, 100]
    config = rolling.manage(f"/routing-configs/{project.config_id}").json()["data"]
    assert config["policy"] == {"strategy": "single", "model": "gpt-4o-mini"}


def test_started_listed_shown_and_cancelled(rolling: Product) -> None:
    project, experiment = promoted(rolling, "cancelled", "gpt-4o-mini")
    made = rolling.made("/rollouts", {"experimentId": experiment["id"]})
    assert (made["status"], made["steps"], made["routing_config_id"]) == (
        "running",
        [5, 25, 50, 100],
        project.config_id,
    )
    assert (made["step_seconds"], made["step_requests"]) == (600, 200)
    second = rolling.manage("/rollouts", {"experimentId": experiment["id"]})
    assert (second.status, second.json()["code"]) == (409, "rollout_running")
    until(lambda: rollout(rolling, made)["percent"] == 5, "the first step is made")
    listed = rolling.manage("/rollouts", project_id=project.id).json()["data"]
    assert [each["id"] for each in listed] == [made["id"]]
    ended = rolling.manage(f"/rollouts/{made['id']}/cancel", method="POST").json()["data"]
    assert (ended["status"], ended["percent"]) == ("cancelled", 5)
    assert rolling.manage("/rollouts/ro_none").status == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"steps": [5, 25]}, "steps"),
        ({"steps": [50, 25, 100]}, "steps"),
        ({"steps": [100]}, "steps"),
        ({"stepSeconds": -1}, "stepSeconds"),
        ({"stepRequests": 10**6}, "stepRequests"),
        ({"guards": {"predicates": []}}, "guards.predicates"),
        (
            {"guards": {"predicates": [{"metric": "judge_worse_pct_upper_ci", "op": "<=", "value": 1}]}},
            "guards.predicates[0].metric",
        ),
        (
            {"guards": {"predicates": [{"metric": "cost_delta_pct", "op": ">", "value": 1}]}},
            "guards.predicates[0].op",
        ),
        ({"experimentId": ""}, "experimentId"),
        ({"percent": 5}, "percent"),
    ],
)
def test_refusals_name_the_field(rolling: Product, fields: dict[str, Any], field: str) -> None:
    answer = rolling.manage("/rollouts", {"experimentId": "sim_none", **fields})
    assert answer.status == 422, answer.body
    assert answer.json()["errors"][0]["field"] == field
