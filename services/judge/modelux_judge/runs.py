"""Run a judge run from its claim to its end: draw, ask, sum up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from experiment_core.judge.strata import Stratification
from experiment_core.sequential import Decision
from modelux_calling.caller import Caller
from modelux_calling.tenants import Project, Tenants
from modelux_contracts.errors import ProblemError
from modelux_contracts.refusals import not_found
from modelux_judge import plan
from modelux_judge.ask import LOST, Asker, Unasked
from modelux_judge.calls import Asked, Calls, Place
from modelux_judge.ending import End, Ending, end_of
from modelux_judge.hold import Hold
from modelux_judge.judges import find_judge
from modelux_judge.panel import Panel
from modelux_judge.plan import Rates
from modelux_judge.population import Pair, Shares, read_population
from modelux_judge.records import JudgeRun, JudgeRuns
from modelux_judge.spec import stratification
from modelux_judge.verdicts import Answer, answers, decide, due
from modelux_store.analytics import Analytics
from modelux_store.errors import Unavailable
from routing_core.budgets import BudgetRule

log = logging.getLogger(__name__)


class Waits(Exception):
    """Something is away: the run is left for later."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What runs work with. `pairs_at_a_time`: of one run."""

    records: JudgeRuns
    calls: Calls
    analytics: Analytics
    caller: Caller
    tenants: Callable[[], Tenants | None]
    ending: Ending
    pairs_at_a_time: int
    stopping: Callable[[], bool] = lambda: False

    async def run(self, identifier: str) -> None:
        """Runs one, unless another process does. While a store or config is away it is left for later."""
        if self.tenants() is None or self.stopping():
            return
        one = await self.records.claim(identifier, self.caller.clock.now_us())
        if one is None:
            return
        log.info("judge run %s runs", one.id)
        try:
            await self._living(one, Hold(self.records, one, self.caller.clock, self.stopping))
        except (Unavailable, Waits) as error:
            log.warning("judge run %s waits: %s", one.id, error)
        except Exception:
            log.exception("judge run %s failed", one.id)
            await self.ending.end(one, End("failed", "Something broke here; the log of the judge service tells what."))

    async def _living(self, one: JudgeRun, hold: Hold) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(hold.keep())
                try:
                    await self._through(one, hold)
                finally:
                    keeping.cancel()
        except BaseExceptionGroup as group:
            # What ended the run; callers expect it bare.
            raise group.exceptions[0] from None

    async def _through(self, one: JudgeRun, hold: Hold) -> None:
        try:
            end = await self._judge(one, hold)
        except ProblemError as error:
            end = End("failed", error.problem.detail)
        if end is None:
            await self.records.release(one)
            log.info("judge run %s is left to another process", one.id)
        elif await hold.look():
            await self.ending.end(one, end)

    async def _judge(self, one: JudgeRun, hold: Hold) -> End | None:
        """How it ended; None where it is another process's to go on with."""
        asked = dict(await self.calls.asked(one.id))
        project = self._project(one)
        judge = find_judge(project, one.spec.judge_model)
        cap = BudgetRule(
            one.budget_id,
            "judge_run",
            one.organization_id,
            one.project_id,
            name="spendCapUsd",
            scope_key=one.id,
            cap_nano=one.spec.spend_cap_nano,
        )
        asker = Asker(self.caller, project, judge, one.id, cap, hold.halt)
        panel = Panel(self.calls, self.analytics, asker, hold, one, asked)
        await panel.close_interrupted()
        hold.spent_nano = sum(each.verdict.cost_nano for each in panel.asked.values() if each.verdict is not None)
        unasked, drawn = None, False
        while not drawn and unasked is None:
            drawn = await self._draw(one, panel)
            unasked = await self._ask(one, panel)
        if unasked is not None and unasked.code == LOST:
            return None
        return end_of(one, unasked, hold.stop_reason, panel.decision)

    async def _draw(self, one: JudgeRun, panel: Panel) -> bool:
        """Keeps the pairs to ask, where they are not yet. False: they are a pilot, which shows how to split all."""
        if (await self.records.find(one.id)).drawn:
            return True
        cuts = stratification(one.spec)
        population = await read_population(self.analytics, one.organization_id, one.experiment_id)
        shares, had = population.shares(cuts), await self.calls.pairs(one.id)
        rates = await self._rates(one, cuts, had, panel.asked)
        whole = cuts.allocation == "fixed" or rates is not None
        taken = plan.places(cuts, shares, rates).taken if whole else plan.pilot(cuts, shares)
        drawn = population.draw(cuts, plan.at_least(taken, plan.counts(had)))
        pairs = plan.with_canaries(drawn) if whole else drawn
        await self.calls.draw(one, pairs, shares.to_json(), drawn=whole)
        return whole

    async def _ask(self, one: JudgeRun, panel: Panel) -> Unasked | None:
        """Why pairs are left that were not asked; None: there are none, or nothing more is needed."""
        current, pairs = await self.records.find(one.id), await self.calls.pairs(one.id)
        if not current.population or current.epoch != one.epoch:
            return Unasked(LOST)
        scored = Shares.from_json(current.population).strata_pairs()

        def known() -> list[Answer]:
            return list(answers(one.spec, one.secret, pairs, panel.asked))

        def look() -> Decision:
            if not (current.drawn and due(one.spec, panel.hold.pairs_done, current.pairs_total)):
                return "undecided"
            return decide(one.spec, known(), scored, current.pairs_total)

        panel.look = look
        panel.hold.pairs_done = sum(each.pair.kind == "pair" for each in known())
        return await panel.run(pairs, self.pairs_at_a_time)

    async def _rates(
        self, one: JudgeRun, cuts: Stratification, had: Sequence[Pair], asked: Mapping[Place, Asked]
    ) -> Rates | None:
        """How often the buckets get worse answers: by this run's pilot, or an earlier run with the same buckets."""
        if cuts.allocation == "fixed":
            return None
        if had:
            return Rates.of(list(answers(one.spec, one.secret, had, asked)))
        return await earlier_rates(self.records, self.calls, one.organization_id, one.experiment_id, one.id, cuts)

    def _project(self, one: JudgeRun) -> Project:
        tenants = self.tenants()
        if tenants is None:
            raise Waits("there is no configuration")
        found = tenants.projects.get(one.project_id)
        if found is None or found.organization_id != one.organization_id:
            raise not_found("project", one.project_id)
        return found


async def earlier_rates(
    records: JudgeRuns, calls: Calls, organization_id: str, experiment_id: str, before: str, cuts: Stratification
) -> Rates | None:
    """What the latest completed run of the experiment with the same buckets said of them, of those older than the id
    `before`; None where there is none.
    """
    for each in await records.earlier(organization_id, experiment_id, before):
        same = stratification(each.spec)
        if (same.high, same.mild) == (cuts.high, cuts.mild):
            pairs, asked = await calls.pairs(each.id), await calls.asked(each.id)
            return Rates.of(list(answers(each.spec, each.secret, pairs, asked)))
    return None
