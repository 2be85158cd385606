"""Counting the same call within one run: told once, for each run and body by itself, within bounded memory."""

from __future__ import annotations

from budget_books import RUN, rule

from modelux_calling.loops import Loops, Repeats
from routing_core.budgets import Applied, Draw


def draw(*guards: tuple[str, str, int]) -> Draw:
    """Guards as (budget, value, calls)."""
    return Draw([Applied(rule(name, **{**RUN, "loop_calls": calls}), value) for name, value, calls in guards])


def test_the_same_call_is_told_when_it_was_made_so_often_and_not_again() -> None:
    loops, mine = Loops(), draw(("runs", "r1", 3))
    told = [loops.count(mine, b"body") for _ in range(6)]
    assert told == [None, None, Repeats("runs", "run_id", "r1", 3), None, None, None]


def test_runs_and_bodies_are_counted_apart() -> None:
    loops = Loops()
    calls = [(run, body) for body in (b"a", b"b") for run in ("r1", "r2")]
    assert [loops.count(draw(("runs", run, 2)), body) for run, body in calls] == [None] * 4
    assert all(loops.count(draw(("runs", run, 2)), body) for run, body in calls)


def test_every_guard_counts_for_itself() -> None:
    loops, mine = Loops(), draw(("often", "r1", 3), ("seldom", "r1", 2))
    found = [loops.count(mine, b"x") for _ in range(3)]
    assert [each and each.budget_id for each in found] == [None, "seldom", "often"]


def test_what_was_seen_longest_ago_is_forgotten_first() -> None:
    loops, mine = Loops(most=2), draw(("runs", "r1", 2))
    for body in (b"a", b"b", b"c"):  # forgets a
        assert loops.count(mine, body) is None
    assert loops.count(mine, b"a") is None  # forgets b
    assert loops.count(mine, b"c") is not None
    assert loops.count(mine, b"a") is not None
