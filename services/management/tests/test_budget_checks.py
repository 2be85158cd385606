"""Why a call was blocked, and the ledger held against the request log, over the REST API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import pytest
from config_harness import Installation
from engines import NewUrl
from hypothesis import given
from hypothesis import strategies as st
from management_harness import Client, charge, client_of

from modelux.config.v1.admin_pb2 import BudgetAccount
from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux_ingest.rows import attempt_columns, request_columns
from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.budget_reconciled import apart
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.logs import Logs

GUARD = {"name": "runs", "scope": "tag", "scopeKey": "run_id", "each": True, "capUsd": 0.05}
BLOCKED, DOWNGRADED = f"req_{'b' * 26}", f"req_{'d' * 26}"
NANO = st.integers(0, 10**12)


class House(NamedTuple):
    """A tenant with a request log of its own."""

    client: Client
    analytics: Analytics

    def event(self, number: int, **fields: Any) -> RequestCompleted:
        own = {"organization_id": self.client.organization_id, "project_id": self.client.project_id}
        costs = fields.pop("costs", (1_000_000,))
        models = fields.pop("models", ("gpt-4o",) * len(costs))
        attempts = [
            AttemptRecord(number=n, model=m, provider="openai", kind="ok", status=200, cost_nano=c, latency_us=1000)
            for n, (m, c) in enumerate(zip(models, costs, strict=True), 1)
        ]
        common = {
            "request_id": f"req_{number}",
            "started_at_us": 4_000_000_000_000_000 + number,
            "requested_model": "gpt-4o",
            "model": models[-1] if models else "",
            "latency_us": 2000,
            "status": 200,
            "outcome": "ok",
            "tags": {"run_id": "run_7"},
        }
        return RequestCompleted(**{**own, **common, "attempts": attempts, "cost_nano": sum(costs), **fields})

    async def log(self, *events: RequestCompleted) -> None:
        await self.analytics.insert("requests", request_columns(events))
        if any(event.attempts for event in events):
            await self.analytics.insert("attempts", attempt_columns(events))

    async def reconciled(self, budget_id: str) -> Any:
        return (await self.client.get(f"/budgets/{budget_id}/reconcile"))["data"]


@pytest.fixture
async def house(installation: Installation, new_analytics: NewUrl) -> AsyncIterator[House]:
    analytics = await Analytics.open(await new_analytics())
    app = build(Admin(installation.channel), Logs(analytics, b"key"), {"localhost"})
    transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1", timeout=30) as http:
        yield House(client_of(http, await installation.tenant("acme")), analytics)
    await analytics.close()


async def deny(database: Database, budget_id: str, value: str) -> None:
    row = {"budget": budget_id, "value": value, "op": f"{BLOCKED}/1"}
    sql = """INSERT INTO ledger.denial (budget_id, value, unit, at_us, reason, needed, cap, settled, leased,
        window_start_us, resets_at_us, replica_id, op_id)
        VALUES (%(budget)s, %(value)s, 'usd', 1775779200000000, 'exceeded', 1200000, 50000000, 49000000, 400000, 0, 0,
        'rep_1', %(op)s)"""
    async with database.transaction() as tx:
        await tx.execute(sql, row)


async def test_a_blocked_call_is_explained_in_words_and_numbers(house: House, database: Database) -> None:
    acme = house.client
    runs = await acme.post("/budgets", GUARD)
    await charge(database, runs["id"], "run_7", settled=49_000_000, exceeded=1)
    await deny(database, runs["id"], "run_7")
    refused = {"status": 402, "outcome": "error", "error_code": "budget_exceeded", "costs": (), "model": ""}
    await house.log(house.event(1, request_id=BLOCKED, **refused))
    found = await acme.post("/budgets/explain", {"requestId": BLOCKED}, 200)
    assert (found["verdict"], found["request"]["status"], found["would_pass"]) == ("blocked", 402, True)
    assert found["text"] == [
        f"{BLOCKED} asked for gpt-4o and was blocked with 402 budget_exceeded.",
        f"It was denied by budget 'runs' ({runs['id']}) for run_id 'run_7': "
        "what it could cost at most did not fit under the cap any more.",
        "At 2026-04-10 00:00:00 UTC: cap $0.05, spent $0.049, reserved $0.0004, needed $0.0012; does not reset.",
        "What to do: Raise the limit, wait for the next window, ask for fewer tokens (max_tokens) or name a cheaper "
        "model.",
        "Where the budgets stand now:",
        f"Budget 'runs' ({runs['id']}) for run_id 'run_7': The call would pass.",
        "  cap $0.05, spent $0.049, reserved $0.00, left $0.001; does not reset.",
    ]
    (standing,) = found["standings"]
    assert (standing["value"], standing["spend"]["remaining_usd"]) == ("run_7", 0.001)
    (denial,) = standing["denials"]
    assert (denial["needed"], denial["spent"], denial["reserved"], denial["cap"]) == (0.0012, 0.049, 0.0004, 0.05)


async def test_what_the_caller_was_told_is_told_again(house: House) -> None:
    budget = {"id": "bud_1", "name": "runs", "cap_usd": "0.050000000", "spent_usd": "0.049000000", "resets_at": None}
    budget |= {"needed_usd": "0.001200000", "limit": "cost"}
    error = {"message": "the run 'run_7' is aborted by budget 'runs'", "code": "run_aborted", "budget": budget}
    body = json.dumps({"error": error}).encode()
    refused = {"status": 402, "outcome": "error", "error_code": "run_aborted", "costs": (), "model": ""}
    await house.log(house.event(1, request_id=BLOCKED, response_body=body, **refused))
    found = await house.client.post("/budgets/explain", {"requestId": BLOCKED}, 200)
    assert (found["verdict"], found["request"]["refusal"]) == ("blocked", error)
    assert found["text"][1:4] == [
        "The caller was told: the run 'run_7' is aborted by budget 'runs'.",
        "Budget 'runs' (bud_1) then: cap $0.05, spent $0.049, needed $0.0012, does not reset.",
        "What to do: Start a new run with another value of the tag; this one stays aborted, even if a limit is raised.",
    ]


async def test_a_downgraded_call_names_the_hop(house: House) -> None:
    hop = {"policy_type": "budget", "policy_name": "", "chose": "gpt-4o-mini", "reason": "80.0 % of $0.05 is used"}
    trace = json.dumps({"path": [hop]}).encode()
    await house.log(house.event(1, request_id=DOWNGRADED, models=("gpt-4o-mini",), trace_json=trace))
    found = await house.client.post("/budgets/explain", {"requestId": DOWNGRADED}, 200)
    assert (found["verdict"], found["standings"]) == ("downgraded", [])
    assert found["text"] == [
        f"{DOWNGRADED} asked for gpt-4o and was downgraded and answered by gpt-4o-mini.",
        "Downgraded: gpt-4o -> gpt-4o-mini (80.0 % of $0.05 is used).",
        "Where the budgets stand now:",
        "No budget holds for this request.",
    ]


async def test_a_request_that_is_only_thought_of(house: House, database: Database) -> None:
    acme = house.client
    runs = await acme.post("/budgets", GUARD)
    await charge(database, runs["id"], "run_7", settled=49_000_000)
    facts = {"tags": {"run_id": "run_7"}, "projectId": acme.project_id, "neededUsd": "0.0015"}
    found = await acme.post("/budgets/explain", facts, 200)
    assert (found["verdict"], found["request"], found["standings"][0]["reason"]) == ("would_block", None, "exceeded")
    assert "$0.001 of $0.05 remain, and the call needs $0.0015." in found["text"][0]
    other = await acme.post("/budgets/explain", facts | {"tags": {"run_id": "run_8"}}, 200)
    assert other["verdict"] == "would_pass"
    one = await acme.post("/budgets/explain", {"budgetId": runs["id"], "value": "run_7"}, 200)
    assert [each["value"] for each in one["standings"]] == ["run_7"]


async def test_bad_questions(house: House) -> None:
    acme = house.client
    await acme.refused("POST", "/budgets/explain", 404, json={"requestId": "req_x"})
    await acme.refused("POST", "/budgets/explain", 404, json={"budgetId": "bud_x"})
    both = await acme.refused("POST", "/budgets/explain", 422, json={"requestId": "req_x", "model": "m"})
    assert "requestId stands alone" in both["detail"]
    for body, field in (({"neededUsd": -1}, "neededUsd"), ({"tags": {"a": 1}}, "tags.a"), ({"spend": 1}, "spend")):
        assert (await acme.refused("POST", "/budgets/explain", 422, json=body))["errors"][0]["field"] == field
    made = await acme.post("/budgets", GUARD)
    query = "start=2026-04-10T00:00:00Z&end=2026-04-09T00:00:00Z"
    assert (await acme.refused("GET", f"/budgets/{made['id']}/reconcile?{query}", 422))["errors"][0]["field"] == "end"


async def test_ledger_and_log_agree_or_say_why_not(house: House, database: Database) -> None:
    runs = await house.client.post("/budgets", GUARD)
    opened_us = 4_000_000_000_000_000
    for value, amounts in {
        "exact": {"settled": 3_000_000},
        "lost": {"settled": 3_500_000, "unknown": 300_000, "forfeited": 200_000},
        "over": {"settled": 3_000_000, "overrun": 400_000},
        "late": {"settled": 2_000_000, "leased": 1_500_000},
        "wrong": {"settled": 9_000_000},
    }.items():
        await charge(database, runs["id"], value, **{"started_us": opened_us, **amounts})
    runs_of = {name: {"tags": {"run_id": name}} for name in ("exact", "lost", "over", "late", "wrong")}
    events = [house.event(n, **tags) for tags in runs_of.values() for n in range(3)]
    for number, event in enumerate(events):
        event.request_id = f"req_{number}"
    before = house.event(99, started_at_us=opened_us - 5_000, tags={"run_id": "exact"})
    await house.log(*events, before, house.event(98, tags={"run_id": "other"}))
    rows = {row["value"]: row for row in await house.reconciled(runs["id"])}
    assert {value: row["logged_usd"] for value, row in rows.items()} == dict.fromkeys(runs_of, 0.003)
    assert {value: row["logged_requests"] for value, row in rows.items()} == dict.fromkeys(runs_of, 3)
    assert {value: row["balanced"] for value, row in rows.items()} == {**dict.fromkeys(runs_of, True), "wrong": False}
    (row,) = (await house.client.get(f"/budgets/{runs['id']}/reconcile", value="lost"))["data"]
    assert row == rows["lost"]
    assert rows["exact"]["text"] == "The ledger and the log agree to the nano-dollar."
    assert rows["lost"]["explained"]["unknown_usd"] == 0.0003
    assert rows["lost"]["explained"]["forfeited_usd"] == 0.0002
    assert (rows["over"]["difference_usd"], rows["over"]["explained"]["overrun_usd"]) == (-0.0004, -0.0004)
    assert (rows["late"]["difference_usd"], rows["late"]["explained"]["in_flight_usd"]) == (-0.001, -0.001)
    assert rows["wrong"]["unexplained_usd"] == 0.006
    assert rows["wrong"]["text"].startswith("The ledger has $0.006 beyond the log: $0.006 not explained.")


async def test_each_scope_is_found_in_the_log(house: House, database: Database) -> None:
    acme = house.client
    own = {"key_id": "key_2", "end_user_id": "ann", "tags": {"team": "search"}}
    await house.log(
        house.event(1, costs=(1000, 200), models=("gpt-4o", "gpt-4o-mini")),
        house.event(2, costs=(30,), models=("gpt-4o-mini",), **own),
    )
    expected = [
        ({"scope": "organization"}, "", 1230),
        ({"scope": "project", "scopeKey": acme.project_id}, "", 1230),
        ({"scope": "key", "each": True}, "key_2", 30),
        ({"scope": "tag", "scopeKey": "team=search"}, "", 30),
        ({"scope": "end_user", "each": True}, "ann", 30),
        ({"scope": "end_user", "scopeKey": "ann"}, "", 30),
        ({"scope": "provider", "scopeKey": "openai"}, "", 1230),
        ({"scope": "model", "each": True}, "gpt-4o-mini", 230),
        ({"scope": "tag", "scopeKey": "run_id", "each": True, "projectId": acme.project_id}, "run_7", 1200),
    ]
    for number, (scope, value, cost) in enumerate(expected):
        made = await acme.post("/budgets", {"name": f"b{number}", "capUsd": 1, **scope})
        await charge(database, made["id"], value, settled=cost)
        (row,) = await house.reconciled(made["id"])
        assert (row["logged_usd"], row["balanced"]) == (cost / 1e9, True), scope


async def test_calls_of_a_run_are_those_that_saw_its_cap(house: House, database: Database) -> None:
    acme = house.client
    for scope, source in (("experiment", "experiment"), ("judge_run", "judge")):
        own = {"scope": scope, "scopeKey": "run_1", "projectId": acme.project_id}
        made = await acme.post("/budgets", {"name": scope, "capUsd": 1, **own})
        await charge(database, made["id"], settled=7)
        (row,) = await house.reconciled(made["id"])
        assert (row["logged_usd"], row["logged_requests"], row["unexplained_usd"]) == (0, 0, 7e-9)
        saw = json.dumps({"saw": {"budgets": [{"budget_id": made["id"]}]}}).encode()
        call = house.event(1, request_id=f"req_{source}", source=source, costs=(7,), trace_json=saw)
        await house.log(call, house.event(2, request_id=f"req_{source}_of_another", source=source, costs=(9,)))
        await house.log(call, house.event(3, request_id=f"req_served_{source}", costs=(11,), trace_json=saw))
        (row,) = await house.reconciled(made["id"])
        assert (row["logged_usd"], row["logged_requests"], row["balanced"]) == (7e-9, 1, True)


@given(NANO, NANO, NANO, NANO, NANO, NANO)
def test_the_parts_add_up_to_the_difference(
    spent: int, unknown: int, lost: int, over: int, leased: int, log: int
) -> None:
    settled = spent + unknown + lost
    account = BudgetAccount(settled=settled, unknown=unknown, forfeited=lost, overrun=over, leased=leased)
    parts = apart(account, log)
    assert sum(parts) == settled - log
    assert 0 <= parts.unknown <= unknown
    assert 0 <= parts.forfeited <= lost
    assert -leased <= parts.in_flight <= 0
    assert apart(account, spent + over) == (unknown, lost, -over, 0, 0)
