"""What past calls tell of targets: how calls at an hour end, how healthy a target looked, when its circuit was open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

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
_ORDER = ("started_at", "kind", "latency_us")
"""Of calls, as far as their circuit hangs on it."""


class Past:
    """The past calls of a project, a table of `plan.CALLS` in any order.

    A target's own calls speak for it; for one without any, those of the same model and provider by other credentials.
    """

    def __init__(self, calls: pa.Table) -> None:
        kept = calls.filter(_telling(calls)).sort_by([(name, "ascending") for name in _ORDER])
        names = [kept.column(name).to_pylist() for name in ("model", "provider", "credential_id")]
        self._codes: dict[tuple[str, str, str], int] = {}
        own = [self._codes.setdefault(name, len(self._codes)) for name in zip(*names, strict=True)]
        pooled = {pair: self._codes.setdefault((*pair, ""), len(self._codes)) for pair in _several(self._codes)}
        more = np.array([pooled.get((m, p), UNKNOWN) for m, p, _ in zip(*names, strict=True)], np.int64)
        columns = _columns(kept, np.array(own, np.int64))
        again = np.flatnonzero((more != UNKNOWN) & (more != columns.target))
        shared = columns.take(again)
        shared.target[:] = more[again]
        moments: Ints = pc.cast(kept.column("started_at"), pa.int64()).to_numpy()
        self.evidence = Evidence(_joined(columns, shared))
        self._open = dict(_circuits(np.array(own, np.int64), moments, _failed(columns)))
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
        window = self.evidence.window(code, hour)
        assert window is not None, "every code has calls"
        answers = window.answers
        p50 = _median(answers.latency_ms)
        ttft = _median(answers.ttft_ms[~np.isnan(answers.ttft_ms)])
        samples = len(answers.kind) + len(window.failures.kind)
        rate = window.failure_rate
        closed = Health("closed", p50, ttft, rate, samples)
        return closed, Health("open", p50, ttft, rate, samples, 0, _OPEN_REASON)

    def _is_open(self, code: int, at_us: int) -> bool:
        spans = self._open.get(code)
        if spans is None:
            return False
        starts, ends = spans
        place = bisect_right(starts, at_us) - 1
        return place >= 0 and at_us < ends[place]


def _telling(calls: pa.Table) -> pa.Array:
    """Marks calls that say something of their target. Imported answers without a latency are left out."""
    status = calls.column("status")
    own = pc.and_(pc.equal(calls.column("kind"), "status"), pc.is_in(status, pa.array(OWN_FAULTS, status.type)))
    silent = pc.and_(pc.equal(calls.column("kind"), "ok"), pc.equal(calls.column("latency_us"), 0))
    return pc.invert(pc.or_(own, silent))


def _several(codes: Mapping[tuple[str, str, str], int]) -> list[tuple[str, str]]:
    """Pairs of model and provider that were called by more than one credential."""
    pairs: dict[tuple[str, str], int] = {}
    for model, provider, _ in codes:
        pairs[model, provider] = pairs.get((model, provider), 0) + 1
    return [pair for pair, count in pairs.items() if count > 1]


def _columns(kept: pa.Table, targets: Ints) -> Calls:
    hours = pc.cast(kept.column("started_at"), pa.int64()).to_numpy() // HOUR_US
    kinds = pc.index_in(kept.column("kind"), pa.array(KINDS)).to_numpy()
    ttft = pc.cast(kept.column("ttft_us"), pa.float64()).to_numpy() / 1000
    return Calls(
        targets,
        hours,
        kept.column("output_tokens").to_numpy().astype(np.float64),
        kept.column("latency_us").to_numpy() / 1000,
        ttft,
        kinds.astype(np.int64),
        kept.column("status").to_numpy().astype(np.int64),
    )


def _joined(one: Calls, other: Calls) -> Calls:
    names = Calls.__match_args__
    return Calls(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))


def _failed(calls: Calls) -> Bools:
    """What a circuit counts as a failure: client errors show a provider that works."""
    fault = np.isin(calls.status, _CLIENT_FAULTS) & ~np.isin(calls.status, _CREDENTIAL)
    failed: Bools = (calls.kind != 0) & ~((calls.kind == KINDS.index("status")) & fault)
    return failed


def _circuits(targets: Ints, moments: Ints, failed: Bools) -> Iterator[tuple[int, tuple[Sequence[int], Sequence[int]]]]:
    """By target when its circuit was open: from the last of so many failures in a row, for one ejection. Moments
    ascend; spans that overlap are joined.
    """
    for code in np.unique(targets).tolist():
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


def _in_row(bad: Bools) -> Ints:
    """For each call how many failures in a row end with it."""
    places = np.arange(1, len(bad) + 1)
    run: Ints = places - np.maximum.accumulate(np.where(bad, 0, places))
    return run


def _median(values: Floats) -> float | None:
    return round(float(np.median(values)), 3) if len(values) else None
