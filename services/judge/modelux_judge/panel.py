"""Put the pairs of a run to its judge, some at a time, until all are asked or there is a reason to stop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from experiment_core.judge.canaries import KINDS, Kind, canary
from experiment_core.judge.envelope import Case, question
from experiment_core.sequential import Decision
from modelux.events.v1.judge_pb2 import JudgeVerdict
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_contracts.ids import new_id
from modelux_contracts.sources import JUDGE
from modelux_judge.ask import LOST, Answered, Asker, Unasked
from modelux_judge.calls import Asked, Calls, Place, Presented
from modelux_judge.hold import STOPPED, Hold
from modelux_judge.population import Pair
from modelux_judge.records import JudgeRun
from modelux_judge.texts import Texts, read_texts
from modelux_judge.verdicts import orders_of
from modelux_store.analytics import Analytics
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

_PAUSE_S = 1.0


@dataclass(slots=True)
class Panel:
    """One run at work. `asked` grows with it. `look` is called after each pair: whether the run is decided."""

    calls: Calls
    analytics: Analytics
    asker: Asker
    hold: Hold
    one: JudgeRun
    asked: dict[Place, Asked]
    look: Callable[[], Decision] = lambda: "undecided"
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    decision: Decision = "undecided"
    _queue: deque[Pair] = field(default_factory=deque)
    _ended: Unasked | None = None

    async def run(self, pairs: Iterable[Pair], at_a_time: int) -> Unasked | None:
        """Why it stopped early; None where all pairs were asked, or the run is decided. Raises `Unavailable`."""
        self._queue, self._ended = deque(pairs), None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_a_time):
                    group.create_task(self._worker())
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None
        return self._ended

    async def close_interrupted(self) -> None:
        """Tells of the questions that an earlier process asked and did not live to tell of."""
        lost = [each for each in self.asked.values() if each.verdict is None]
        pairs = {pair.row: pair for pair in await self.calls.pairs(self.one.id)} if lost else {}
        for each in lost:
            record = RequestCompleted(
                request_id=each.call_id,
                organization_id=self.one.organization_id,
                project_id=self.one.project_id,
                started_at_us=self.asker.caller.clock.now_us(),
                endpoint="chat",
                outcome="unknown",
                error_code="judge_service_died",
                ttft_us=-1,
                source=JUDGE,
            )
            found = Answered("interrupted", each.call_id, 0, ((each.call_id, record.SerializeToString()),))
            await self._tell(pairs[each.place.row], each.place.presented, found, None)
        if lost:  # it may have told of them after all, or withdrawn them; from now on it can do neither
            self.asked = dict(await self.calls.asked(self.one.id))

    async def _worker(self) -> None:
        while self._queue and self._ended is None and self.decision == "undecided":
            pair = self._queue.popleft()
            unasked = await self._pair(pair)
            if unasked is None:
                self.decision = self.look() if self.decision == "undecided" else self.decision
            elif unasked.passing:
                self._queue.appendleft(pair)
                await self.sleep(_PAUSE_S)
            else:
                self._ended = unasked

    async def _pair(self, pair: Pair) -> Unasked | None:
        """Asks what is open about a pair; None where nothing is any more."""
        orders = orders_of(self.one.spec, self.one.secret, pair)
        missing = [each for each in orders if Place(pair.row, each) not in self.asked]
        if not missing:
            return None
        if (code := self.hold.halt()) is not None:
            return Unasked(code)
        texts = await read_texts(self.analytics, self.one.organization_id, pair)
        for presented in missing:
            unasked = await self._question(pair, presented, texts)
            if unasked is not None:
                return unasked
        self.hold.pairs_done += pair.kind == "pair"
        return None

    async def _question(self, pair: Pair, presented: Presented, texts: Texts | None) -> Unasked | None:
        call_id, place = new_id("req_"), Place(pair.row, presented)
        if not await self.calls.intend(self.one, place, call_id):
            return Unasked(self.hold.halt() or (STOPPED if await self.hold.look() else LOST))
        found = self._without_a_call(pair, texts) or await self._asked(pair, presented, texts, call_id)
        if isinstance(found, Unasked):
            await self.calls.withdraw(self.one, place)
            return found
        await self._tell(pair, presented, found, texts)
        return None

    def _without_a_call(self, pair: Pair, texts: Texts | None) -> Answered | None:
        if texts is None:
            return Answered("failed", "", 0, (), error="no_logged_answer")
        if texts.cues and pair.kind == "pair":
            return Answered("steered", "", 0, (), error=", ".join(texts.cues))
        if _case(pair, self.one, texts) is None:
            return Answered("failed", "", 0, (), error="too_short")
        return None

    async def _asked(self, pair: Pair, presented: Presented, texts: Texts | None, call_id: str) -> Answered | Unasked:
        case = _case(pair, self.one, texts) if texts is not None else None
        assert case is not None, "asked of what can be asked"
        try:
            asked = question(case, self.one.spec.rubric, presented, self.one.secret, str(pair.row))
        except ValueError as error:
            return Answered("failed", "", 0, (), error=str(error))
        return await self.asker.ask(asked, call_id)

    async def _tell(self, pair: Pair, presented: Presented, found: Answered, texts: Texts | None) -> None:
        """The call is made: a database that is away is waited for."""
        one, place = self.one, Place(pair.row, presented)
        verdict = JudgeVerdict(
            judge_run_id=one.id,
            experiment_id=one.experiment_id,
            organization_id=one.organization_id,
            project_id=one.project_id,
            row=abs(pair.row),
            request_id=pair.request_id,
            candidate_request_id=pair.candidate_request_id,
            bucket=pair.bucket,
            similarity=pair.similarity,
            order=presented,
            verdict=found.said,
            reason=found.reason,
            call_id=found.call_id,
            cost_nano=found.cost_nano,
            at_us=self.asker.caller.clock.now_us(),
            error=found.error,
        )
        chars = (len(texts.case.baseline), len(texts.case.candidate)) if texts is not None else (0, 0)
        asked = Asked(place, found.call_id, verdict, *chars)
        while True:
            try:
                if await self.calls.said(one, asked, found.records, tell=pair.kind == "pair"):
                    self.asked[place] = asked
                break
            except Unavailable as error:
                log.warning("what came of call %s waits for the database: %s", found.call_id, error)
                await self.sleep(_PAUSE_S)
        self.hold.spent_nano += found.cost_nano


def _case(pair: Pair, one: JudgeRun, texts: Texts) -> Case | None:
    """What the judge is shown; None where an answer is too short to make a canary of."""
    if pair.kind == "pair":
        return texts.case
    kinds: dict[str, Kind] = {each: each for each in KINDS}
    made = canary(kinds[pair.kind], texts.case, f"{one.id}/{pair.row}")
    return made.case if made is not None else None
