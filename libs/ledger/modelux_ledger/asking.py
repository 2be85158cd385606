"""Ask the ledger for what calls wait for. Calls on the same meters share one ask, and one answer serves them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from modelux_contracts.ids import new_id
from modelux_ledger.line import Line, Unreachable
from routing_core.ledger.holder import Holder
from routing_core.ledger.messages import Denied, Reason
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.ledger.slots import Held
from routing_core.records import record

UNAVAILABLE: Literal["budget_store_unavailable"] = "budget_store_unavailable"
_AT_ONCE = 16
"""Asks under way at the same time."""
_VAIN_ROUNDS = 10
"""Grants that others used up, or the table had no room for, before a call gives up."""


@record
class Refusal:
    """Why a call may not be made: no slice for it."""

    reason: Reason | Literal["budget_store_unavailable"]
    needed: int = 0
    """On the account that was short."""
    account: AccountView | None = None


@dataclass(slots=True, eq=False)
class Counts:
    """Since the start of the process."""

    grants: int = 0
    """Asks that were granted."""
    denials: int = 0
    """Calls that were refused because an account said so."""
    unavailable: int = 0
    """Calls that were refused because the ledger could not be asked."""
    lost: int = 0
    """Asks without an answer."""
    unknown: int = 0
    """Calls charged whole because nobody knows what they cost."""


class Waiter:
    """A call that waits for its slice."""

    __slots__ = ("result", "wants")

    def __init__(self, wants: Sequence[Want]) -> None:
        """Raises ValueError for a negative amount."""
        if any(want.amount < 0 for want in wants):
            raise ValueError(f"{list(wants)} cannot be reserved: a bound is 0 or more")
        self.wants = wants
        self.result: asyncio.Future[Held | Refusal] = asyncio.get_running_loop().create_future()

    def amount(self, meter: Meter) -> int:
        return sum(want.amount for want in self.wants if want.meter == meter)

    def end(self, result: Held | Refusal) -> None:
        self.result.set_result(result)


class Asking:
    """One task for each set of meters that calls wait on, as long as some do."""

    def __init__(self, line: Line, clock: Callable[[], int], counts: Counts) -> None:
        """`clock`: microseconds, as the holder's."""
        self._line = line
        self._clock = clock
        self._counts = counts
        self._groups: dict[tuple[Meter, ...], list[Waiter]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._under_way = 0
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()

    def add(self, waiter: Waiter) -> tuple[Meter, ...] | None:
        """The group to `serve` from now on, where none serves this waiter's yet."""
        key = tuple(want.meter for want in waiter.wants)
        group = self._groups.get(key)
        if group is not None:
            group.append(waiter)
            return None
        self._groups[key] = [waiter]
        return key

    def groups(self) -> list[tuple[Meter, ...]]:
        """Every group that calls wait in."""
        return list(self._groups)

    def refuse_all(self, refusal: Refusal) -> None:
        """Ends the wait of every call."""
        for group in self._groups.values():
            for waiter in group:
                self._refuse(waiter, refusal)

    async def quiet(self) -> None:
        """Returns when no ask is under way."""
        await self._none_under_way.wait()

    async def serve(self, key: tuple[Meter, ...], ready: Callable[[], Awaitable[Holder]]) -> bool:
        """Asks until no call of the group waits any more. False: the ledger does not answer, and all were refused.

        Args:
            key: what `add` returned.
            ready: returns when asks may be made, with the holder to make them for.
        """
        group, vain = self._groups[key], 0
        batch: list[Waiter] = []
        try:
            while waiting := [each for each in group if not each.result.done()]:
                group[:] = waiting
                batch = [each for each in batch if not each.result.done()] or waiting
                async with self._slots:
                    batch = await self._round(await ready(), batch)
                vain = vain + 1 if all(not each.result.done() for each in waiting) and not batch else 0
                if vain == _VAIN_ROUNDS:
                    self._refuse_unavailable(waiting)
        except Unreachable:
            return False
        finally:
            self._refuse_unavailable(self._groups.pop(key))
        return True

    async def _round(self, holder: Holder, batch: Sequence[Waiter]) -> list[Waiter]:
        """One ask for all of the batch; which of them to ask for next, where not all can have theirs."""
        batch = self._reserved(holder, batch)
        if not batch:
            return []
        sent_us = self._clock()
        ask = holder.ask(new_id("op_"), [want for each in batch for want in each.wants], sent_us)
        self._under_way += 1
        self._none_under_way.clear()
        try:
            answer = await self._line.grant(holder.replica_id, holder.epoch, ask) if ask.asks else ()
        except BaseException:
            self._counts.lost += 1
            holder.lost(ask)
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._none_under_way.set()
        if isinstance(answer, Denied):
            holder.denied(ask, answer.account, answer.reason)
            return self._fitting(batch, answer)
        self._counts.grants += 1
        holder.granted(ask, answer, sent_us)
        self._reserved(holder, batch)
        return []

    def _reserved(self, holder: Holder, batch: Sequence[Waiter]) -> list[Waiter]:
        """Serves whom it can; who is left."""
        left = []
        now_us = self._clock()
        for waiter in batch:
            if waiter.result.done():
                continue
            held = holder.reserve(waiter.wants, now_us)
            if held is None:
                left.append(waiter)
            else:
                waiter.end(held)
        return left

    def _fitting(self, batch: Sequence[Waiter], denied: Denied) -> list[Waiter]:
        """After a denial: refuses those who could not have theirs alone, and names those who can together."""
        account = denied.account
        if denied.reason in ("fenced", "closed"):  # not a word on money
            return []
        if denied.reason != "exceeded" or account is None or len(batch) == 1:
            for waiter in batch:
                amount = waiter.amount(account.meter) if account else denied.needed
                self._refuse(waiter, Refusal(denied.reason, amount, account))
            return []
        amounts = [waiter.amount(account.meter) for waiter in batch]
        # What remains to be granted, and what was there to reserve from when we asked.
        room = account.cap - account.settled - account.leased + sum(amounts) - denied.needed
        fitting, total = [], 0
        for waiter, amount in zip(batch, amounts, strict=True):
            if amount > room:
                self._refuse(waiter, Refusal("exceeded", amount, account))
            elif total + amount <= room:
                fitting.append(waiter)
                total += amount
        return fitting

    def _refuse_unavailable(self, waiters: Sequence[Waiter]) -> None:
        for waiter in waiters:
            self._refuse(waiter, Refusal(UNAVAILABLE))

    def _refuse(self, waiter: Waiter, refusal: Refusal) -> None:
        if waiter.result.done():
            return
        if refusal.reason == UNAVAILABLE:
            self._counts.unavailable += 1
        else:
            self._counts.denials += 1
        waiter.end(refusal)
