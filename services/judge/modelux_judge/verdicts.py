"""From the questions that were asked to what the judge says of each pair, and whether that decides the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from experiment_core.judge.envelope import drawn_order
from experiment_core.judge.lengths import log_length_ratio
from experiment_core.judge.stopping import LOOK_EVERY, Stopping
from experiment_core.judge.strata import Counts
from experiment_core.judge.summary import JudgedPair, strata
from experiment_core.sequential import Decision, Threshold
from experiment_core.similarity import BUCKETS
from experiment_core.verdicts import VERDICTS, Judged, Said
from modelux.judge.v1 import judge_pb2 as pb
from modelux_judge.calls import ORDERS, Asked, Place, Presented
from modelux_judge.population import Pair

MOST_CANARIES = 4
"""Of each kind."""
_PAIRS_PER_CANARY = 25


@dataclass(frozen=True, slots=True)
class Answer:
    """A pair of which every question was asked."""

    pair: Pair
    judged: Judged
    asked: tuple[Asked, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """As in `JudgeVerdict.verdict`."""
        return tuple(each.verdict.verdict for each in self.asked if each.verdict is not None)

    def judged_pair(self) -> JudgedPair:
        known = [each for each in self.asked if each.baseline_chars]
        ratio = log_length_ratio(known[0].baseline_chars, known[0].candidate_chars) if known else math.nan
        return JudgedPair(BUCKETS.index(self.pair.bucket), self.judged, ratio)


def orders_of(spec: pb.JudgeSpec, secret: bytes, pair: Pair) -> tuple[Presented, ...]:
    """In which orders a pair is asked; canaries in one."""
    if spec.orders == "both" and pair.kind == "pair":
        return ORDERS
    return (drawn_order(secret, str(pair.row)),)


def answers(spec: pb.JudgeSpec, secret: bytes, pairs: Sequence[Pair], asked: Mapping[Place, Asked]) -> Iterator[Answer]:
    """Pairs and canaries of which nothing is open any more. One of which an order was never asked says nothing: half
    of it would bring back the bias of order.
    """
    for pair in pairs:
        orders = orders_of(spec, secret, pair)
        found = [asked.get(Place(pair.row, each)) for each in orders]
        known = tuple(each for each in found if each is not None and each.verdict is not None)
        if len(known) == len(orders):
            said = {each.place.presented: _said(each) for each in known}
            judged = Judged(said.get("baseline_first", "unasked"), said.get("candidate_first", "unasked"))
            yield Answer(pair, judged, known)


def canaries_for(pairs: int) -> int:
    """How many of each kind a run of so many pairs has."""
    return min(MOST_CANARIES, pairs // _PAIRS_PER_CANARY)


def decide(spec: pb.JudgeSpec, found: Sequence[Answer], scored: Counts, planned: int) -> Decision:
    """Whether the traffic's worse rate is shown to be below the threshold, or not to be, whatever the pairs without a
    verdict would have said.
    """
    if not spec.HasField("stop_when_decided"):
        return "undecided"
    stopping = Stopping(Threshold(spec.stop_when_decided.worse_pct / 100, below=True, inclusive=False), max(planned, 1))
    counted = strata([each.judged_pair() for each in found if each.pair.kind == "pair"], scored)
    at_worst = stopping.look([replace(each, worse=each.worse + each.without, without=0) for each in counted])
    if at_worst.decision == "met":
        return "met"
    at_best = stopping.look([replace(each, better=each.better + each.without, without=0) for each in counted])
    return "refuted" if at_best.decision == "refuted" else "undecided"


def due(spec: pb.JudgeSpec, judged: int, planned: int) -> bool:
    """Whether it is time to look whether a run is decided."""
    return spec.HasField("stop_when_decided") and judged < planned and judged % LOOK_EVERY == 0


def _said(asked: Asked) -> Said:
    assert asked.verdict is not None
    said = asked.verdict.verdict
    return cast(Said, said) if said in VERDICTS or said == "steered" else "unreadable"
