"""The labelling queue of a run: hand out pairs without saying whose answer is whose, and take people's word on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from modelux.judge.v1 import judge_pb2 as pb
from modelux.replay.v1 import replay_pb2 as replay
from modelux_contracts.refusals import FieldError, conflict, invalid
from modelux_judge import labels
from modelux_judge.calls import asked_within, pairs_within
from modelux_judge.ending import End, Ending, labels_within
from modelux_judge.labels import WORDS, Word
from modelux_judge.population import Pair
from modelux_judge.records import JudgeRun, JudgeRuns, run_of
from modelux_judge.statements import sql
from modelux_judge.texts import read_texts
from modelux_judge.verdicts import answers

DEFAULT_LIMIT, MOST = 10, 50
LONGEST_NOTE, LONGEST_NAME = 2_000, 100


@dataclass(frozen=True, slots=True)
class LabelDesk:
    """Only runs that have ended are labelled: which of their pairs are judged does not change any more."""

    records: JudgeRuns
    ending: Ending
    now_us: Callable[[], int]

    async def next_labels(self, request: pb.NextLabelsRequest) -> pb.NextLabelsResponse:
        """The next pairs of the queue. Raises problems: 404, 409 before the run has ended, 422 for the limit."""
        limit = request.limit or DEFAULT_LIMIT
        if not 1 <= limit <= MOST:
            raise invalid(FieldError("limit", f"{limit} is not between 1 and {MOST}", "Ask again for more."))
        one = await self._ended(request.actor, request.experiment_id, request.id)
        pairs, known = await self._judged(one), await self._labels(one)
        turns = labels.queue(one.secret, list(pairs), known)
        found = pb.NextLabelsResponse(labelled=len(known), wanted=labels.wanted(len(pairs)))
        for row in turns[:limit]:
            texts = await read_texts(self.ending.analytics, one.organization_id, pairs[row])
            if texts is None:
                continue
            shown = (texts.case.baseline, texts.case.candidate)
            first, second = reversed(shown) if labels.candidate_first(one.secret, row) else shown
            place = labels.token(one.secret, row)
            found.tasks.add(row=row, prompt=texts.case.prompt, first=first, second=second, token=place)
        return found

    async def add_label(self, request: pb.AddLabelRequest) -> pb.AddLabelResponse:
        """Keeps a label, in place of an earlier one of the same pair, and corrects the summary by it.

        Raises problems: 404, 409 before the run has ended, 422 for the token, the verdict and overlong texts.
        """
        one = await self._ended(request.actor, request.experiment_id, request.id)
        row = labels.row_of(one.secret, request.token)
        _check(request, row if row in await self._judged(one) else None)
        assert row is not None
        verdict = labels.verdict_of(cast(Word, request.verdict), labels.candidate_first(one.secret, row))
        values = {
            "run_id": one.id,
            "row": row,
            "verdict": verdict,
            "note": request.note,
            "labeller": request.labeller or request.actor.key_id,
            "key_id": request.actor.key_id,
            "at_us": self.now_us(),
        }
        async with self.records.database.transaction() as tx:
            locked = await tx.fetch_one(sql("runs", "lock"), {"id": one.id})
            assert locked is not None, "runs are never deleted"
            current = run_of(locked)
            await tx.execute(sql("pairs", "label"), values)
            known = await labels_within(tx, one.id)
            pairs, asked = await pairs_within(tx, one.id), await asked_within(tx, one.id)
            outcome = self.ending.sum_up(current, _end_of(current), current.spent_nano, pairs, asked, known)
            summary = json.dumps(outcome.summary) if outcome is not None else current.summary
            changed = await tx.fetch_one(sql("runs", "summed_up"), {"id": one.id, "summary": summary})
        assert changed is not None
        return pb.AddLabelResponse(run=run_of(changed).record())

    async def _ended(self, actor: replay.Actor, experiment_id: str, identifier: str) -> JudgeRun:
        one = await self.records.get(actor.organization_id, experiment_id, identifier)
        if not one.ended:
            detail = f"The judge run is {one.status}: its pairs are labelled once it has ended."
            raise conflict("run_not_ended", detail, "Wait for it, or cancel it.")
        return one

    async def _judged(self, one: JudgeRun) -> dict[int, Pair]:
        """The pairs that the judge was asked about, by row."""
        pairs, asked = await self.ending.calls.pairs(one.id), await self.ending.calls.asked(one.id)
        found = answers(one.spec, one.secret, pairs, asked)
        return {each.pair.row: each.pair for each in found if each.pair.kind == "pair"}

    async def _labels(self, one: JudgeRun) -> dict[int, labels.Label]:
        async with self.records.database.transaction() as tx:
            return await labels_within(tx, one.id)


def _check(request: pb.AddLabelRequest, row: int | None) -> None:
    errors = []
    if row is None:
        hint = "Pass the token of a pair of this run's queue unchanged."
        errors.append(FieldError("token", "names no pair of this run", hint))
    if request.verdict not in WORDS:
        hint = f"There are: {', '.join(WORDS)}."
        errors.append(FieldError("verdict", f"{request.verdict[:40]!r} is not one of them", hint))
    for name, most in (("note", LONGEST_NOTE), ("labeller", LONGEST_NAME)):
        if (length := len(getattr(request, name))) > most:
            errors.append(FieldError(name, f"has {length:,} characters", f"Use at most {most:,}."))
    if errors:
        raise invalid(*errors)


def _end_of(one: JudgeRun) -> End:
    """How it ended, as its summary kept it."""
    kept = json.loads(one.summary) if one.summary else {}
    return End(one.status, kept.get("stop_reason") or "", bool(kept.get("stopped_early")), kept.get("decided") or "")
