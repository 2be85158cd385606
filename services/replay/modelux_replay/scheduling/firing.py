"""Fire schedules when they are due: each due moment once, whichever process does it and wherever one dies."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from modelux.replay.v1 import replay_pb2 as replay
from modelux_contracts.errors import ProblemError
from modelux_contracts.ids import derived_id
from modelux_replay import metrics
from modelux_replay.desk import Desk
from modelux_replay.experiments import Changed, Experiment, New, TooManyAtWork
from modelux_replay.scheduling.schedules import Firing, Schedule, Schedules
from modelux_replay.scheduling.spec import cron_of, experiment_of
from modelux_store.errors import Unavailable
from modelux_telemetry.meters import Meters

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often a process looks for schedules that are due."""


@dataclass(frozen=True, slots=True)
class Firer:
    """Any number of processes may fire: the claim of a due moment is unique, whoever makes it."""

    schedules: Schedules
    desk: Desk
    meters: Meters = field(default_factory=metrics.meters)

    async def work(self) -> None:
        """Fires what is due, until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("schedules wait: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Fires what is due now. Raises `Unavailable`."""
        for one in await self.schedules.due(self.desk.runs.now_us()):
            try:
                await self._look_at(one)
            except Changed:
                log.info("schedule %s was changed at the same moment", one.id)
            except ProblemError as error:
                log.warning("schedule %s waits: %s", one.id, error.problem.detail)

    async def _look_at(self, one: Schedule) -> None:
        """Of the moments that were missed the latest counts alone. Raises as `_fire`."""
        now_us = self.desk.runs.now_us()
        cron = cron_of(one.spec)
        next_us = cron.following(now_us) or 0
        if one.next_at_us > now_us:
            # It was reckoned by a clock that was set back since.
            await self.schedules.reckon(one, next_us, now_us)
            return
        await self._fire(one, cron.latest(now_us) or one.next_at_us, next_us, now_us)

    async def _fire(self, one: Schedule, due_us: int, next_us: int, now_us: int) -> None:
        """Raises `Changed`, and a 503 problem while another service is away: then it is tried again."""
        firing = await self._firing(one, due_us)
        try:
            fired = await self._claim(one, firing, next_us)
        except TooManyAtWork:
            firing = await self._given_up(firing)
            fired = await self._claim(one, firing, next_us)
        if not fired:
            await self._given_up(firing)
            return
        self.meters.add("schedules_fired", 1, "experiment" if firing.new else "none")
        self.meters.set("schedule_late_seconds", (now_us - due_us) / 1e6)
        told = firing.new.experiment.id if firing.new else f"no experiment: {firing.error}"
        log.info("schedule %s made %s", one.id, told)

    async def _firing(self, one: Schedule, due_us: int) -> Firing:
        """The experiment of a due moment, or why there can be none. It has the same id whoever makes it."""
        actor = replay.Actor(organization_id=one.organization_id, key_id=one.created_by, schedule_id=one.id)
        identifier = derived_id("sim_", due_us // 1000, f"{one.id} {due_us}")
        try:
            made = await self.desk.prepare(actor, experiment_of(one.spec, due_us), identifier=identifier)
        except ProblemError as error:
            if error.problem.status == 503:
                raise
            return Firing(due_us, None, f"{error.problem.detail} {error.problem.hint}".strip())
        return Firing(due_us, New(made, None))

    async def _claim(self, one: Schedule, firing: Firing, next_us: int) -> bool:
        runs = self.desk.runs
        return await self.schedules.fire(
            one, firing, next_us, runs.now_us(), runs.experiments, self.desk.limits.at_work
        )

    async def _given_up(self, firing: Firing) -> Firing:
        if firing.new is not None:
            await self.desk.abandon(firing.new.experiment)
        return Firing(firing.due_at_us, None, self.desk.too_many().problem.detail)

    async def fire_now(self, actor: replay.Actor, one: Schedule, request_hash: bytes) -> Experiment:
        """Fires beside its times, in the name of a caller. Raises problems as `Desk.create`, `Changed`."""
        now_us = self.desk.runs.now_us()
        made = await self.desk.prepare(actor, experiment_of(one.spec, now_us), request_hash)
        firing = Firing(now_us, New(made, actor.idempotency_key or None))
        fired = False
        try:
            fired = await self._claim(one, firing, one.next_at_us)
        except TooManyAtWork as error:
            raise self.desk.too_many() from error
        finally:
            if not fired:
                await self.desk.abandon(made)
        if not fired:
            raise Changed
        found = await self.desk.experiments.find(made.id)
        assert found is not None, "it was stored a moment ago"
        return found
