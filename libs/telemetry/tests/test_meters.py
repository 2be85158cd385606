"""Numbers counted by a service come out in Prometheus's format while it runs, and only then."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY, generate_latest

from modelux_telemetry.meters import Meter, Meters, exported

TABLE = {
    "rows": Meter("counter", "Rows written"),
    "calls": Meter("counter", "Calls answered", ("operation", "status")),
    "lag_ms": Meter("gauge", "How far behind"),
}


def lines(meters: Meters) -> list[str]:
    with exported(meters):
        text = generate_latest(REGISTRY).decode()
    return [line for line in text.splitlines() if line.startswith("modelux_tested_")]


def test_what_is_counted_is_shown() -> None:
    meters = Meters("tested", TABLE)
    assert lines(meters) == ["modelux_tested_rows_total 0.0", "modelux_tested_lag_ms 0.0"]
    meters.add("rows", 5)
    meters.add("rows")
    meters.add("calls", 1, "Get", "200")
    meters.add("calls", 1, "Get", "404")
    meters.set("lag_ms", 12.5)
    assert lines(meters) == [
        "modelux_tested_rows_total 6.0",
        'modelux_tested_calls_total{operation="Get",status="200"} 1.0',
        'modelux_tested_calls_total{operation="Get",status="404"} 1.0',
        "modelux_tested_lag_ms 12.5",
    ]
    assert (meters.value("rows"), meters.value("calls", "Get", "404"), meters.value("calls", "x", "y")) == (6, 1, 0)


def test_a_gauge_may_be_read_when_somebody_asks() -> None:
    meters, waiting = Meters("tested", TABLE), [1, 2, 3]
    meters.read("lag_ms", lambda: len(waiting))
    waiting.pop()
    assert lines(meters)[-1] == "modelux_tested_lag_ms 2.0"
    assert meters.value("lag_ms") == 2


def test_nothing_is_shown_after_the_block_and_the_name_is_free_again() -> None:
    with exported(Meters("tested", TABLE)):
        pass
    assert "modelux_tested" not in generate_latest(REGISTRY).decode()
    with exported(Meters("tested", TABLE)):
        assert "modelux_tested_rows_total" in generate_latest(REGISTRY).decode()


def test_a_name_that_was_not_declared_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Meters("tested", TABLE).add("row")
