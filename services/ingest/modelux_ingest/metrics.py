"""What ingest counts."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_telemetry.meters import Meter, Meters

TABLE: Mapping[str, Meter] = {
    "rows": Meter("counter", "Requests written to ClickHouse; a batch that is written again counts again"),
    "batches": Meter("counter", "Writes to ClickHouse"),
    "refused": Meter("counter", "Batches that did not go through", ("reason",)),
    "lag_ms": Meter("gauge", "From the end of the newest request of the last batch to the moment it could be queried"),
    "health_news": Meter("counter", "Changes of provider health published"),
}


def meters() -> Meters:
    """A new set of them, all at zero."""
    return Meters("ingest", TABLE)
