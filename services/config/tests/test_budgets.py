"""Budgets are checked field by field, told to proxies, and kept for the history that refers to them."""

from __future__ import annotations

from typing import Any

import pytest
from config_harness import Installation, Refused, Tenant

GUARD = {"name": "runs", "scope": "tag", "scope_key": "run_id", "each": True, "cap_nano": 50_000_000}


async def budget(tenant: Tenant, **fields: Any) -> Any:
    given = {"name": "cap", "scope": "organization", "cap_nano": 10**9} | fields
    return (await tenant("CreateBudget", **given)).budget


async def refusal(tenant: Tenant, **fields: Any) -> tuple[str, str, str]:
    """Field, message and hint of the 422 problem."""
    with pytest.raises(Refused) as refused:
        await budget(tenant, **fields)
    problem = refused.value.problem
    assert problem.status == 422, problem
    assert problem.errors[0].hint
    return problem.errors[0].field, problem.errors[0].message, problem.errors[0].hint


async def test_a_budget_has_the_usual_terms_where_none_are_given(acme: Tenant) -> None:
    made = await budget(acme)
    assert (made.action, made.period, made.time_zone, made.period_start) == ("block", "month", "UTC", 1)
    assert list(made.alert_percents) == [50, 80, 95, 100]
    assert made.organization_id == acme.organization_id
    assert (await acme("GetBudget", id=made.id)).budget == made
    run = await budget(acme, **GUARD)
    assert (run.period, run.period_start) == ("total", 0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"cap_nano": -1}, "capUsd", id="negative cap"),
        pytest.param({"cap_nano": 0}, "capUsd", id="no cap"),
        pytest.param({"cap_nano": 10**18 + 1}, "capUsd", id="huge cap"),
        pytest.param({"cap_nano": None}, "capUsd", id="limits nothing"),
        pytest.param({"max_calls": 0}, "maxCalls", id="no calls"),
        pytest.param({"max_calls": -5}, "maxCalls", id="negative calls"),
        pytest.param({"max_duration_s": 0}, "maxDurationS", id="no time"),
        pytest.param({"max_duration_s": 10**9}, "maxDurationS", id="endless time"),
        pytest.param({"max_duration_s": 5, "action": "alert"}, "maxDurationS", id="an alert ends nothing"),
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"scope": ""}, "scope", id="no scope"),
        pytest.param({"scope": "tags"}, "scope", id="unknown scope"),
        pytest.param({"action": "stop"}, "action", id="unknown action"),
        pytest.param({"period": "1x"}, "period", id="unknown period"),
        pytest.param({"period": "monthly"}, "period", id="nearly a period"),
        pytest.param({"time_zone": "Mars"}, "timeZone", id="no such zone"),
        pytest.param({"time_zone": "Mars/Phobos"}, "timeZone", id="no such place"),
        pytest.param({"time_zone": "../../etc/passwd"}, "timeZone", id="a path"),
        pytest.param({"time_zone": "europe/berlin"}, "timeZone", id="zone in lower case"),
        pytest.param({"time_zone": "UTC+2"}, "timeZone", id="an offset"),
        pytest.param({"period_start": 29}, "periodStart", id="not in every month"),
        pytest.param({"period_start": 0}, "periodStart", id="no day of a month"),
        pytest.param({"period": "week", "period_start": 8}, "periodStart", id="eighth weekday"),
        pytest.param({"period": "day", "period_start": 24}, "periodStart", id="25th hour"),
        pytest.param({"period": "total", "period_start": 1}, "periodStart", id="total has no start"),
        pytest.param({"alert_percents": {"values": [50, 101]}}, "alertPercents", id="above the cap"),
        pytest.param({"alert_percents": {"values": [0]}}, "alertPercents", id="zero percent"),
        pytest.param({"alert_percents": {"values": list(range(1, 30))}}, "alertPercents", id="too many alerts"),
        pytest.param({"each": True}, "each", id="one organization"),
        pytest.param({"scope": "experiment", "scope_key": "exp_1", "each": True}, "each", id="each experiment"),
        pytest.param({"scope_key": "x"}, "scopeKey", id="organization says it all"),
        pytest.param({"scope": "project"}, "scopeKey", id="which project"),
        pytest.param({"scope": "key"}, "scopeKey", id="which key"),
        pytest.param({"scope": "key", "scope_key": "key_nobody"}, "scopeKey", id="no such key"),
        pytest.param({"scope": "provider", "scope_key": "opnai"}, "scopeKey", id="no such provider"),
        pytest.param({"scope": "model", "scope_key": "gpt-4oo"}, "scopeKey", id="no such model"),
        pytest.param({"scope": "model", "scope_key": "@cheap"}, "scopeKey", id="a slug is no model"),
        pytest.param({"scope": "experiment"}, "scopeKey", id="which experiment"),
        pytest.param({"scope": "end_user", "scope_key": "a\nb"}, "scopeKey", id="line end"),
        pytest.param({"scope": "tag", "scope_key": "team"}, "scopeKey", id="which value"),
        pytest.param({"scope": "tag", "scope_key": "=x"}, "scopeKey", id="which tag"),
        pytest.param({"scope": "tag", "scope_key": "run_id=7", "each": True}, "scopeKey", id="each of one value"),
        pytest.param({"scope": "key", "scope_key": "key_1", "each": True}, "scopeKey", id="each of one key"),
        pytest.param({"action": "downgrade"}, "downgradeTo", id="to nothing"),
        pytest.param({"downgrade_to": "gpt-4o-mini"}, "downgradeTo", id="no downgrade"),
        pytest.param({"action": "downgrade", "downgrade_to": "gpt-5-nanoo"}, "downgradeTo", id="to no model"),
        pytest.param({"action": "downgrade", "downgrade_to": "a b"}, "downgradeTo[0]", id="to no name"),
        pytest.param({"action": "downgrade", "downgrade_to": "@cheap"}, "downgradeTo", id="a slug of no project"),
        pytest.param(
            {"action": "downgrade", "downgrade_to": "gpt-4o-mini", "downgrade_at_ppm": 0},
            "downgradeAtPercent",
            id="from the start",
        ),
        pytest.param(
            {"action": "downgrade", "downgrade_to": "gpt-4o-mini", "downgrade_at_ppm": 1_000_001},
            "downgradeAtPercent",
            id="beyond the cap",
        ),
        pytest.param(
            {"action": "downgrade", "downgrade_to": "gpt-4o", "scope": "model", "scope_key": "gpt-4o"},
            "downgradeTo",
            id="to itself",
        ),
        pytest.param(
            {"action": "downgrade", "downgrade_to": "gpt-4o:openai", "scope": "model", "scope_key": "gpt-4o"},
            "downgradeTo",
            id="to itself at a provider",
        ),
        pytest.param({"loop_calls": 5}, "loopCalls", id="loops of everybody"),
        pytest.param(GUARD | {"loop_calls": 1}, "loopCalls", id="every call is a loop"),
        pytest.param(GUARD | {"loop_calls": -1}, "loopCalls", id="negative loop"),
    ],
)
async def test_bad_fields_are_named_with_the_way_out(acme: Tenant, fields: dict[str, Any], field: str) -> None:
    assert (await refusal(acme, **fields))[0] == field


async def test_what_is_nearly_right_is_suggested(acme: Tenant) -> None:
    assert "'month'" in (await refusal(acme, period="monthly"))[2]
    assert "'Europe/Berlin'" in (await refusal(acme, time_zone="europe/berlin"))[2]
    assert "'openai'" in (await refusal(acme, scope="provider", scope_key="opnai"))[2]
    assert "'gpt-4o'" in (await refusal(acme, scope="model", scope_key="gpt-4oo"))[2]


async def test_a_downgrade_needs_a_slug_of_the_project_that_is_not_all_the_key_may_use(acme: Tenant) -> None:
    mine = {"project_id": acme.project_id, "action": "downgrade", "downgrade_to": "@cheap"}
    assert (await refusal(acme, scope="project", **mine))[1] == "the project has no @cheap"
    config = await acme.config("cheap")
    key = (await acme("CreateProxyKey", project_id=acme.project_id, name="k", allowed_models=["@cheap"])).key
    assert "itself" in (await refusal(acme, scope="key", scope_key=key.id, **mine))[1]
    made = await budget(acme, scope="project", **mine)
    assert (made.downgrade_to, made.downgrade_at_ppm) == ("@cheap", 1_000_000)
    with pytest.raises(Refused) as refused:
        await acme("DeleteRoutingConfig", id=config.id)
    assert f"budget:{made.id}" in {e.field for e in refused.value.problem.errors}


async def test_a_project_named_as_scope_key_is_the_budgets_project(acme: Tenant) -> None:
    made = await budget(acme, scope="project", scope_key=acme.project_id)
    assert (made.project_id, made.scope_key) == (acme.project_id, "")
    assert [b.id for b in (await acme("ListBudgets", project_id=acme.project_id)).budgets] == [made.id]


async def test_limits_change_and_go_while_scope_and_period_stay(acme: Tenant) -> None:
    made = await budget(acme, max_calls=5)
    changed = (await acme("UpdateBudget", id=made.id, clear=["max_calls"], cap_nano=7, name="other")).budget
    assert (changed.cap_nano, changed.HasField("max_calls"), changed.name) == (7, False, "other")
    with pytest.raises(Refused) as refused:
        await acme("UpdateBudget", id=made.id, clear=["cap_nano"])
    assert refused.value.problem.errors[0].field == "capUsd"
    with pytest.raises(Refused) as refused:
        await acme("UpdateBudget", id=made.id, clear=["id"])
    assert refused.value.problem.errors[0].field == "clear"
    down = (await acme("UpdateBudget", id=made.id, action="downgrade", downgrade_to="gpt-4o-mini")).budget
    assert (down.downgrade_to, down.downgrade_at_ppm) == ("gpt-4o-mini", 1_000_000)
    up = (await acme("UpdateBudget", id=made.id, action="block", alert_percents={"values": []})).budget
    assert (up.downgrade_to, up.downgrade_at_ppm, list(up.alert_percents)) == ("", 0, [])


async def test_proxies_hear_of_budgets_in_force_alone(acme: Tenant, installation: Installation) -> None:
    updates = installation.watch()
    first = await anext(updates)
    assert not [b for b in first.snapshot.budgets if b.organization_id == acme.organization_id]
    made = await budget(acme, **GUARD)
    (told,) = (await anext(updates)).change.budgets
    assert (told.id, told.cap_nano, told.each, told.HasField("max_calls")) == (made.id, 50_000_000, True, False)
    await acme("UpdateBudget", id=made.id, disabled=True)
    assert list((await anext(updates)).change.deleted_ids) == [made.id]
    await acme("UpdateBudget", id=made.id, disabled=False)
    assert [b.id for b in (await anext(updates)).change.budgets] == [made.id]
    await acme("DeleteBudget", id=made.id)
    assert list((await anext(updates)).change.deleted_ids) == [made.id]
    await updates.aclose()


async def test_a_deleted_budget_is_gone_and_its_name_is_free(acme: Tenant) -> None:
    made = await budget(acme)
    with pytest.raises(Refused) as refused:
        await budget(acme, name="CAP")
    assert refused.value.problem.code == "name_taken"
    await acme("DeleteBudget", id=made.id)
    for operation in ("GetBudget", "UpdateBudget", "DeleteBudget", "GetBudgetSpend", "ReconcileBudget"):
        with pytest.raises(Refused) as refused:
            await acme(operation, id=made.id)
        assert refused.value.problem.code == "not_found"
    await budget(acme)
    actions = [(e.entity, e.action) for e in (await acme("ListAudit", entity_id=made.id)).entries]
    assert actions == [("budget", "deleted"), ("budget", "created")]


async def test_a_project_with_a_budget_is_kept(acme: Tenant) -> None:
    made = await budget(acme, scope="project", project_id=acme.project_id)
    with pytest.raises(Refused) as refused:
        await acme("DeleteProject", id=acme.project_id)
    assert f"budget:{made.id}" in {e.field for e in refused.value.problem.errors}


async def test_the_budgets_of_a_request_are_explained(acme: Tenant) -> None:
    key = (await acme("CreateProxyKey", project_id=acme.project_id, name="k")).key
    everyone = await budget(acme, name="all", cap_nano=100)
    run = await budget(acme, **GUARD)
    team = await budget(acme, name="team", scope="tag", scope_key="team=search")
    await budget(acme, name="other", scope="tag", scope_key="team=ads")
    await budget(acme, name="off", disabled=True)
    mini = await budget(acme, name="mini", scope="model", scope_key="gpt-4o-mini")
    facts = {"key_id": key.id, "tags": {"run_id": "7", "team": "search"}, "model": "gpt-4o-mini:openai"}
    found = await acme("ExplainBudget", needed_nano=101, **facts)
    assert {(s.budget.id, s.value) for s in found.standings} == {
        (everyone.id, ""),
        (run.id, "7"),
        (team.id, ""),
        (mini.id, ""),
    }
    assert not found.would_pass
    assert {s.budget.id: s.reason for s in found.standings if not s.would_pass} == {everyone.id: "exceeded"}
    assert (await acme("ExplainBudget", needed_nano=100, **facts)).would_pass
    everything = (await acme("ExplainBudget")).standings
    assert run.id not in {s.budget.id for s in everything}
    with pytest.raises(Refused) as refused:
        await acme("ExplainBudget", needed_nano=-1)
    assert refused.value.problem.errors[0].field == "neededUsd"
