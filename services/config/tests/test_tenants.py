"""Tenants, roles and the operation table."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from config_harness import Installation, Refused, Tenant

from modelux.config.v1 import admin_pb2 as pb
from modelux_config.operations import OPERATIONS
from modelux_runtime.auth import ROLES, allows

READS = ("List", "Get", "Diff", "Verify", "Authenticate", "Explain", "Reconcile")


WITHOUT_ACTOR = {"Bootstrap", "GetSpendCap", "CloseSpendCap", "StepRollout"}


def test_every_operation_of_the_service_is_in_the_table_and_carries_an_actor() -> None:
    methods = {m.name: m for m in pb.DESCRIPTOR.services_by_name["AdminService"].methods}
    assert set(methods) - WITHOUT_ACTOR == set(OPERATIONS)
    for name in OPERATIONS:
        assert methods[name].input_type.fields_by_name["actor"].message_type is pb.Actor.DESCRIPTOR
        assert OPERATIONS[name].writes == (not name.startswith(READS))


async def test_every_role_is_refused_exactly_what_the_table_denies_it(acme: Tenant) -> None:
    callers = {role: await acme.with_role(role) for role in ROLES}
    for name, operation in OPERATIONS.items():
        for role, caller in callers.items():
            try:
                await caller(name)
                code = "ok"
            except Refused as refused:
                code = refused.problem.code
            if allows(role, operation.role):
                assert code != "role_required", (name, role)
            else:
                assert code == "role_required", (name, role)


async def test_a_denial_names_the_role_that_is_needed(acme: Tenant) -> None:
    viewer = await acme.with_role("viewer")
    with pytest.raises(Refused) as refused:
        await viewer("CreateProject", name="x")
    assert refused.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert refused.value.problem.status == 403
    assert "'admin'" in refused.value.problem.detail


async def test_unknown_revoked_and_expired_keys_get_the_same_answer(acme: Tenant, installation: Installation) -> None:
    revoked = await acme("CreateManagementKey", name="a", role="viewer")
    await acme("RevokeManagementKey", id=revoked.key.id)
    expires_at_us = (installation.clock[0] + 1000) * 1000
    expired = await acme("CreateManagementKey", name="b", role="viewer", expires_at_us=expires_at_us)
    installation.clock[0] += 1000
    answers = set()
    for key in ("mlx_mk_nobody", revoked.secret, expired.secret, "' OR 1=1 --"):
        with pytest.raises(Refused) as refused:
            await Tenant(installation, key, "", "")("ListProjects")
        answers.add((refused.value.code, refused.value.problem.SerializeToString()))
    assert len(answers) == 1
    assert answers.pop()[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_another_tenants_ids_do_not_exist(acme: Tenant, globex: Tenant) -> None:
    config = await acme.config("production")
    credential = await acme("CreateCredential", name="c", provider="openai", secret="sk-acme-secret")
    key = await acme("CreateProxyKey", project_id=acme.project_id, name="k")
    manager = await acme("CreateManagementKey", name="m", role="viewer")
    price = await acme("CreatePrice", provider="openai", model="gpt-4o", input=1, output=2)
    budget = await acme("CreateBudget", name="b", scope="organization", cap_nano=1)
    foreign = {
        "Budget": budget.budget.id,
        "Project": acme.project_id,
        "Credential": credential.credential.id,
        "ProxyKey": key.key.id,
        "ManagementKey": manager.key.id,
        "RoutingConfig": config.id,
        "Price": price.price.id,
    }
    tried = 0
    for name, operation in OPERATIONS.items():
        if "id" not in operation.request.DESCRIPTOR.fields_by_name:
            continue
        target = next(entity for entity in sorted(foreign, key=len, reverse=True) if entity in name)
        fields = {"version": 1} if "version" in operation.request.DESCRIPTOR.fields_by_name else {}
        with pytest.raises(Refused) as refused:
            await globex(name, id=foreign[target], **fields)
        assert refused.value.problem.code == "not_found", name
        tried += 1
    assert tried == 26
    for name, fields in (
        ("CreateProxyKey", {"project_id": acme.project_id, "name": "k"}),
        ("ListProxyKeys", {"project_id": acme.project_id}),
        ("CreateRoutingConfig", {"project_id": acme.project_id, "slug": "x", "policy": "gpt-4o"}),
        ("ListRoutingConfigs", {"project_id": acme.project_id}),
        ("CreateBudget", {"project_id": acme.project_id, "name": "b", "scope": "project", "cap_nano": 1}),
        ("ListBudgets", {"project_id": acme.project_id}),
        ("ExplainBudget", {"project_id": acme.project_id}),
        ("ExplainBudget", {"key_id": key.key.id}),
        ("ExplainBudget", {"budget_id": budget.budget.id}),
        (
            "CreateCredential",
            {"name": "x", "provider": "openai", "secret": "sk-12345678", "project_ids": [acme.project_id]},
        ),
    ):
        with pytest.raises(Refused) as refused:
            await globex(name, **fields)
        assert refused.value.problem.status == 404, name


async def test_lists_hold_only_ones_own(acme: Tenant, globex: Tenant) -> None:
    await acme.config("production")
    await acme("CreateCredential", name="c", provider="openai", secret="sk-acme-secret")
    await acme("CreateProxyKey", project_id=acme.project_id, name="k")
    await acme("CreatePrice", provider="openai", model="gpt-4o", input=1, output=2)
    assert len((await globex("ListProjects")).projects) == 1
    assert not (await globex("ListRoutingConfigs")).routing_configs
    assert not (await globex("ListCredentials")).credentials
    assert not (await globex("ListProxyKeys")).keys
    assert not (await globex("ListPrices")).prices
    assert len((await globex("ListManagementKeys")).keys) == 1
    assert {e.entity for e in (await globex("ListAudit")).entries} == {"organization", "project", "management_key"}


async def test_nobody_grants_or_revokes_more_than_they_hold(acme: Tenant) -> None:
    admin = await acme.with_role("admin")
    with pytest.raises(Refused) as refused:
        await admin("CreateManagementKey", name="x", role="owner")
    assert refused.value.problem.code == "role_required"
    owner = await acme("CreateManagementKey", name="second", role="owner")
    with pytest.raises(Refused) as refused:
        await admin("RevokeManagementKey", id=owner.key.id)
    assert refused.value.problem.code == "role_required"


async def test_the_last_owner_stays(acme: Tenant) -> None:
    (owner,) = (await acme("ListManagementKeys")).keys
    with pytest.raises(Refused) as refused:
        await acme("RevokeManagementKey", id=owner.id)
    assert (refused.value.problem.status, refused.value.problem.code) == (409, "last_owner")


async def test_of_many_equal_names_at_once_one_is_created(acme: Tenant) -> None:
    async def create() -> str:
        try:
            await acme("CreateProject", name="Same Name")
        except Refused as refused:
            return refused.problem.code
        return "created"

    answers = await asyncio.gather(*[create() for _ in range(200)])
    assert sorted(answers) == ["created"] + ["name_taken"] * 199


async def test_a_project_in_use_is_kept_and_its_users_named(acme: Tenant) -> None:
    config = await acme.config("production")
    key = await acme("CreateProxyKey", project_id=acme.project_id, name="app")
    with pytest.raises(Refused) as refused:
        await acme("DeleteProject", id=acme.project_id)
    problem = refused.value.problem
    assert (problem.status, problem.code) == (409, "project_in_use")
    assert {e.field for e in problem.errors} == {f"routing_config:{config.id}", f"proxy_key:{key.key.id}"}
    await acme("RevokeProxyKey", id=key.key.id)
    await acme("DeleteRoutingConfig", id=config.id)
    await acme("DeleteProject", id=acme.project_id)
    assert not (await acme("ListProjects")).projects


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"name": ""}, "name", id="empty name"),
        pytest.param({"name": "x" * 101}, "name", id="long name"),
        pytest.param({"name": "a\u202eb"}, "name", id="bidi override"),
        pytest.param({"name": "x", "logging_mode": "some"}, "loggingMode", id="logging mode"),
        pytest.param({"name": "x", "default_max_tokens": -1}, "defaultMaxTokens", id="negative tokens"),
        pytest.param({"name": "x", "experiment_spend_cap_nano": -1}, "experimentSpendCapUsd", id="negative cap"),
        pytest.param({"name": "x", "judge_spend_cap_nano": 10**15 + 1}, "judgeSpendCapUsd", id="huge cap"),
        pytest.param({"name": "x", "experiment_sample_min": -1}, "experimentSampleMin", id="negative sample"),
        pytest.param({"name": "x", "experiment_sample_max": 1_000_001}, "experimentSampleMax", id="huge sample"),
        pytest.param({"name": "x", "experiment_sample_min": 50_001}, "experimentSampleMin", id="above the usual most"),
        pytest.param({"name": "x", "experiment_sample_max": 999}, "experimentSampleMax", id="below the usual least"),
    ],
)
async def test_bad_fields_are_named(acme: Tenant, fields: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        await acme("CreateProject", **fields)
    assert refused.value.problem.status == 422
    assert refused.value.problem.errors[0].field == field
    assert refused.value.problem.errors[0].hint


async def test_pages_follow_each_other_and_a_forged_cursor_is_refused(acme: Tenant, globex: Tenant) -> None:
    for number in range(5):
        await acme("CreateProject", name=f"p{number}")
    seen, cursor = [], ""
    while True:
        page = await acme("ListProjects", page={"limit": 2, "cursor": cursor})
        seen += [project.name for project in page.projects]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == ["main", *(f"p{n}" for n in range(5))]
    cursor = (await acme("ListProjects", page={"limit": 2})).next_cursor
    forged = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for caller, name, text in (
        (acme, "ListProjects", forged),
        (acme, "ListProjects", "ü"),
        (acme, "ListCredentials", cursor),
        (globex, "ListProjects", cursor),
    ):
        with pytest.raises(Refused) as refused:
            await caller(name, page={"cursor": text})
        assert refused.value.problem.code == "invalid_cursor"
    with pytest.raises(Refused) as refused:
        await acme("ListProjects", page={"limit": 10**9})
    assert refused.value.problem.errors[0].field == "limit"


async def test_an_idempotency_key_gives_the_same_answer_once(acme: Tenant) -> None:
    acme.idempotency_key = "one"
    first = await acme("CreateProxyKey", project_id=acme.project_id, name="k")
    again = await acme("CreateProxyKey", project_id=acme.project_id, name="k")
    assert first == again
    assert first.secret.startswith("mlx_sk_")
    with pytest.raises(Refused) as refused:
        await acme("CreateProxyKey", project_id=acme.project_id, name="other")
    assert refused.value.problem.code == "idempotency_key_reused"
    acme.idempotency_key = ""
    assert len((await acme("ListProxyKeys")).keys) == 1


async def test_an_idempotency_key_is_forgotten_after_a_day(acme: Tenant, installation: Installation) -> None:
    acme.idempotency_key = "one"
    await acme("CreateProject", name="a")
    installation.clock[0] += 24 * 3600 * 1000 + 1
    with pytest.raises(Refused) as refused:
        await acme("CreateProject", name="a")
    assert refused.value.problem.code == "name_taken"
