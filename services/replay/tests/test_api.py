"""The guide's curls against the REST API, in order, over the real services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest
from config_harness import KEY, Installation
from replay_harness import CANDIDATE, SPEC, Replay, fill, requests

from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.replays import Replays
from modelux_replay.runs import Runs
from modelux_store.experiments import ExperimentRows
from modelux_store.logs import Logs

pytestmark = pytest.mark.usefixtures("at_work")


class Api:
    """The REST API with one key."""

    def __init__(self, http: httpx2.AsyncClient, key: str) -> None:
        self.http, self.key = http, key

    async def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        answer = await self.http.request(method, path, headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def http(installation: Installation, runs: Runs, acme: Replay) -> AsyncIterator[httpx2.AsyncClient]:
    replays = Replays(acme.channel, ExperimentRows(runs.analytics, KEY))
    app = build(Admin(installation.channel), Logs(runs.analytics, KEY), {"localhost"}, None, replays)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1") as client:
        yield client


@pytest.fixture
def api(http: httpx2.AsyncClient, acme: Replay) -> Api:
    return Api(http, acme.tenant.key)


def body_of(replay: Replay, **fields: Any) -> dict[str, Any]:
    return {"projectId": replay.tenant.project_id, "candidateConfig": CANDIDATE, **SPEC, **fields}


async def completed(api: Api, acme: Replay, **fields: Any) -> dict[str, Any]:
    made = (await api.call("POST", "/experiments", 201, json=body_of(acme, **fields)))["data"]
    await acme.until(made["id"], "completed", "failed")
    found: dict[str, Any] = (await api.call("GET", f"/experiments/{made['id']}"))["data"]
    return found


async def test_the_guide_from_preflight_to_promotion(api: Api, acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 200))
    wanted = {name: value for name, value in body_of(acme).items() if name != "name"}
    estimate = (await api.call("POST", "/experiments/preflight", json=wanted))["data"]
    assert estimate["estimate"]["rowCountInWindow"] == estimate["estimate"]["effectiveSampleSize"] == 200
    assert (estimate["estimate"]["estimatedCostUsd"], estimate["spendCapUsd"]) == (0, 50)
    found = await completed(api, acme)
    assert (found["status"], found["progress"], found["mode"]) == ("completed", 1.0, "routing_only")
    assert found["baseline_summary"]["p95_latency_ms"] == pytest.approx(550, abs=15)
    assert found["candidate_summary"]["p95_latency_ms"] == pytest.approx(275, abs=8)
    assert found["self_check"]["share"] == 1
    assert found["runs"]["count"] == 50
    path = f"/experiments/{found['id']}"
    assert [each["id"] for each in (await api.call("GET", "/experiments"))["data"]] == [found["id"]]
    histogram = (await api.call("GET", f"{path}/similarity-histogram?threshold=0.85"))["data"]
    assert (histogram["scored"], histogram["unscored"], len(histogram["buckets"])) == (0, 200, 10)
    assert (await api.call("GET", f"{path}/results?sort=similarity_asc&limit=10&min_similarity=0"))["data"] == []
    promoted = (await api.call("POST", f"{path}/promote", json={"slug": "production"}))["data"]
    assert (promoted["promotion"]["version"], promoted["promotion"]["mode"]) == (2, "replace")
    (config,) = (await api.call("GET", "/routing-configs?slug=production"))["data"]
    assert (config["active_version"], config["policy"]) == (2, {"strategy": "single", "model": "gpt-4o-mini"})
    again = (await api.call("POST", f"{path}/promote", json={"slug": "production"}))["data"]
    assert again["promotion"] == promoted["promotion"]
    back = (await api.call("POST", f"/routing-configs/{config['id']}/rollback"))["data"]
    assert (back["active_version"], back["latest_version"]) == (1, 2)


async def test_results_in_pages_of_each_order(api: Api, acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 120))
    path = f"/experiments/{(await completed(api, acme))['id']}/results"
    for sort, key, reverse in (
        ("timestamp_desc", lambda row: row["timestamp"], True),
        ("timestamp_asc", lambda row: row["timestamp"], False),
        ("cost_delta_desc", lambda row: row["cost_delta_usd"], True),
        ("cost_delta_asc", lambda row: row["cost_delta_usd"], False),
    ):
        rows, cursor = [], ""
        while True:
            page = await api.call("GET", f"{path}?sort={sort}&limit=50&cursor={cursor}")
            rows += page["data"]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert len({row["request_id"] for row in rows}) == len(rows) == 120
        assert [key(row) for row in rows] == sorted((key(row) for row in rows), reverse=reverse), sort
    failed = (await api.call("GET", f"{path}?candidate_status=error"))["data"]
    assert len(failed) == 12
    assert {row["candidate"]["status"] for row in failed} == {"error"}
    assert failed[0]["candidate_trace"] == {"selected": str(failed[0]["row"])}
    page = await api.call("GET", f"{path}?limit=10")
    cursor = page["next_cursor"]
    for tampered in (cursor[:-2] + "AA", "x", "%00", cursor + "&sort=cost_delta_asc", "'; DROP TABLE x"):
        problem = await api.call("GET", f"{path}?limit=10&cursor={tampered}", 422)
        assert problem["code"] == "invalid_cursor"
    for query in ("limit=1000000000", "limit=0", "sort=cost;DROP", "min_similarity=2", "offset=3"):
        problem = await api.call("GET", f"{path}?{query}", 422)
        assert problem["errors"][0]["field"] in ("limit", "sort", "min_similarity", "offset")


async def test_others_see_nothing_of_it(api: Api, acme: Replay, globex: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 20))
    path = f"/experiments/{(await completed(api, acme))['id']}"
    other = Api(api.http, globex.tenant.key)
    for method, place in (
        ("GET", path),
        ("GET", f"{path}/results"),
        ("GET", f"{path}/similarity-histogram"),
        ("POST", f"{path}/cancel"),
        ("POST", f"{path}/promote"),
    ):
        assert (await other.call(method, place, 404))["code"] == "not_found"
    assert (await other.call("GET", f"/experiments?project_id={acme.tenant.project_id}"))["data"] == []
    problem = await other.call("POST", "/experiments", 404, json=body_of(acme))
    assert problem["detail"].startswith("There is no project")


async def test_viewers_may_look_and_not_write(api: Api, acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, requests(acme.tenant, 20))
    path = f"/experiments/{(await completed(api, acme))['id']}"
    viewer = Api(api.http, (await acme.tenant.with_role("viewer")).key)
    await viewer.call("GET", f"{path}/results")
    await viewer.call("POST", "/experiments/preflight", json=body_of(acme))
    for place, body in (("/experiments", body_of(acme)), (f"{path}/cancel", None), (f"{path}/promote", {})):
        problem = await viewer.call("POST", place, 403, json=body)
        assert "'editor'" in problem["detail"]


SAMPLE = {"size": 1_000, "method": "random"}
WITH_RESPONSES = {"mode": "with_responses", "spendCapUsd": 1, "sample": SAMPLE}
REVERSED = {"windowStart": "2026-04-17T00:00:00Z", "windowEnd": "2026-04-10T00:00:00Z"}
ENSEMBLE = {"candidatePolicy": "ensemble", "candidateConfig": {"members": ["gpt-4o", "gpt-4o-mini"]}}
BAD: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "reversed": (REVERSED, "windowEnd"),
    "naive": ({"windowStart": "2026-04-10T00:00:00"}, "windowStart"),
    "ten years": ({"windowStart": "2016-04-10T00:00:00Z"}, "windowStart"),
    "future": ({"windowEnd": "2026-04-18T00:00:00Z"}, "windowEnd"),
    "no moment": ({"windowEnd": "yesterday"}, "windowEnd"),
    "null": ({"windowEnd": None}, "windowEnd"),
    "no sample": ({**WITH_RESPONSES, "sample": {"size": 0}}, "sample.size"),
    "large sample": ({**WITH_RESPONSES, "sample": {"size": 50_001}}, "sample.size"),
    "negative sample": ({**WITH_RESPONSES, "sample": {"size": -1}}, "sample.size"),
    "beyond all": ({**WITH_RESPONSES, "sample": {"size": 10**12}}, "sample.size"),
    "sample without calls": ({"sample": {"size": 2_000}}, "sample"),
    "unknown method": ({**WITH_RESPONSES, "sample": SAMPLE | {"method": "best"}}, "sample.method"),
    "tag without strata": ({**WITH_RESPONSES, "sample": SAMPLE | {"tag": "agent"}}, "sample.tag"),
    "all twice": ({**WITH_RESPONSES, "sample": SAMPLE | {"aaShare": 0.6}}, "sample.aaShare"),
    "calls without a sample": ({"mode": "with_responses", "spendCapUsd": 1}, "sample"),
    "no cap": ({"mode": "with_responses", "sample": SAMPLE}, "spendCapUsd"),
    "pilot without a cap": ({"pilot": {"size": 50}}, "spendCapUsd"),
    "small pilot": ({"pilot": {"size": 9}, "spendCapUsd": 1}, "pilot.size"),
    "large pilot": ({"pilot": {"size": 1_001}, "spendCapUsd": 1}, "pilot.size"),
    "pilot with responses": ({**WITH_RESPONSES, "pilot": {"size": 50}}, "pilot"),
    "no money": ({**WITH_RESPONSES, "spendCapUsd": 0}, "spendCapUsd"),
    "cap above the project's": ({**WITH_RESPONSES, "spendCapUsd": 51}, "spendCapUsd"),
    "negative cap": ({"spendCapUsd": -1}, "spendCapUsd"),
    "unknown mode": ({"mode": "both"}, "mode"),
    "unknown field": ({"org_id": "org_1"}, "org_id"),
    "own id": ({"id": "sim_1"}, "id"),
    "long hypothesis": ({"hypothesis": "x" * 2_001}, "hypothesis"),
    "no name": ({"name": ""}, "name"),
    "long name": ({"name": "x" * 201}, "name"),
    "unknown model": ({"candidateConfig": {"model": "gpt-4o-mimi"}}, "candidateConfig.model"),
    "no model": ({"candidateConfig": {}}, "candidateConfig.model"),
    "no candidate": ({"candidateConfig": None}, "candidateConfig"),
    "unknown credential": (
        {"candidateConfig": {"model": "gpt-4o-mini", "provider_credential_id": "pc_x"}},
        "candidateConfig.provider_credential_id",
    ),
    "typo": ({"candidateConfig": {"model": "gpt-4o-mini", "temprature": 1}}, "candidateConfig.temprature"),
    "unknown reference": ({"candidateConfig": "@nope", "candidatePolicy": ""}, "candidateConfig"),
    "unknown strategy": ({"candidatePolicy": "singel"}, "candidatePolicy"),
    "no strategy": ({"candidatePolicy": ""}, "candidatePolicy"),
    "ensemble": (ENSEMBLE, "candidatePolicy"),
    "unknown status": ({"filter": {"status": "meh"}}, "filter.status"),
    "unknown filter": ({"filter": {"tenant": "x"}}, "filter.tenant"),
    "no project": ({"projectId": ""}, "projectId"),
}


async def test_bad_input_names_field_and_remedy(api: Api, acme: Replay) -> None:
    for case, (change, field) in BAD.items():
        problem = await api.call("POST", "/experiments", 422, json=body_of(acme, **change))
        assert field in {each["field"] for each in problem["errors"]}, (case, problem)
        assert problem["detail"].startswith(problem["errors"][0]["field"]), case
    assert (await api.call("GET", "/experiments"))["data"] == [], "nothing half-created"


async def test_a_project_that_keeps_no_answers_is_refused_calls(api: Api, acme: Replay) -> None:
    await acme.tenant("UpdateProject", id=acme.tenant.project_id, logging_mode="metadata_only")
    for place in ("/experiments", "/experiments/preflight"):
        problem = await api.call("POST", place, 409, json=body_of(acme, **WITH_RESPONSES))
        assert (problem["code"], "routing_only" in problem["hint"]) == ("metadata_only", True)
    pilot = {"pilot": {"size": 50}, "spendCapUsd": 1}
    problem = await api.call("POST", "/experiments", 409, json=body_of(acme, **pilot))
    assert "leave pilot out" in problem["hint"]


async def test_the_project_bounds_samples_and_caps(api: Api, acme: Replay) -> None:
    limits = {"experiment_spend_cap_nano": 500_000_000, "experiment_sample_min": 10, "experiment_sample_max": 20}
    await acme.tenant("UpdateProject", id=acme.tenant.project_id, **limits)
    for change, field, told in (
        ({"sample": {"size": 9}}, "sample.size", "between 10 and 20"),
        ({"sample": {"size": 21}}, "sample.size", "between 10 and 20"),
        ({"sample": {"size": 10}}, "spendCapUsd", "above $0.50"),
    ):
        problem = await api.call("POST", "/experiments", 422, json=body_of(acme, **{**WITH_RESPONSES, **change}))
        messages = {each["field"]: each["message"] for each in problem["errors"]}
        assert told in messages[field]
