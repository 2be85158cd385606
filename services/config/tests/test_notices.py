"""What is told when a policy names models that no credential of its project offers."""

from __future__ import annotations

import asyncio

from config_harness import Tenant

TYPO = {"strategy": "fallback", "attempts": [{"model": "gpt-4o-mini"}, {"model": "gpt-4o-mnii"}]}


async def credential(tenant: Tenant, **fields: object) -> None:
    await tenant("CreateCredential", name="c", provider="openai", secret="sk-0123456789", **fields)


async def test_a_mistyped_model_is_saved_with_a_warning(acme: Tenant) -> None:
    await credential(acme)
    made = await acme("CreateRoutingConfig", project_id=acme.project_id, slug="s", policy=TYPO)
    (warning,) = made.warnings
    assert (warning.field, warning.code) == ("policy.attempts[1].model", "unknown_model")
    assert warning.message == "no credential offers 'gpt-4o-mnii' now"
    assert warning.hint == "Did you mean 'gpt-4o-mini'?"
    assert made.routing_config.active_version == 1


async def test_every_write_that_answers_with_a_policy_warns(acme: Tenant) -> None:
    await credential(acme)
    config = await acme.config("s")
    good = await acme("UpdateRoutingConfig", id=config.id, description="d")
    version = await acme("CreateRoutingConfigVersion", id=config.id, policy=TYPO)
    active = await acme("ActivateRoutingConfig", id=config.id, version=2)
    described = await acme("UpdateRoutingConfig", id=config.id, description="e")
    back = await acme("RollbackRoutingConfig", id=config.id)
    forth = await acme("RollbackRoutingConfig", id=config.id, version=2)
    found = [len(answer.warnings) for answer in (good, version, active, described, back, forth)]
    assert found == [0, 1, 1, 1, 0, 1]


async def test_names_that_a_proxy_would_find_are_not_warned_of(acme: Tenant) -> None:
    await credential(acme)
    for slug, model in (("dated", "gpt-4o-2024-08-06"), ("at", "gpt-4o:openai")):
        made = await acme("CreateRoutingConfig", project_id=acme.project_id, slug=slug, policy=model)
        assert not made.warnings, model


async def test_credentials_of_other_projects_and_tenants_do_not_count(acme: Tenant, globex: Tenant) -> None:
    other = await acme("CreateProject", name="other")
    await asyncio.gather(credential(acme, project_ids=[other.project.id]), credential(globex))
    made = await acme("CreateRoutingConfig", project_id=acme.project_id, slug="s", policy="gpt-4o")
    (warning,) = made.warnings
    assert (warning.field, warning.hint) == ("policy.model", "Check the name, or add a credential that offers it.")
