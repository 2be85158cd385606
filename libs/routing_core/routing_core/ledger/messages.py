"""What spenders and the ledger tell each other; the shapes of `ledger.proto` without the wire."""

from __future__ import annotations

from typing import Literal, NamedTuple

from routing_core.ledger.meters import AccountView, Meter
from routing_core.records import record

WHOLE = 2**62
"""A claim on all of a lease by a spender that no longer knows how much it was."""

Reason = Literal["exceeded", "run_aborted", "too_long", "gone", "fenced", "closed"]
"""Why an ask is denied: the cap, a limit of the run, its duration, no such budget, an older life of the replica (join
again), or a repeat of an ask that was given up since."""

AnswerState = Literal["active", "closed", "forfeited", "fenced"]
"""`fenced`: told by an older life, and ignored."""


class Ask(NamedTuple):
    """A slice wanted of one meter: at least `need` (1 or more), rather `want`."""

    meter: Meter
    need: int
    want: int


@record
class Granted:
    """A lease. It may be spent for `usable_for_us` from the moment the ask was sent; 0: without end."""

    lease_id: str
    amount: int
    usable_for_us: int
    account: AccountView


@record
class Denied:
    """The first account that was short, as it stands; none where the budget is gone or the asker is."""

    reason: Reason
    needed: int = 0
    account: AccountView | None = None
    first: bool = False
    """Of a refusal: whether it is the first on this account in this window. Not part of the wire."""


class LeaseReport(NamedTuple):
    """Totals of one lease since it was granted; they only grow (`granted` only shrinks), so repeats do no harm."""

    lease_id: str
    meter: Meter
    window_start_us: int
    granted: int
    """What the spender still claims, spent part included. Closing with a claim above `settled` forfeits the rest."""
    settled: int
    unknown: int
    """The part of `settled` that was charged whole because nobody knows what the call cost."""
    overrun: int
    """What calls cost beyond their bound, outside of `settled`."""
    closed: bool


@record
class LeaseAnswer:
    """What the ledger holds of a lease after a report, or at a join."""

    lease_id: str
    state: AnswerState
    account: AccountView | None
    """None: there is no such budget any more, or the teller was fenced off."""


@record
class Joined:
    """A life of a replica begins: asks and reports of older ones are refused from now on."""

    replica_id: str
    epoch: int
    leases: tuple[LeaseAnswer, ...]
    """The active leases that the ledger holds to be this replica's; each with its account."""


def lease_name(op_id: str, index: int) -> str:
    """The name of the lease that the `index`-th part of an ask is granted."""
    return f"{op_id}/{index}"


def op_of(lease_id: str) -> str:
    """The ask that a lease was granted by."""
    return lease_id.rpartition("/")[0]
