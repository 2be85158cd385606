"""Routing configs and their versions, from creation to rollback."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from config_harness import SINGLE, Installation, Refused, Tenant

FALLBACK = {
    "strategy": "fallback",
    "attempts": [{"model": "claude-haiku-4-5", "timeout_ms": 2000}, {"model": "gpt-4o-mini"}],
}
OTHER = {"strategy": "single", "model": "gpt-4o"}


def split(policy: object) -> dict[str, object]:
    """A test between `policy` and a plain model."""
    arms = [{"name": "a", "weight": 1, "policy": policy}, {"name": "b", "weight": 1, "policy": "gpt-4o"}]
    return {"strategy": "ab_test", "split": arms}


async def refusal(call: Any) -> Any:
    with pytest.raises(Refused) as refused:
        await call
    return refused.value.problem


async def test_a_new_config_is_active_at_once(acme: Tenant) -> None:
    config = await acme.config("production", FALLBACK, description="main", note="first")
    assert (config.slug, config.active_version, config.latest_version, config.revision) == ("production", 1, 1, 1)
    assert config.policy_type == "fallback"
    assert json.loads(config.policy_json)["attempts"][0]["timeout_ms"] == 2000
    (version,) = (await acme("ListRoutingConfigVersions", id=config.id)).versions
    assert (version.version, version.active, version.note) == (1, True, "first")
    assert version.created_by.startswith("mk_")


async def test_a_version_waits_until_it_is_activated(acme: Tenant) -> None:
    config = await acme.config("production")
    after = await acme.version(config.id, OTHER)
    assert (after.active_version, after.latest_version, after.revision) == (1, 2, 2)
    active = (await acme("ActivateRoutingConfig", id=config.id, version=2)).routing_config
    assert (active.active_version, json.loads(active.policy_json)) == (2, OTHER)
    direct = await acme.version(config.id, FALLBACK, activate=True)
    assert direct.active_version == 3


async def test_rollback_goes_back_step_by_step(acme: Tenant) -> None:
    config = await acme.config("production")
    for _ in range(3):
        await acme.version(config.id, OTHER, activate=True)
    seen = []
    for _ in range(3):
        after = (await acme("RollbackRoutingConfig", id=config.id)).routing_config
        seen.append(after.active_version)
    assert seen == [3, 2, 1]
    problem = await refusal(acme("RollbackRoutingConfig", id=config.id))
    assert (problem.status, problem.code) == (409, "nothing_to_roll_back")
    named = (await acme("RollbackRoutingConfig", id=config.id, version=4)).routing_config
    assert named.active_version == 4
    actions = [entry.action for entry in (await acme("ListAudit", entity_id=config.id)).entries]
    assert actions == ["rolled_back"] * 4 + ["version_created"] * 3 + ["created"]


async def test_rollback_to_a_version_that_is_not_there(acme: Tenant) -> None:
    config = await acme.config("production")
    problem = await refusal(acme("RollbackRoutingConfig", id=config.id, version=9))
    assert (problem.status, problem.code) == (404, "not_found")
    assert "@production:9" in problem.detail


async def test_diff_compares_by_meaning(acme: Tenant) -> None:
    config = await acme.config("production", FALLBACK)
    changed = {**FALLBACK, "attempts": [*FALLBACK["attempts"], {"model": "gemini-2.5-flash"}]}
    await acme.version(config.id, changed)
    found = await acme("DiffRoutingConfig", id=config.id)
    assert (found.from_version, found.to_version) == (1, 2)
    (change,) = found.changes
    assert (change.path, change.kind, change.old_json) == ("attempts[2]", "added", "")
    assert json.loads(change.new_json) == {"model": "gemini-2.5-flash"}
    assert found.summary == "Added attempt 3: gemini-2.5-flash"
    assert (await acme("DiffRoutingConfig", id=config.id, from_version=2, to_version=2)).summary == "No difference"
    assert (await refusal(acme("DiffRoutingConfig", id=config.id, to_version=7))).status == 404


async def test_versions_cannot_be_rewritten(acme: Tenant, installation: Installation) -> None:
    await acme.config("production")
    with pytest.raises(Exception, match="never changed"):
        async with installation.database.transaction() as tx:
            await tx.execute("UPDATE config.routing_config_versions SET policy = '{}'")


async def test_a_stale_revision_is_refused(acme: Tenant) -> None:
    config = await acme.config("production")
    await acme("UpdateRoutingConfig", id=config.id, description="x", if_revision=1)
    for name, fields in (
        ("UpdateRoutingConfig", {"description": "y"}),
        ("ActivateRoutingConfig", {"version": 1}),
        ("RollbackRoutingConfig", {}),
        ("ArchiveRoutingConfig", {"archived": True}),
        ("DeleteRoutingConfig", {}),
        ("CreateRoutingConfigVersion", {"policy": OTHER}),
    ):
        problem = await refusal(acme(name, id=config.id, if_revision=1, **fields))
        assert (problem.status, problem.code) == (412, "stale_revision"), name


async def test_of_two_promotions_at_once_one_wins(acme: Tenant) -> None:
    config = await acme.config("production")

    async def promote() -> str:
        try:
            await acme.version(config.id, OTHER, activate=True, if_revision=1)
        except Refused as refused:
            return refused.problem.code
        return "ok"

    assert sorted(await asyncio.gather(*[promote() for _ in range(8)])) == ["ok"] + ["stale_revision"] * 7


@pytest.mark.parametrize(
    "slug", ["", "@", "Production", "pr\u043eduction", "x" * 64, "a b", "../x", "a:1", "-a", "a\n", "\u202ea"]
)
async def test_slugs_that_are_none(acme: Tenant, slug: str) -> None:
    problem = await refusal(acme.config(slug))
    assert (problem.status, problem.code) == (422, "invalid_slug")
    assert problem.errors[0].field == "slug"


async def test_reserved_and_taken_slugs(acme: Tenant) -> None:
    assert (await refusal(acme.config("latest"))).code == "reserved_slug"
    assert "'production'" in (await refusal(acme.config("PRODUCTION"))).hint
    await acme.config("@production")
    assert (await refusal(acme.config("production"))).code == "slug_taken"


async def test_of_many_equal_slugs_at_once_one_is_created(acme: Tenant) -> None:
    async def create() -> str:
        try:
            await acme.config("same")
        except Refused as refused:
            return refused.problem.code
        return "created"

    assert sorted(await asyncio.gather(*[create() for _ in range(50)])) == ["created"] + ["slug_taken"] * 49


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        pytest.param({"strategy": "singel", "model": "x"}, "policy.strategy", id="unknown strategy"),
        pytest.param({"strategy": "fallback", "attempts": []}, "policy.attempts", id="no attempts"),
        pytest.param(
            {"strategy": "fallback", "attempts": [{"model": "a"}, {"model": "b", "timeout_ms": 0}]},
            "policy.attempts[1].timeout_ms",
            id="zero timeout",
        ),
        pytest.param({"ref": "@nowhere"}, "policy", id="unknown reference"),
        pytest.param({"ref": "@self"}, "policy", id="itself"),
        pytest.param(
            {"strategy": "single", "model": "a", "provider_credential_id": "pc_none"},
            "policy.provider_credential_id",
            id="unknown credential",
        ),
        pytest.param(float("nan"), "policy", id="not a number"),
    ],
)
async def test_policies_that_cannot_be_saved(acme: Tenant, policy: object, field: str) -> None:
    problem = await refusal(acme.config("self", policy))
    assert problem.status == 422
    assert problem.errors[0].field == field
    assert problem.detail


async def test_a_rule_names_the_column_of_its_error(acme: Tenant) -> None:
    policy = {"strategy": "custom_rules", "rules": [{"when": 'stream == "a"', "then": "gpt-4o"}], "otherwise": "gpt-4o"}
    problem = await refusal(acme.config("rules", policy))
    assert problem.errors[0].field.startswith("policy.rules[0].when")
    assert "column" in (problem.errors[0].field + problem.errors[0].message + problem.errors[0].hint)


async def test_circles_are_refused_however_long(acme: Tenant) -> None:
    a = await acme.config("a")
    await acme.config("b", {"ref": "@a"})
    await acme.config("c", {"ref": "@b"})
    problem = await refusal(acme.version(a.id, {"ref": "@c"}))
    assert problem.status == 422
    assert "circle" in problem.detail


async def test_activation_does_not_break_those_who_refer_to_it(acme: Tenant) -> None:
    """Each policy alone is flat enough; together they would nest too deep."""
    deep: object = "gpt-4o"
    for _ in range(3):
        deep = split(deep)
    base = await acme.config("base")
    await acme.config("mid", split({"ref": "@base"}))
    await acme.config("top", split({"ref": "@mid"}))
    await acme.version(base.id, deep)
    problem = await refusal(acme("ActivateRoutingConfig", id=base.id, version=2))
    assert problem.status == 422
    assert "would break" in problem.detail


async def test_pinned_references_are_followed(acme: Tenant) -> None:
    await acme.config("base")
    await acme.config("pinned", {"ref": "@base:1"})
    problem = await refusal(acme.config("missing", {"ref": "@base:2"}))
    assert problem.errors[0].field == "policy"


async def test_a_config_in_use_is_neither_archived_nor_deleted(acme: Tenant) -> None:
    base = await acme.config("base")
    user = await acme.config("user", split("@base"))
    key = await acme("CreateProxyKey", project_id=acme.project_id, name="app", allowed_models=["@base:1"])
    for name, fields in (("ArchiveRoutingConfig", {"archived": True}), ("DeleteRoutingConfig", {})):
        problem = await refusal(acme(name, id=base.id, **fields))
        assert (problem.status, problem.code) == (409, "routing_config_in_use")
        assert {e.field for e in problem.errors} == {f"routing_config:{user.id}", f"proxy_key:{key.key.id}"}
        assert "@user refers to @base at policy.split[0].policy" in problem.detail
    await acme("DeleteRoutingConfig", id=user.id)
    await acme("RevokeProxyKey", id=key.key.id)
    assert (await acme("ArchiveRoutingConfig", id=base.id, archived=True)).routing_config.archived


async def test_an_archived_config_rests_until_it_is_restored(acme: Tenant) -> None:
    config = await acme.config("old")
    await acme("ArchiveRoutingConfig", id=config.id, archived=True)
    assert not (await acme("ListRoutingConfigs")).routing_configs
    assert len((await acme("ListRoutingConfigs", include_archived=True)).routing_configs) == 1
    assert (await refusal(acme.version(config.id, OTHER))).code == "routing_config_archived"
    assert (await refusal(acme.config("user", {"ref": "@old"}))).status == 422
    await acme("ArchiveRoutingConfig", id=config.id, archived=False)
    assert (await acme.version(config.id, OTHER, activate=True)).active_version == 2


async def test_a_split_over_its_own_versions_is_restored_too(acme: Tenant) -> None:
    config = await acme.config("main")
    await acme.version(config.id, split("@main:1"), activate=True)
    await acme("ArchiveRoutingConfig", id=config.id, archived=True)
    assert not (await acme("ArchiveRoutingConfig", id=config.id, archived=False)).routing_config.archived


async def test_lists_filter_by_project_and_slug(acme: Tenant) -> None:
    await acme.config("one")
    await acme.config("two", SINGLE)
    found = await acme("ListRoutingConfigs", project_id=acme.project_id, slug="@two")
    assert [c.slug for c in found.routing_configs] == ["two"]
