"""Ask a judge one question: the call, one repair where its reply breaks the contract, and what it says of the pair."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from experiment_core.judge.envelope import Fault, Message, Question, Reply, read
from modelux_calling.answers import text_of
from modelux_calling.blocked import STORE_UNAVAILABLE
from modelux_calling.caller import OWN_REFUSALS, Called, Caller, request_of
from modelux_calling.tenants import Project
from modelux_contracts.ids import new_id
from modelux_judge.judges import Judge
from routing_core.budgets import BudgetRule

Halt = Callable[[], str | None]
LOST = "lost"
"""The run is another process's, or is left to one."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a question brought. `said` as in `JudgeVerdict.verdict`; `call_id` is the call whose reply counts."""

    said: str
    call_id: str
    cost_nano: int
    records: tuple[tuple[str, bytes], ...] = field(repr=False)
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Unasked:
    """Nothing left. `refused_by`: the budget that had no room; `code`: why else."""

    code: str
    refused_by: str | None = None

    @property
    def passing(self) -> bool:
        """Nobody's decision: it can be asked again in a moment."""
        return self.code == STORE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Asker:
    """A judge at work for one run."""

    caller: Caller
    project: Project
    judge: Judge
    run_id: str
    cap: BudgetRule
    halt: Halt

    async def ask(self, asked: Question, call_id: str) -> Answered | Unasked:
        """One call, or two. Of what a judge replies nothing but a verdict that keeps the contract has an effect."""
        first = await self._call(asked, asked.messages, call_id)
        code = _code(first)
        if not first.sent and (first.halted is not None or code in OWN_REFUSALS or code == STORE_UNAVAILABLE):
            return Unasked(first.halted or code, first.refused_by)
        records, cost_nano = [(call_id, first.event)], first.cost_nano
        if first.error is not None:
            return Answered("failed", call_id, cost_nano, tuple(records), error=code)
        found = read(asked, text_of(first.answer))
        if isinstance(found, Fault):
            repair_id = new_id("req_")
            second = await self._call(asked, asked.repair(found), repair_id)
            if second.sent:
                call_id, cost_nano = repair_id, cost_nano + second.cost_nano
                records.append((repair_id, second.event))
            if second.error is None:
                found = read(asked, text_of(second.answer))
        if isinstance(found, Reply):
            return Answered(found.said, call_id, cost_nano, tuple(records), reason=found.reason)
        return Answered("parse_error", call_id, cost_nano, tuple(records), error=found.what)

    async def _call(self, asked: Question, messages: tuple[Message, ...], call_id: str) -> Called:
        body = {
            "model": self.judge.reference,
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            **self.judge.parameters,
            **self.judge.response_format(asked),
        }
        encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        at_ms = self.caller.clock.now_ms()
        tags = {"judge_run_id": self.run_id}
        request = request_of(encoded, request_id=call_id, project_id=self.project.id, at_ms=at_ms, tags=tags)
        ids = {"judge_run": self.run_id}
        return await self.caller.call(
            self.project, self.judge.policy, encoded, request, cap=self.cap, ids=ids, halt=self.halt
        )


def _code(called: Called) -> str:
    error = called.error
    return "" if error is None else error.code or error.type
