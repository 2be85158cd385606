"""Make an attempt once its provider and its cap have room for it, and again where it was refused for our own haste."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns

from modelux_calling.attempts import Beginner
from modelux_calling.blocked import Blocked
from modelux_calling.haste import Haste
from modelux_calling.room import Room
from modelux_providers.call import ProviderCall
from modelux_providers.dialects.base import ProviderError
from routing_core.flow import Attempt, Until
from routing_core.ledger.meters import AccountView, Meter
from routing_core.types import BUDGET_EXCEEDED, Outcome, OutcomeKind

ROUNDS = 6
"""Times that one attempt is made while its provider says that there are too many calls. The last refusal counts."""

_LOOK_S = 0.5

View = Callable[[Meter], AccountView | None]
"""What the ledger last said of an account."""
Halt = Callable[[], str | None]
"""Why no further call may leave, as an error code; None: it may. Asked right before each leaves."""


class Patience:
    """Begins the attempts of one request (see `drive.Begin`), and knows how long they waited."""

    def __init__(self, beginner: Beginner, haste: Haste, halt: Halt, room: Room, view: View, cap_id: str = "") -> None:
        """The budget `cap_id` refuses an attempt for good once no other call is under way that has reserved from it.
        Then no other is made: what a policy does without its first choice tells nothing of it.
        """
        self._beginner = beginner
        self.haste = haste
        self._halt = halt
        self.room = room
        self._view = view
        self._elsewhere = 0
        self.cap_id = cap_id
        self.halted: str | None = None
        """Why an attempt was not made, or not made again."""
        self._waits: list[tuple[int, int]] = []

    def begin(self, number: int, attempt: Attempt, until: Until) -> Patient:
        return Patient(self, number, attempt, until)

    def made(self, number: int, attempt: Attempt, until: Until) -> ProviderCall:
        return self._beginner.begin(number, attempt, until)

    def may_not(self) -> str | None:
        self.halted = self.halted or self._halt()
        return self.halted

    async def crowded_out(self, error: ProviderError | None) -> bool:
        """Whether the cap refused an attempt only for what other calls had reserved: returns once some may have ended.

        Those of other processes are waited for some seconds. Where the cap refuses for good, that is noted.
        """
        if not (isinstance(error, Blocked) and error.short is not None and error.short.rule.id == self.cap_id):
            return False
        since_ns = perf_counter_ns()
        try:
            if self.room.crowded(self.cap_id):
                await self.room.freed(self.cap_id)
                return True
            self._elsewhere += 1
            if (
                self.cap_id not in self.room.spent
                and self._elsewhere <= self.room.looks
                and self._leased(error.short.meter)
            ):
                await self.haste.pause(_LOOK_S)
                return True
        finally:
            self.waited(since_ns)
        self.room.spent.add(self.cap_id)
        self.halted = self.halted or error.code
        return False

    def _leased(self, meter: Meter) -> bool:
        view = self._view(meter)
        return view is not None and view.leased > 0

    def waited(self, since_ns: int) -> None:
        self._waits.append((since_ns, perf_counter_ns()))

    def waited_us(self, until_ns: int) -> int:
        """Time up to a moment in which an attempt waited for its turn; attempts of one step wait at once."""
        total, reached = 0, 0
        for start, end in sorted(self._waits):
            end = min(end, until_ns)
            if end > reached:
                total += end - max(start, reached)
                reached = end
        return total // 1000


class Patient:
    """See `drive.Trial`. `call` is the call that counts: the last one made."""

    def __init__(self, patience: Patience, number: int, attempt: Attempt, until: Until) -> None:
        self._patience = patience
        self._place = (number, attempt, until)
        self._rounds = 0
        self._call: ProviderCall | None = None
        self._observe: Callable[[Outcome], None] | None = None

    @property
    def call(self) -> ProviderCall:
        """Made, if it was not yet: it is then given up."""
        if self._call is None:
            self._call = self._patience.made(*self._place)
        return self._call

    async def run(self) -> Outcome:
        patience, credential_id = self._patience, self._place[1].target.credential_id
        while True:
            since_ns = perf_counter_ns()
            try:
                await patience.haste.enter(credential_id)
            finally:
                patience.waited(since_ns)
            if self._call is not None and patience.may_not() is not None:
                patience.haste.leave(credential_id)
                return self._call.final()
            call = self._begin(credential_id)
            outcome = await call.run()
            if await self._patience.crowded_out(call.error):
                self._rounds -= 1
            elif not self._again(outcome):
                return outcome

    def give_up(self, kind: OutcomeKind, code: str) -> Outcome:
        return self.call.give_up(kind, code)

    def final(self) -> Outcome:
        return self.call.final()

    def _begin(self, credential_id: str) -> ProviderCall:
        self._rounds += 1
        call = self._call = self._patience.made(*self._place)
        if call.ended:  # its circuit is open
            self._patience.haste.leave(credential_id)
            return call
        self._observe, call.on_end = call.on_end, self._ended
        if (code := self._patience.may_not()) is not None:
            call.refuse(code)
        return call

    def _again(self, outcome: Outcome) -> bool:
        return _limited(outcome) and self._rounds < ROUNDS and self._patience.may_not() is None

    def _ended(self, outcome: Outcome) -> None:
        """What says nothing of the provider's health is none of the registry's business: our haste, our own refusal."""
        limited, code = _limited(outcome), outcome.error_code
        target = outcome.target
        self._patience.haste.leave(target.credential_id, limited=limited, retry_after_ms=outcome.retry_after_ms)
        if self._observe is not None:
            neutral = limited or (code is not None and code in (self._patience.halted, BUDGET_EXCEEDED))
            self._observe(replace(outcome, kind="cancelled") if neutral else outcome)


def _limited(outcome: Outcome) -> bool:
    """An account without funds or quota says 429 as well; waiting does not mend that."""
    return outcome.status == 429 and outcome.kind == "status" and outcome.error_code != "insufficient_quota"
