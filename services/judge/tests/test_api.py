"""The judge half of the guide against the REST API, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from judge_rig import Judging
from test_judge_life import guide

from modelux.config.v1 import admin_pb2 as config
from modelux_judge.rpc import operations
from modelux_management.app import build
from modelux_management.judges import Judges
from modelux_runtime.auth import key_hash
from modelux_runtime.rpc import channel, serving
from modelux_store.judge_verdicts import JudgeVerdicts
from modelux_store.logs import Logs

SIM = "/experiments/sim_1"
ASKED = {"judgeModel": "b", "stratification": {"high": 20, "mild": 20, "major": 10}}


class Keys:
    """The config service, as far as it knows keys: `<role>` and `<role>@<organization>`."""

    async def call(self, request: Any, answer: Any) -> Any:
        for role in ("viewer", "editor"):
            for organization in ("org_1", "org_2"):
                key = f"mlx_mk_{role}{organization}{'x' * 30}"
                if request.actor.key_hash == key_hash(key):
                    return config.AuthenticateKeyResponse(organization_id=organization, key_id="mk_1", role=role)
        raise AssertionError("a key that nobody made")


@dataclass
class Api:
    http: httpx2.AsyncClient
    it: Judging

    async def call(self, method: str, path: str, status: int = 200, key: str = "editororg_1", **options: Any) -> Any:
        headers = {"authorization": f"Bearer mlx_mk_{key}{'x' * 30}", **options.pop("headers", {})}
        answer = await self.http.request(method, path, headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def judged(self, **fields: Any) -> str:
        """The path of a run that has ended."""
        made = (await self.call("POST", f"{SIM}/judge", 201, json=ASKED | fields))["data"]
        await self.it.runs.run(made["id"])
        return f"{SIM}/judge/{made['id']}"


@asynccontextmanager
async def rest(it: Judging, folder: Path) -> AsyncIterator[Api]:
    started = asyncio.Event()
    started.set()
    target = f"unix:{folder}/judge.sock"
    async with serving(target, operations(it.desk, it.labels, started).register), channel(target) as connection:
        judges = Judges(connection, JudgeVerdicts(it.analytics, b"key"))
        app = build(Keys(), Logs(it.analytics, b"key"), {"localhost"}, judges=judges)  # type: ignore[arg-type]
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1") as http:
            yield Api(http, it)


@pytest.fixture
async def api(judge: Callable[..., Any], tmp_path: Path) -> AsyncIterator[Api]:
    async with judge(wanted=guide()) as it, rest(it, tmp_path) as found:
        yield found


async def test_the_guide_from_preflight_to_verdicts(api: Api) -> None:
    estimate = (await api.call("POST", f"{SIM}/judge/preflight", json=ASKED))["data"]
    assert list(estimate) == [
        "effectivePairCount", "effectiveByBucket", "estimatedCostUsd", "perCallEstimateUsd", "spendCapUsd",
        "suggestedSpendCapUsd", "requiresConfirmation", "notes", "rubric", "rubricHash",
    ]  # fmt: skip
    assert (estimate["effectivePairCount"], estimate["effectiveByBucket"]) == (50, ASKED["stratification"])
    assert (estimate["spendCapUsd"], estimate["requiresConfirmation"]) == (20, False)
    assert estimate["suggestedSpendCapUsd"] == max(0.05, 2 * estimate["estimatedCostUsd"])
    assert estimate["rubric"].startswith("Is the candidate response at least as correct, helpful, and complete")
    wanted = ASKED | {"rubric": "Focus on factual correctness.", "spendCapUsd": estimate["suggestedSpendCapUsd"]}
    made = (await api.call("POST", f"{SIM}/judge", 201, json=wanted))["data"]
    assert (made["status"], made["summary"], made["judge_model"]) == ("pending", None, "b")
    assert made["rubric_hash"] != estimate["rubricHash"]
    path = f"{SIM}/judge/{made['id']}"
    await api.it.runs.run(made["id"])
    found = (await api.call("GET", path))["data"]
    assert (found["status"], found["progress"], found["pairs_done"]) == ("completed", 1.0, 50)
    summary = found["summary"]
    assert summary.keys() >= {"judged_count", "parse_errors", "spend_usd", "verdict_breakdown", "by_bucket"}
    assert summary["verdict_breakdown_ci_95"]["worse"].keys() == {"lower", "upper"}
    assert summary["by_bucket"]["major"]["n"] == 10
    assert 0 < summary["spend_usd"] <= estimate["estimatedCostUsd"] * 2
    assert (await api.call("GET", f"{SIM}/judge"))["data"][0]["id"] == made["id"]
    again = (await api.call("POST", f"{path}/cancel"))["data"]
    assert again["status"] == "completed"


async def test_results_are_filtered_and_paged(api: Api) -> None:
    path = await api.judged()
    worse = await api.call("GET", f"{path}/results?verdict=worse")
    assert {row["bucket"] for row in worse["data"]} == {"major"}
    assert len(worse["data"]) == 10
    first = worse["data"][0]
    assert [reply["order"] for reply in first["replies"]] == ["baseline_first", "candidate_first"]
    assert {reply["verdict"] for reply in first["replies"]} == {"worse"}
    assert first["consistent"] is True
    assert first["reason"]
    assert first["request_id"] == f"req_{first['row']:026d}"
    assert first["candidate_request_id"] == f"req_c{first['row']:025d}"
    assert len((await api.call("GET", f"{path}/results?bucket=mild"))["data"]) == 20
    assert (await api.call("GET", f"{path}/results?verdict=parse_error"))["data"] == []
    page = await api.call("GET", f"{path}/results?limit=30")
    rest_of_it = await api.call("GET", f"{path}/results?limit=30&cursor={page['next_cursor']}")
    rows = [row["row"] for row in (*page["data"], *rest_of_it["data"])]
    assert rows == sorted(set(rows))
    assert (len(rows), rest_of_it["next_cursor"]) == (50, None)
    broken = await api.call("GET", f"{path}/results?bucket=mild&cursor={page['next_cursor']}", 422)
    assert broken["code"] == "invalid_cursor"


async def test_runs_of_others_and_roles_are_kept_apart(api: Api) -> None:
    path = await api.judged()
    for place in (path, f"{path}/results", f"{path}/labels"):
        assert (await api.call("GET", place, 404, key="editororg_2"))["code"] == "not_found"
    assert (await api.call("GET", f"/experiments/sim_2/judge/{path[-29:]}", 404))["code"] == "not_found"
    for method, place in (("POST", f"{SIM}/judge"), ("POST", f"{path}/cancel"), ("POST", f"{path}/labels")):
        refused = await api.call(method, place, 403, key="viewerorg_1", json={})
        assert refused["code"] == "role_required"
    assert (await api.call("GET", path, key="viewerorg_1"))["data"]["id"]


async def test_two_runs_are_compared_on_the_same_pairs(api: Api) -> None:
    one, other = await api.judged(), await api.judged(rubric="Be brief.")
    found = (await api.call("GET", f"{one}/agreement?with={other[-29:]}"))["data"]
    assert (found["pairs"], found["agreed"], found["agreement"], found["kappa"]) == (50, 50, 1.0, 1.0)
    assert (await api.call("GET", f"{one}/agreement?with=jr_none", 404))["code"] == "not_found"


REFUSED: Sequence[tuple[str, dict[str, Any], str]] = (
    ("an empty rubric", {"rubric": ""}, "rubric"),
    ("an overlong rubric", {"rubric": "x" * 8_001}, "rubric"),
    ("a rubric with hidden text", {"rubric": "Be fair.\u202eegduj"}, "rubric"),
    ("a negative count", {"stratification": {"high": -1}}, "stratification.high"),
    ("no pair at all", {"stratification": {"high": 0}}, "stratification"),
    ("too many pairs", {"stratification": {"high": 800, "mild": 701}}, "stratification"),
    ("an unknown bucket", {"stratification": {"hi": 1}}, "stratification.hi"),
    ("half a pair", {"stratification": {"high": 1.5}}, "stratification.high"),
    ("cuts", {"stratification": {"high": 9, "cuts": {"high": 0.5, "mild": 0.7}}}, "stratification.cuts.mild"),
    ("an allocation", {"stratification": {"high": 9, "allocation": "best"}}, "stratification.allocation"),
    ("a model that nobody offers", {"judgeModel": "no-such-model"}, "judgeModel"),
    ("no such routing config", {"judgeModel": "@nothing"}, "judgeModel"),
    ("a model without a price", {"judgeModel": "unpriced"}, "judgeModel"),
    ("an overlong model", {"judgeModel": "x" * 201}, "judgeModel"),
    ("a cap of nothing", {"spendCapUsd": 0}, "spendCapUsd"),
    ("a cap below nothing", {"spendCapUsd": -1}, "spendCapUsd"),
    ("a cap above the project's", {"spendCapUsd": 20.01}, "spendCapUsd"),
    ("a cap in words", {"spendCapUsd": "10 USD"}, "spendCapUsd"),
    ("an order", {"orders": "one"}, "orders"),
    ("a threshold of nothing", {"stopWhenDecided": {"worsePct": 0}}, "stopWhenDecided.worsePct"),
    ("a threshold of all", {"stopWhenDecided": {"worsePct": 100}}, "stopWhenDecided.worsePct"),
    ("an unknown field", {"id": "jr_mine"}, "id"),
)


async def test_what_cannot_be_judged_is_refused_by_field(api: Api) -> None:
    for name, body, field in REFUSED:
        for path in (f"{SIM}/judge", f"{SIM}/judge/preflight"):
            refused = await api.call("POST", path, 422, json={"judgeModel": "a", **body})
            assert field in [each["field"] for each in refused["errors"]], f"{name}: {refused}"
    assert (await api.call("GET", f"{SIM}/judge"))["data"] == []
    assert api.it.calls.simulator.calls() == []


async def test_a_rubric_of_a_mebibyte_is_refused_before_it_is_read(api: Api) -> None:
    body = b'{"rubric": "' + b"x" * (1 << 20) + b'"}'
    refused = await api.call("POST", f"{SIM}/judge", 413, content=body, headers={"content-type": "application/json"})
    assert refused["code"] == "body_too_large"


async def test_an_empty_body_asks_for_the_defaults_of_the_guide(api: Api) -> None:
    refused = await api.call("POST", f"{SIM}/judge/preflight", 422)
    assert "gpt-4o" in refused["detail"], "the default judge, which this project cannot reach"
    estimate = (await api.call("POST", f"{SIM}/judge/preflight", json={"judgeModel": "a"}))["data"]
    assert estimate["effectiveByBucket"] == {"high": 60, "mild": 30, "major": 20}
    assert any("bucket mild has 30 of the 100 pairs asked for" in note for note in estimate["notes"])


async def test_people_label_a_random_part_blindly_and_the_summary_is_corrected(api: Api) -> None:
    path = await api.judged()
    queue = (await api.call("GET", f"{path}/labels?limit=50"))["data"]
    assert (queue["labelled"], queue["wanted"], len(queue["tasks"])) == (0, 50, 50)
    assert queue["tasks"][0].keys() == {"row", "prompt", "first", "second", "token"}
    for task in queue["tasks"][:40]:
        first, second = (int(task[side][10]) for side in ("first", "second"))
        verdict = "equal" if first == second else "first" if first > second else "second"
        body = {"token": task["token"], "verdict": verdict, "labeller": "ann"}
        found = (await api.call("POST", f"{path}/labels", json=body))["data"]
    labels = found["summary"]["labels"]
    assert (labels["count"], labels["enough"], labels["labellers"]) == (40, True, ["ann"])
    assert (labels["agreement"]["value"], labels["kappa"]["value"]) == (1.0, 1.0)
    assert "the judge agrees with people on 100 %" in labels["reliability"]
    truth = 20 / 110
    assert labels["ppi"]["worse"]["rate"]["value"] == pytest.approx(truth, abs=0.02)
    assert labels["ppi"]["worse"]["rate"]["lower"] < truth < labels["ppi"]["worse"]["rate"]["upper"]
    assert labels["rogan_gladen"]["worse"]["rate"]["value"] == pytest.approx(truth, abs=0.02)
    left = (await api.call("GET", f"{path}/labels?limit=50"))["data"]
    assert (left["labelled"], len(left["tasks"])) == (40, 10)
    assert {task["row"] for task in left["tasks"]}.isdisjoint(task["row"] for task in queue["tasks"][:40])


async def test_labels_are_refused_where_they_say_nothing(api: Api) -> None:
    path, other = await api.judged(), await api.judged()
    task = (await api.call("GET", f"{path}/labels"))["data"]["tasks"][0]
    for body, field in (
        ({"token": task["token"], "verdict": "better"}, "verdict"),
        ({"token": "AAAA", "verdict": "first"}, "token"),
        ({"token": task["token"][:-2] + "AA", "verdict": "first"}, "token"),
        ({"token": task["token"], "verdict": "first", "note": "x" * 2_001}, "note"),
    ):
        refused = await api.call("POST", f"{path}/labels", 422, json=body)
        assert refused["errors"][0]["field"] == field
    stolen = {"token": task["token"], "verdict": "first"}
    assert (await api.call("POST", f"{other}/labels", 422, json=stolen))["errors"][0]["field"] == "token"
    made = (await api.call("POST", f"{SIM}/judge", 201, json=ASKED))["data"]
    early = await api.call("GET", f"{SIM}/judge/{made['id']}/labels", 409)
    assert early["code"] == "run_not_ended"
