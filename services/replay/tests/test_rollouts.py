"""Rollouts step, wait, go back and give way; once, whatever process dies in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from replay_harness import Clock, Replay
from rollout_harness import CANDIDATE, SECOND_US, STEP_S, Rolling
from schedule_harness import told

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import rollout_pb2 as pb
from modelux_contracts.topics import ROLLOUT_CHANGED
from modelux_replay.rollout.rollouts import CLAIM_US, Lost, Rollouts
from modelux_replay.rollout.stepper import Stepper
from modelux_replay.runs import Runs
from modelux_runtime.rpc import channel


@pytest.fixture
async def rolling(acme: Replay, runs: Runs, clock: Clock, stepper: Stepper) -> Rolling:
    made = Rolling(acme, runs, clock, stepper)
    await made.promote()
    return made


def history(found: pb.RolloutRecord) -> list[tuple[int, int]]:
    return [(each.percent, each.version) for each in found.history]


async def test_nothing_steps_that_was_not_started(rolling: Rolling) -> None:
    await rolling.look(3_600)
    assert (await rolling.active())[0] == 2


async def test_an_equal_candidate_goes_from_step_to_step_to_the_whole(rolling: Rolling) -> None:
    made = await rolling.start()
    assert (made.status, made.percent, list(made.spec.steps)) == ("running", 2, [5, 25, 50, 100])
    for number, percent in enumerate((5, 25, 50)):
        await rolling.look()
        version, policy = await rolling.active()
        assert version == 3 + number
        current, candidate = policy["split"]
        assert (current["name"], current["weight"], current["policy"]) == (
            "current",
            1 - percent / 100,
            {"ref": "@production:1"},
        )
        assert (candidate["name"], candidate["weight"], candidate["policy"]) == ("candidate", percent / 100, CANDIDATE)
        await rolling.serve(version, 2_000, 1_000)
        await rolling.look(STEP_S - 1)
        assert (await rolling.active())[0] == version, "before its time"
        await rolling.look(1.5)
    assert await rolling.active() == (6, CANDIDATE)
    found = await rolling.get(made.id)
    assert (found.status, found.percent) == ("completed", 100)
    assert history(found) == [(5, 3), (25, 4), (50, 5), (100, 6)]
    assert "p95_latency_delta_pct <= 20 holds" in found.status_reason
    assert found.history[-1].requests == 1_000
    events = await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name)
    assert [each.percent for each in events] == [2, 5, 25, 50, 100]
    assert [each.status for each in events] == ["running"] * 4 + ["completed"]
    note = (await rolling.acme.tenant("GetRoutingConfigVersion", id=rolling.config_id, version=4)).version.note
    assert note.startswith(f"Rollout {made.id}, step 2 of 4, 25 % of the traffic: error_rate_delta_pct <= 1 holds")
    audited = (await rolling.acme.tenant("ListAudit", entity_id=made.id)).entries
    assert [each.action for each in audited] == ["stepped"] * 4 + ["started"]
    assert {each.actor for each in audited[:4]} == {made.id}


async def test_a_broken_candidate_is_rolled_back_at_once_and_by_itself(rolling: Rolling) -> None:
    """Also where the key that started it is revoked since."""
    tenant = rolling.acme.tenant
    key = await tenant("CreateManagementKey", name="leaving", role="editor")
    made = await rolling.start(secret=key.secret)
    await tenant("RevokeManagementKey", id=key.key.id)
    await rolling.look()
    await rolling.serve(3, 300, 15, broken=True)
    await rolling.look(1.5)
    assert (await rolling.active())[0] == 1
    found = await rolling.get(made.id)
    assert (found.status, found.percent, history(found)) == ("rolled_back", 0, [(5, 3), (0, 1)])
    assert found.status_reason.startswith(
        "Rolled back to version 1 after 15 requests: error_rate_delta_pct <= 1 is broken"
    )
    assert found.status_reason.endswith("15 of 15 failed against 0 of 300")
    (audited,) = [row for row in (await tenant("ListAudit", entity_id=made.id)).entries if row.action == "rolled_back"]
    assert audited.actor == made.id
    assert "15 of 15 failed" in json.loads(audited.after_json)["note"]
    event = (await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name))[-1]
    assert (event.status, event.percent, event.reason) == ("rolled_back", 0, found.status_reason)
    await rolling.look(3_600)
    assert (await rolling.active())[0] == 1


async def test_what_no_proxy_served_does_not_count(rolling: Rolling) -> None:
    await rolling.start()
    await rolling.look()
    await rolling.serve(3, 300, 50, broken=True, source="experiment")
    await rolling.serve(2, 300, 50, broken=True)
    await rolling.look(1.5)
    assert (await rolling.active())[0] == 3


async def test_an_open_guard_waits_and_is_told_after_long(rolling: Rolling) -> None:
    made = await rolling.start()
    await rolling.look()
    await rolling.serve(3, 90, 110)
    await rolling.look(STEP_S + 1)
    found = await rolling.get(made.id)
    assert (found.status, found.percent) == ("running", 5)
    assert found.status_reason == "an arm has 90 requests, fewer than the 100 that a guard needs to hold"
    before = len(await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name))
    for _ in range(3):
        await rolling.look(4_000)
    found = await rolling.get(made.id)
    assert (found.status, found.percent) == ("running", 5)
    assert found.status_reason.startswith("the step stays open long after its time")
    assert len(await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name)) == before + 1


async def test_a_change_by_somebody_else_ends_it_and_is_not_touched(rolling: Rolling) -> None:
    made = await rolling.start()
    await rolling.look()
    await rolling.acme.tenant.version(rolling.config_id, {"strategy": "single", "model": "gpt-4.1"}, activate=True)
    await rolling.serve(3, 300, 50, broken=True)
    await rolling.look(1.5)
    found = await rolling.get(made.id)
    assert (found.status, found.percent) == ("superseded", 5)
    assert "version 4 of @production is active" in found.status_reason
    assert (await rolling.active())[0] == 4
    events = await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name)
    assert events[-1].status == "superseded"


async def test_a_config_that_is_deleted_ends_it(rolling: Rolling) -> None:
    made = await rolling.start()
    await rolling.look()
    await rolling.acme.tenant("DeleteRoutingConfig", id=rolling.config_id)
    await rolling.look(1)
    found = await rolling.get(made.id)
    assert (found.status, "is gone" in found.status_reason) == ("superseded", True)


async def test_cancelled_the_config_stays_and_another_may_start(rolling: Rolling) -> None:
    made = await rolling.start()
    await rolling.look()
    found = await rolling.cancel(made.id)
    assert (found.status, found.percent) == ("cancelled", 5)
    assert await rolling.cancel(made.id) == found
    await rolling.look(3_600)
    assert (await rolling.active())[0] == 3
    again = await rolling.start(steps=[10, 100])
    assert again.percent == 5
    await rolling.look()
    assert (await rolling.active())[1]["split"][1]["weight"] == 0.1


async def test_cancelled_before_its_first_step_it_makes_none(rolling: Rolling) -> None:
    made = await rolling.start()
    found = await rolling.cancel(made.id)
    assert (found.status, history(found)) == ("cancelled", [])
    assert (await rolling.active())[0] == 2


async def test_what_the_config_service_refuses_is_told_once(rolling: Rolling) -> None:
    made = await rolling.start()
    tenant = rolling.acme.tenant
    await tenant("ArchiveRoutingConfig", id=rolling.config_id, archived=True)
    await rolling.look()
    found = await rolling.get(made.id)
    assert (found.status, found.history, found.percent) == ("running", [], 2)
    assert found.status_reason.startswith("the config service refuses the step: @production is archived.")
    await rolling.serve(2, 300, 50, broken=True)
    for _ in range(2):
        await rolling.look(1.5)
    found = await rolling.get(made.id)
    assert (found.status, "refuses the way back" in found.status_reason) == ("running", True)
    events = await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name)
    assert [each.status for each in events] == ["running", "running"], "a refusal is told once"
    assert (await rolling.cancel(made.id)).status == "cancelled"


async def test_while_config_or_the_log_is_away_nothing_is_lost(rolling: Rolling) -> None:
    made = await rolling.start()
    async with channel("unix:/nowhere/config.sock") as nobody:
        await replace(rolling.stepper, channel=nobody).look()
    assert (await rolling.get(made.id)).history == []
    await rolling.look()
    assert history(await rolling.get(made.id)) == [(5, 3)]


async def test_of_several_processes_one_steps(rolling: Rolling) -> None:
    made = await rolling.start()
    for _ in range(2):
        await asyncio.gather(*(replace(rolling.stepper).look() for _ in range(4)))
    await rolling.serve(3, 2_000, 1_000)
    rolling.clock.us += (STEP_S + 1) * SECOND_US
    for _ in range(3):
        await asyncio.gather(*(replace(rolling.stepper).look() for _ in range(4)))
    assert history(await rolling.get(made.id)) == [(5, 3), (25, 4)]
    assert await rolling.latest() == 4


class Killed(Exception):
    """The process dies here."""


class Dying:
    """Dies before or after the n-th thing that a process does to others."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def wrap(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def dying(*arguments: Any, **named: Any) -> Any:
            self._pass()
            found = await work(*arguments, **named)
            self._pass()
            return found

        return dying

    def _pass(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


async def crashed(rolling: Rolling, moment: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Looks with a process that dies at that moment; whether it came so far. Then its claim runs out."""
    dying = Dying(moment)
    with monkeypatch.context() as patched:
        for name in ("claim", "keep", "stepped"):
            patched.setattr(Rollouts, name, dying.wrap(getattr(Rollouts, name)))
        patched.setattr(Stepper, "_ask", dying.wrap(Stepper._ask))
        try:
            await rolling.stepper.look()
        except Killed:
            rolling.clock.us += CLAIM_US
            return True
    return False


@pytest.mark.parametrize("broken", [False, True], ids=["on", "back"])
async def test_a_crash_between_any_two_moves_neither_forgets_nor_repeats(
    rolling: Rolling, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    made = await rolling.start(steps=[5, 25, 100])
    for moment in range(1, 99):
        if not await crashed(rolling, moment, monkeypatch):
            break
        await rolling.look(CLAIM_US / 1e6 if moment == 1 else 0)
    await rolling.look()
    assert history(await rolling.get(made.id)) == [(5, 3)]
    await rolling.serve(3, 2_000, 1_000, broken=broken)
    rolling.clock.us += (STEP_S + 1) * SECOND_US
    moments = 0
    while (await rolling.get(made.id)).percent == 5:
        moments += 1
        assert moments < 40, "it never gets there"
        await crashed(rolling, moments, monkeypatch)
    found = await rolling.get(made.id)
    assert history(found) == ([(5, 3), (0, 1)] if broken else [(5, 3), (25, 4)])
    assert await rolling.latest() == (3 if broken else 4)
    audited = (await rolling.acme.tenant("ListAudit", entity_id=made.id)).entries
    assert [row.action for row in audited if row.action != "started"] == (
        ["rolled_back", "stepped"] if broken else ["stepped", "stepped"]
    )
    ends = [each.percent for each in await told(rolling.runs.experiments.database, ROLLOUT_CHANGED.name)]
    assert ends == [2, 5, 0 if broken else 25]


async def test_a_process_that_was_thought_dead_writes_nothing(rolling: Rolling) -> None:
    made = await rolling.start()
    rollouts = rolling.stepper.rollouts
    slow = await rollouts.claim(made.id, rolling.clock())
    assert slow is not None
    await rolling.look(CLAIM_US / 1e6)
    answer = await rolling.stepper._ask(slow, 5)
    assert answer is not None
    assert (answer.done, answer.active_version) == (True, 3), "the step that the other one made"
    with pytest.raises(Lost):
        await rolling.stepper.settle(slow)
    assert history(await rolling.get(made.id)) == [(5, 3)]


async def test_versions_of_a_rollout_count_in_the_scorecard(rolling: Rolling) -> None:
    await rolling.start()
    await rolling.look()
    asked = replay.ScorecardRequest(project_id=rolling.acme.tenant.project_id)
    found = await rolling.acme.ask(asked, replay.ScorecardResponse)
    assert found.waiting == 2, "the promoted version, and that of the first step"
