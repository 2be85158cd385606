"""Steps of guarded rollouts: once, only over the expected version, audited, and without anybody's key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_harness import Refused, Tenant

from modelux.config.v1 import admin_pb2 as pb

CANDIDATE = {"strategy": "single", "model": "gpt-4o-mini"}
ARMS = ({"name": "a", "weight": 1, "policy": {"ref": "@it:1"}}, {"name": "b", "weight": 1, "policy": CANDIDATE})
SPLIT = {"strategy": "ab_test", "split": ARMS}


async def step(tenant: Tenant, config_id: str, **fields: Any) -> pb.StepRolloutResponse:
    if "policy" in fields:
        fields["policy_json"] = json.dumps(fields.pop("policy")).encode()
    given = {"organization_id": tenant.organization_id, "routing_config_id": config_id, "rollout_id": "ro_1"}
    asked = pb.StepRolloutRequest(**{**given, "note": "ro_1, step 1 of 4", **fields})
    answer: pb.StepRolloutResponse = await tenant.installation.raw("StepRollout", asked, pb.StepRolloutResponse)
    return answer


@pytest.fixture
async def config(acme: Tenant) -> pb.RoutingConfigRecord:
    await acme("CreateCredential", name="openai", provider="openai", secret="sk-test-1234567890")
    made = await acme.config("it", {"strategy": "single", "model": "gpt-4o"})
    return await acme.version(made.id, CANDIDATE, activate=True)


async def test_a_step_is_made_once_and_audited(acme: Tenant, config: pb.RoutingConfigRecord) -> None:
    for _ in range(2):
        done = await step(acme, config.id, expected_active_version=2, policy=SPLIT)
        assert (done.done, done.active_version) == (True, 3)
    version = (await acme("GetRoutingConfigVersion", id=config.id, version=3)).version
    assert (version.created_by, version.note, version.active) == ("ro_1", "ro_1, step 1 of 4", True)
    (row,) = (await acme("ListAudit", entity_id="ro_1")).entries
    assert (row.actor, row.entity, row.action) == ("ro_1", "rollout", "stepped")
    assert json.loads(row.after_json)["note"] == "ro_1, step 1 of 4"
    newest = (await acme("ListAudit", entity_id=config.id)).entries[0]
    assert (newest.actor, newest.action) == ("ro_1", "version_created")
    assert (await acme("VerifyAudit")).broken_at == 0


async def test_a_rollback_is_one_call_and_says_why(acme: Tenant, config: pb.RoutingConfigRecord) -> None:
    for _ in range(2):
        done = await step(acme, config.id, expected_active_version=2, rollback_to=1, note="the error rate is worse")
        assert (done.done, done.active_version) == (True, 1)
    assert (await acme("GetRoutingConfig", id=config.id)).routing_config.active_version == 1
    (row,) = (await acme("ListAudit", entity_id="ro_1")).entries
    assert (row.action, json.loads(row.after_json)["note"]) == ("rolled_back", "the error rate is worse")
    newest = (await acme("ListAudit", entity_id=config.id)).entries[0]
    assert (newest.actor, newest.action) == ("ro_1", "rolled_back")


async def test_over_another_version_nothing_is_done(acme: Tenant, config: pb.RoutingConfigRecord) -> None:
    await acme.version(config.id, {"strategy": "single", "model": "gpt-4.1"}, activate=True)
    for fields in ({"policy": SPLIT}, {"rollback_to": 1}, {}):
        told = await step(acme, config.id, expected_active_version=2, **fields)
        assert (told.done, told.active_version) == (False, 3)
    assert not (await acme("ListAudit", entity_id="ro_1")).entries


async def test_asked_for_nothing_it_only_tells(acme: Tenant, config: pb.RoutingConfigRecord) -> None:
    told = await step(acme, config.id, expected_active_version=2)
    assert (told.done, told.active_version) == (False, 2)


async def test_what_an_editor_may_not_save_no_rollout_may(acme: Tenant, config: pb.RoutingConfigRecord) -> None:
    with pytest.raises(Refused) as refused:
        await step(acme, config.id, expected_active_version=2, policy={"strategy": "ab_test", "split": []})
    assert refused.value.problem.status == 422
    assert (await acme("GetRoutingConfig", id=config.id)).routing_config.active_version == 2


async def test_configs_of_other_organizations_are_not_there(
    acme: Tenant, globex: Tenant, config: pb.RoutingConfigRecord
) -> None:
    with pytest.raises(Refused) as refused:
        await step(globex, config.id, expected_active_version=2, rollback_to=1)
    assert refused.value.problem.status == 404
