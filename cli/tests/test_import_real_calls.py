"""A folder of real calls (bfcl) is imported as it stands: rows without times, prompts and answers in files beside."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from import_server import DAY_US, NOW_US, import_server, run

from modelux_runtime.settings import child_environment

MODELS = ("gpt-4o-2024-05-13", "gpt-4o-mini-2024-07-18", "claude-3-haiku-20240307", "snowflake_arctic")


@pytest.fixture(scope="module")
def folder() -> Path:
    given = child_environment({}).get("MODELUX_TEST_DATA")
    found = (Path(given) if given else Path(__file__).parents[3] / "shared" / "data") / "bfcl"
    if not (found / "requests.csv").exists():
        pytest.skip("the real calls are not here: put bfcl/ into the folder that MODELUX_TEST_DATA names")
    return found


def test_real_calls_become_history(folder: Path, tmp_path: Path) -> None:
    """Some models of the file, which keeps this quick; the others differ in nothing but their names."""
    lines = (folder / "requests.csv").read_text().splitlines(keepends=True)
    file = tmp_path / "requests.csv"
    file.write_text(lines[0] + "".join(line for line in lines[1:] if line.partition(",")[0] in MODELS))
    calls = {(row["model"], row["id"]): row for row in csv.DictReader(file.read_text().splitlines())}
    assert len(calls) == 4 * 1700
    words = (
        "--start", "2026-04-01T00:00:00Z", "--spread", "7d", "--source", "bfcl", "--json",
        "--join", f"prompts={folder}/prompts.jsonl", "--join", f"responses={folder}/responses/{{model}}.jsonl",
        "--map", "row_id=model+id,tag.prompt=id,tag.category=category,tag.valid=valid",
        "--map", "request=prompts.question,response=responses.result",
    )  # fmt: skip
    with import_server() as server:
        reports = [json.loads(run(server, file, *words).output) for _ in range(2)]
    assert reports[0] == reports[1]
    assert (reports[0]["imported"], reports[0]["refused"], reports[0]["empty_fields"]) == (len(calls), 0, [])
    first, again = server.events[: len(calls)], server.events[len(calls) :]
    assert {event.request_id for event in first} == {event.request_id for event in again}
    assert len({event.request_id for event in first}) == len(calls)
    for event in first:
        row = calls[event.model, event.tags["prompt"]]
        assert (event.usage.input, event.usage.output) == (int(row["input_tokens"]), int(row["output_tokens"]))
        assert event.latency_us == round(float(row["latency_s"]) * 1e6)
        assert NOW_US - 7 * DAY_US <= event.started_at_us < NOW_US
        assert event.price_unknown == (event.model == "snowflake_arctic") == (event.cost_nano == 0)
    prompted = [event for event in first if event.request_body]
    answered = [event for event in first if event.response_body]
    assert len(prompted) > 0.8 * len(calls)
    assert {event.model for event in answered} == set(MODELS) - {"snowflake_arctic"}
