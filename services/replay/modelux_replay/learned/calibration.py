"""Correct projected tokens by what calls of both models on one request taught: a pilot's, earlier experiments', live
splits'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from experiment_core.arrays import Floats, Ints, inner
from experiment_core.projection.draws import LENGTH, Keys, row_keys, uniforms
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.tokens import FEWEST_PAIRS, TokenModel

Source = Literal["pilot", "history", "live"]
PAIRED: tuple[Source, ...] = ("pilot", "history")
"""Sources of calls of both models on one request, the nearest to the window first."""
ENOUGH = 30
"""Pairs of a source beyond which no further source is asked."""
UNKNOWN_STRATUM = -1
Route = tuple[str, str]
"""Names of the baseline's and of the candidate's model."""


def stratum(needs: Iterable[str], tag: str) -> str:
    """The kind of a request: what it needs of a model (tools, JSON, …), and its value of the plan's `stratum_tag`."""
    return " ".join(part for part in (",".join(sorted(needs)), tag) if part)


def with_strata(pairs: pa.Table, rows: pa.Table, stratum_tag: str) -> pa.Table:
    """A table of `plan.PAIRS` with the strata of its requests, of which `rows` (a table of `plan.ROWS`) tell."""
    columns = (rows.column(name).to_pylist() for name in ("request_id", "needs", "tags"))
    known = {name: stratum(needs, dict(tags).get(stratum_tag, "")) for name, needs, tags in zip(*columns, strict=True)}
    strata = [known.get(name, "") for name in pairs.column("request_id").to_pylist()]
    place = pairs.schema.get_field_index("stratum")
    return pairs.set_column(place, "stratum", pa.array(strata, pa.string()))


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What is known of one route."""

    model: TokenModel
    source: Source
    """The nearest one that gave pairs."""

    @property
    def input_ratio(self) -> float:
        """The candidate's over the baseline's tokens, over the pairs as they stand for the window."""
        pairs = self.model.pairs
        return _ratio(pairs, pairs.input, pairs.input_base)

    @property
    def output_ratio(self) -> float:
        """As `input_ratio`."""
        pairs = self.model.pairs
        return _ratio(pairs, pairs.output, pairs.output_base)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Columns of calls to project: what the logged model took of the same requests."""

    keys: Keys
    """From seed and request id."""
    baseline: Sequence[str]
    """Models' names; empty where none answered."""
    candidate: Sequence[str]
    stratum: Sequence[str]
    input: Floats
    output: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Columns of the candidate's tokens: expected ones, and a drawn output length, spread as answers are."""

    input: Floats
    output: Floats
    length: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """Token ratios of routes. Without any, tokens stay those of the log."""

    learned: Mapping[Route, Learned] = field(default_factory=dict)
    strata: Mapping[str, int] = field(default_factory=dict)
    """Codes, as the models know them."""

    @classmethod
    def of(cls, pilot: pa.Table | None, history: pa.Table | None, seed: int) -> Ratios:
        """From tables of `plan.PAIRS` in any order; `seed` is the plan's. A route with too few pairs is left out."""
        tables = [each for each in (pilot, history) if each is not None and len(each)]
        if not tables:
            return cls()
        known = _Known.of(pa.concat_tables(tables), seed)
        found = ((route, _learn(known, rows)) for route, rows in known.routes())
        return cls({route: learned for route, learned in found if learned is not None}, known.strata)

    def expected(self, asked: Asked) -> Expected:
        """A row's figures depend on the row alone. A row that a pilot called has the tokens that it got."""
        found = Expected(asked.input.copy(), asked.output.copy(), asked.output.copy())
        if not self.learned:
            return found
        strata = np.array([self.strata.get(name, UNKNOWN_STRATUM) for name in asked.stratum], np.int64)
        by_route: dict[Route, list[int]] = {}
        for place, route in enumerate(zip(asked.baseline, asked.candidate, strict=True)):
            by_route.setdefault(route, []).append(place)
        for route, places in by_route.items():
            learned = self.learned.get(route)
            if learned is not None:
                _fill(found, learned.model, asked, strata, np.array(places, np.int64))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Pairs of all routes. `source`: place in `PAIRED`, or the number of those."""

    baseline: Sequence[str]
    candidate: Sequence[str]
    source: Ints
    strata: Mapping[str, int]
    pairs: Pairs

    @classmethod
    def of(cls, table: pa.Table, seed: int) -> _Known:
        source, ids, baseline, candidate, stratum = (table.column(name).to_pylist() for name in table.column_names[:5])
        into_base, out_base, into, out, latency, chance = (
            table.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in table.column_names[5:]
        )
        strata = {name: code for code, name in enumerate(sorted(set(stratum)))}
        ranks = np.array([PAIRED.index(each) if each in PAIRED else len(PAIRED) for each in source], np.int64)
        pairs = Pairs(
            row_keys(seed, ids),
            np.array([strata[name] for name in stratum], np.int64),
            into_base,
            out_base,
            into,
            out,
            latency / 1000,
            np.full(len(ids), np.nan),
            np.where(ranks == 0, chance, 0.0),
        )
        return cls(baseline, candidate, ranks, strata, pairs)

    def routes(self) -> Iterator[tuple[Route, Ints]]:
        """Each route with its rows: the nearest source first, each request once."""
        of = self.pairs
        order = np.lexsort((of.output, of.input, of.key, self.source))
        found: dict[Route, dict[object, int]] = {}
        for row in order.tolist():
            mine = found.setdefault((self.baseline[row], self.candidate[row]), {})
            paired = int(self.source[row]) < len(PAIRED)
            mine.setdefault(int(of.key[row]) if paired else ("live", row), row)
        for route, rows in found.items():
            yield route, np.fromiter(rows.values(), np.int64, len(rows))


def _learn(known: _Known, rows: Ints) -> Learned | None:
    """From the nearest source, with the next where it has too few pairs; from live splits where none has enough."""
    source, chosen = known.source[rows], np.zeros(0, np.int64)
    for rank in range(len(PAIRED)):
        if len(chosen) < ENOUGH:
            chosen = np.concatenate([chosen, rows[source == rank]])
    paired = len(chosen) >= FEWEST_PAIRS
    if not paired:
        chosen = rows[source == len(PAIRED)]
    model = TokenModel.learn(known.pairs.take(chosen), slopes=paired)
    if model is None:
        return None
    nearest = int(known.source[chosen].min())
    return Learned(model, PAIRED[nearest] if paired else "live")


def _fill(found: Expected, model: TokenModel, asked: Asked, strata: Ints, rows: Ints) -> None:
    into, out = model.expected(asked.input[rows], asked.output[rows], strata[rows])
    length = model.lengths.draw(out, uniforms(asked.keys[rows], LENGTH))
    called, at = model.pairs.called(asked.keys[rows])
    into[called], out[called], length[called] = model.pairs.input[at], model.pairs.output[at], model.pairs.output[at]
    found.input[rows], found.output[rows], found.length[rows] = into, out, length


def _ratio(pairs: Pairs, candidate: Floats, baseline: Floats) -> float:
    weight = pairs.stand_for() + (pairs.chance > 0)
    whole = inner(weight, baseline)
    return inner(weight, candidate) / whole if whole > 0 else 1.0
