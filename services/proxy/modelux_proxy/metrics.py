"""Counters of the live path, cheap enough to keep per request; exported when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from time import perf_counter_ns

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

_BOUNDS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000)


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
        for name, read in self.gauges.items():
            yield GaugeMetricFamily(f"modelux_proxy_{name}", name.replace("_", " "), value=read())
