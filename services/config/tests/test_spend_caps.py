"""The cap of an experiment is opened once, grants while it is open, is no budget for proxies, and ends for good."""

from __future__ import annotations

from typing import Any

import pytest
from config_harness import Installation, Refused, Tenant
from ledger_harness import Spender, join

from modelux.config.v1 import admin_pb2 as pb
from modelux_config.ledger import Ledger
from modelux_config.snapshot import read
from routing_core.ledger.messages import Denied
from routing_core.ledger.meters import Meter

CENTS_5 = 50_000_000


async def opened(tenant: Tenant, run: str = "sim_1", cap_nano: int = CENTS_5, **fields: Any) -> pb.BudgetRecord:
    given = {"project_id": tenant.project_id, "scope": "experiment", "scope_key": run, "cap_nano": cap_nano} | fields
    record: pb.BudgetRecord = (await tenant("OpenSpendCap", **given)).budget
    return record


async def closed(tenant: Tenant, budget_id: str) -> int:
    request = pb.CloseSpendCapRequest(organization_id=tenant.organization_id, budget_id=budget_id)
    answer = await tenant.installation.raw("CloseSpendCap", request, pb.CloseSpendCapResponse)
    return int(answer.settled_nano)


async def standing(tenant: Tenant, budget_id: str) -> tuple[int, int, int]:
    request = pb.GetSpendCapRequest(organization_id=tenant.organization_id, budget_id=budget_id)
    answer = await tenant.installation.raw("GetSpendCap", request, pb.GetSpendCapResponse)
    return answer.cap_nano, answer.settled_nano, answer.leased_nano


def meter(record: pb.BudgetRecord) -> Meter:
    return Meter(record.id, "", "usd")


async def test_a_cap_is_opened_once_for_each_run(acme: Tenant) -> None:
    editor = await acme.with_role("editor")
    first = await opened(editor, name="cheaper?")
    assert (first.scope, first.scope_key, first.period, first.action) == ("experiment", "sim_1", "total", "block")
    assert (first.cap_nano, first.project_id, first.name) == (CENTS_5, acme.project_id, "cheaper?")
    assert await opened(acme, cap_nano=1) == first
    assert (await opened(acme, scope="judge_run")).id != first.id
    assert (await opened(acme, "sim_2", name="cheaper?")).id != first.id, "runs may be named alike"


async def test_a_viewer_opens_none(acme: Tenant) -> None:
    with pytest.raises(Refused) as refused:
        await opened(await acme.with_role("viewer"))
    assert refused.value.problem.code == "role_required"


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        pytest.param({"cap_nano": 0}, "spendCapUsd", "$50", id="nothing"),
        pytest.param({"cap_nano": 50 * 10**9 + 1}, "spendCapUsd", "experimentSpendCapUsd", id="above the default"),
        pytest.param(
            {"scope": "judge_run", "cap_nano": 20 * 10**9 + 1}, "spendCapUsd", "judgeSpendCapUsd", id="a judge run"
        ),
        pytest.param({"scope": "project"}, "scope", "", id="no run"),
        pytest.param({"scope_key": ""}, "scopeKey", "", id="which run"),
    ],
)
async def test_bad_fields_are_named(acme: Tenant, fields: dict[str, Any], field: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        await opened(acme, **fields)
    (error,) = refused.value.problem.errors
    assert (refused.value.problem.status, error.field) == (422, field)
    assert hint in error.hint


async def test_the_project_says_how_much(acme: Tenant) -> None:
    await acme("UpdateProject", id=acme.project_id, experiment_spend_cap_nano=1_000)
    with pytest.raises(Refused, match="out of range"):
        await opened(acme, cap_nano=1_001)
    assert (await opened(acme, cap_nano=1_000)).cap_nano == 1_000


async def test_the_ledger_grants_under_it_until_it_is_closed(ledger: Ledger, acme: Tenant) -> None:
    record = await opened(acme, cap_nano=1_000)
    spender: Spender = await join(ledger)
    assert await standing(acme, record.id) == (1_000, 0, 0)
    lease = await spender.take(meter(record), 600)
    refused = await spender.refused(meter(record), 401)
    assert (refused.reason, refused.needed) == ("exceeded", 401)
    await spender.tell(lease, 150, claim=200, closed=False)
    assert await standing(acme, record.id) == (1_000, 150, 50)
    assert await closed(acme, record.id) == 150
    answer = await spender.refused(meter(record), 1)
    assert isinstance(answer, Denied)
    assert answer.reason == "gone"
    assert await spender.tell(lease, 170) == "closed", "what was under way is still charged"
    assert await closed(acme, record.id) == 170, "closed again"
    assert await standing(acme, record.id) == (1_000, 170, 0)
    (account,) = (await acme("ReconcileBudget", id=record.id)).accounts
    assert (account.settled, account.leased) == (170, 0)
    assert (await opened(acme, cap_nano=1_000)).disabled, "it stays closed"


async def test_proxies_and_plain_lists_do_not_know_it(acme: Tenant, installation: Installation) -> None:
    record = await opened(acme)
    plain = (await acme("CreateBudget", name="mine", scope="experiment", scope_key="sim_1", cap_nano=5)).budget
    parts = (await read(installation.database)).parts
    assert (plain.id in parts, record.id in parts) == (True, False)
    assert [each.id for each in (await acme("ListBudgets")).budgets] == [plain.id]
    listed = (await acme("ListBudgets", scope="experiment")).budgets
    assert {each.id for each in listed} == {plain.id, record.id}
    assert (await acme("GetBudget", id=record.id)).budget == record
    told = (await acme("ExplainBudget")).standings
    assert [each.budget.id for each in told] == [plain.id]
    told = (await acme("ExplainBudget", experiment_id="sim_1", project_id=acme.project_id)).standings
    assert {each.budget.id for each in told} == {plain.id, record.id}


@pytest.mark.parametrize("operation", ["UpdateBudget", "DeleteBudget"])
async def test_it_ends_with_its_run_alone(acme: Tenant, operation: str) -> None:
    record = await opened(acme)
    with pytest.raises(Refused) as refused:
        await acme(operation, id=record.id)
    assert refused.value.problem.code == "spend_cap"
    assert "Cancel the experiment" in refused.value.problem.hint


async def test_it_keeps_a_project_only_while_it_is_open(acme: Tenant) -> None:
    other = (await acme("CreateProject", name="other")).project
    record = await opened(acme, project_id=other.id)
    with pytest.raises(Refused, match="project_in_use"):
        await acme("DeleteProject", id=other.id)
    await closed(acme, record.id)
    await acme("DeleteProject", id=other.id)


async def test_opening_and_closing_are_audited(acme: Tenant) -> None:
    record = await opened(acme)
    await closed(acme, record.id)
    await closed(acme, record.id)
    entries = (await acme("ListAudit", entity="budget", entity_id=record.id)).entries
    assert [(each.action, each.actor) for each in entries] == [
        ("updated", "system"),
        ("created", (await acme("AuthenticateKey")).key_id),
    ]
    assert not (await acme("VerifyAudit")).broken_at


async def test_another_tenant_has_no_such_cap(acme: Tenant, globex: Tenant) -> None:
    record = await opened(acme)
    for call in (closed, standing):
        with pytest.raises(Refused) as refused:
            await call(globex, record.id)
        assert refused.value.problem.status == 404
    plain = (await acme("CreateBudget", name="mine", scope="organization", cap_nano=5)).budget
    with pytest.raises(Refused, match="404"):
        await closed(acme, plain.id)
    with pytest.raises(Refused, match="404"):
        await opened(globex, "sim_9", project_id=acme.project_id)
