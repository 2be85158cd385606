"""What the embedding service counts."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_telemetry.meters import Meter, Meters

TABLE: Mapping[str, Meter] = {
    "texts": Meter("counter", "Texts that the embedder was asked for"),
    "remembered_texts": Meter("counter", "Texts whose vectors were remembered, so that it was not"),
    "pairs": Meter("counter", "Pairs of answers: scored, unanswered, or refused by the embedder", ("outcome",)),
    "postponed_batches": Meter("counter", "Batches of such pairs that waited, as the embedder could not be asked"),
    "indexed_rows": Meter("gauge", "Logged prompts that are indexed, of all projects"),
}


def meters() -> Meters:
    """A new set of them, all at zero."""
    return Meters("embedding", TABLE)
