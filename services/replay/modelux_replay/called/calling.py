"""Have rows called: hand their units out a few at a time, and wait for what comes of them, or for a reason to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelux.events.v1.experiment_pb2 import ExperimentSamples, SampledRow
from modelux_bus.base import Bus, Message
from modelux_contracts import codec
from modelux_contracts.errors import ProblemError
from modelux_contracts.topics import EXPERIMENT_SAMPLES
from modelux_replay.called.pairs import Pairs, Place, Tally
from modelux_replay.caps import Caps
from modelux_replay.experiments import Experiment, Experiments
from routing_core.money import dollars

log = logging.getLogger(__name__)

UNIT_ROWS = 20
MOST_OUT = 64
"""Units that are out at once: enough for every sampler, and few enough that other experiments get their turn."""
LIMIT_S = 28 * 60
"""Counted from the start of the run: later no call begins, so that the rest fits into its half hour."""
CAP_REACHED = "The spend cap of {cap} (spendCapUsd) was reached"
TIME_IS_UP = "The time limit of 30 minutes was reached"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two looks; between two questions for what was spent; without news after which, when no call
    begins any more, nobody waits any longer; after which units are handed out again.
    """

    look_s: float = 0.25
    spent_s: float = 3.0
    settle_s: float = 20.0
    again_s: float = 120.0
    logged_s: float = 20.0
    """How long an experiment waits for the records of its calls to be in the log, once they have all ended."""


@dataclass(frozen=True, slots=True)
class Calling:
    """What it takes to have rows called."""

    experiments: Experiments
    pairs: Pairs
    bus: Bus
    caps: Caps
    now_us: Callable[[], int]
    pace: Pace = field(default_factory=Pace)

    async def through(
        self, one: Experiment, units: Sequence[Sequence[SampledRow]], tell: Callable[[int, int], None]
    ) -> str:
        """Returns when all rows are known, or no more will come. `tell` hears how many candidates have answered or
        failed, and what was spent.

        Answers why it stopped early, without a full stop; "" where it did not. Raises `Unavailable`, `BusUnavailable`.
        """
        return await _Round(self, one, units, tell).through()


class _Round:
    """The calls of one experiment by one process. What an earlier process handed out may still be on its way."""

    def __init__(
        self, ports: Calling, one: Experiment, units: Sequence[Sequence[SampledRow]], tell: Callable[[int, int], None]
    ) -> None:
        self._ports = ports
        self._one = one
        self._units = units
        self._tell = tell
        self._wanted = sum(map(len, units))
        self._next = 0
        self._rows_out = 0
        """Rows handed out, those that were known before included."""
        self._before: frozenset[Place] = frozenset()
        """What was known when units were handed out from the first one on."""
        self._times = 0
        self._known = -1
        self._now_s = asyncio.get_running_loop().time
        self._news_s = self._spent_s = self._now_s()
        self._spent_nano = one.spent_nano

    async def through(self) -> str:
        reason = ""
        while True:
            tally = await self._ports.pairs.tally(self._one.id)
            await self._look(tally)
            if tally.known >= self._wanted:
                return "" if not tally.refused else reason or self._cap_reached()
            reason = reason or await self._reason(tally)
            if reason and self._settled(tally):
                return reason
            if not reason:
                await self._hand_out(tally)
            await asyncio.sleep(self._ports.pace.look_s)

    async def _look(self, tally: Tally) -> None:
        """Notes what is new, and tells it."""
        now_s = self._now_s()
        if tally.known > self._known:
            self._known, self._news_s = tally.known, now_s
        if now_s - self._spent_s >= self._ports.pace.spent_s:
            self._spent_s = now_s
            try:
                spent = await self._ports.caps.spent_nano(self._one.organization_id, self._one.budget_id)
                self._spent_nano = max(spent, self._spent_nano)
            except ProblemError as error:
                log.info("what experiment %s spent is not known now: %s", self._one.id, error.problem.detail)
        self._tell(tally.answered, max(self._spent_nano, tally.charged_nano))

    async def _reason(self, tally: Tally) -> str:
        """Why to stop, kept so that callers hear it and a process that takes over stops too; "" for none."""
        late_us = self._one.started_at_us + LIMIT_S * 1_000_000
        found = ""
        if tally.refused:
            found = self._cap_reached()
        elif self._ports.now_us() >= late_us:
            found = TIME_IS_UP
        if found:
            await self._ports.experiments.stop(self._one.id, found)
        return await self._ports.experiments.stop_reason(self._one.id) or ""

    def _cap_reached(self) -> str:
        return CAP_REACHED.format(cap=dollars(self._one.spec.spend_cap_nano))

    def _settled(self, tally: Tally) -> bool:
        """Whether nothing more will come: all that was handed out came back, or there was no news for long."""
        alone = self._one.epoch <= 1
        quiet_s = self._now_s() - self._news_s
        return (alone and tally.known >= self._rows_out) or quiet_s >= self._ports.pace.settle_s

    async def _hand_out(self, tally: Tally) -> None:
        """As many units as may be out; those that are silent for too long once more."""
        if self._now_s() - self._news_s >= self._ports.pace.again_s:
            log.warning("experiment %s waits for long: its units are handed out again", self._one.id)
            self._next, self._rows_out, self._news_s = 0, 0, self._now_s()
        if self._next == 0:
            self._before = await self._ports.pairs.known(self._one.id)
            self._times += 1
        ready = []
        while self._next < len(self._units) and self._rows_out - tally.known < MOST_OUT * UNIT_ROWS:
            unit = self._units[self._next]
            if any((row.row, row.side) not in self._before for row in unit):
                ready.append(self._message(self._next, unit))
            self._next += 1
            self._rows_out += len(unit)
        if ready:
            await self._ports.bus.publish(ready)

    def _message(self, number: int, rows: Sequence[SampledRow]) -> Message:
        one, topic = self._one, EXPERIMENT_SAMPLES.name
        slug, _, version = one.candidate_reference.removeprefix("@").rpartition(":")
        event = ExperimentSamples(
            experiment_id=one.id,
            organization_id=one.organization_id,
            project_id=one.project_id,
            unit=number,
            budget_id=one.budget_id,
            cap_nano=one.spec.spend_cap_nano,
            deadline_us=one.started_at_us + LIMIT_S * 1_000_000,
            candidate_json=one.policy.encode(),
            candidate_slug=slug,
            candidate_version=int(version or 0),
            rows=rows,
        )
        key = f"{one.id}.{number}"
        return Message(
            topic, key.encode(), codec.encode(event), f"{key}.{one.epoch}.{self._times}", codec.headers(topic)
        )
