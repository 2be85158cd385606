"""A judge run from its creation to its end."""

from __future__ import annotations

import pytest
from judge_rig import rows


def guide(high: int = 60, mild: int = 30, major: int = 20):
    """The candidate is as good on what looks alike, better on some mild ones, worse where it says other things."""
    return [
        *rows("high", 0, high, 5),
        *rows("mild", 100, mild // 2, 6),
        *rows("mild", 200, mild - mild // 2, 5),
        *rows("major", 300, major, 4),
    ]


async def test_a_run_judges_each_pair_in_both_orders_and_tells_what_that_means_for_the_traffic(judge):
    async with judge(wanted=guide()) as it:
        found, summary = await it.done(stratification={"high": 20, "mild": 20, "major": 10})
        assert (found.status, found.status_reason, found.pairs_done, found.pairs_total) == ("completed", "", 50, 50)
        assert (summary["judged_count"], summary["parse_errors"], summary["failed"]) == (50, 0, 0)
        assert summary["by_bucket"]["high"]["verdicts"] == {"better": 0.0, "equivalent": 1.0, "worse": 0.0}
        assert summary["by_bucket"]["major"]["verdicts"] == {"better": 0.0, "equivalent": 0.0, "worse": 1.0}
        traffic = summary["traffic"]
        assert traffic["worse"]["value"] == pytest.approx(20 / 110, abs=0.01)
        assert traffic["worse"]["lower"] < 20 / 110 < traffic["worse"]["upper"]
        assert (summary["orders"]["consistency"]["value"], summary["orders"]["pairs_in_both"]) == (1.0, 50)
        assert summary["canaries"]["trustworthy"] is True, summary["canaries"]
        assert summary["stopped_early"] is False
        told = await it.verdicts(found.id)
        assert len(told) == 100
        assert {(row["bucket"], row["verdict"]) for row in told} >= {("high", "equivalent"), ("major", "worse")}
        called = {call.request_id for call in it.recorded}
        assert {row["call_id"] for row in told} <= called
        assert {call.source for call in it.recorded} == {"judge"}
        assert summary["spend_usd"] * 1e9 == pytest.approx(sum(call.cost_nano for call in it.recorded))
        assert it.bank.closed == [f"bud_{found.id}"]
        event = await it.event()
        assert (event.status, event.judged, event.worse) == ("completed", 50, traffic["worse"]["value"])
