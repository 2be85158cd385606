"""What the embedding service counts."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_telemetry.meters import Meter, Meters

TABLE: Mapping[str, Meter] = {
    "texts": Meter("counter", "Texts that the embedder was asked for"),
    "remembered_texts": Meter("counter", "Texts whose vectors were remembered, so that it was not"),
    "indexed_rows": Meter("gauge", "Logged prompts that are indexed, of all projects"),
}


def meters() -> Meters:
    """A new set of them, all at zero."""
    return Meters("embedding", TABLE)
