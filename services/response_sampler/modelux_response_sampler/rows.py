"""Deal with one sampled row: write the intent down, make the call, tell what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentSamples, SampledRow
from modelux_calling.caller import Called, Caller
from modelux_calling.tenants import Project
from modelux_contracts.errors import OpenAIError
from modelux_contracts.ids import new_id
from modelux_response_sampler import pairs, spend
from modelux_response_sampler.hold import Hold
from modelux_response_sampler.logged import Logged
from modelux_response_sampler.units import Known, Place, Unit, Units
from modelux_store.errors import Unavailable
from modelux_telemetry.meters import Meters
from routing_core.budgets import BudgetRule
from routing_core.config import NamedPolicy

T = TypeVar("T")
log = logging.getLogger(__name__)

_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """A unit with what its rows need. `logged` by request id, `known` are the rows dealt with before."""

    unit: Unit
    hold: Hold
    project: Project | None
    logged: Mapping[str, Logged]
    known: Mapping[Place, Known]
    cap: BudgetRule
    candidate: NamedPolicy

    @property
    def samples(self) -> ExperimentSamples:
        return self.unit.samples


@dataclass(frozen=True, slots=True)
class Rows:
    """What rows are dealt with by."""

    units: Units
    caller: Caller
    meters: Meters
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def deal(self, job: Job, row: SampledRow) -> bool:
        """False: it is left to whoever takes the unit next. Raises `Unavailable` before anything was called."""
        known = job.known.get(Place(row.row, row.side))
        logged = job.logged.get(row.request_id)
        if known is not None:
            return await self._known(job, row, known, logged)
        code = _no_request(job, row, logged) or job.hold.halt()
        if code == pairs.LOST:
            return False
        if code is not None or logged is None or job.project is None:
            return await self._skip(job, pairs.not_called(job.samples, row, code or pairs.NO_LOGGED_REQUEST, logged))
        return await self._call(job, job.project, row, logged)

    async def _known(self, job: Job, row: SampledRow, known: Known, logged: Logged | None) -> bool:
        if known.pair is not None or known.unit != job.samples.unit:  # told, or to be told by that unit
            return True
        now_us = self.caller.clock.now_us()
        pair, record = pairs.interrupted(job.samples, row, known.call_id, logged, now_us)
        told = await self.units.interrupt(job.unit, pair, record)
        if told:
            self.meters.add("rows", 1, pair.outcome)
        return told  # else it was told after all, or withdrawn: the next look shows which

    async def _skip(self, job: Job, pair: ExperimentPair) -> bool:
        told = await self.units.skip(job.unit, pair)
        if told:
            self.meters.add("rows", 1, pair.outcome)
        return told

    async def _call(self, job: Job, project: Project, row: SampledRow, logged: Logged) -> bool:
        """From the intent on nothing but the end of the process keeps the row from being told."""
        place = Place(row.row, row.side)
        call_id = new_id("req_")
        if not await self._begun(job, place, call_id):
            return False
        try:
            called = await self._made(job, project, row, logged, call_id)
        except OpenAIError as error:
            log.warning("request %s of the log is none that can be sent: %s", row.request_id, error)
            pair = pairs.not_called(job.samples, row, pairs.NO_LOGGED_REQUEST, logged)
            await self._answer(job, pair, b"")
            return True
        if pairs.may_be_called_later(called):
            await self._surely(lambda: self.units.withdraw(job.unit, place), call_id)
            return False
        await self._answer(job, pairs.of_call(job.samples, row, logged, called), called.event if called.sent else b"")
        if called.sent:
            self.meters.add("calls")
            self.meters.add("charged_nano", called.charged_nano)
        return True

    async def _begun(self, job: Job, place: Place, call_id: str) -> bool:
        """The intent is committed. A database that is away may have taken it: it is told again, not left in doubt."""
        while True:
            try:
                return await self.units.begin(job.unit, place, call_id)
            except Unavailable as error:
                log.warning("row %s waits for the database: %s", place.row, error)
                if job.hold.halt() == pairs.LOST:
                    return False
                await self.sleep(_PAUSE_S)

    async def _made(self, job: Job, project: Project, row: SampledRow, logged: Logged, call_id: str) -> Called:
        """While the ledger is away nothing leaves: asked again until it is back or no call may begin any more."""
        policy = job.candidate if row.side == "candidate" else spend.logged_target(row)
        while True:
            called = await self.caller.call(
                project,
                policy,
                logged.body,
                logged.request,
                call_id=call_id,
                cap=job.cap,
                ids={"experiment": job.samples.experiment_id},
                halt=job.hold.halt,
            )
            if called.halted is not None or not pairs.may_be_called_later(called):
                return called
            await self.sleep(_PAUSE_S)

    async def _answer(self, job: Job, pair: ExperimentPair, event: bytes) -> None:
        if await self._surely(lambda: self.units.answer(job.unit, pair, event), pair.call_id):
            self.meters.add("rows", 1, pair.outcome)

    async def _surely(self, step: Callable[[], Awaitable[T]], call_id: str) -> T:
        """The call is made: a database that is away is waited for."""
        while True:
            try:
                return await step()
            except Unavailable as error:
                log.warning("what came of call %s waits for the database: %s", call_id, error)
                await self.sleep(_PAUSE_S)


def _no_request(job: Job, row: SampledRow, logged: Logged | None) -> str | None:
    """Why there is nothing that could be called, whoever may."""
    if logged is None or not logged.body:
        return pairs.NO_LOGGED_REQUEST
    if logged.request.endpoint != "chat":
        return "not_a_chat"
    return "project_not_found" if job.project is None else None
