"""What one attempt reserves under its caps before it goes out, and what it is charged once it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from modelux_calling import blocked
from modelux_calling.blocked import Blocked, Short
from modelux_calling.room import Room
from modelux_providers.dialects.base import ProviderError
from routing_core import bounds
from routing_core.bounds import Size
from routing_core.budgets import Draw
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.ledger.slots import Held
from routing_core.pricing import Price, cost
from routing_core.types import BUDGET_EXCEEDED, Outcome, Target, Usage

CancelPolicy = Literal["strict", "standard"]
_ROUNDS = 3
"""How many accounts in turn may lower the limit of one attempt."""


class Refusal(Protocol):
    """Why nothing could be reserved (`modelux_ledger.asking.Refusal`)."""

    @property
    def reason(self) -> str: ...

    @property
    def needed(self) -> int: ...

    @property
    def account(self) -> AccountView | None:
        """The one that was short."""
        ...


class Spender(Protocol):
    """What of `modelux_ledger.spender.Spender` calls need."""

    def reserve(self, wants: Sequence[Want]) -> Held | None: ...

    async def obtain(self, wants: Sequence[Want]) -> Held | Refusal: ...

    def dispatch(self, held: Held) -> None: ...

    def settle(self, held: Held, amounts: Sequence[int] | None) -> None: ...

    def release(self, held: Held) -> None: ...

    async def refused(self, meter: Meter, needed: int, request_id: str) -> Refusal: ...

    def view(self, meter: Meter) -> AccountView | None: ...


@dataclass(frozen=True, slots=True)
class Spending:
    """What every attempt of this process spends through."""

    spender: Spender
    on_cancel: CancelPolicy = "standard"
    """What a call is charged that the caller or we gave up: all that was reserved, or what was seen and some more."""
    lowers: bool = True
    """Whether a call that does not fit goes out with a lower limit on output tokens where that does. Callers that weigh
    answers let it be refused: they would weigh one that is cut off.
    """


async def settled_refusal(spender: Spender, error: Blocked, errors: Iterable[object], request_id: str) -> Blocked:
    """What the caller is told once the ledger knows that the request is refused for good: that may have ended its run.

    `errors` are those of all its attempts: the cheapest of them is what it could have done with.
    """
    short = error.short
    if short is None or error.code != BUDGET_EXCEEDED:
        return error
    others = [each.short for each in errors if isinstance(each, Blocked) and each.short is not None]
    needed = min([each.needed for each in others if each.meter == short.meter], default=short.needed)
    answer = await spender.refused(short.meter, needed, request_id)
    if answer.account is None or answer.reason not in ("exceeded", blocked.RUN_ABORTED):
        return error
    return blocked.over(replace(short, needed=needed), answer.account, answer.reason)


class Charge:
    """See `modelux_providers.charge.Charge`."""

    __slots__ = (
        "_draw", "_held", "_price", "_size", "_spending", "_target", "bound_nano", "charged_nano", "clamped", "limit",
        "room",
    )  # fmt: skip

    def __init__(
        self, spending: Spending, draw: Draw, target: Target, size: Size, price: Price | None, limit: int
    ) -> None:
        """`price` of None: none is known, and where a hard cap applies the call is refused."""
        self._target = target
        self._spending = spending
        self._draw = draw
        self._size = size
        self._price = price
        self.limit = limit
        self.clamped = False
        self.room: Room | None = None
        self.bound_nano = size.cost(price, limit) if price is not None else 0
        self.charged_nano = 0
        self._held: Held | None = None
        if price is not None or not draw.hard_capped:
            self._held = spending.spender.reserve(draw.wants(self.bound_nano))

    @property
    def most_output(self) -> int:
        """Output tokens past which the provider ignores the limit; 0: none to watch."""
        size = self._size
        return size.answers * (self.limit + size.thinking_tokens)

    @property
    def secured(self) -> bool:
        return self._held is not None

    @property
    def accounts(self) -> tuple[tuple[Meter, int], ...]:
        """The accounts of money it draws on, each with the start of the window that it is charged in."""
        held = self._held
        if held is None:
            return ()
        return tuple({slot.meter: slot.window_start_us for slot, _ in held.parts if slot.meter.unit == "usd"}.items())

    async def secure(self) -> ProviderError | None:
        """Waits until the worst case is reserved, with a lower limit where that fits; else why it cannot be."""
        if self._price is None and self._draw.hard_capped:
            return blocked.price_unknown(self._target.model, self._target.provider)
        rounds = 0
        while True:
            got = await self._spending.spender.obtain(self._draw.wants(self.bound_nano))
            if isinstance(got, Held):
                self._held = got
                if self.room is not None:
                    self.room.enter(self._budget_ids())
                return None
            if got.reason == blocked.STORE_UNAVAILABLE:
                return self._alone()
            rounds += 1
            if got.reason == "gone" and rounds < _ROUNDS:
                if not await self._drop_gone():
                    return None
            elif rounds == _ROUNDS or not self._lower(got):
                return self._refused(got)

    def enter(self, room: Room) -> None:
        """Lets others know of what it reserves, so that they wait for it where a budget is short of just that. Its own
        limit is not lowered while it may wait.
        """
        self.room = room
        if self._held is not None:
            room.enter(self._budget_ids())

    def _budget_ids(self) -> list[str]:
        return [meter.budget_id for meter in self._draw.usd]

    def dispatch(self) -> None:
        """The next thing that happens is that bytes leave."""
        if self._held is not None:
            self._spending.spender.dispatch(self._held)

    def end(self, outcome: Outcome, *, told: bool, sent: bool, streamed: bool, overrun: bool) -> None:
        """See `modelux_providers.charge.Charge`."""
        held = self._held
        if held is None or held.state == "done":
            return
        spender = self._spending.spender
        if not sent or _proved_free(outcome):
            spender.release(held)
            self._leave()
            return
        amount = self._amount(outcome, told=told, streamed=streamed, overrun=overrun)
        if amount is None:
            self.charged_nano = self.bound_nano
            spender.settle(held, None)
        else:
            self.charged_nano = amount
            spender.settle(held, self._draw.amounts(amount))
        self._leave()

    def _leave(self) -> None:
        if self.room is not None:
            self.room.leave(self._budget_ids())

    def _amount(self, outcome: Outcome, *, told: bool, streamed: bool, overrun: bool) -> int | None:
        """In nano-USD; None where nobody knows, and all that was reserved is charged."""
        price = self._price
        if price is None:
            return 0
        if overrun:
            return max(self.bound_nano, cost(price, _with_margin(outcome.usage)))
        if outcome.kind == "ok":
            return cost(price, outcome.usage) if told else None
        if outcome.kind == "cancelled" and streamed and self._spending.on_cancel == "standard":
            return min(self.bound_nano, cost(price, _with_margin(outcome.usage)))
        return None

    def _lower(self, refusal: Refusal) -> bool:
        """Whether a lower limit makes the call fit what the short account has left."""
        short, price = refusal.account, self._price
        if (
            short is None
            or price is None
            or not self.limit
            or not self._spending.lowers
            or short.meter.unit != "usd"
            or refusal.reason != "exceeded"
            or (self.room is not None and self.room.crowded(short.meter.budget_id))
        ):
            return False
        view = self._spending.spender.view(short.meter) or short
        left = view.cap - view.settled - view.leased
        limit = self._size.affordable(price, left, self.limit, self._floor)
        if limit is None or limit >= self.limit:
            return False
        self.limit, self.clamped = limit, True
        self.bound_nano = self._size.cost(price, limit)
        return True

    async def _drop_gone(self) -> bool:
        """Leaves out what was deleted a moment ago: it holds for nothing any more. False: nothing else holds either."""
        spender = self._spending.spender
        for want in self._draw.wants(self.bound_nano):
            got = await spender.obtain((want,))
            if isinstance(got, Held):
                spender.release(got)
            elif got.reason == "gone":
                self._draw = self._draw.without(want.meter.budget_id)
        return bool(self._draw.usd or self._draw.calls)

    def _alone(self) -> ProviderError | None:
        """The ledger is out of reach: budgets that only alert let the call pass, hard ones by what is at hand."""
        if not self._draw.hard:
            return None
        self._draw = self._draw.hard_only()
        self._held = self._spending.spender.reserve(self._draw.wants(self.bound_nano))
        return None if self._held is not None else blocked.store_unavailable()

    def _refused(self, refusal: Refusal) -> ProviderError:
        view = refusal.account
        if view is None:  # the budget is gone, which the next configuration tells
            return blocked.store_unavailable()
        meter = view.meter
        rule = next(a.rule for a in self._draw.applied if (a.rule.id, a.value) == (meter.budget_id, meter.value))
        return blocked.over(Short(rule, meter, self._least(meter, refusal.needed)), view, refusal.reason)

    @property
    def _floor(self) -> int:
        """No limit is lowered below it. A thinking budget has to stay below the limit, or the provider refuses."""
        return bounds.FLOOR_TOKENS + self._size.thinking_tokens

    def _least(self, meter: Meter, needed: int) -> int:
        """What the attempt could have done with: its cost at the lowest limit that we would send."""
        if self._price is None or meter.unit != "usd" or not self.limit:
            return needed
        return min(needed, self._size.cost(self._price, min(self.limit, self._floor)))


def _proved_free(outcome: Outcome) -> bool:
    """No byte reached the provider, or it refused the call: nobody bills for that."""
    if outcome.kind == "connect":
        return True
    return outcome.kind == "status" and 400 <= (outcome.status or 0) < 500 and outcome.ttft_ms is None


def _with_margin(usage: Usage) -> Usage:
    """What was seen, and some more: providers go on for a while after they were left."""
    output = usage.output * 6 // 5 + 256
    return Usage(
        usage.input * 6 // 5, output, usage.cache_read, usage.cache_write, usage.reasoning, extras=usage.extras
    )
