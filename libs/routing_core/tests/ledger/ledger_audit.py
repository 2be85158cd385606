"""Hold the books against the truth when all is at rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ledger_world import Call, Database, Truth, Violation

from routing_core.ledger.books import Lease
from routing_core.ledger.server import AccountKey


@dataclass(frozen=True)
class Done:
    """What a run came to."""

    settled: int
    denied: int
    charged: int
    paid: int


def audit(db: Database, truth: Truth, lost: set[str], *, faultless: bool) -> Done:
    """Raises Violation unless nothing is leased and each nano-dollar charged was paid, is unknown or was forfeited.

    `lost` are the replicas whose table is gone: what they had not told is inside of what was forfeited.
    """
    wanted = expected(truth.calls)
    sums: dict[AccountKey, list[int]] = {key: [0, 0, 0, 0] for key in db.unit.accounts}
    for lease in db.unit.leases.values():
        totals = wanted.get(lease.lease_id, [0, 0, 0])
        _check_lease(lease, totals, lost, set_back=db.set_back)
        rest = lease.granted - lease.settled if lease.state == "forfeited" else 0
        for index, amount in enumerate((lease.settled + lease.overrun + rest, lease.unknown, lease.overrun, rest)):
            sums[lease.meter, lease.window_start_us][index] += amount
    for key, account in db.unit.accounts.items():
        if account.leased or sums[key] != [account.settled, account.unknown, account.overrun, account.forfeited]:
            raise Violation(f"I5: {account}, its leases: {sums[key]}")
    _check_forgotten(db, wanted, lost)
    return _check_totals(db, truth, lost, faultless)


def _check_lease(lease: Lease, totals: list[int], lost: set[str], *, set_back: bool) -> None:
    """A database that was set back may grant the same ask anew, and less, when a repeat of it comes late. Only its
    spender could tell what was spent of the first grant: nobody can where its table is lost as well.
    """
    settled, _, overrun = totals
    forgotten = set_back and lease.replica_id in lost
    rest = lease.granted - lease.settled if lease.state == "forfeited" else 0
    if lease.state == "active":
        raise Violation(f"I5: still leased: {lease}")
    if lease.state == "closed" and [lease.settled, lease.unknown, lease.overrun] != totals:
        raise Violation(f"I5: settled, unknown and overrun should be {totals}: {lease}")
    if (lease.settled + rest < settled and not forgotten) or lease.overrun > overrun:
        raise Violation(f"I5: charged less than was spent ({settled}, {overrun}): {lease}")
    if lease.overrun != overrun and lease.replica_id not in lost:
        raise Violation(f"I11: an overrun of {overrun} was not told: {lease}")


def _check_forgotten(db: Database, wanted: dict[str, list[int]], lost: set[str]) -> None:
    """A lease that was spent from is in the books, unless both the database and its spender lost their memory."""
    if db.set_back and lost:
        return
    for lease_id, totals in wanted.items():
        if any(totals) and lease_id not in db.unit.leases:
            raise Violation(f"I5: {lease_id} was spent from and is not in the books")


def _check_totals(db: Database, truth: Truth, lost: set[str], faultless: bool) -> Done:
    accounts = db.unit.accounts.values()
    charged = sum(account.settled for account in accounts)
    paid = sum(
        cost if call.known else min(cost, want.amount)
        for call in truth.calls
        for want, cost in zip(call.wants, call.costs, strict=True)
    )
    exact = not any(account.unknown or account.forfeited or account.overrun for account in accounts)
    if not (db.set_back and lost):
        if not lost and charged < paid:
            raise Violation(f"I5: charged {charged}, paid {paid}")
        if exact and charged != paid:
            raise Violation(f"I5: charged {charged}, paid {paid}, and nothing is unknown")
    if faultless and not exact:
        raise Violation("I5: something is unknown, forfeited or overrun in a run without faults")
    return Done(truth.settled, truth.denied, charged, paid)


def expected(calls: Iterable[Call]) -> dict[str, list[int]]:
    """Per lease: what is to be settled, how much of that as unknown, and the overrun."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for call in calls:
        parts = iter(call.parts)
        for want, cost in zip(call.wants, call.costs, strict=True):
            left = want.amount
            while True:
                lease_id, part = next(parts)
                left -= part
                total = totals[lease_id]
                charged = min(cost, part) if call.known else part
                total[0] += charged
                total[1] += 0 if call.known else part
                cost -= charged if call.known else 0
                if left == 0:
                    total[2] += cost if call.known else 0
                    break
    return totals
