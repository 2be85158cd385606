"""What the response sampler counts."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_telemetry.meters import Meter, Meters

TABLE: Mapping[str, Meter] = {
    "rows": Meter("counter", "Sampled rows told, each once", ("outcome",)),
    "calls": Meter("counter", "Calls made for experiments"),
    "charged_nano": Meter("counter", "Nano-USD charged for them"),
    "units_working": Meter("gauge", "Units of rows that this process works on"),
}


def meters() -> Meters:
    """A new set of them, all at zero."""
    return Meters("response_sampler", TABLE)
