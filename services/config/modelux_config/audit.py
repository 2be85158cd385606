"""The audit log: one row per change, chained by hash within an organization, so that a row taken out or rewritten
shows.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import cast

from modelux_config.records import Row, canonical
from modelux_config.statements import sql
from modelux_store.database import Transaction

GENESIS = bytes(32)
"""What the first row of a chain follows."""
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One change as it is hashed. `before_json` and `after_json` hold records without secrets."""

    organization_id: str
    at_us: int
    actor: str
    action: str
    entity: str
    entity_id: str
    project_id: str
    before_json: str
    after_json: str
    request_id: str
    snapshot_version: int

    def hash(self, sequence: int, previous: bytes) -> bytes:
        """SHA-256 over the hash before, the place in the chain and every field."""
        return sha256(previous + canonical([sequence, *astuple(self)]).encode()).digest()


async def append(tx: Transaction, entry: Entry) -> None:
    """Adds the entry to its organization's chain. The caller holds the organization's lock."""
    last = await tx.fetch_one(sql("audit", "last"), {"organization_id": entry.organization_id})
    sequence = cast(int, last["sequence"]) + 1 if last else 1
    previous = cast(bytes, last["hash"]) if last else GENESIS
    fields = {name: getattr(entry, name) for name in Entry.__slots__}
    chain = {"sequence": sequence, "previous_hash": previous, "hash": entry.hash(sequence, previous)}
    await tx.execute(sql("audit", "insert"), {**fields, **chain})


async def verify(tx: Transaction, organization_id: str) -> tuple[int, int]:
    """Walks the chain: the number of entries, and the sequence of the first that does not follow (0: the chain is
    whole).
    """
    previous, expected = GENESIS, 1
    while True:
        rows = await tx.fetch_all(
            sql("audit", "walk"), {"organization_id": organization_id, "after": expected - 1, "limit": _BATCH}
        )
        for row in rows:
            if row["sequence"] != expected or row["previous_hash"] != previous:
                return expected - 1, expected
            previous = _entry(row).hash(expected, previous)
            if row["hash"] != previous:
                return expected - 1, expected
            expected += 1
        if len(rows) < _BATCH:
            return expected - 1, 0


def _entry(row: Row) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__slots__})  # type: ignore[arg-type]  # columns carry the fields' types
