"""What other services do: note their callers' deeds in the audit log, and open caps for schedules without a key."""

from __future__ import annotations

import pytest
from config_harness import Refused, Tenant

from modelux.config.v1 import admin_pb2 as pb

AFTER = '{"cron":"0 6 * * *"}'
DEED = {"entity": "experiment_schedule", "entity_id": "sch_1", "action": "created", "after_json": AFTER}


async def test_a_deed_is_noted_in_the_chain_and_no_proxy_is_told(acme: Tenant) -> None:
    editor = await acme.with_role("editor")
    before = await acme("VerifyAudit")
    await editor("RecordAudit", project_id=acme.project_id, **DEED)
    after = await acme("VerifyAudit")
    assert (after.entries, after.broken_at) == (before.entries + 1, 0)
    (row,) = (await acme("ListAudit", entity_id="sch_1")).entries
    assert (row.entity, row.action, row.after_json) == ("experiment_schedule", "created", AFTER)
    assert (row.request_id, row.project_id) == ("req_test", acme.project_id)


async def test_a_viewer_notes_nothing(acme: Tenant) -> None:
    with pytest.raises(Refused) as refused:
        await (await acme.with_role("viewer"))("RecordAudit", **DEED)
    assert refused.value.problem.code == "role_required"


@pytest.mark.parametrize("wrong", [{"entity": ""}, {"entity_id": ""}, {"action": ""}, {"after_json": "{"}])
async def test_a_deed_without_its_facts_is_refused(acme: Tenant, wrong: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        await acme("RecordAudit", **DEED | wrong)
    assert refused.value.problem.errors[0].field == next(iter(wrong))


def schedule(tenant: Tenant) -> pb.Actor:
    return pb.Actor(schedule_id="sch_1", organization_id=tenant.organization_id)


async def opened(tenant: Tenant, project_id: str) -> pb.OpenSpendCapResponse:
    asked = pb.OpenSpendCapRequest(
        actor=schedule(tenant), project_id=project_id, scope="experiment", scope_key="sim_1", cap_nano=50_000_000
    )
    answer: pb.OpenSpendCapResponse = await tenant.installation.raw("OpenSpendCap", asked, pb.OpenSpendCapResponse)
    return answer


async def test_a_schedule_opens_a_cap_without_a_key(acme: Tenant) -> None:
    budget = (await opened(acme, acme.project_id)).budget
    assert (budget.organization_id, budget.created_by) == (acme.organization_id, "sch_1")
    (row,) = (await acme("ListAudit", entity_id=budget.id)).entries
    assert row.actor == "sch_1"


async def test_a_schedule_may_do_nothing_else_and_nothing_elsewhere(acme: Tenant, globex: Tenant) -> None:
    with pytest.raises(Refused) as refused:
        await opened(acme, globex.project_id)
    assert refused.value.problem.status == 404
    asked = pb.ListProjectsRequest(actor=schedule(acme))
    with pytest.raises(Refused) as refused:
        await acme.installation.raw("ListProjects", asked, pb.ListProjectsResponse)
    assert refused.value.problem.status == 401
