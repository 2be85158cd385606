"""Whatever fails, caps hold and every nano-dollar is accounted for; and the simulation that says so can tell."""

from __future__ import annotations

import pytest
from ledger_audit import Done
from ledger_mutants import MUTANTS, Mutant
from ledger_simulation import RULES, Rules, simulate
from ledger_world import Violation

SLICE = 250


def run(seeds: range, rules: Rules = RULES) -> list[Done]:
    """Every seed; a failure names its own: `simulate(seed)` plays it again."""
    done = []
    for seed in seeds:
        try:
            done.append(simulate(seed, rules))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return done


@pytest.mark.parametrize("first", range(0, 2_000, SLICE))
def test_caps_hold_and_books_balance_under_faults(first: int) -> None:
    done = run(range(first, first + SLICE))
    assert sum(one.settled for one in done) > 5 * SLICE
    assert sum(one.denied for one in done) > SLICE
    assert all(one.charged == one.paid for one in done[::10]), "every tenth run is without faults"


def test_a_grant_repeated_to_a_database_that_forgot_it_after_its_spender_did() -> None:
    run(range(84_541, 84_542))


@pytest.mark.nightly
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("first", range(2_000, 102_000, 10_000))
def test_caps_hold_and_books_balance_in_many_more_runs(first: int) -> None:
    run(range(first, first + 10_000))


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=name) for name, mutant in MUTANTS.items()])
def test_the_simulation_finds(mutant: Mutant) -> None:
    with mutant.alive() as rules:
        assert any(violates(seed, rules) for seed in range(600))


def violates(seed: int, rules: Rules) -> bool:
    try:
        simulate(seed, rules)
    except Violation:
        return True
    except (KeyError, StopIteration, ValueError):  # a mutant may trip over itself; that does not count
        return False
    return False
