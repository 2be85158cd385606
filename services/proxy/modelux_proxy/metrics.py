"""Counters of the live path, cheap enough to keep per request; exported when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter_ns

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

_BOUNDS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000)

GAUGES: Mapping[str, str] = {
    "journal_used_ratio": "Journal on disk over its quota; bodies are shed from 0.7, requests refused from 0.95",
    "events_appended": "Events written to the journal since the start",
    "events_shipped": "Events that the bus has acknowledged since the start",
    "events_lost": "Events that the journal could not take; 0 unless the disk is full",
    "events_recovered": "Requests that an earlier process left unfinished, recorded as unknown",
    "refusals_unrecorded": "Refused requests left out of the log since the start, beyond 120 a minute of one key",
    "budget_grants": "Slices that the ledger granted since the start",
    "budget_denials": "Calls refused since the start because a budget had no room",
    "budget_unavailable": "Calls refused since the start because the ledger could not be asked",
    "budget_unknown": "Calls charged whole since the start because nobody knows what they cost",
    "budget_reserved_nano": "Nano-USD that calls under way hold",
    "snapshots_refused": "Configurations that were refused; the one before stays",
    "config_age_ms": "Since the config service was last heard of; 0 while connected",
}
"""What the wiring reads when somebody asks, and what each means."""


class Metrics:
    """A Prometheus collector over plain integers."""

    def __init__(self) -> None:
        self.by_outcome: dict[tuple[str, int], int] = {}
        self.refused: dict[str, int] = {}
        self.gauges: dict[str, Callable[[], float]] = {}
        self._buckets = [0] * (len(_BOUNDS_MS) + 1)
        self._sum_ms = 0.0

    def finished(self, outcome: str, status: int, arrived_ns: int) -> None:
        """One request that was driven."""
        key = (outcome, status)
        self.by_outcome[key] = self.by_outcome.get(key, 0) + 1
        elapsed_ms = (perf_counter_ns() - arrived_ns) / 1e6
        self._sum_ms += elapsed_ms
        self._buckets[bisect_left(_BOUNDS_MS, elapsed_ms)] += 1

    def refuse(self, code: str) -> None:
        """One request that was not let in."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily("modelux_proxy_requests", "Requests driven", labels=("outcome", "status"))
        for (outcome, status), count in self.by_outcome.items():
            requests.add_metric((outcome, str(status)), count)
        yield requests
        refused = CounterMetricFamily("modelux_proxy_refused", "Requests not let in", labels=("code",))
        for code, count in self.refused.items():
            refused.add_metric((code,), count)
        yield refused
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, _BOUNDS_MS), "+Inf"), self._buckets, strict=True):
            total += count
            buckets.append((bound, total))
        yield HistogramMetricFamily(
            "modelux_proxy_request_duration_ms",
            "From arrival to the last byte",
            buckets=buckets,
            sum_value=self._sum_ms,
        )
        for name, text in GAUGES.items():
            gauge = GaugeMetricFamily(f"modelux_proxy_{name}", text)
            if name in self.gauges:
                gauge.add_metric((), self.gauges[name]())
            yield gauge
