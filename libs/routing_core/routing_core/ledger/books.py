"""Decide what an account grants and what a report changes: rows in, changed rows out, no storage.

After each call, for every hard account: settled + leased <= cap + overrun + cap_cut, and nothing is negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from routing_core.ledger.messages import LeaseReport, Reason
from routing_core.ledger.meters import AccountView, Meter

SLICE_DIVISOR = 4
"""All live replicas together may hold idle at most about this fraction (1/n) of what remains."""

LeaseState = Literal["active", "closed", "forfeited"]


@dataclass(slots=True, eq=False)
class Account:
    """What was spent of one meter in one window."""

    meter: Meter
    window_start_us: int
    window_end_us: int
    """0: the window has no end."""
    cap: int
    hard: bool = True
    settled: int = 0
    """Charged, with `unknown`, `forfeited` and `overrun`, which tell parts of it apart."""
    leased: int = 0
    unknown: int = 0
    forfeited: int = 0
    overrun: int = 0
    cap_cut: int = 0
    """How far the cap was lowered below what was already charged or leased (or a lease came back from a lost past)."""
    alerted_ppm: int = 0
    """The highest share of the cap that was told of."""
    exceeded: bool = False
    """A call was refused in this window."""
    aborted: bool = False
    """A guarded run that reached a limit: no more grants, even if the cap is raised."""
    started_us: int = 0
    max_duration_us: int = 0
    """From `started_us` on; 0: no limit."""

    def view(self) -> AccountView:
        """How it stands, to be told."""
        return AccountView(
            self.meter, self.window_start_us, self.window_end_us, self.cap, self.settled, self.leased, self.hard
        )


@dataclass(slots=True, eq=False)
class Lease:
    """A slice of one account in the hands of one replica."""

    lease_id: str
    meter: Meter
    window_start_us: int
    replica_id: str
    epoch: int
    """Of the life that asked for it."""
    granted: int
    settled: int = 0
    unknown: int = 0
    overrun: int = 0
    state: LeaseState = "active"


def sound(account: Account) -> bool:
    """Whether the account keeps its invariant; false is a bug."""
    if min(account.settled, account.leased, account.unknown, account.forfeited, account.overrun, account.cap_cut) < 0:
        return False
    return not account.hard or account.settled + account.leased <= account.cap + account.overrun + account.cap_cut


def refusal(account: Account, need: int, now_us: int) -> Reason | None:
    """Why `need` cannot be granted now; None: it can. Accounts that only alert refuse nothing."""
    if not account.hard:
        return None
    if account.aborted:
        return "run_aborted"
    if account.max_duration_us and now_us >= account.started_us + account.max_duration_us:
        return "too_long"
    return "exceeded" if need > account.cap - account.settled - account.leased else None


def grant(account: Account, need: int, want: int, replicas: int) -> int | None:
    """Lease at least `need`, at most `want` and a fair part of what remains; None: not even `need` remains.

    When little remains the part is smaller than the need, and the grant exact. Raises ValueError for a need below 1.
    """
    if need < 1:
        raise ValueError(f"need is {need}: ask for 1 or more")
    if account.hard:
        remaining = account.cap - account.settled - account.leased
        if need > remaining:
            return None
        amount = max(need, min(want, remaining // (SLICE_DIVISOR * max(replicas, 1))))
    else:
        amount = max(need, want)
    account.leased += amount
    return amount


def usable_for(account: Account, now_us: int) -> int:
    """How long a lease granted now may be spent: to the end of the window or of the run; 0: without end."""
    ends = [account.window_end_us] if account.window_end_us else []
    if account.hard and account.max_duration_us:
        ends.append(account.started_us + account.max_duration_us)
    return max(min(ends) - now_us, 1) if ends else 0


def report(account: Account, lease: Lease, told: LeaseReport) -> None:
    """Take over a spender's totals. Older and repeated reports change nothing, nor do those on a lease that ended.

    An overrun is charged in any state: it lies outside of what was granted.
    """
    overrun = max(told.overrun - lease.overrun, 0)
    lease.overrun += overrun
    account.overrun += overrun
    account.settled += overrun
    if lease.state != "active":
        return
    settled = max(lease.settled, told.settled)
    granted = max(min(lease.granted, told.granted), settled)
    account.settled += settled - lease.settled
    account.leased += granted - lease.granted - (settled - lease.settled)
    unknown = max(lease.unknown, min(told.unknown, settled))
    account.unknown += unknown - lease.unknown
    if settled > lease.granted:  # a database that was set back granted less the second time
        _excuse(account)
    lease.granted, lease.settled, lease.unknown = granted, settled, unknown
    if told.closed and forfeit(account, lease) == 0:
        lease.state = "closed"


def forfeit(account: Account, lease: Lease) -> int:
    """Charge what is not settled of a lease whose spender cannot tell any more; the amount. Nothing is ever freed."""
    if lease.state != "active":
        return 0
    rest = lease.granted - lease.settled
    account.leased -= rest
    account.settled += rest
    account.forfeited += rest
    lease.state = "forfeited"
    return rest


def reinstate(account: Account, replica_id: str, epoch: int, told: LeaseReport) -> Lease:
    """The lease of a report that the ledger knows nothing of, because its database was set back to an older state.

    Money was spent of it, so it counts even beyond the cap.
    """
    lease = Lease(told.lease_id, told.meter, told.window_start_us, replica_id, epoch, max(told.granted, told.settled))
    account.leased += lease.granted
    _excuse(account)
    return lease


def change_cap(account: Account, cap: int, hard: bool) -> None:
    """Raise or lower the cap at once. What stands above a lowered one stays charged, and is told as `cap_cut`."""
    account.cap, account.hard, account.cap_cut = cap, hard, 0
    _excuse(account)


def thresholds(account: Account, ppms: Sequence[int]) -> list[int]:
    """The shares of the cap, in millionths, that `settled` passed since the last call; each is told once per window."""
    share = account.settled * 10**6
    passed = [ppm for ppm in sorted(ppms) if ppm > account.alerted_ppm and share >= max(ppm * account.cap, 1)]
    if passed:
        account.alerted_ppm = passed[-1]
    return passed


def _excuse(account: Account) -> None:
    """Note how far an account stands above its cap where no grant brought it there."""
    excess = account.settled + account.leased - account.cap - account.overrun
    account.cap_cut = max(account.cap_cut, excess if account.hard else 0)
