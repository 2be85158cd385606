"""What people say of a random part of a run's pairs: which to show, in which order, and what that corrects."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from experiment_core.anchors import FEWEST_LABELS, Confusion, Corrected, Labelled, prediction_powered, reliability
from experiment_core.anchors import rogan_gladen as rogan_gladen_rate
from experiment_core.intervals import Estimate
from experiment_core.similarity import BUCKETS
from experiment_core.verdicts import VERDICTS, Verdict
from modelux_judge.population import Shares
from modelux_judge.verdicts import Answer

WANTED = 100
"""Labels after which a queue is done: enough for a correction that is worth it."""
Word = Literal["first", "second", "equal"]
WORDS: tuple[Word, ...] = get_args(Word)
_TAG_BYTES = 12
_ROW_BYTES = 5

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Label:
    """Somebody's word on a pair: the candidate against the baseline."""

    row: int
    verdict: Verdict
    labeller: str


def queue(secret: bytes, rows: Sequence[int], labelled: Mapping[int, Label]) -> list[int]:
    """The rows to label next, in an order drawn for the run: whoever stops anywhere has labelled a random part."""
    order = sorted(rows, key=lambda row: _drawn(secret, "turn", row))
    return [row for row in order[: wanted(len(rows))] if row not in labelled]


def wanted(pairs: int) -> int:
    return min(WANTED, pairs)


def candidate_first(secret: bytes, row: int) -> bool:
    """Which answer a person sees first: drawn once for each pair, and told to nobody."""
    return bool(_drawn(secret, "side", row)[0] & 1)


def token(secret: bytes, row: int) -> str:
    """Names a pair of this run, and of no other."""
    place = row.to_bytes(_ROW_BYTES, "big")
    return base64.urlsafe_b64encode(place + _drawn(secret, "token", row)[:_TAG_BYTES]).decode().rstrip("=")


def row_of(secret: bytes, written: str) -> int | None:
    """The pair that a token names; None where it is none of this run's."""
    try:
        found = base64.urlsafe_b64decode(written.encode("ascii") + b"=" * (-len(written) % 4))
    except (binascii.Error, ValueError):
        return None
    row = int.from_bytes(found[:_ROW_BYTES], "big")
    good = len(found) == _ROW_BYTES + _TAG_BYTES and hmac.compare_digest(
        found[_ROW_BYTES:], _drawn(secret, "token", row)[:_TAG_BYTES]
    )
    return row if good else None


def verdict_of(word: Word, shown_first: bool) -> Verdict:
    """What a choice says of the candidate; `shown_first`: its answer stood first."""
    if word == "equal":
        return "equivalent"
    return "better" if (word == "first") == shown_first else "worse"


def anchored(
    pairs: Sequence[Answer], shares: Shares, labels: Mapping[int, Label], traffic: Mapping[Verdict, Estimate]
) -> Json:
    """The traffic's rates as people would have given them, and how far the judge can be trusted here."""
    given = [(each, labels[each.pair.row]) for each in pairs if each.pair.row in labels]
    human = [label.verdict for _, label in given]
    judge = [answer.judged.merge().verdict for answer, _ in given]
    told = reliability(human, judge)
    counts = {name: sum(each.pair.bucket == name for each, _ in given) for name in BUCKETS}
    return {
        "count": len(given),
        "wanted": wanted(len(pairs)),
        "enough": len(given) >= FEWEST_LABELS,
        "by_bucket": counts,
        "labellers": sorted({label.labeller for _, label in given}),
        "reliability": told.sentence,
        "agreement": _estimate(told.agreement),
        "kappa": _estimate(told.kappa.kappa),
        "ppi": {each: _corrected(_powered(pairs, shares, labels, each)) for each in VERDICTS},
        "rogan_gladen": {each: _rogan_gladen(human, judge, traffic[each], len(pairs), each) for each in VERDICTS},
    }


def _powered(pairs: Sequence[Answer], shares: Shares, labels: Mapping[int, Label], verdict: Verdict) -> Corrected:
    total = sum(shares.weights)
    parts = []
    for place, name in enumerate(BUCKETS):
        own = [each for each in pairs if each.pair.bucket == name]
        known = [each for each in own if each.pair.row in labels]
        human = np.array([labels[each.pair.row].verdict == verdict for each in known], np.float64)
        judge = np.array([each.judged.merge().verdict == verdict for each in known], np.float64)
        others = [each.judged.merge().verdict == verdict for each in own if each.pair.row not in labels]
        weight = shares.weights[place] / total if total else 0.0
        parts.append((weight, Labelled(human, judge, np.array(others, np.float64))))
    return prediction_powered(parts)


def _rogan_gladen(
    human: Sequence[Verdict], judge: Sequence[Verdict | None], rate: Estimate, pairs: int, verdict: Verdict
) -> Json:
    confusion = Confusion.of(
        np.array([each == verdict for each in human], np.bool_), np.array([each == verdict for each in judge], np.bool_)
    )
    found = rogan_gladen_rate(rate.value, pairs, confusion) if rate.value is not None else None
    return {
        "rate": _estimate(found) if found is not None else None,
        "sensitivity": _estimate(confusion.sensitivity()),
        "specificity": _estimate(confusion.specificity()),
    }


def _corrected(found: Corrected) -> Json:
    return {
        "rate": _estimate(found.rate),
        "labels_alone": _estimate(found.human_only),
        "trust_in_judge": found.trust,
        "width_vs_labels_alone": found.width_ratio,
    }


def _estimate(found: Estimate) -> Json:
    return {"value": found.value, "lower": found.interval.lower, "upper": found.interval.upper}


def _drawn(secret: bytes, what: str, row: int) -> bytes:
    return hmac.digest(secret, f"label/{what}/{row}".encode(), "sha256")


def label_of(row: Mapping[str, object]) -> Label:
    """A row of the table."""
    return Label(cast(int, row["row"]), cast(Verdict, row["verdict"]), cast(str, row["labeller"]))
