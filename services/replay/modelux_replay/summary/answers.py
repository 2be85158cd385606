"""How alike the answers are, as the API shows it: all pairs, the called ones, and the noise floor."""

from __future__ import annotations

from collections.abc import Sequence

from experiment_core.answers import Answers, Scored
from experiment_core.sentence import amount, excess_in_words
from experiment_core.similarity import Agreement
from modelux_replay.summary.shapes import Json, estimate
from modelux_replay.summary.table import Read


def similarity(found: Answers, rows: Read, embedder: str, levels: Sequence[Agreement] = ()) -> Json | None:
    """None where no pair is scored and none was asked again. `embedder`: scores of another do not compare.

    `levels`: the agreement of all pairs at further thresholds.
    """
    if not found.all.agreement.scored and found.floor is None:
        return None
    agreement = found.all.agreement
    return {
        **_scored(found.all),
        "threshold": agreement.threshold,
        "histogram": list(found.all.histogram),
        "embedder": embedder or None,
        "called": {**_scored(found.called), "histogram": list(found.called.histogram)},
        "reused": found.reused,
        "agreement_at": [
            {"threshold": each.threshold, "scored": each.scored, **estimate(each.rate)} for each in levels
        ],
        "floor": _floor(found, rows),
        "excess_disagreement": _excess(found),
        "sentence": _sentence(found),
    }


def _scored(found: Scored) -> Json:
    agreement = found.agreement
    return {
        "mean": estimate(found.mean),
        "scored": agreement.scored,
        "unscored": agreement.unscored,
        "agreement": estimate(agreement.rate),
    }


def _floor(found: Answers, rows: Read) -> Json | None:
    floor = found.floor
    if floor is None:
        return None
    return {
        **_scored(floor.scored),
        "asked_again": rows.repeats,
        "failed": rows.repeats_failed,
        "quantiles": {f"p{round(q * 100):02}": value for q, value in floor.quantiles.items()},
    }


def _excess(found: Answers) -> Json | None:
    return None if found.floor is None else {**estimate(found.floor.excess), "sentence": excess_in_words(found)}


def _sentence(found: Answers) -> str:
    called = found.called.agreement
    parts = []
    if called.scored:
        rate = amount(called.rate.scaled(100), "%")
        parts.append(f"of the {called.scored:,} called answers {rate} agree at {called.threshold:g}")
    if found.reused:
        parts.append(f"{found.reused:,} rows keep the logged choice and so its answer")
    if found.floor is not None:
        parts.append(excess_in_words(found))
    return "; ".join(parts)
