"""Remember which accounts were seen, so that a grant can lock its own before it has read anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from routing_core.ledger.meters import Meter
from routing_core.ledger.server import AccountKey

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Known:
    """One per process. Wrong guesses cost a second attempt; nothing else depends on what is in here."""

    _seen: set[AccountKey] = field(default_factory=set)
    _current: dict[Meter, AccountKey] = field(default_factory=dict)

    def add(self, keys: Iterable[AccountKey]) -> None:
        """These were locked, so they exist for good."""
        if len(self._seen) > _MOST:
            self._seen.clear()
            self._current.clear()
        self._seen.update(keys)

    def all_seen(self, keys: Iterable[AccountKey]) -> bool:
        """Others are best made in the first attempt already: they are most likely not there yet."""
        return self._seen.issuperset(keys)

    def hold_now(self, keys: Iterable[AccountKey]) -> None:
        """These are of the windows that hold now."""
        self._current.update((key[0], key) for key in keys if key in self._seen)

    def guess(self, meters: Sequence[Meter]) -> list[AccountKey]:
        """The accounts of the windows that most likely hold now; empty where one is not known."""
        found = [self._current[meter] for meter in meters if meter in self._current]
        return found if len(found) == len(meters) else []
