"""The guide's commands as they stand there, run by curl in their order; host, ids and dates are this product's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from processes import until
from stack import Product, Project, own_environment

CALLS = 60
COMMANDS = {
    name.strip(): text.strip()
    for name, text in re.findall(
        r"^# (.+?)\n(.*?)(?=^# |\Z)",
        Path(__file__).with_name("guide_commands.txt").read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
}

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


class Reader:
    """Somebody who follows the guide in a shell."""

    def __init__(self, product: Product, project: Project, credential_id: str) -> None:
        self.product = product
        now = datetime.now(UTC)
        self._mine = {
            "https://api.modelux.ai/manage/v1": product.endpoints["manage_url"],
            "proj_abc": project.id,
            "pc_openai_default": credential_id,
            **{f"2026-04-{day}T00:00:00Z": (now - timedelta(hours=1)).isoformat() for day in (10, 13)},
            **{f"2026-04-{day}T00:00:00Z": now.isoformat() for day in (17, 20)},
        }
        self.variables = {"MODELUX_MGMT_KEY": product.endpoints["management_key"]}

    def runs(self, name: str) -> Any:
        """What the command answers, read as JSON."""
        text = COMMANDS[name]
        for theirs, mine in self._mine.items():
            text = text.replace(theirs, mine)
        environment = own_environment() | self.variables
        command = text.replace("curl ", "curl --silent --show-error ", 1)
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert "data" in answer, answer
        return answer

    def creates(self, name: str) -> dict[str, Any]:
        """The experiment that the command creates, at its end."""
        answer = self.runs(name)
        self.variables["SIM_ID"] = answer["data"]["id"]
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.runs("fetch")["data"])
            return found["status"] not in ("pending", "running")

        until(ended, f"the experiment of {name!r} ends", 90)
        assert (found["status"], found["status_reason"]) == ("completed", ""), found
        return found


@pytest.fixture(scope="module")
def project(product: Product) -> Project:
    made = product.project("guide", {"strategy": "single", "model": "gpt-4o"})
    for number in range(CALLS):
        tags = {"run_id": f"run_{number // 4}"}
        answer = product.chat(made.key, messages=[{"role": "user", "content": f"Call {number}"}], **{"mlx:tags": tags})
        assert answer.status == 200, answer.body
    product.until_logged(made, CALLS)
    return made


@pytest.fixture(scope="module")
def reader(product: Product, project: Project) -> Reader:
    credentials = product.manage("/credentials").json()["data"]
    return Reader(product, project, next(each["id"] for each in credentials if each["provider"] == "openai"))


def test_a_routing_only_experiment_tells_what_another_model_would_have_cost(reader: Reader) -> None:
    found = reader.creates("routing only")
    assert found["candidate_summary"]["route_distribution"] == {"gpt-4o-mini:openai": 1.0}
    assert found["deltas"]["cost_usd"]["percent"]["upper"] < -80
    assert {"p50_latency_ms", "p95_latency_ms"} <= found["baseline_summary"].keys()


def test_preflight_create_and_read_an_experiment_that_calls_the_candidate(reader: Reader, project: Project) -> None:
    answer = reader.runs("preflight")["data"]
    estimate = answer["estimate"]
    assert estimate.keys() >= {"estimatedCostUsd", "effectiveSampleSize", "rowCountInWindow", "perCallEstimateUsd"}
    assert estimate.keys() >= {"embeddingCostUsd", "notes"}
    assert (estimate["effectiveSampleSize"], estimate["rowCountInWindow"]) == (CALLS, CALLS)
    assert (answer["spendCapUsd"], answer["suggestedSpendCapUsd"], answer["autoCancelRatio"]) == (50, 0.05, 1.5)
    assert answer["requiresConfirmation"] is False
    found = reader.creates("with responses")
    assert found["coverage"]["evidence"]["observed"] == CALLS
    assert 0 < found["spent_usd"] <= 0.05
    histogram = reader.runs("histogram")["data"]
    assert (histogram["scored"], histogram["unscored"], len(histogram["buckets"])) == (CALLS, 0, 10)
    assert 0 <= histogram["mean_similarity"] <= 1
    worst = reader.runs("worst pairs")["data"]
    assert len(worst) == 10
    assert [row["similarity"] for row in worst] == sorted(row["similarity"] for row in worst)
    assert reader.runs("candidate errors")["data"] == []
    reader.variables["REQUEST_ID"] = worst[0]["request_id"]
    pair = [reader.runs("logged request")["data"]]
    reader.variables["REQUEST_ID"] = worst[0]["candidate_request_id"]
    pair.append(reader.runs("logged request")["data"])
    assert [each["model"] for each in pair] == ["gpt-4o", "gpt-4o-mini"]
    assert len(reader.product.log(project)) == CALLS  # the calls of experiments are no traffic


def test_judge_the_results_and_read_the_verdicts(reader: Reader) -> None:
    """On the experiment with responses that stands above."""
    estimate = reader.runs("judge preflight")["data"]
    assert estimate.keys() == {
        "effectivePairCount", "effectiveByBucket", "estimatedCostUsd", "perCallEstimateUsd", "spendCapUsd",
        "suggestedSpendCapUsd", "requiresConfirmation", "notes", "rubric", "rubricHash",
    }  # fmt: skip
    assert estimate["effectivePairCount"] == sum(estimate["effectiveByBucket"].values()) == CALLS
    assert (estimate["spendCapUsd"], estimate["requiresConfirmation"]) == (20, False)
    reader.variables["RUN_ID"] = reader.runs("judge create")["data"]["id"]
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(reader.runs("judge summary")["data"])
        return found["status"] not in ("pending", "running")

    until(ended, "the judge run ends", 90)
    assert (found["status"], found["status_reason"]) == ("completed", ""), found
    summary = found["summary"]
    judged = summary["judged_count"]
    assert (judged + summary["steered"], summary["parse_errors"], summary["failed"]) == (CALLS, 0, 0)
    assert judged > CALLS / 2
    assert sum(summary["verdict_breakdown"].values()) == pytest.approx(1)
    assert sum(each["n"] for each in summary["by_bucket"].values()) == judged
    assert 0 < summary["spend_usd"] < 4.20
    worse = reader.runs("judge worse")["data"]
    assert len(worse) == min(50, round(summary["verdict_breakdown"]["worse"] * judged))
    assert all(row["verdict"] == "worse" for row in worse)
    major = reader.runs("judge major")["data"]
    assert len(major) == min(50, estimate["effectiveByBucket"]["major"]), "a page"


def test_an_experiment_keeps_its_hypothesis(reader: Reader) -> None:
    assert reader.creates("hypothesis")["hypothesis"].startswith("Switching to gpt-4o-mini will cut cost ~30%")


def test_a_promoted_candidate_is_served_within_a_second_and_taken_back_in_one_call(
    reader: Reader, project: Project
) -> None:
    product = reader.product

    def served() -> str:
        return str(product.chat(project.key).json()["model"])

    reader.creates("routing only")
    assert not served().startswith("gpt-4o-mini")
    promotion = reader.runs("promote")["data"]["promotion"]
    until(lambda: served().startswith("gpt-4o-mini"), "the new version is served", 1.0, pause_s=0.01)
    reader.variables["CONFIG_ID"] = promotion["routing_config_id"]
    assert reader.runs("roll back")["data"]["active_version"] == 1
    until(lambda: not served().startswith("gpt-4o-mini"), "the old version is served", 1.0, pause_s=0.01)
