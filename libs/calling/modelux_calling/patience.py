"""Make an attempt once its provider has room for it, and again where it was refused only because we ask too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns

from modelux_calling.attempts import Beginner
from modelux_calling.blocked import Blocked
from modelux_calling.haste import Haste
from modelux_providers.call import ProviderCall
from modelux_providers.dialects.base import ProviderError
from routing_core.flow import Attempt, Until
from routing_core.types import Outcome, OutcomeKind

ROUNDS = 6
"""Times that one attempt is made while its provider says that there are too many calls. The last refusal counts."""

Halt = Callable[[], str | None]
"""Why no further call may leave, as an error code; None: it may. Asked right before each leaves."""


class Patience:
    """Begins the attempts of one request (see `drive.Begin`), and knows how long they waited."""

    def __init__(self, beginner: Beginner, haste: Haste, halt: Halt, cap_id: str = "") -> None:
        """Once the budget `cap_id` refuses an attempt, no other is made: what a policy does without its first choice
        tells nothing of it.
        """
        self._beginner = beginner
        self.haste = haste
        self._halt = halt
        self._cap_id = cap_id
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

    def refused(self, error: ProviderError | None) -> None:
        """Takes note of how an attempt failed."""
        if isinstance(error, Blocked) and error.short is not None and error.short.rule.id == self._cap_id:
            self.halted = self.halted or error.code

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
            if not self._again(outcome):
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
        limited = _limited(outcome)
        self._patience.refused(self.call.error)
        target = outcome.target
        self._patience.haste.leave(target.credential_id, limited=limited, retry_after_ms=outcome.retry_after_ms)
        if self._observe is not None:
            neutral = limited or outcome.error_code == self._patience.halted is not None
            self._observe(replace(outcome, kind="cancelled") if neutral else outcome)


def _limited(outcome: Outcome) -> bool:
    """An account without funds or quota says 429 as well; waiting does not mend that."""
    return outcome.status == 429 and outcome.kind == "status" and outcome.error_code != "insufficient_quota"
