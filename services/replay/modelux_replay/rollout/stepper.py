"""Step rollouts: look at each twice a second, and do once what was decided, whichever process does it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import grpc.aio

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import rollout_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_replay import metrics
from modelux_replay.rollout.arms import LONGEST_US, Split, next_span_us, read_newest, read_sample
from modelux_replay.rollout.rollouts import Lost, Rollout, Rollouts
from modelux_replay.rollout.stepping import WHOLE, Standing, decide
from modelux_runtime.calls import call
from modelux_store.analytics import Analytics
from modelux_store.errors import Unavailable
from modelux_telemetry.meters import Meters

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often a rollout is looked at: what is logged is known a second after it was served."""
LONGEST_NOTE = 500
_SERVICE = "modelux.config.v1.AdminService"


@dataclass(frozen=True, slots=True)
class Stepper:
    """Any number of processes may look: a claim lets one of them do it, and its epoch refuses all others.

    What is to be done is kept before the config service is asked, which does it once; so it is finished, and not
    repeated, by whoever comes after a process that died.
    """

    rollouts: Rollouts
    analytics: Analytics
    channel: grpc.aio.Channel
    now_us: Callable[[], int]
    meters: Meters = field(default_factory=metrics.meters)

    async def work(self) -> None:
        """Looks until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("rollouts wait: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """At all that nobody else looks at, together. Raises `Unavailable`."""
        due = await self.rollouts.due(self.now_us())
        await asyncio.gather(*(self._claimed(each) for each in due))

    async def _claimed(self, identifier: str) -> None:
        try:
            one = await self.rollouts.claim(identifier, self.now_us())
            if one is not None:
                await self._held(one)
        except Unavailable as error:
            log.warning("rollout %s waits: %s", identifier, error)

    async def _held(self, one: Rollout) -> None:
        """A look at one that is claimed. Raises `Unavailable` where it cannot be let go."""
        try:
            await self._look_at(one)
        except Lost:
            log.info("rollout %s was taken over", one.id)
        except (ProblemError, Unavailable) as error:
            log.warning("rollout %s waits: %s", one.id, error)
            await self._let_go(one)

    async def _let_go(self, one: Rollout) -> None:
        """So that the next look is not long away. What is wanted stays wanted."""
        try:
            current = await self.rollouts.get(one.organization_id, one.id)
            await self.rollouts.keep(replace(current, epoch=one.epoch), self.now_us())
        except Lost:
            log.info("rollout %s was taken over", one.id)

    async def _look_at(self, one: Rollout) -> None:
        if not one.wanted:
            one = await self._judged(one)
        if one.wanted:
            await self.settle(one)

    async def _judged(self, one: Rollout) -> Rollout:
        """With what is wanted now. Raises `Lost`, `Unavailable`, and a problem while the config service is away."""
        active = await self._ask(one)
        if active is None or active.active_version != one.version:
            return await self._superseded(one, active)
        now_us = self.now_us()
        split = Split(one.organization_id, one.project_id, one.slug, one.version, one.standing.began_us)
        newest = await read_newest(self.analytics, split, now_us - (one.standing.span_us or LONGEST_US))
        whole = await read_sample(self.analytics, split) if now_us >= one.standing.next_look_us else None
        standing = replace(one.standing, span_us=next_span_us(newest.candidate, now_us))
        decided = decide(one.plan, standing, newest, whole, now_us)
        found = replace(one, standing=decided.standing, status_reason=decided.reason or one.status_reason)
        if decided.move == "stay":
            return await self.rollouts.keep(found, now_us, tells=decided.tells)
        wanted = "step" if decided.move == "go" else "back"
        requests = (whole or newest).candidate.requests
        found = replace(found, wanted=wanted, wanted_reason=decided.reason, wanted_requests=requests)
        return await self.rollouts.keep(found, now_us, held=True)

    async def settle(self, one: Rollout) -> Rollout:
        """Does what is wanted. Raises as `_judged`."""
        percent = one.plan.steps[one.position] if one.wanted == "step" else 0
        try:
            answer = await self._ask(one, percent)
        except ProblemError as error:
            if error.problem.status >= 500:
                raise
            return await self._refused(one, error)
        if answer is None or not answer.done:
            return await self._superseded(one, answer)
        now_us = self.now_us()
        step = pb.RolloutStep(
            at_us=now_us,
            percent=percent,
            version=answer.active_version,
            reason=one.wanted_reason,
            requests=one.wanted_requests,
        )
        done = replace(_after(one, step), standing=Standing.new(now_us))
        self.meters.add("rollout_steps", 1, "on" if percent else "back")
        log.info("rollout %s: %d %% of the traffic: %s", one.id, percent, one.wanted_reason)
        return await self.rollouts.stepped(done, step, now_us)

    async def unsettled(self, one: Rollout) -> bool:
        """Whether what is wanted may have been done already."""
        active = await self._ask(one)
        return bool(one.wanted) and active is not None and active.active_version != one.version

    async def _refused(self, one: Rollout, error: ProblemError) -> Rollout:
        """A step is tried again at the next look that would make it; a way back is tried until it works."""
        detail = f"{error.problem.detail} {error.problem.hint}".strip()
        text = f"the config service refuses the {'step' if one.wanted == 'step' else 'way back'}: {detail}"
        standing = replace(one.standing, told=True)
        found = replace(one, status_reason=text, standing=standing)
        if one.wanted == "step":
            found = replace(found, wanted="", wanted_reason="", wanted_requests=0)
        return await self.rollouts.keep(found, self.now_us(), tells=not one.standing.told)

    async def _superseded(self, one: Rollout, active: config.StepRolloutResponse | None) -> Rollout:
        what = f"version {active.active_version} of @{one.slug} is active" if active else f"@{one.slug} is gone"
        text = f"Somebody else changed the routing config: {what}. Nothing was touched."
        found = replace(one, status="superseded", status_reason=text, wanted="")
        log.info("rollout %s: %s", one.id, text)
        return await self.rollouts.keep(found, self.now_us(), tells=True)

    async def _ask(self, one: Rollout, percent: int | None = None) -> config.StepRolloutResponse | None:
        """Makes the share `percent` (0: the way back), or only looks. None where the routing config is gone."""
        asked = config.StepRolloutRequest(
            organization_id=one.organization_id,
            routing_config_id=one.routing_config_id,
            rollout_id=one.id,
            expected_active_version=one.version,
        )
        if percent:
            asked.policy_json = json.dumps(one.splitting.at(percent)).encode()
            place = f"step {one.position + 1} of {len(one.plan.steps)}, {percent} % of the traffic"
            asked.note = f"Rollout {one.id}, {place}: {one.wanted_reason}"[:LONGEST_NOTE]
        elif percent == 0:
            asked.rollback_to = one.base_version
            asked.note = f"Rollout {one.id}, back to version {one.base_version}: {one.wanted_reason}"[:LONGEST_NOTE]
        try:
            return await call(self.channel, _SERVICE, asked, config.StepRolloutResponse)
        except ProblemError as error:
            if error.problem.status == 404:
                return None
            raise


def _after(one: Rollout, step: pb.RolloutStep) -> Rollout:
    """As it is once the step was made."""
    made = replace(one, version=step.version, percent=step.percent, wanted="", wanted_reason="", wanted_requests=0)
    if step.percent == 0:
        text = f"Rolled back to version {one.base_version} after {step.requests:,} requests: {step.reason}"
        return replace(made, status="rolled_back", status_reason=text)
    made = replace(made, position=one.position + 1, status_reason=step.reason)
    if step.percent == WHOLE:
        return replace(
            made, status="completed", status_reason=f"The candidate serves all of @{one.slug}: {step.reason}"
        )
    return made
