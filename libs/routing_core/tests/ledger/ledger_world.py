"""What the simulated spenders share: a database of accounts, and the truth of what providers were paid."""

from __future__ import annotations

import copy
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from routing_core.ledger import books, server
from routing_core.ledger.books import Account
from routing_core.ledger.holder import Holder
from routing_core.ledger.messages import Ask, Denied, Granted, Joined, LeaseAnswer, LeaseReport, lease_name
from routing_core.ledger.meters import Meter, Want
from routing_core.ledger.server import AccountKey, Unit
from routing_core.ledger.slots import Held, Row

SECOND = 1_000_000
MINUTE = 60 * SECOND


class Violation(Exception):  # a finding, not a failure of the program
    """An invariant does not hold."""


class MemoryTable:
    """The table of one replica; outlives holders as a memory-mapped file outlives processes."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.next = 0
        self.room = 2**62

    def add(self, lease_id: str, meter: Meter, window_start_us: int, granted: int) -> int:
        if len(self.rows) >= self.room:
            return -1
        self.next += 1
        self.rows[self.next] = Row(self.next, lease_id, meter, window_start_us, granted, 0, 0, 0, 0)
        return self.next

    def update(self, index: int, granted: int, settled: int, open: int, unknown: int, overrun: int) -> None:
        row = self.rows[index]
        row.granted, row.settled, row.open, row.unknown, row.overrun = granted, settled, open, unknown, overrun

    def remove(self, index: int) -> None:
        del self.rows[index]

    def load(self) -> list[Row]:
        return [copy.copy(row) for row in self.rows.values()]


@dataclass(slots=True)
class Terms:
    """What a budget says of one meter."""

    cap: int
    hard: bool = True
    window_us: int = 0
    max_duration_us: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """One attempt, and what it truly cost."""

    held: Held
    wants: tuple[Want, ...]
    parts: list[tuple[str, int]]
    key_of: dict[str, AccountKey]
    costs: tuple[int, ...] = ()
    known: bool = False
    """Settled by what it cost; else the whole bound is to be charged."""


@dataclass(slots=True)
class Truth:
    """What providers were paid, and what that should come to on each lease."""

    paid: dict[AccountKey, int] = field(default_factory=lambda: defaultdict(int))
    """Up to the bound of each call; beyond it is an overrun."""
    calls: list[Call] = field(default_factory=list)
    settled: int = 0
    denied: int = 0


class Database:
    """The rows, loaded for each transaction as the adapter over PostgreSQL loads them; checks each commit."""

    def __init__(self, terms: dict[Meter, Terms], truth: Truth) -> None:
        self.terms = terms
        self.truth = truth
        self.unit = Unit(0)
        self.up = True
        self.set_back = False
        """An older state was restored at some time."""
        self.most: dict[AccountKey, int] = {}
        """The highest cap that an account ever had."""
        self.lowered: set[AccountKey] = set()
        self.snapshot: Unit | None = None

    def begin(self, now_us: int) -> Unit:
        self.unit.now_us = now_us
        self.unit.dirty.clear()
        return self.unit

    def account(self, key: AccountKey) -> Account:
        unit = self.unit
        account = unit.accounts.get(key)
        if account is None:
            meter, start = key
            terms = self.terms[meter]
            end = start + terms.window_us if terms.window_us else 0
            account = Account(
                meter, start, end, terms.cap, terms.hard, started_us=unit.now_us, max_duration_us=terms.max_duration_us
            )
            unit.accounts[key] = account
            self.most[key] = max(self.most.get(key, 0), terms.cap)
        return account

    def load_current(self, meters: Iterable[Meter]) -> None:
        now_us = self.unit.now_us
        for meter in meters:
            window_us = self.terms[meter].window_us
            key = (meter, now_us // window_us * window_us if window_us else 0)
            self.unit.current[meter] = account = self.account(key)
            cap = self.terms[meter].cap
            if cap != account.cap:
                self._change_cap(key, account, cap)

    def _change_cap(self, key: AccountKey, account: Account, cap: int) -> None:
        over = max(account.settled + account.leased - account.overrun - cap, 0)
        if cap < account.cap:
            self.lowered.add(key)
        server.change_cap(self.unit, account, cap, account.hard)
        self.most[key] = max(self.most[key], cap)
        if account.hard and account.cap_cut != over:
            raise Violation(f"cap_cut is {account.cap_cut}, {over} stands above the new cap")

    def join(self, now_us: int, replica_id: str) -> Joined:
        unit = self.begin(now_us)
        joined = server.join(unit, replica_id)
        self.commit()
        return joined

    def grant(
        self, now_us: int, replica_id: str, epoch: int, op_id: str, asks: Sequence[Ask], replicas: int
    ) -> tuple[Granted, ...] | Denied:
        unit = self.begin(now_us)
        unit.live_replicas = replicas
        self.load_current(ask.meter for ask in asks)
        free = [a.cap - a.settled - a.leased if a.hard else books_free(ask) for a, ask in self._asked(asks)]
        known = op_id in unit.ops
        answer = server.grant(unit, replica_id, epoch, op_id, asks, final=False)
        if isinstance(answer, Denied) and answer.reason == "exceeded":
            answer = server.grant(unit, replica_id, epoch, op_id, asks)
        if not known:
            self._check_answer(asks, free, answer, replicas)
        self.commit()
        return answer

    def _asked(self, asks: Sequence[Ask]) -> list[tuple[Account, Ask]]:
        return [(self.unit.current[ask.meter], ask) for ask in asks]

    def _check_answer(
        self, asks: Sequence[Ask], free: list[int], answer: tuple[Granted, ...] | Denied, replicas: int
    ) -> None:
        if isinstance(answer, Denied):
            self.truth.denied += 1
            if answer.reason == "exceeded" and all(ask.need <= left for ask, left in zip(asks, free, strict=True)):
                raise Violation("I7: denied although all that is needed is there")
            return
        for ask, left, granted in zip(asks, free, answer, strict=True):
            if not ask.need <= granted.amount <= min(max(ask.need, left // (4 * replicas)), left):
                raise Violation(f"I9: granted {granted.amount} for {ask}, with {left} free")

    def report(self, now_us: int, replica_id: str, epoch: int, reports: Sequence[LeaseReport]) -> list[LeaseAnswer]:
        unit = self.begin(now_us)
        for key in server.report_accounts(unit.leases, reports):
            self.account(key)
        if any(report.meter in self.terms for report in reports):
            self.load_current({report.meter for report in reports})
        answers = server.report(unit, replica_id, epoch, reports)
        self.commit()
        return answers

    def reap(self, now_us: int, replica_id: str, silent_us: int) -> None:
        unit = self.begin(now_us)
        server.reap(unit, replica_id, silent_us)
        self.commit()

    def commit(self) -> None:
        """What must hold in every committed state."""
        for row in self.unit.dirty:
            if isinstance(row, Account):
                self.check_account(row)
            elif isinstance(row, books.Lease) and not 0 <= row.unknown <= row.settled <= row.granted:
                raise Violation(f"I2: {row}")

    def check_account(self, account: Account) -> None:
        key = (account.meter, account.window_start_us)
        if not books.sound(account):
            raise Violation(f"I1: {account}")
        if self.set_back:
            return
        if account.cap_cut and key not in self.lowered:
            raise Violation(f"I1: excused {account.cap_cut}, though no cap was lowered")
        paid = self.truth.paid[key]
        if paid > account.settled + account.leased - account.overrun:
            raise Violation(f"I0: paid {paid}, more than is charged or leased: {account}")
        if account.hard and paid > self.most[key]:
            raise Violation(f"I0: paid {paid}, more than the cap {self.most[key]}")

    def dispatched(self, call: Call) -> None:
        """A provider bills a call from now on."""
        self.truth.calls.append(call)
        wants = iter(zip(call.wants, call.costs, strict=True))
        keys = [call.key_of[lease_id] for lease_id, _ in call.parts]
        for want, cost in wants:
            key = next(key for key in keys if key[0] == want.meter)
            self.truth.paid[key] += min(cost, want.amount)
            if not self.set_back:
                self.check_account(self.unit.accounts[key])

    def take_snapshot(self) -> None:
        self.snapshot = copy.deepcopy(self.unit)

    def restore(self) -> None:
        """Fail over to a standby that had not got the latest commits."""
        if self.snapshot is not None:
            self.unit, self.snapshot, self.set_back = self.snapshot, None, True


@dataclass(slots=True, eq=False)
class Replica:
    """One spender: an identity on a disk, and the process of its present life."""

    replica_id: str
    boot_us: int
    """What its clock is ahead of the database's."""
    table: MemoryTable = field(default_factory=MemoryTable)
    holder: Holder | None = None
    life: int = 0
    paused: bool = False
    held: list[Call] = field(default_factory=list)
    """Reserved, not dispatched."""
    running: list[Call] = field(default_factory=list)
    asking: dict[str, tuple[object, int]] = field(default_factory=dict)
    """Asks not answered, each with the time of its first sending."""
    stale: MemoryTable | None = None
    """An older state of the table, as a disk may hold it after a power loss."""


def books_free(ask: Ask) -> int:
    """No bound: an account that only alerts."""
    return 2**60


def lease_names(op_id: str, count: int) -> list[str]:
    """The leases of an ask."""
    return [lease_name(op_id, index) for index in range(count)]


def budgets(rng: random.Random) -> dict[Meter, Terms]:
    """One to three meters, hard or soft, with or without windows and limits of a run."""
    terms = {}
    for index in range(rng.choice((1, 1, 2, 3))):
        unit = "calls" if index == 2 else "usd"
        terms[Meter(f"bud_{index}", rng.choice(("", "run-1")), unit)] = Terms(
            cap=rng.choice((10, 40, 200)) if unit == "calls" else rng.choice((1_000, 5_000, 20_000, 80_000)),
            hard=rng.random() < 0.85,
            window_us=rng.choice((0, 0, 5 * SECOND, 20 * SECOND)),
            max_duration_us=rng.choice((0, 0, 0, 0, 0, 8 * SECOND)),
        )
    return terms
