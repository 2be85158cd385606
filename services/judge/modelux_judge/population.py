"""The scored pairs of an experiment: what a judge run draws from, and what the drawn ones stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.judge.strata import Counts, Stratification, in_turn
from experiment_core.selection import Keys, keys
from experiment_core.similarity import BUCKETS, buckets
from modelux_judge.statements import sql
from modelux_store.analytics import Analytics

_floats = partial(np.array, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Shares:
    """The buckets of an experiment, as a run found them; sums of weights, in requests of the window."""

    pairs: Counts
    """Scored pairs, per bucket."""
    weights: tuple[float, ...]
    """Requests that these stand for, per bucket."""
    called: float
    """Requests that all called rows stand for, scored or not."""
    reused: float
    """Requests whose candidate chooses what was logged: their answers are the same."""

    def strata_pairs(self) -> Counts:
        """Pairs per bucket in the traffic's proportions: what a bucket weighs, in as many pairs as there are."""
        total, scored = sum(self.weights), sum(self.pairs)
        if total <= 0:
            return self.pairs
        return tuple(
            max(round(scored * weight / total), 1) if pairs else 0
            for weight, pairs in zip(self.weights, self.pairs, strict=True)
        )

    @property
    def changed(self) -> float | None:
        """Share of the window's known requests whose answer comes from another call; None: not known."""
        known = self.called + self.reused
        return self.called / known if known > 0 else None

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Shares:
        found = json.loads(text)
        return cls(tuple(found["pairs"]), tuple(found["weights"]), found["called"], found["reused"])


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of answers that a run judges, or a canary made of one. `place`: its turn in the run."""

    row: int
    place: int
    kind: str
    bucket: str
    similarity: float
    request_id: str
    candidate_request_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """All scored pairs of an experiment, in columns."""

    experiment_id: str
    row: Ints
    request_id: Sequence[str]
    candidate_request_id: Sequence[str]
    similarity: Floats
    weight: Floats
    tokens: Floats
    """Of the prompt and both answers."""
    models: frozenset[str]
    called: float
    reused: float

    def buckets(self, cuts: Stratification) -> Ints:
        """Of each pair its index in `BUCKETS`."""
        return buckets(self.similarity, cuts.high, cuts.mild)

    def shares(self, cuts: Stratification) -> Shares:
        places = self.buckets(cuts)
        pairs = np.bincount(places, minlength=len(BUCKETS))
        weights = np.bincount(places, self.weight, len(BUCKETS))
        return Shares(
            tuple(int(each) for each in pairs), tuple(float(each) for each in weights), self.called, self.reused
        )

    def draw(self, cuts: Stratification, taken: Counts) -> list[Pair]:
        """So many pairs of each bucket, in the order to judge them.

        The same for every run of an experiment, and part of every larger draw. Within a bucket pairs come by chance in
        proportion to their weight (Efraimidis and Spirakis 2006), so that a bucket's plain mean is the traffic's.
        """
        places = self.buckets(cuts)
        chosen = in_turn(self._order(), places, taken)
        return [self._pair(int(index), BUCKETS[places[index]], turn) for turn, index in enumerate(chosen)]

    def tokens_of(self, pairs: Sequence[Pair]) -> float:
        """Mean tokens of the prompts and both answers; 0 without pairs."""
        drawn = np.isin(self.row, [each.row for each in pairs])
        return float(self.tokens[drawn].mean()) if drawn.any() else 0.0

    def _order(self) -> Keys:
        chance = (keys(self.request_id, self.experiment_id).astype(np.float64) + 0.5) / 2.0**64
        late = -np.log(chance) / np.where(self.weight > 0, self.weight, np.finfo(np.float64).tiny)
        ranks = np.empty(len(late), np.uint64)
        ranks[np.argsort(late, kind="stable")] = np.arange(len(late), dtype=np.uint64)
        return ranks

    def _pair(self, index: int, bucket: str, turn: int) -> Pair:
        similarity, ids = float(self.similarity[index]), (self.request_id[index], self.candidate_request_id[index])
        return Pair(int(self.row[index]), turn, "pair", bucket, similarity, *ids)


async def read_population(analytics: Analytics, organization_id: str, experiment_id: str) -> Population:
    """Raises `Unavailable`."""
    wanted = {"organization_id": organization_id, "experiment_id": experiment_id}
    rows = await analytics.rows(sql("population", "pairs"), wanted)
    (shares,) = await analytics.rows(sql("population", "shares"), wanted)
    counts = ("input_tokens", "baseline_tokens", "candidate_tokens")
    return Population(
        experiment_id,
        np.array([row["row"] for row in rows], np.int64),
        [cast(str, row["request_id"]) for row in rows],
        [cast(str, row["candidate_request_id"]) for row in rows],
        _floats([row["similarity"] for row in rows]),
        _floats([row["weight"] for row in rows]),
        _floats([sum(cast(int, row[name]) for name in counts) for row in rows]),
        _models(rows),
        float(cast(float, shares["called"])),
        float(cast(float, shares["reused"])),
    )


def _models(rows: Sequence[Mapping[str, object]]) -> frozenset[str]:
    return frozenset(cast(str, row[name]) for row in rows for name in ("baseline_model", "candidate_model")) - {""}
