"""Experiments over imported real calls, whose candidate gives the answers that another model really gave."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from processes import until
from stack import PROGRAM, Product, Project, data_folder, free_ports, own_environment, simulator

from modelux_runtime.settings import child_environment

LARGE, SMALL = "gpt-4o-2024-05-13", "gpt-4o-mini-2024-07-18"
SHORT = {LARGE: "gpt-4o", SMALL: "gpt-4o-mini"}
QUICKER = 20
"""Answers come so many times as fast as they did then."""

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def folder() -> Path:
    given = child_environment({}).get("MODELUX_TEST_DATA")
    found = (Path(given) if given else Path(__file__).parents[3] / "shared" / "data") / "bfcl"
    if not (found / "requests.csv").exists():
        pytest.skip("the real calls are not here: put bfcl/ into the folder that MODELUX_TEST_DATA names")
    return found


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


@pytest.fixture(scope="module")
def calls(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The calls of both models by model and prompt, those whose prompt and answer are known."""
    prompts = {row["id"]: row["question"] for row in map(json.loads, lines(folder / "prompts.jsonl"))}
    found: dict[tuple[str, str], dict[str, str]] = {}
    with (folder / "requests.csv").open() as file:
        rows = {(row["model"], row["id"]): row for row in csv.DictReader(file) if row["model"] in SHORT}
    for model in SHORT:
        for answer in map(json.loads, lines(folder / "responses" / f"{model}.jsonl")):
            key = (model, answer["id"])
            if key in rows and answer["id"] in prompts:
                found[key] = rows[key] | {"prompt": prompts[answer["id"]], "answer": str(answer["result"])}
    return found


@pytest.fixture(scope="module")
def product(
    calls: dict[tuple[str, str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    recording = tmp_path_factory.mktemp("recorded") / "answers.jsonl"
    with recording.open("w") as file:
        for (model, _), row in calls.items():
            spoken = {"prompt": row["prompt"], "answer": row["answer"], "input_tokens": int(row["input_tokens"])}
            spoken |= {
                "output_tokens": int(row["output_tokens"]),
                "latency_ms": float(row["latency_s"]) * 1e3 / QUICKER,
            }
            file.writelines(json.dumps(spoken | {"model": name}) + "\n" for name in (model, SHORT[model]))
    with simulator({}, "--recorded", str(recording)) as url, data_folder() as data:
        running = Product(data, free_ports(), url).start()
        try:
            running.provider("recorded", "openai", "/openai/v1")
            yield running
        finally:
            running.stop()


def imported(product: Product, folder: Path, tmp_path: Path, model: str) -> Project:
    """A project whose log holds the calls of one model, spread over the seven days until now."""
    project = product.made("/projects", {"name": f"history of {model}", "loggingMode": "full"})
    header, *rows = lines(folder / "requests.csv")
    file = tmp_path / "requests.csv"
    file.write_text("\n".join([header, *(row for row in rows if row.partition(",")[0] == model)]))
    start = datetime.now(UTC) - timedelta(days=7, minutes=1)
    words = (
        "import", str(file), "--project", project["id"], "--start", start.isoformat(), "--spread", "7d",
        "--source", "bfcl", "--json",
        "--join", f"prompts={folder}/prompts.jsonl", "--join", f"responses={folder}/responses/{{model}}.jsonl",
        "--map", "row_id=model+id,tag.prompt=id,tag.category=category,tag.valid=valid",
        "--map", "request=prompts.question,response=responses.result",
    )  # fmt: skip
    mine = own_environment(
        MODELUX_MANAGE_URL=product.endpoints["manage_url"], MODELUX_MGMT_KEY=product.endpoints["management_key"]
    )
    done = subprocess.run([*PROGRAM, *words], env=mine, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["imported"], report["refused"]) == (1700, 0)
    history = Project(project["id"], "", "")
    product.until_logged(history, 1700)
    return history


def ended(product: Product, body: dict[str, Any]) -> dict[str, Any]:
    made = product.made("/experiments", body)
    found: dict[str, Any] = {}

    def over() -> bool:
        found.update(product.manage(f"/experiments/{made['id']}").json()["data"])
        return found["status"] not in ("pending", "running")

    until(over, "the experiment ends", 180, pause_s=0.2)
    assert (found["status"], found["status_reason"]) == ("completed", ""), found
    return found


@pytest.mark.parametrize(("logged_model", "candidate"), [(LARGE, SMALL), (SMALL, LARGE)], ids=["cheaper", "back"])
def test_what_a_candidate_was_measured_to_cost_is_what_it_had_cost(
    product: Product,
    folder: Path,
    calls: dict[tuple[str, str], dict[str, str]],
    tmp_path: Path,
    logged_model: str,
    candidate: str,
) -> None:
    project = imported(product, folder, tmp_path, logged_model)
    now = datetime.now(UTC)
    body = {
        "name": f"{logged_model} to {candidate}",
        "projectId": project.id,
        "candidatePolicy": "single",
        "candidateConfig": {"model": SHORT[candidate]},
        "windowStart": (now - timedelta(days=8)).isoformat(),
        "windowEnd": now.isoformat(),
    }
    routed = ended(product, body)
    assert routed["coverage"]["rows"] == 1700
    sample = {"size": 1000, "method": "random", "aaShare": 0.05}
    estimate = product.made("/experiments/preflight", body | {"mode": "with_responses", "sample": sample})
    found = ended(product, body | {"mode": "with_responses", "sample": sample, "spendCapUsd": 20})
    rows = []
    cursor = ""
    while True:
        page = product.manage(f"/experiments/{found['id']}/results", limit=200, cursor=cursor).json()
        rows += page["data"]
        cursor = page["next_cursor"] or ""
        if not cursor:
            break
    observed = [row for row in rows if row["evidence"] == "observed"]
    assert len(observed) == 1000
    tokens = {row["request_id"]: row for row in observed}
    wanted = truth(product, project, calls, candidate)
    told = [(row["candidate"]["input_tokens"], row["candidate"]["output_tokens"]) for row in tokens.values()]
    assert told == [wanted[name] for name in tokens]
    assert found["similarity"]["scored"] == 1000
    print(json.dumps({"estimate": estimate, "routing_only": brief(routed), "with_responses": brief(found)}))


def truth(
    product: Product, project: Project, calls: dict[tuple[str, str], dict[str, str]], model: str
) -> dict[str, tuple[int, int]]:
    """By logged request the tokens that the model really took for its prompt, as it is recorded: one question stands in
    several categories, and the last one counts.
    """
    recorded = {(name, row["prompt"]): row for (name, _), row in calls.items()}
    prompts = {prompt: row["prompt"] for (_, prompt), row in calls.items()}
    return {
        row["request_id"]: (int(call["input_tokens"]), int(call["output_tokens"]))
        for row in product.log(project)
        if (call := recorded.get((model, prompts.get(row["tags"]["prompt"], ""))))
    }


def brief(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found.get(name) for name in ("sentence", "spent_usd", "similarity", "noise_floor", "projection")}
