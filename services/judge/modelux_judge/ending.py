"""End a judge run: close its cap, sum up what came in, tell, whichever way it ended."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from experiment_core.sequential import Decision
from modelux_contracts.errors import ProblemError
from modelux_judge.ask import Unasked
from modelux_judge.calls import Asked, Calls, Place, asked_within, pairs_within
from modelux_judge.hold import LIMIT_S, STOPPED
from modelux_judge.labels import Label, label_of
from modelux_judge.outcome import Ended, Outcome, sum_up
from modelux_judge.population import Pair, Shares
from modelux_judge.records import Changed, JudgeRun, JudgeRuns, Status, completed_event
from modelux_judge.statements import sql
from modelux_judge.verdicts import answers
from modelux_runtime.spend_caps import SpendCaps
from modelux_store.analytics import Analytics
from modelux_store.database import Transaction
from modelux_store.errors import Unavailable
from routing_core.money import dollars

log = logging.getLogger(__name__)

_LOOK_S = 0.1
_SHOWN_S = 60.0
"""How long to wait for ingest before a run counts as ended all the same."""
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class End:
    """How a run ends. `early`: pairs are left that were not asked."""

    status: Status
    reason: str = ""
    early: bool = False
    decided: str = ""


def end_of(one: JudgeRun, unasked: Unasked | None, stop_reason: str, decision: Decision) -> End:
    """From what kept pairs from being asked to what the record says."""
    if unasked is None:
        if decision == "undecided":
            return End("completed")
        below = "below" if decision == "met" else "not below"
        limit = f"{one.spec.stop_when_decided.worse_pct:g} %"
        return End("completed", early=True, decided=f"The traffic's worse rate is {below} {limit}.")
    if unasked.refused_by == one.budget_id:
        cap = dollars(one.spec.spend_cap_nano)
        return End("cancelled", f"The spend cap of {cap} (spendCapUsd) was reached.", early=True)
    if unasked.code == STOPPED:
        return End("cancelled", stop_reason, early=True)
    if unasked.refused_by is not None:
        reason = f"Budget {unasked.refused_by} has no room for a further call to the judge."
        return End("cancelled", reason, early=True)
    if unasked.code == "deadline":
        return End("failed", f"It took longer than {LIMIT_S // 60} minutes.", early=True)
    return End("failed", f"The judge cannot be called: {unasked.code}.", early=True)


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends runs work with."""

    records: JudgeRuns
    calls: Calls
    analytics: Analytics
    caps: SpendCaps
    now_us: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def end(self, one: JudgeRun, end: End) -> None:
        """Ends a run that this process holds. Raises `Unavailable`."""
        spent_nano = await self._closed(one)
        current = await self.records.find(one.id)
        reason = _with_count(end, current)
        outcome = await self.summary(current, End(end.status, reason, end.early, end.decided), spent_nano)
        await self._shown(one)
        now_us = self.now_us()
        event = completed_event(one, end.status, reason, now_us)
        event.spent_nano = spent_nano
        if outcome is not None:
            outcome.tell(event)
        summary = json.dumps(outcome.summary) if outcome is not None else ""
        try:
            await self.records.end(
                one, end.status, now_us, completed=event, summary=summary, pairs_done=current.pairs_done
            )
            log.info("judge run %s is %s", one.id, end.status)
        except Changed:
            log.info("judge run %s was ended by somebody else", one.id)

    async def summary(self, one: JudgeRun, end: End, spent_nano: int) -> Outcome | None:
        """Of what has come in; None where the run never looked at its experiment."""
        async with self.records.database.transaction() as tx:
            pairs, asked = await pairs_within(tx, one.id), await asked_within(tx, one.id)
            labels = await labels_within(tx, one.id)
        return self.sum_up(one, end, spent_nano, pairs, asked, labels)

    def sum_up(
        self,
        one: JudgeRun,
        end: End,
        spent_nano: int,
        pairs: Sequence[Pair],
        asked: Mapping[Place, Asked],
        labels: Mapping[int, Label],
    ) -> Outcome | None:
        """The same, from what was read."""
        if not one.population:
            return None
        found = list(answers(one.spec, one.secret, pairs, asked))
        ended = Ended(end.early, end.decided, end.reason)
        planned = sum(each.kind == "pair" for each in pairs)
        return sum_up(one.spec, Shares.from_json(one.population), found, planned, spent_nano, ended, labels)

    async def close_left(self) -> None:
        """Closes the caps of what has ended, however it did. One that cannot be closed now is met again the next time.

        Raises `Unavailable` alone.
        """
        for one in await self.records.open_caps():
            try:
                await self.caps.close(one.organization_id, one.budget_id)
            except ProblemError as error:
                if error.problem.status != 404:
                    log.warning("the cap of %s stays open for now: %s", one.id, error.problem.detail)
                    continue
            await self.records.cap_closed(one.id)

    async def _closed(self, one: JudgeRun) -> int:
        """What was spent: what the calls cost, or what the ledger charged where that is more."""
        asked = await self.calls.asked(one.id)
        cost_nano = sum(each.verdict.cost_nano for each in asked.values() if each.verdict is not None)
        try:
            return max(cost_nano, await self.caps.close(one.organization_id, one.budget_id))
        except ProblemError as error:
            log.warning("the cap of %s stays open for now: %s", one.id, error.problem.detail)
            return cost_nano

    async def _shown(self, one: JudgeRun) -> None:
        """Waits until the log shows every verdict: whoever sees an end can read the results."""
        asked = await self.calls.asked(one.id)
        told = sum(place.row >= 0 and each.verdict is not None for place, each in asked.items())
        query = sql("verdicts", "shown")
        deadline_us = self.now_us() + round(_SHOWN_S * 1e6)
        while told:
            try:
                (row,) = await self.analytics.rows(query, {"id": one.id})
                if row["verdicts"] == told:
                    return
            except Unavailable as error:
                log.warning("ClickHouse is away: %s", error)
            if self.now_us() > deadline_us:
                log.warning("not all verdicts of %s are in ClickHouse yet", one.id)
                return
            await self.sleep(_LOOK_S)


async def labels_within(tx: Transaction, run_id: str) -> dict[int, Label]:
    """By the row of the pair."""
    found = [label_of(row) for row in await tx.fetch_all(sql("pairs", "labels"), {"run_id": run_id})]
    return {each.row: each for each in found}


def _with_count(end: End, one: JudgeRun) -> str:
    """The reason, with how far the run came where it stopped early."""
    if not (end.early and end.reason and one.pairs_total):
        return end.reason
    return f"{end.reason.rstrip('.')} after {one.pairs_done:,} of {one.pairs_total:,} pairs."
