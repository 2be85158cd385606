"""What the ledger expects of accounts may be wrong: the answer is the same, only later."""

from __future__ import annotations

from config_harness import Tenant
from ledger_harness import budget, join, spend

from modelux_config.ledger import Ledger
from modelux_config.ledger_known import Known
from routing_core.ledger.messages import Ask
from routing_core.ledger.meters import Meter

METER, OTHER = Meter("bud_1", "", "usd"), Meter("bud_2", "", "usd")


def test_all_meters_are_guessed_or_none() -> None:
    known = Known()
    known.add([(METER, 0), (METER, 60)])
    known.hold_now([(METER, 60), (OTHER, 60)])
    assert known.guess([METER]) == [(METER, 60)]
    assert known.guess([METER, OTHER]) == [], "an account that was never seen is not expected"
    known.hold_now([(METER, 0)])
    assert known.guess([METER]) == [(METER, 0)], "an edit of the budget may lead back to an earlier start"


async def test_a_wrong_guess_is_granted_from_the_window_of_now(ledger: Ledger, acme: Tenant) -> None:
    meter, spender = await budget(acme, period="day"), await join(ledger)
    now = (await spender.take(meter, 10)).account.window_start_us
    past = (meter, now - 86_400_000_000)
    ledger.known.add([past])
    ledger.known.hold_now([past])
    assert (await spender.take(meter, 10)).account.window_start_us == now
    assert ledger.known.guess([meter]) == [(meter, now)]


async def test_a_guess_that_covers_only_some_of_the_accounts_begins_anew(ledger: Ledger, acme: Tenant) -> None:
    daily, whole, spender = await budget(acme, period="day"), await budget(acme), await join(ledger)
    first = await spender.grant(Ask(daily, 10, 10), Ask(whole, 10, 10))
    assert isinstance(first, tuple)
    past = (daily, first[0].account.window_start_us - 86_400_000_000)
    ledger.known.add([past])
    ledger.known.hold_now([past])
    again = await spender.grant(Ask(daily, 10, 10), Ask(whole, 10, 10))
    assert isinstance(again, tuple)
    assert [granted.account.leased for granted in again] == [20, 20]
    assert (await spend(acme, whole))["usd"].leased == 20
