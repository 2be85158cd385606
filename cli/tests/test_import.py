"""`modelux import` against an API that reads uploads as the product does and keeps what it was sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from import_server import Server, import_server, run

from modelux_cli import import_pieces

CSV = "id,model,input_tokens,output_tokens,latency_s,started_at\n"
GOOD = "{n},gpt-4o,100,20,1.5,2026-04-01T12:00:00Z\n"


@pytest.fixture
def server() -> Iterator[Server]:
    with import_server() as serving:
        yield serving


def written(folder: Path, text: str, name: str = "calls.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_imported_and_summed_up(server: Server, tmp_path: Path) -> None:
    text = CSV + GOOD.format(n=1) + "2,gpt-4o,-1,20,1.5,2026-04-01T12:00:00Z\n" + GOOD.format(n=3)
    file = written(tmp_path, text + "4,nobody-1,1,1,,2026-04-02\n")
    result = run(server, file, "--map", "row_id=id", "--map", "error=fault")
    assert result.output.splitlines() == [
        "PROVIDER  MODEL     ROWS  FAILED  INPUT  OUTPUT  COST",
        "openai    gpt-4o    2     0       200    40      $0.0009",
        "unknown   nobody-1  1     0       1      1       -        1 without a price",
        "",
        "3 of 4 rows imported as modelux (modelux)",
        "from 2026-04-01T12:00:00Z to 2026-04-02T00:00:00Z",
        "1 calls have no known price: set prices, then import the same again",
        "1 calls do not tell how long they took",
        "no row holds what the map names for error",
        "1 rows refused, the first of them:",
        "  line 3, input_tokens: is '-1', and there are no negative tokens",
    ]
    assert result.exit_code == 0
    report = json.loads(run(server, file, "--json", "--source", "mine").output)
    assert (report["imported"], report["source"], report["refused_rows"][0]["line"]) == (3, "mine", 3)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_in_pieces_is_the_file_in_one(
    server: Server, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows without ids or times: what they are known by must not depend on where the file is cut."""
    rows = [{"model": "gpt-4o", "input_tokens": n % 2, "output_tokens": 1, "latency_s": "x" if n == 7 else 1}
            for n in range(20)]  # fmt: skip
    if form == "csv":
        lines = ["model,input_tokens,output_tokens,latency_s", *(",".join(map(str, row.values())) for row in rows)]
    else:
        lines = ["", *(json.dumps(row) for row in rows)]
    file = written(tmp_path, "\r\n".join(lines), f"calls.{form}")
    times = ("--start", "2026-04-01T00:00:00Z", "--json")
    whole = json.loads(run(server, file, *times).output)
    ids = [event.request_id for event in server.events]
    monkeypatch.setattr(import_pieces, "PIECE_ROWS", 3)
    cut = json.loads(run(server, file, *times).output)
    assert cut == whole
    assert [event.request_id for event in server.events[19:]] == ids
    assert len(set(ids)) == 19
    assert whole["refused_rows"][0]["line"] == 9
    assert [query["first_row"] for query in server.queries[1:]] == ["0", "3", "6", "9", "12", "15", "18"]


def test_what_cannot_be_read_here_keeps_its_line_and_its_words(server: Server, tmp_path: Path) -> None:
    text = CSV + GOOD.format(n=1) + "2,gpt-4o\n" + '3,"gpt-4o\n",1\n' + GOOD.format(n=4)
    report = json.loads(run(server, written(tmp_path, text), "--json").output)
    assert (report["rows"], report["imported"]) == (4, 2)
    assert [(row["line"], row["message"]) for row in report["refused_rows"]] == [
        (3, "has 2 cells where the header has 6"),
        (4, "has 3 cells where the header has 6"),
    ]


def test_strict_sends_nothing_where_a_row_is_refused(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, CSV + GOOD.format(n=1) + "2,gpt-4o,x,20,1.5,2026-04-01\n")
    result = run(server, file, "--strict")
    assert result.exit_code == 4
    assert "nothing was imported" in result.stderr
    assert server.events == []
    assert run(server, written(tmp_path, CSV + GOOD.format(n=1)), "--strict").exit_code == 0
    assert len(server.events) == 1


def test_a_dry_run_imports_nothing(server: Server, tmp_path: Path) -> None:
    result = run(server, written(tmp_path, CSV + GOOD.format(n=1)), "--dry-run")
    assert "1 of 1 rows would be imported as modelux" in result.output
    assert server.events == []


def test_a_wrong_map_ends_it_with_the_first_piece(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_pieces, "PIECE_ROWS", 3)
    file = written(tmp_path, CSV + "".join(GOOD.format(n=n) for n in range(30)))
    result = run(server, file, "--map", "model=name")
    assert result.exit_code == 4
    assert "line 2, model: is missing. Map a column to model." in result.output
    assert len(server.queries) == 1


def test_other_files_are_joined_row_by_row(server: Server, tmp_path: Path) -> None:
    """One file for all rows, and one for each model; a model without one goes without."""
    (tmp_path / "answers").mkdir()
    prompts = written(tmp_path, '{"id": 1, "question": "Why?"}\n{"id": "2", "question": "How?"}\n', "prompts.jsonl")
    written(tmp_path / "answers", "id,text\n1,Because.\n", "gpt-4o.csv")
    rows = GOOD.format(n=1) + GOOD.format(n=2) + GOOD.format(n=1).replace("gpt-4o", "gpt-4o-mini")
    result = run(
        server, written(tmp_path, CSV + rows), "--join", f"prompts={prompts}",
        "--join", f"answers={tmp_path}/answers/{{model}}.csv",
        "--map", "row_id=id+model,request=prompts.question,response=answers.text",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    asked = [json.loads(event.request_body)["messages"][0]["content"] for event in server.events]
    answered = [event.response_body and json.loads(event.response_body)["choices"][0]["message"]["content"]
                for event in server.events]  # fmt: skip
    assert asked == ["Why?", "How?", "Why?"]
    assert answered == ["Because.", b"", b""]


def test_a_server_that_fails_midway_says_how_to_go_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_pieces, "PIECE_ROWS", 3)
    server.fails_after = 2
    result = run(server, written(tmp_path, CSV + "".join(GOOD.format(n=n) for n in range(30))))
    assert result.exit_code == 4
    assert "6 rows were sent. Run the same again: none is counted twice." in result.stderr


@pytest.mark.parametrize(
    ("text", "words", "message", "status"),
    [
        ("", (), "the file is empty", 4),
        ("[1]", (), "one JSON array", 4),
        (CSV, (), "holds no rows", 4),
        (CSV, ("--join", "x"), "is not NAME=PATH", 2),
        (CSV, ("--join", "x=/nowhere/at/all"), "there is no file", 2),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_line(
    server: Server, tmp_path: Path, text: str, words: tuple[str, ...], message: str, status: int
) -> None:
    result = run(server, written(tmp_path, text), *words)
    assert result.exit_code == status
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_project_is_asked_for_where_there_are_several(server: Server, tmp_path: Path) -> None:
    server.projects.append({"id": "proj_2"})
    file = written(tmp_path, CSV + GOOD.format(n=1))
    assert "Name one with --project" in run(server, file).stderr
    assert run(server, file, "--project", "proj_2").exit_code == 0
    assert server.queries[0]["project_id"] == "proj_2"
