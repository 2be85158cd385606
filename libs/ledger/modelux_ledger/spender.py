"""Spend from budgets: reserve from local slices in microseconds, get slices from the ledger, report what was spent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import grpc.aio

from modelux_ledger.asking import UNAVAILABLE, Asking, Counts, Refusal, Waiter
from modelux_ledger.line import Line, Pace, Unreachable
from modelux_ledger.table import LeaseTable
from routing_core.ledger.holder import LIMITS, Holder, Limits
from routing_core.ledger.messages import LeaseReport
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.ledger.slots import Held

T = TypeVar("T")
log = logging.getLogger("modelux.ledger")

_REPORTS_AT_ONCE = 500


def boot_us() -> int:
    """Microseconds that also count while the machine sleeps, and that nobody can set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Outbox(Protocol):
    """What holds bytes back until the end of a turn (`modelux_providers.outbox.Outbox`)."""

    def ahead(self, step: Callable[[], None]) -> None:
        """`step` runs before bytes go out, from now on."""
        ...


class Spender:
    """One per process and data folder. Made by `spending.spending`.

    A call on budgets: `reserve`, and where that returns None `obtain`; `dispatch` right before the first byte leaves;
    then exactly one `settle`, or a `release` where nothing was billed. While the ledger is away, calls go on from
    slices that are here; then `obtain` refuses at once, until the ledger answers again. Nothing is done before the
    first `obtain`, except to report what an earlier process left in `file`.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        file: Path,
        *,
        limits: Limits = LIMITS,
        pace: Pace | None = None,
        clock: Callable[[], int] = boot_us,
    ) -> None:
        self.counts = Counts()
        self._file = file
        self._limits = limits
        self._pace = pace or Pace()
        self._clock = clock
        self._line = Line(channel, self._pace)
        self._asking = Asking(self._line, clock, self.counts)
        self._table: LeaseTable | None = None
        self._holder: Holder | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._up = asyncio.Event()
        """Joined, and asks may be made."""
        self._down = False
        """The ledger did not answer last time."""
        self._closing = False
        self._stir = asyncio.Event()
        """A call wants a slice: a process that held nothing has something to do from now on."""
        self._wake = asyncio.Event()
        """There is something to tell at once."""
        self._unreported = 0
        self._resynced_us = 0
        self._together = False

    # Calls

    def reserve(self, wants: Sequence[Want]) -> Held | None:
        """Holds every want from slices that are here, or none and returns None. Never waits."""
        holder = self._holder
        return None if holder is None else holder.reserve(wants, self._clock())

    async def obtain(self, wants: Sequence[Want], soft: Container[Meter] = ()) -> Held | Refusal:
        """As `reserve`, with slices from the ledger where needed; a `Refusal` says why the call may not be made.

        Args:
            wants: one for each meter, amounts of 0 or more.
            soft: meters that only alert. While the ledger is away the call goes on without them: the `wants` of what is
                returned are those it is to be settled by.
        """
        held = self.reserve(wants)
        if held is not None:
            return held
        found = await self._waited(wants)
        if isinstance(found, Held) or found.reason != UNAVAILABLE:
            return found
        hard = [want for want in wants if want.meter not in soft]
        if len(hard) == len(wants):
            return found
        return (self.reserve(hard) if hard else Held((), [])) or found

    def dispatch(self, held: Held) -> None:
        """The call goes out: from here on the provider may bill it. Raises ValueError if it went or ended before."""
        if self._holder is not None:
            self._holder.dispatch(held)
        elif held.wants:
            raise ValueError("the spender is closed: this call would not be accounted for")

    def settle(self, held: Held, amounts: Sequence[int] | None) -> None:
        """The call ended and cost this much, want by want; None: nobody knows, and all that was held is charged."""
        if self._holder is None:
            return  # closed: the table says that the call was open, so it is charged whole
        self._holder.settle(held, amounts)
        self.counts.unknown += amounts is None
        self._unreported += 1
        if self._unreported >= self._pace.report_items:
            self._wake.set()

    def release(self, held: Held) -> None:
        """The call did not go out, or surely was not billed."""
        if self._holder is not None:
            self._holder.release(held)

    async def refused(self, meter: Meter, needed: int, request_id: str) -> Refusal:
        """Tells the ledger that a call was refused for good, which could have done with `needed`; how it stands then.

        The reason is `run_aborted` where that ended the run. What calls that ended have cost is told first.
        """
        holder = self._holder
        if holder is None or self._down:
            return Refusal(UNAVAILABLE, needed)
        try:
            await self._report(holder)
            answer = await self._line.refuse(holder.replica_id, holder.epoch, meter, needed, request_id)
        except Unreachable:
            return Refusal(UNAVAILABLE, needed)
        if answer.reason == "run_aborted":  # what is here of it serves no later call
            holder.recall((meter,))
            self._wake.set()
        return Refusal(answer.reason, needed, self.view(meter) or answer.account)

    def view(self, meter: Meter) -> AccountView | None:
        """How the account stood when the ledger last told; None: nothing is known here."""
        return None if self._holder is None else self._holder.view(meter, self._clock())

    def write_together(self, *outboxes: Outbox) -> None:
        """From now on the table is written once for all calls of a turn, before bytes leave through any of `outboxes`:
        those of all calls, and those that tell somebody of their end.
        """
        for outbox in outboxes:
            outbox.ahead(self._write)
        self._together = True
        if self._holder is not None:
            self._holder.rows.together = True

    def reserved(self) -> int:
        """Nano-USD that calls under way hold."""
        return 0 if self._holder is None else self._holder.reserved("usd")

    # Life

    async def run(self) -> None:
        """Does what there is to do besides calls, until cancelled. Raises TableLocked."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for key in self._asking.groups():
                tasks.create_task(self._ask(key))
            try:
                await self._persist(self._opened)
                holder = await self._persist(self._joined)
                tasks.create_task(self._hear_recalls(holder))
                while True:
                    await self._pause(holder)
                    await self._persist(lambda: self._speak(holder))
            finally:
                self._tasks, self._closing = None, True
                self._asking.refuse_all(Refusal(UNAVAILABLE))

    async def close(self) -> None:
        """After `run`: gives everything back, for a few seconds at most. No call may be under way any more; one that is
        will be charged whole.
        """
        if self._holder is not None:
            try:
                async with asyncio.timeout(self._pace.close_s):
                    await self._give_back(self._holder)
            except TimeoutError:
                log.warning("the ledger could not be told of all that was spent; it will be at the next start")
        if self._table is not None:
            self._table.close()
        self._holder = self._table = None

    # Steps of the above

    def _write(self) -> None:
        if self._holder is not None:
            self._holder.rows.write()

    async def _waited(self, wants: Sequence[Want]) -> Held | Refusal:
        """What the ledger lets the call have, within our patience."""
        if self._down or self._closing:
            self.counts.unavailable += 1
            return Refusal(UNAVAILABLE)
        waiter = Waiter(wants)
        key = self._asking.add(waiter)
        if key is not None and self._tasks is not None:
            self._tasks.create_task(self._ask(key))
        self._stir.set()
        try:
            async with asyncio.timeout(self._pace.patience_s):
                return await waiter.result
        except TimeoutError:
            if not waiter.result.cancelled():  # it came at the last moment
                return waiter.result.result()
            self.counts.unavailable += 1
            return Refusal(UNAVAILABLE)
        except asyncio.CancelledError:
            if not waiter.result.cancelled():
                came = waiter.result.result()
                if isinstance(came, Held):
                    self.release(came)
            raise

    async def _opened(self) -> None:
        """The table: at once where an earlier process left leases, else as soon as a call wants one."""
        try:
            if not await asyncio.to_thread(self._file.exists):
                await self._stir.wait()
            self._table = await asyncio.to_thread(LeaseTable, self._file)
        except OSError as error:
            raise Unreachable(f"the table of leases cannot be kept: {error}") from error
        if not self._table.load():
            await self._stir.wait()

    async def _joined(self) -> Holder:
        table = self._table
        assert table is not None
        joined = await self._line.join(table.replica_id)
        if joined.replica_id != table.replica_id:
            table.identify(joined.replica_id)
        self._holder = holder = Holder(table, self._limits)
        holder.rows.together = self._together
        holder.join(joined.replica_id, joined.epoch, joined.leases, self._clock())
        self._resynced_us = self._clock()
        self._worked(holder)
        self._wake.set()
        return holder

    async def _ready(self) -> Holder:
        if self._holder is not None and self._holder.fenced:
            self._up.clear()
            self._wake.set()
        await self._up.wait()
        if self._holder is None:
            raise Unreachable("the spender is closed")
        return self._holder

    async def _ask(self, key: tuple[Meter, ...]) -> None:
        """Gets slices for one group of waiting calls."""
        if not await self._asking.serve(key, self._ready):
            self._failed("an ask was not answered")
        self._stir.set()

    async def _pause(self, holder: Holder) -> None:
        """Until there may be something to tell. A process that holds nothing does nothing."""
        if holder.empty() and not self._down:
            await self._stir.wait()
            self._stir.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.report_s):
                await self._wake.wait()
        self._wake.clear()

    async def _speak(self, holder: Holder) -> None:
        """Joins anew where that is due, and tells what is to be told."""
        due_us = self._resynced_us + int(self._pace.resync_s * 1_000_000)
        if holder.fenced or (self._clock() >= due_us and not holder.empty()):
            self._up.clear()
            await self._asking.quiet()  # an ask in the name of the earlier life would be refused
            joined = await self._line.join(holder.replica_id)
            holder.resync(joined.epoch, joined.leases)
            self._resynced_us = self._clock()
        if not await self._report(holder) and self._down:
            await self._tell(holder, [])
        self._worked(holder)

    async def _report(self, holder: Holder) -> bool:
        """Tells what the ledger has not answered yet; whether there was anything."""
        self._unreported = 0
        reports = holder.reports(self._clock())
        for start in range(0, len(reports), _REPORTS_AT_ONCE):
            await self._tell(holder, reports[start : start + _REPORTS_AT_ONCE])
        return bool(reports)

    async def _tell(self, holder: Holder, reports: Sequence[LeaseReport]) -> None:
        answers = await self._line.report(holder.replica_id, holder.epoch, reports)
        for report, answer in zip(reports, answers, strict=True):
            holder.answered(report, answer.state, answer.account)

    async def _give_back(self, holder: Holder) -> None:
        """Ends every lease that no call is on, and returns once the ledger knows."""
        holder.give_back()
        delay_s = self._pace.backoff_s
        while not holder.fenced:
            try:
                if not await self._report(holder):
                    holder.forget_ended()
                    return
            except Unreachable:
                await asyncio.sleep(delay_s)

    async def _hear_recalls(self, holder: Holder) -> None:
        """Gives back at once what others are short of."""
        delay_s = self._pace.backoff_s
        while True:
            with suppress(Unreachable):
                async with aclosing(self._line.recalls(holder.replica_id)) as recalls:
                    async for meters in recalls:
                        holder.recall(meters)
                        self._wake.set()
                        delay_s = self._pace.backoff_s
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._pace.longest_backoff_s)

    async def _persist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeats a step until the ledger answers."""
        delay_s = self._pace.backoff_s
        while True:
            try:
                return await step()
            except Unreachable as error:
                if not self._up.is_set():
                    self._failed(str(error))
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._pace.longest_backoff_s)

    def _failed(self, why: str) -> None:
        """From now on `obtain` refuses at once."""
        if not self._down:
            log.warning("the ledger of budgets is not there, calls go on from slices that are here: %s", why)
        self._down = True
        self._up.clear()
        self._asking.refuse_all(Refusal(UNAVAILABLE))

    def _worked(self, holder: Holder) -> None:
        if self._down:
            log.info("the ledger of budgets is there again")
        self._down = False
        if not holder.fenced:
            self._up.set()
