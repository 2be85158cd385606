"""The outcome of a judge run as the API shows it: the documented figures, and those that hold for the traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiment_core.intervals import Estimate, proportion
from experiment_core.judge.canaries import EXPECTED, KINDS, Kind, report
from experiment_core.judge.rates import Bounds, Breakdown
from experiment_core.judge.summary import Summary, summarise
from experiment_core.similarity import BUCKETS
from experiment_core.stopping import anytime
from experiment_core.verdicts import VERDICTS, Orders, Verdict
from modelux.events.v1.judge_pb2 import JudgeCompleted
from modelux.judge.v1 import judge_pb2 as pb
from modelux_judge.labels import Label, anchored
from modelux_judge.population import Shares
from modelux_judge.verdicts import Answer

Json = dict[str, object]
NANO = 1e9


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run came to its end. `early`: before its last pair was asked; `decided`: as nothing more was needed."""

    early: bool = False
    decided: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of a run, and what its event tells."""

    summary: Json
    judged: int
    parse_errors: int
    worse: Estimate

    def tell(self, event: JudgeCompleted) -> None:
        """Puts the figures into the event of the end."""
        event.judged, event.parse_errors = self.judged, self.parse_errors
        worse, lower, upper = self.worse.value, self.worse.interval.lower, self.worse.interval.upper
        if worse is not None and lower is not None and upper is not None:
            event.worse, event.worse_lower, event.worse_upper = worse, lower, upper


def sum_up(
    spec: pb.JudgeSpec,
    shares: Shares,
    found: Sequence[Answer],
    planned: int,
    spent_nano: int,
    ended: Ended,
    labels: Mapping[int, Label],
) -> Outcome:
    """`found`: the pairs and canaries that were asked; `planned`: how many pairs were to be."""
    pairs = [each for each in found if each.pair.kind == "pair"]
    looked = spec.HasField("stop_when_decided")
    always = ended.early or looked
    judged = sum(each.judged.merge().verdict is not None for each in pairs)
    confidence = anytime(judged, max(planned // 2, 1)) if always and judged else 0.95
    cost_nano = sum(_cost(each) for each in pairs)
    told = summarise([each.judged_pair() for each in pairs], shares.strata_pairs(), cost_nano, confidence=confidence)
    errors = sum("parse_error" in each.said for each in pairs)
    unknown = {name: sum(name in each.said for each in pairs) for name in ("failed", "interrupted", "steered")}
    summary: Json = {
        "headline": headline(told.traffic),
        "judged_count": told.judged_count,
        "parse_errors": errors,
        "parse_error_rate": estimate(proportion(errors, len(pairs))),
        "spend_usd": spent_nano / NANO,
        "verdict_breakdown": _rates(told.sample),
        "verdict_breakdown_ci_95": {name: _interval(told.sample.verdicts[name]) for name in VERDICTS},
        "by_bucket": {name: _bucket(told.by_bucket[name], shares, place) for place, name in enumerate(BUCKETS)},
        **unknown,
        "pairs_planned": planned,
        "pairs_asked": len(pairs),
        "stopped_early": ended.early,
        "stop_reason": ended.reason or None,
        "decided": ended.decided or None,
        "traffic": _traffic(told, shares, "anytime" if always else "fixed"),
        "bounds": {name: _bounds(told.bounds[name]) for name in VERDICTS},
        "orders": _orders(spec, told.orders),
        "length_controlled": {
            name: {"rate": estimate(each.rate), "slope": estimate(each.slope)}
            for name, each in told.length_controlled.items()
        },
        "discordance": {
            "worse_minus_better": estimate(told.discordance.difference),
            "mcnemar_p": told.discordance.p,
        },
        "cost_per_pair_usd": told.cost_per_pair_nano / NANO if told.cost_per_pair_nano is not None else None,
        "canaries": _canaries(found),
        "labels": anchored(pairs, shares, labels, told.traffic) if labels else None,
    }
    return Outcome(summary, told.judged_count, errors, told.traffic["worse"])


def headline(traffic: Mapping[Verdict, Estimate]) -> str:
    """The outcome in one sentence."""
    worse, better = traffic["worse"], traffic["better"]
    if worse.value is None or better.value is None:
        return "The judge has not said enough to tell what the candidate does to the traffic."
    return (
        f"Of the traffic that the candidate answers anew, {_percent(worse)} gets a worse answer and "
        f"{_percent(better)} a better one, by this judge."
    )


def estimate(found: Estimate) -> Json:
    return {"value": found.value, **_interval(found)}


def _percent(found: Estimate) -> str:
    low, high = (100 * (bound or 0.0) for bound in (found.interval.lower, found.interval.upper))
    return f"{100 * (found.value or 0.0):.1f} % [{low:.1f}, {high:.1f}]"


def _interval(found: Estimate) -> Json:
    return {"lower": found.interval.lower, "upper": found.interval.upper}


def _rates(found: Breakdown) -> Json:
    return {name: found.verdicts[name].value for name in VERDICTS}


def _bucket(found: Breakdown, shares: Shares, place: int) -> Json:
    total = sum(shares.weights)
    return {
        "n": found.n,
        "verdicts": _rates(found),
        "verdicts_ci_95": {name: _interval(found.verdicts[name]) for name in VERDICTS},
        "scored_pairs": shares.pairs[place],
        "traffic_share": shares.weights[place] / total if total else None,
    }


def _traffic(told: Summary, shares: Shares, intervals: str) -> Json:
    """`of_all_traffic`: with the requests that keep the logged choice, whose answers are the same."""
    changed = shares.changed
    found: Json = {name: estimate(told.traffic[name]) for name in VERDICTS}
    found["worse_minus_better"] = estimate(told.worse_minus_better)
    found["intervals"] = intervals
    found["answered_anew_share"] = changed
    found["of_all_traffic"] = None
    if changed is not None:
        found["of_all_traffic"] = (
            {
                "better": estimate(told.traffic["better"].scaled(changed)),
                "equivalent": estimate(told.traffic["equivalent"].scaled(changed, 1 - changed)),
                "worse": estimate(told.traffic["worse"].scaled(changed)),
                "worse_minus_better": estimate(told.worse_minus_better.scaled(changed)),
            }
            if changed > 0
            else None
        )
    return found


def _bounds(found: Bounds) -> Json:
    parts = {"readable_only": found.complete, "all_better": found.all_better, "all_worse": found.all_worse}
    return {name: estimate(each) for name, each in parts.items()}


def _orders(spec: pb.JudgeSpec, found: Orders) -> Json:
    return {
        "policy": spec.orders,
        "pairs_in_both": found.both,
        "consistency": estimate(found.consistency),
        "inconsistent": found.opposite + found.tie_and_win,
        "opposite": found.opposite,
        "tie_and_win": found.tie_and_win,
        "first_chosen": estimate(found.first_chosen),
    }


def _canaries(found: Iterable[Answer]) -> Json | None:
    """None where the run had none, or no answer was long enough to make one of."""
    kinds: Mapping[str, Kind] = {each: each for each in KINDS}
    asked = [
        (kinds[each.pair.kind], each.judged.merge().verdict)
        for each in found
        if each.pair.kind in kinds and not {"failed", "interrupted"} & set(each.said)
    ]
    if not asked:
        return None
    told = report(asked)
    right: Json = {
        kind: {"n": sum(each == kind for each, _ in asked), "expected": EXPECTED[kind], "right": estimate(rate)}
        for kind, rate in told.right.items()
    }
    return {"trustworthy": told.trustworthy, "orders_obeyed": told.obeyed, **right}


def _cost(answer: Answer) -> int:
    return sum(each.verdict.cost_nano for each in answer.asked if each.verdict is not None)
