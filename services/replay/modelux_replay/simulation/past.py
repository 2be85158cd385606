"""What past calls tell of targets: how calls at an hour end, how healthy a target looked, when its circuit was open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.projection.calls import KINDS, Calls
from experiment_core.projection.evidence import Evidence
from routing_core.breaker import LIMITS
from routing_core.types import Target
from routing_core.world import Health

HOUR_US = 3_600_000_000
UNKNOWN = -1
"""Stands for a target of which there is no call."""
OWN_FAULTS = (400, 413, 422)
"""Statuses that tell of the request and not of the target: no evidence of how others would fare."""
_OPEN_REASON = f"{LIMITS.consecutive} failures in a row"
_CLIENT_FAULTS = (*range(400, 408), *range(409, 429), *range(430, 500))
_CREDENTIAL = (401, 402, 403)
_STATUS = KINDS.index("status")
_ALPHABET = np.array([sorted(KINDS).index(kind) for kind in KINDS])
"""Places of kinds among their names in order."""


class Past:
    """The past calls of a project, a table of `plan.CALLS` in any order.

    A target's own calls speak for it; for one without any, those of the same model and provider by other credentials.
    """

    def __init__(self, calls: pa.Table) -> None:
        called, own = _targets(calls)
        columns, moments = _columns(calls, own), _moments(calls)
        telling = np.flatnonzero(_telling(columns))
        columns, moments = columns.take(telling), moments[telling]
        self._codes = {called[code]: code for code in np.flatnonzero(np.bincount(columns.target)).tolist()}
        for place, pair in enumerate(_several(self._codes), len(called)):
            self._codes.setdefault((*pair, ""), place)
        more = np.array([self._codes.get((model, provider, ""), UNKNOWN) for model, provider, _ in called], np.int64)
        self.evidence = Evidence(_joined(columns, _shared(columns, more)))
        self._open = dict(_circuits(columns, moments))
        self._by_target: dict[Target, int] = {}
        self._health: dict[tuple[int, int], tuple[Health, Health]] = {}

    def code(self, target: Target) -> int:
        """The target's code in `evidence`, or `UNKNOWN`."""
        found = self._by_target.get(target)
        if found is None:
            found = self._codes.get((target.model, target.provider, target.credential_id), UNKNOWN)
            if found == UNKNOWN:
                found = self._pooled(target)
            self._by_target[target] = found
        return found

    def health(self, target: Target, at_us: int) -> Health | None:
        """How the target looked: latency and errors of the window around the hour, its circuit by the calls just
        before. None without any call.
        """
        code = self.code(target)
        if code == UNKNOWN:
            return None
        hour = at_us // HOUR_US
        both = self._health.get((code, hour))
        if both is None:
            both = self._health[code, hour] = self._of_hour(code, hour)
        return both[self._is_open(code, at_us)]

    def _pooled(self, target: Target) -> int:
        """All credentials' code, or that of the only one."""
        found = self._codes.get((target.model, target.provider, ""))
        if found is None:
            same = (code for (m, p, _), code in self._codes.items() if (m, p) == (target.model, target.provider))
            found = next(same, UNKNOWN)
        return found

    def _of_hour(self, code: int, hour: int) -> tuple[Health, Health]:
        near = self.evidence.nearby(code, hour)
        assert near is not None, "every code has calls"
        answers, rate = near.answers, near.failure_rate
        p50 = _median(answers.latency_ms)
        ttft = _median(answers.ttft_ms[~np.isnan(answers.ttft_ms)])
        samples = len(answers.kind) + len(near.failures.kind)
        closed = Health("closed", p50, ttft, rate, samples)
        return closed, Health("open", p50, ttft, rate, samples, 0, _OPEN_REASON)

    def _is_open(self, code: int, at_us: int) -> bool:
        spans = self._open.get(code)
        if spans is None:
            return False
        starts, ends = spans
        place = bisect_right(starts, at_us) - 1
        return place >= 0 and at_us < ends[place]


def _targets(calls: pa.Table) -> tuple[list[tuple[str, str, str]], Ints]:
    """Model, provider and credential of each target, and for each call which of them it asked."""
    codes = np.zeros(len(calls), np.int64)
    names: list[list[str]] = []
    for name in ("model", "provider", "credential_id"):
        column = calls.column(name).dictionary_encode().combine_chunks()
        names.append(column.dictionary.to_pylist())
        codes = codes * len(names[-1]) + column.indices.to_numpy()
    found = pa.array(codes).dictionary_encode()
    places = np.unravel_index(found.dictionary.to_numpy(), [len(each) for each in names]) if len(calls) else ()
    texts = ([each[at] for at in place.tolist()] for each, place in zip(names, places, strict=False))
    return list(zip(*texts, strict=True)), found.indices.to_numpy().astype(np.int64)


def _telling(calls: Calls) -> Bools:
    """Marks calls that say something of their target. Imported answers without a latency are left out."""
    own = (calls.kind == _STATUS) & np.isin(calls.status, OWN_FAULTS)
    silent = (calls.kind == 0) & (calls.latency_ms == 0)
    telling: Bools = ~(own | silent)
    return telling


def _several(codes: Mapping[tuple[str, str, str], int]) -> list[tuple[str, str]]:
    """Pairs of model and provider that were called by more than one credential."""
    pairs: dict[tuple[str, str], int] = {}
    for model, provider, _ in codes:
        pairs[model, provider] = pairs.get((model, provider), 0) + 1
    return [pair for pair, count in pairs.items() if count > 1]


def _moments(calls: pa.Table) -> Ints:
    moments: Ints = pc.cast(calls.column("started_at"), pa.int64()).to_numpy()
    return moments


def _columns(calls: pa.Table, targets: Ints) -> Calls:
    kinds = pc.index_in(calls.column("kind"), pa.array(KINDS)).to_numpy()
    return Calls(
        targets,
        _moments(calls) // HOUR_US,
        calls.column("output_tokens").to_numpy().astype(np.float64),
        calls.column("latency_us").to_numpy() / 1000,
        pc.cast(calls.column("ttft_us"), pa.float64()).to_numpy() / 1000,
        kinds.astype(np.int64),
        calls.column("status").to_numpy().astype(np.int64),
    )


def _joined(one: Calls, other: Calls) -> Calls:
    names = Calls.__match_args__
    return Calls(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))


def _shared(calls: Calls, more: Ints) -> Calls:
    """The calls that speak for another target too, as its own; `more` tells which, for each target."""
    others = more[calls.target]
    again = np.flatnonzero((others != UNKNOWN) & (others != calls.target))
    return replace(calls.take(again), target=others[again])


def _failed(calls: Calls) -> Bools:
    """What a circuit counts as a failure: client errors show a provider that works."""
    fault = np.isin(calls.status, _CLIENT_FAULTS) & ~np.isin(calls.status, _CREDENTIAL)
    failed: Bools = (calls.kind != 0) & ~((calls.kind == KINDS.index("status")) & fault)
    return failed


def _circuits(calls: Calls, moments: Ints) -> Iterator[tuple[int, tuple[Sequence[int], Sequence[int]]]]:
    """By target when its circuit was open: from the last of so many failures in a row, for one ejection. Spans that
    overlap are joined.
    """
    order = _in_time(calls, moments)
    targets, moments, failed = calls.target[order], moments[order], _failed(calls)[order]
    for code in np.flatnonzero(np.bincount(targets[failed]) >= LIMITS.consecutive).tolist():
        mine = np.flatnonzero(targets == code)
        when, bad = moments[mine], failed[mine]
        run = _in_row(bad)
        at = when[run >= LIMITS.consecutive]
        if not len(at):
            continue
        ends = at + LIMITS.ejection_ms * 1000
        fresh = np.concatenate(([True], at[1:] > ends[:-1]))
        last = np.concatenate((fresh[1:], [True]))
        yield code, (at[fresh].tolist(), ends[last].tolist())


def _in_time(calls: Calls, moments: Ints) -> Ints:
    """Row numbers by moment, and at one moment by kind and latency."""
    order = np.argsort(moments, kind="stable")
    same = np.diff(moments[order]) == 0
    tied = np.flatnonzero(np.concatenate((same, [False])) | np.concatenate(([False], same)))
    rows = order[tied]
    kinds = np.take(_ALPHABET, calls.kind[rows], mode="clip")
    order[tied] = rows[np.lexsort((calls.latency_ms[rows], kinds, moments[rows]))]
    return order


def _in_row(bad: Bools) -> Ints:
    """For each call how many failures in a row end with it."""
    places = np.arange(1, len(bad) + 1)
    run: Ints = places - np.maximum.accumulate(np.where(bad, 0, places))
    return run


def _median(values: Floats) -> float | None:
    """`np.median`, which takes four times as long for a few values."""
    if not len(values):
        return None
    middle = len(values) // 2
    ordered = np.sort(values)
    return round(float((ordered[middle] + ordered[(len(values) - 1) // 2]) / 2), 3)
