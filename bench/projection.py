"""Measure how far projections are off, on a folder of real calls. Prints one JSON line.

DATA/requests.csv holds calls of several models on the same requests (columns model, category, id, input_tokens,
output_tokens, latency_s; others are not looked at), so for any logged model and candidate the truth is there. Model
pairs are picked from all ordered pairs by a seeded hash; each is projected REPEATS times with another pilot.

What a projection may know:

- cost, naive: the logged model's tokens, and the candidate's price. Nothing of the candidate's calls.
- cost, pilot: these, and the candidate's tokens on 50 requests that `pilots.choose` picked. Window: all requests.
- latency: requests are halved by a seeded hash, anew each time. One half is the window that is projected. Of it the
  candidate's 50 calls of a pilot are known, tokens and latencies (and count as measured, as in the product). The other
  half are the candidate's own past calls, of which output tokens and latencies are known: none of them is of a request
  in the window. The file tells no hours, so all is one window.

A request's `category` is its stratum. Errors are |projected - true| / true. Per pair the median over the repeats is
taken; `*_median_error` is the median of that over pairs, `*_worst_error` its largest. `coverage` is the share of all
repeats whose 95 % interval held the true total cost; `coverage_lowest` that of the worst pair, and
`cost_pilot_p95_error` the error that 5 % of all repeats exceed. `coverage_naive` tells the same of the intervals
without a pilot, once per pair.

Prices are those of the product's catalogue, under the model's name without a suffix like `-FC`; a model it does not
know costs 1 and 3 USD per million tokens in and out. Both sides use the same price, so only tokens can be wrong.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.calls import Calls, Draws
from experiment_core.projection.costs import costs
from experiment_core.projection.draws import row_keys
from experiment_core.projection.evidence import Evidence
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.pilots import choose
from experiment_core.projection.project import Knowledge, Logged, project
from experiment_core.projection.tokens import TokenModel
from modelux_providers.catalog import Catalog
from modelux_providers.vendors import VENDORS
from routing_core.pricing import Price

PILOT = 50
FEWEST_SHARED = 200
"""Requests that both models of a pair must have answered."""
STAND_IN = Price(1_000_000_000, 3_000_000_000, version="stand-in")
_VARIANT = re.compile(r"-fc(-.*)?$", re.IGNORECASE)
LOGGED, CANDIDATE = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """One model's calls, on the requests of a pair."""

    input: Floats
    output: Floats
    latency_ms: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A pair of models on the requests that both answered."""

    ids: list[str]
    stratum: Ints
    logged: Answers
    candidate: Answers
    price: Price

    def true_cost(self) -> float:
        return float(np.sum(costs(self.price, self.candidate.input, self.candidate.output)))


Call = tuple[str, float, float, float]
"""Category, input tokens, output tokens, milliseconds."""


def read(path: Path) -> dict[str, dict[str, Call]]:
    """Calls by model and request; those without all three figures are left out."""
    found: dict[str, dict[str, Call]] = {}
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            figures = [row["input_tokens"], row["output_tokens"], row["latency_s"]]
            if all(figures):
                into, out, seconds = map(float, figures)
                found.setdefault(row["model"], {})[row["id"]] = (row["category"], into, out, seconds * 1000)
    return found


def pairs(calls: Mapping[str, Mapping[str, Call]], count: int, seed: int) -> list[tuple[str, str]]:
    """The first `count` ordered pairs of models that share enough requests, by hash."""
    every = [(a, b) for a in calls for b in calls if a != b]
    every.sort(key=lambda pair: blake2b(f"{seed}/{pair[0]}/{pair[1]}".encode()).digest())
    return [(a, b) for a, b in every if len(calls[a].keys() & calls[b].keys()) >= FEWEST_SHARED][:count]


def case(logged: Mapping[str, Call], candidate: Mapping[str, Call], price: Price) -> Case:
    ids = sorted(logged.keys() & candidate.keys())
    categories = sorted({logged[each][0] for each in ids})
    stratum = np.array([categories.index(logged[each][0]) for each in ids])
    return Case(ids, stratum, _answers(logged, ids), _answers(candidate, ids), price)


def _answers(calls: Mapping[str, Call], ids: list[str]) -> Answers:
    table = np.array([calls[each][1:] for each in ids])
    return Answers(table[:, 0], table[:, 1], table[:, 2])


def price_of(catalog: Catalog, model: str) -> Price:
    name = _VARIANT.sub("", model)
    known = (catalog.price(vendor, name, 0) for vendor in VENDORS)
    return next((price for price in known if price is not None and price.known), STAND_IN)


def rows(of: Case, part: Ints) -> Logged:
    zeros = np.zeros(len(part), np.int64)
    logged = of.logged
    answered = Draws(zeros, zeros, logged.latency_ms[part], np.full(len(part), np.nan), zeros)
    ids = [of.ids[each] for each in part]
    return Logged(
        ids, zeros, zeros + LOGGED, of.stratum[part], logged.input[part], logged.output[part], zeros * 0.0, answered
    )


def piloted(of: Case, part: Ints, seed: int) -> tuple[TokenModel, Ints]:
    """What a pilot of `PILOT` calls on rows of `part` teaches, and which rows were called."""
    keys = row_keys(seed, [of.ids[each] for each in part])
    expected = costs(of.price, of.logged.input[part], of.logged.output[part])
    pilot = choose(PILOT, keys, of.stratum[part], expected, seed)
    called = part[pilot.rows]
    model = TokenModel.learn(
        Pairs(
            keys[pilot.rows],
            of.stratum[called],
            of.logged.input[called],
            of.logged.output[called],
            of.candidate.input[called],
            of.candidate.output[called],
            of.candidate.latency_ms[called],
            np.full(PILOT, np.nan),
            pilot.chance,
        )
    )
    if model is None:
        raise SystemExit("too few requests for a pilot")
    return model, called


def history(of: Case, part: Ints) -> Evidence:
    zeros = np.zeros(len(part), np.int64)
    unknown = np.full(len(part), np.nan)
    answers = of.candidate
    return Evidence(
        Calls(zeros + CANDIDATE, zeros, answers.output[part], answers.latency_ms[part], unknown, zeros, zeros)
    )


def repeats(of: Case, seeds: range) -> Iterator[tuple[float, bool, float, float]]:
    """For each seed: error of the cost, whether the interval held, errors of p50 and p95 of the latency."""
    everything = np.arange(len(of.ids))
    targets = np.full(len(of.ids), CANDIDATE)
    truth = of.true_cost()
    nothing = history(of, everything[:0])
    for seed in seeds:
        model, _ = piloted(of, everything, seed)
        knowledge = Knowledge(nothing, {(LOGGED, CANDIDATE): model}, {CANDIDATE: of.price})
        total = project(targets, rows(of, everything), knowledge, seed).total
        value, interval = total.nano.value or 0.0, total.nano.interval
        cost_error = abs(value / truth - 1)
        shuffled = np.argsort(row_keys(seed, of.ids))
        window, past = np.sort(shuffled[::2]), np.sort(shuffled[1::2])
        model, called = piloted(of, window, seed)
        logged = of.logged
        model = model.with_history(
            of.candidate.output[past], logged.input[window], logged.output[window], of.stratum[window]
        )
        knowledge = Knowledge(
            history(of, np.concatenate([past, called])), {(LOGGED, CANDIDATE): model}, {CANDIDATE: of.price}
        )
        met = project(targets[: len(window)], rows(of, window), knowledge, seed).met
        true = np.quantile(of.candidate.latency_ms[window], [0.5, 0.95])
        p50, p95 = np.abs(np.quantile(met.latency_ms, [0.5, 0.95]) / true - 1)
        yield cost_error, not interval.excludes(truth), float(p50), float(p95)


def naive(of: Case) -> tuple[float, bool]:
    """Error of the cost without any call, and whether its interval held."""
    everything = np.arange(len(of.ids))
    knowledge = Knowledge(history(of, everything[:0]), {}, {CANDIDATE: of.price})
    total = project(np.full(len(of.ids), CANDIDATE), rows(of, everything), knowledge, 0).total.nano
    truth = of.true_cost()
    return abs((total.value or 0.0) / truth - 1), not total.interval.excludes(truth)


def measure(data: Path, count: int, times: int, seed: int, each: bool) -> dict[str, object]:
    calls = read(data / "requests.csv")
    catalog = Catalog.load()
    errors, without = [], []
    for logged, candidate in pairs(calls, count, seed):
        of = case(calls[logged], calls[candidate], price_of(catalog, candidate))
        without.append(naive(of))
        errors.append(list(repeats(of, range(seed, seed + times))))
        if each:
            figures = [*np.median(np.array(errors[-1], float), axis=0), np.mean([held for _, held, _, _ in errors[-1]])]
            print(logged, candidate, f"naive {without[-1][0]:.3f}", *(f"{figure:.3f}" for figure in figures))
    if not errors:
        raise SystemExit(f"{data / 'requests.csv'}: no two models share {FEWEST_SHARED} requests")
    table = np.array(errors, float)
    typical = np.median(table, axis=1)
    bare = np.array(without, float)
    return {
        "pairs": len(errors),
        "repeats": times,
        "cost_naive_median_error": _round(np.median(bare[:, 0])),
        "cost_naive_worst_error": _round(bare[:, 0].max()),
        "cost_pilot_median_error": _round(np.median(typical[:, 0])),
        "cost_pilot_worst_error": _round(typical[:, 0].max()),
        "cost_pilot_p95_error": _round(np.quantile(table[:, :, 0], 0.95)),
        "latency_p50_median_error": _round(np.median(typical[:, 2])),
        "latency_p95_median_error": _round(np.median(typical[:, 3])),
        "coverage": _round(table[:, :, 1].mean()),
        "coverage_lowest": _round(table[:, :, 1].mean(axis=1).min()),
        "coverage_naive": _round(bare[:, 1].mean()),
    }


def _round(figure: float) -> float:
    return round(float(figure), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds requests.csv")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="also print a line per pair")
    asked = parser.parse_args()
    print(json.dumps(measure(asked.data, asked.pairs, asked.repeats, asked.seed, asked.each)))


if __name__ == "__main__":
    main()
