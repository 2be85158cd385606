"""What budgets have to do with one call: what it may spend, and when its stream has gone beyond that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from modelux_providers.dialects.base import Chunk, ProviderError, StreamEvent
from routing_core.ledger.meters import Meter
from routing_core.types import Outcome, Usage

_LENGTHS = 9
"""A character has 1 to 4 bytes, 2, 6 or 12 escaped, and the first piece may name the role: 7 lengths at most."""


class Charge(Protocol):
    """What a call may spend: reserved before it is made, settled or released when it has ended."""

    limit: int
    """On output tokens, as it goes upstream; 0: none does."""
    clamped: bool
    """Whether `limit` is lower than what was asked for."""
    bound_nano: int
    """The most that the call can cost."""
    charged_nano: int
    """What the budgets were charged, once it has ended."""

    @property
    def accounts(self) -> Sequence[tuple[Meter, int]]:
        """The accounts of money that were charged, each with the start of its window."""
        ...

    @property
    def secured(self) -> bool:
        """Whether everything that had to be reserved is."""
        ...

    @property
    def most_output(self) -> int:
        """Output tokens past which the provider ignores the limit; 0: none to watch."""
        ...

    async def secure(self) -> ProviderError | None:
        """Waits until the call may be made, perhaps with a lower `limit`; else why not."""
        ...

    def dispatch(self) -> None:
        """Told right before bytes leave."""
        ...

    def end(self, outcome: Outcome, *, told: bool, sent: bool, streamed: bool, overrun: bool) -> None:
        """Told once, when the call has ended.

        Args:
            outcome: how it went.
            told: the provider told what it used.
            sent: bytes may have left.
            streamed: what the provider made was seen as it made it; of a whole answer nothing is, until it is there.
            overrun: it was cut off, as it went on beyond `most_output`.
        """
        ...


class Watch:
    """Tells when a provider certainly ignores the limit on output tokens: it says so itself, or there are more pieces
    than tokens may be. Where it sends single characters there are more pieces than tokens as well; those have few
    lengths, in whatever script and escaped or not, and tokens have many.
    """

    __slots__ = ("_lengths", "_pieces", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._pieces = 0
        self._lengths: set[int] = set()

    def beyond(self, events: Sequence[StreamEvent], usage: Usage | None) -> bool:
        """Takes the next events and the usage told so far."""
        for event in events:
            if type(event) is Chunk and event.has_content:
                self._pieces += 1
                if len(self._lengths) < _LENGTHS:
                    self._lengths.add(len(event.data))
        if usage is not None and usage.output > self.most:
            return True
        return self._pieces > self.most and len(self._lengths) == _LENGTHS
