"""What a judge run would do and cost."""

from __future__ import annotations

from dataclasses import dataclass

from experiment_core.judge.rubric import OrderPolicy, rubric_hash
from experiment_core.judge.strata import Places
from experiment_core.similarity import BUCKETS
from modelux.judge.v1 import judge_pb2 as pb
from modelux_judge import plan
from modelux_judge.judges import Judge, kin
from modelux_judge.plan import Rates
from modelux_judge.population import Population
from modelux_judge.spec import Checked
from routing_core.money import dollars

HEADROOM = 2
SUGGESTED_FLOOR_NANO = 50_000_000
_FEW_PAIRS = 30


@dataclass(frozen=True, slots=True)
class Estimated:
    """An estimate, and the spec with the judge pinned and the cap filled in. Nano-USD."""

    spec: pb.JudgeSpec
    project_id: str
    places: Places
    rubric_hash: str
    cost_nano: int
    call_nano: int
    most_nano: int
    """The project's own limit on caps."""
    notes: tuple[str, ...]

    @property
    def suggested_nano(self) -> int:
        return min(max(HEADROOM * self.cost_nano, SUGGESTED_FLOOR_NANO), self.most_nano)

    def response(self) -> pb.PreflightResponse:
        taken = dict(zip(BUCKETS, self.places.taken, strict=True))
        return pb.PreflightResponse(
            effective_pair_count=sum(self.places.taken),
            effective_high=taken["high"],
            effective_mild=taken["mild"],
            effective_major=taken["major"],
            estimated_cost_nano=self.cost_nano,
            per_call_nano=self.call_nano,
            spend_cap_nano=self.most_nano,
            suggested_spend_cap_nano=self.suggested_nano,
            requires_confirmation=HEADROOM * self.cost_nano > self.most_nano,
            notes=self.notes,
            rubric=self.spec.rubric,
            rubric_hash=self.rubric_hash,
        )


def estimate(
    checked: Checked, project_id: str, judge: Judge, population: Population, rates: Rates | None, most_nano: int
) -> Estimated:
    """`rates`: of an earlier run; `most_nano`: the largest cap that the project allows."""
    spec = pb.JudgeSpec()
    spec.CopyFrom(checked.spec)
    spec.judge_model = judge.reference
    if not spec.HasField("spend_cap_nano"):
        spec.spend_cap_nano = most_nano
    shares = population.shares(checked.cuts)
    places = plan.places(checked.cuts, shares, rates)
    drawn = population.draw(checked.cuts, places.taken)
    call_nano = judge.call_nano(population.tokens_of(drawn), spec.rubric)
    cost_nano = call_nano * plan.calls(len(drawn), spec.orders)
    orders: OrderPolicy = "both" if spec.orders == "both" else "random"
    asked_hash = rubric_hash(spec.rubric, judge.reference, judge.parameters, orders)
    notes = [*places.notes, *_notes(checked, judge, population, places)]
    if cost_nano > spec.spend_cap_nano:
        cap = dollars(spec.spend_cap_nano)
        notes.append(f"the estimate is above the cap of {cap}: the run would end before its last pair")
    return Estimated(spec, project_id, places, asked_hash, cost_nano, call_nano, most_nano, tuple(notes))


def _notes(checked: Checked, judge: Judge, population: Population, places: Places) -> list[str]:
    notes = []
    shares = population.shares(checked.cuts)
    for name, taken, pairs in zip(BUCKETS, places.taken, shares.pairs, strict=True):
        if pairs and not taken:
            notes.append(f"bucket {name} holds {pairs:,} pairs and none is judged: the traffic's rates stay open")
        elif 0 < taken < min(_FEW_PAIRS, pairs):
            notes.append(f"{taken} pairs of bucket {name} tell little: its intervals will be wide")
    if related := kin(judge, population.models):
        names = ", ".join(related)
        notes.append(f"the judge is of one family with {names}: judges tend to prefer their own kind")
    if not any("json_schema" in offer.capabilities for offer in judge.offers):
        notes.append("the judge cannot be bound to a JSON schema: expect more parse errors")
    if checked.spec.orders == "random":
        notes.append("each pair is asked in one order: how consistent the judge is cannot be told")
    return notes
