"""`modelux experiments judge` and `label`, against an API that answers as the product does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from experiment_core.judge.envelope import ORDERS
from experiment_core.verdicts import Judged
from modelux.events.v1.judge_pb2 import JudgeVerdict
from modelux.judge.v1 import judge_pb2 as pb
from modelux_cli import judge_runs
from modelux_cli.main import app
from modelux_judge.calls import Asked, Place
from modelux_judge.labels import Label
from modelux_judge.outcome import Ended, sum_up
from modelux_judge.population import Pair, Shares
from modelux_judge.verdicts import Answer
from modelux_management.judge_views import agreement, judge_preflight, judge_run, label_queue, verdict
from modelux_management.routes.judge_runs import NewLabel, WantedJudgeRun
from modelux_store.judge_verdicts import OrderReply, VerdictRow

RUN = "jr_1"
Row = dict[str, Any]


def answers() -> list[Answer]:
    """Ten pairs of each bucket; half of the major ones are worse, one of the mild ones could not be read."""
    found = []
    for number in range(30):
        bucket = ("high", "mild", "major")[number // 10]
        said = "worse" if number >= 25 else "parse_error" if number == 10 else "equivalent"
        pair = Pair(number, number, "pair", bucket, 0.9, f"req_{number}", f"req_c{number}")
        asked = tuple(
            Asked(Place(number, order), "req_j", JudgeVerdict(verdict=said, cost_nano=1_000_000), 10, 12)
            for order in ORDERS
        )
        one: Any = "unreadable" if said == "parse_error" else said
        found.append(Answer(pair, Judged(one, one), asked))
    return found


def summary(labelled: int = 0) -> str:
    labels = {number: Label(number, "equivalent" if number < 25 else "worse", "ann") for number in range(30)}
    kept = {row: label for row, label in labels.items() if row % 3 < labelled}
    shares = Shares((800, 150, 50), (800.0, 150.0, 50.0), 1000.0, 0.0)
    return json.dumps(sum_up(pb.JudgeSpec(orders="both"), shares, answers(), 30, 60_000_000, Ended(), kept).summary)


def run(status: str = "completed", told: str = "", **fields: Any) -> Row:
    spec = pb.JudgeSpec(experiment_id="sim_1", judge_model="gpt-4o", rubric="Be \x1b[31mfair.", orders="both")
    spec.stratification.allocation, spec.spend_cap_nano = "fixed", 4_200_000_000
    one = pb.JudgeRecord(id=RUN, spec=spec, status=status, pairs_total=30, summary_json=told.encode(), **fields)
    return judge_run(one).model_dump(mode="json")


class FakeApi:
    """Checks what it is sent as the product does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.looks = [run("running", pairs_done=12), run("completed", summary(), pairs_done=30)]

    def get(self, path: str, parameters: Any = None) -> Row:
        self.asked.append(("GET", path, parameters))
        if path.endswith("/labels"):
            texts = {"prompt": "How?", "first": "One\x1b[2J.", "second": "Two."}
            tasks = [pb.LabelTask(row=number, token=f"t{number}", **texts) for number in (1, 2)]
            return {"data": label_queue(pb.NextLabelsResponse(tasks=tasks, wanted=30)).model_dump(mode="json")}
        if path.endswith("/results"):
            replies = tuple(OrderReply(order, "worse", "It \x1b[1mlies.", "req_j", 7, "") for order in ORDERS)
            row = VerdictRow(7, "req_7", "req_c7", "major", 0.4, "worse", True, 1, replies)
            return {"data": [verdict(row).model_dump(mode="json")], "next_cursor": None}
        if path.endswith("/agreement"):
            told = pb.CompareResponse(pairs=30, agreed=27, kappa=0.7, kappa_lower=0.5, kappa_upper=0.9)
            return {"data": agreement(told).model_dump(mode="json")}
        if path.endswith("/judge"):
            return {"data": [run(pairs_done=30)], "next_cursor": None}
        return {"data": self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]}

    def send(self, method: str, path: str, body: Any = None) -> Row:
        self.asked.append((method, path, body))
        if path.endswith("/preflight"):
            WantedJudgeRun.model_validate(body)
            told = pb.PreflightResponse(effective_pair_count=30, estimated_cost_nano=2_100_000_000, notes=["mind"])
            return {"data": judge_preflight(told).model_dump(mode="json")}
        if path.endswith("/labels"):
            NewLabel.model_validate(body)
            return {"data": run("completed", summary(3))}
        if path.endswith("/cancel"):
            return {"data": run("running", status_reason="Cancelled by a caller.")}
        WantedJudgeRun.model_validate(body)
        return {"data": run("pending")}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    found = FakeApi()
    monkeypatch.setattr(judge_runs, "connect", lambda *given: found)
    monkeypatch.setattr("modelux_cli.experiment_progress.PAUSES_S", (0.0, 0.0))
    return found


def call(*given: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["experiments", *given], input=typed)


def test_preflight_tells_pairs_and_cost(api: FakeApi) -> None:
    told = call("judge", "preflight", "sim_1", "--high=10", "--major=5", "--neyman", "--cuts=0.9,0.7")
    assert told.exit_code == 0, told.output
    assert "30 pairs would be judged" in told.output
    assert "$2.1" in told.output
    assert "note: mind" in told.output
    stratification = {"high": 10, "major": 5, "allocation": "neyman", "cuts": {"high": 0.9, "mild": 0.7}}
    assert api.asked == [("POST", "/experiments/sim_1/judge/preflight", {"stratification": stratification})]


def test_a_run_is_waited_for_and_told(api: FakeApi, tmp_path: Any) -> None:
    rubric = tmp_path / "rubric.txt"
    rubric.write_text("Be right.")
    told = call("judge", "run", "sim_1", f"--rubric=@{rubric}", "--spend-cap=4.20", "--stop-when-worse=5")
    assert told.exit_code == 0, told.output
    assert api.asked[0][2] == {"rubric": "Be right.", "spendCapUsd": "4.20", "stopWhenDecided": {"worsePct": 5.0}}
    assert [path for method, path, _ in api.asked if method == "GET"] == ["/experiments/sim_1/judge/jr_1"] * 2
    assert "Of the traffic that the candidate answers anew" in told.output
    assert "without a verdict: 1 parse errors" in told.output
    assert "\x1b" not in told.output


def test_show_list_results_cancel_and_agreement(api: FakeApi) -> None:
    assert "running, 12 of 30 pairs" in call("judge", "show", "sim_1", "jr_1").output
    assert "both orders agree on 100.0 %" in call("judge", "show", "sim_1", "jr_1").output
    assert RUN in call("judge", "list", "sim_1").output
    told = call("judge", "results", "sim_1", "jr_1", "--verdict=worse", "--inconsistent")
    assert ("It [1mlies." in told.output, "\x1b" in told.output) == (True, False)
    assert api.asked[-1][2]["consistent"] == "false"
    assert "jr_1 is being stopped" in call("judge", "cancel", "sim_1", "jr_1").output
    told = call("judge", "agreement", "sim_1", "jr_1", "jr_2")
    assert "27 of 30 pairs have the same verdict (90%)" in told.output
    assert "kappa 0.70 [0.50, 0.90]" in told.output


def test_a_person_labels_pairs_in_turn(api: FakeApi) -> None:
    told = call("label", "sim_1", "jr_1", "--labeller=ann", typed="x\n1\n=\n")
    assert told.exit_code == 0, told.output
    sent = [body for method, _, body in api.asked if method == "POST"]
    assert sent == [
        {"token": "t1", "verdict": "first", "labeller": "ann"},
        {"token": "t2", "verdict": "equal", "labeller": "ann"},
    ]
    assert "the judge agrees with people on" in told.output
    assert "\x1b" not in told.output


def test_labelling_stops_when_told(api: FakeApi) -> None:
    call("label", "sim_1", "jr_1", typed="q\n")
    assert [method for method, _, _ in api.asked] == ["GET"]


def test_programs_label_by_token(api: FakeApi) -> None:
    queue = json.loads(call("label", "sim_1", "jr_1", "--json").output)
    assert [task["token"] for task in queue["tasks"]] == ["t1", "t2"]
    told = json.loads(call("label", "sim_1", "jr_1", "--token=t1", "--verdict=second", "--json").output)
    assert told["summary"]["labels"]["count"] == 30


@pytest.mark.parametrize("given", ["--cuts=high", "--rubric=@/no/such/file"])
def test_what_cannot_be_read_is_told_in_one_line(api: FakeApi, given: str) -> None:
    told = call("judge", "preflight", "sim_1", given)
    assert (told.exit_code, api.asked) == (2, [])
    assert told.stderr.startswith("modelux: ")
