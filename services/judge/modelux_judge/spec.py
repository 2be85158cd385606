"""Check what a judge run asks for, as far as that can be told from the request alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from experiment_core.judge.rubric import DEFAULT_RUBRIC, parse_rubric
from experiment_core.judge.strata import Stratification, parse_stratification
from experiment_core.similarity import BUCKETS
from modelux.judge.v1 import judge_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_judge.judges import DEFAULT
from routing_core.errors import InvalidConfig
from routing_core.money import dollars

T = TypeVar("T")

ORDERS = ("both", "random")


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec with everything filled in."""

    spec: pb.JudgeSpec
    cuts: Stratification


def check(asked: pb.JudgeSpec) -> Checked:
    """Raises a 422 problem that names every field at fault, each with its remedy."""
    spec = pb.JudgeSpec()
    spec.CopyFrom(asked)
    spec.judge_model = spec.judge_model.strip() or DEFAULT
    spec.orders = spec.orders or "both"
    errors: list[FieldError] = []
    rubric = _read(lambda: parse_rubric(spec.rubric), errors) if spec.rubric else DEFAULT_RUBRIC
    cuts = _read(lambda: stratification(spec), errors)
    errors += _others(spec)
    if errors or cuts is None or rubric is None:
        raise invalid(*errors)
    spec.rubric = rubric
    wanted = dict(zip(BUCKETS, cuts.asked, strict=True))
    filled = pb.Stratification(**wanted, allocation=cuts.allocation, high_from=cuts.high, mild_from=cuts.mild)
    spec.stratification.CopyFrom(filled)
    return Checked(spec, cuts)


def stratification(spec: pb.JudgeSpec) -> Stratification:
    """Raises InvalidConfig."""
    if not spec.HasField("stratification"):
        return Stratification()
    found = spec.stratification
    document: dict[str, object] = {name: getattr(found, name) for name in BUCKETS}
    if found.allocation:
        document["allocation"] = found.allocation
    if found.high_from or found.mild_from:
        document["cuts"] = {"high": found.high_from, "mild": found.mild_from}
    return parse_stratification(document)


def _others(spec: pb.JudgeSpec) -> list[FieldError]:
    errors = []
    if spec.orders not in ORDERS:
        hint = f"There are: {', '.join(ORDERS)}."
        errors.append(FieldError("orders", f"{spec.orders[:40]!r} is not one of them", hint))
    if spec.HasField("spend_cap_nano") and spec.spend_cap_nano <= 0:
        hint = "Give an amount in USD, or leave it out for the project's own cap."
        errors.append(FieldError("spendCapUsd", f"{dollars(spec.spend_cap_nano)} is not above 0", hint))
    worse = spec.stop_when_decided.worse_pct
    if spec.HasField("stop_when_decided") and not (math.isfinite(worse) and 0 < worse < 100):
        hint = "It is the share of the traffic, in percent, that may get worse."
        errors.append(FieldError("stopWhenDecided.worsePct", "is not between 0 and 100", hint))
    return errors


def _read(work: Callable[[], T], errors: list[FieldError]) -> T | None:
    try:
        return work()
    except InvalidConfig as error:
        errors.append(FieldError(error.where, error.message, error.hint))
        return None
