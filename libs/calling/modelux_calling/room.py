"""Who reserves from a cap at this moment: what is short only for a while is waited for, not taken for spent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable


class Room:
    """Counts the calls of this process that hold reservations, by budget."""

    def __init__(self, looks: int = 20) -> None:
        """`looks`: how often to ask, half a second apart, whether what other processes have reserved came back."""
        self.looks = looks
        self._held: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self.spent: set[str] = set()
        """Budgets that refused for good, after all patience."""

    def enter(self, budget_ids: Iterable[str]) -> None:
        for budget_id in budget_ids:
            self._held[budget_id] += 1

    def leave(self, budget_ids: Iterable[str]) -> None:
        """What a call had reserved is settled or given back: whoever waits tries again."""
        for budget_id in budget_ids:
            self._held[budget_id] -= 1
            if not self._held[budget_id]:
                del self._held[budget_id]
            for place in self._waiting.pop(budget_id, ()):
                if not place.done():
                    place.set_result(None)

    def crowded(self, budget_id: str) -> bool:
        """Whether any call holds a reservation from it."""
        return budget_id in self._held

    async def freed(self, budget_id: str) -> None:
        """Returns once a reservation has ended. Only to be awaited while it is `crowded`."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[budget_id].append(place)
        await place
