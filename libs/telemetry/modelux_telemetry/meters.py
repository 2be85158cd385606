"""Metrics as rows of a table: a service counts on plain numbers, and Prometheus reads them when it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Meter:
    """One metric: what it counts or tells, in the words of the reference page, and the names of its labels."""

    kind: Literal["counter", "gauge"]
    text: str
    labels: _Labels = ()


class Meters(Collector):
    """The numbers of one service, named `modelux_<service>_<name>`. A name that the table lacks is a KeyError."""

    def __init__(self, service: str, table: Mapping[str, Meter]) -> None:
        self._service = service
        self._table = table
        self._values: dict[str, dict[_Labels, float]] = {
            name: {} if meter.labels else {(): 0.0} for name, meter in table.items()
        }
        self._read: dict[str, Callable[[], float]] = {}

    def add(self, name: str, amount: float = 1, *labels: str) -> None:
        """Counts on; `labels` in the order of the table."""
        values = self._values[name]
        values[labels] = values.get(labels, 0.0) + amount

    def set(self, name: str, value: float, *labels: str) -> None:
        """What a gauge tells from now on."""
        self._values[name][labels] = value

    def read(self, name: str, value: Callable[[], float]) -> None:
        """Looks a gauge up when somebody asks, instead of keeping it."""
        self._values[name].clear()
        self._read[name] = value

    def value(self, name: str, *labels: str) -> float:
        """The number as it is now; 0 for labels never counted."""
        return self._read[name]() if name in self._read else self._values[name].get(labels, 0.0)

    def collect(self) -> Iterable[Metric]:
        for name, meter in self._table.items():
            family = _FAMILIES[meter.kind](f"modelux_{self._service}_{name}", meter.text, labels=meter.labels)
            for labels in [()] if name in self._read else self._values[name]:
                family.add_metric(labels, self.value(name, *labels))
            yield family


@contextmanager
def exported(collector: Collector) -> Iterator[None]:
    """Shows a collector at `/metrics` of this process while the block runs."""
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


_FAMILIES: Mapping[str, type[CounterMetricFamily] | type[GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}
