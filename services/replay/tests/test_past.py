"""What past calls tell: the same in any order, of one credential or of all, and when circuits were open."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.projection.calls import KINDS
from modelux_replay.plan import CALLS
from modelux_replay.simulation.past import HOUR_US, UNKNOWN, Past
from routing_core.breaker import LIMITS
from routing_core.types import Target

START_US = 490_000 * HOUR_US
MINE, OTHER, THIRD = (Target("m", "p", name) for name in ("mine", "other", "third"))
Call = tuple[Target, int, str, int]
"""Target, microseconds after the start, kind, latency in milliseconds."""
ONE = st.tuples(st.sampled_from([MINE, OTHER]), st.integers(0, 20), st.sampled_from(KINDS), st.integers(1, 5))
SOME = st.lists(ONE, max_size=60)


def table(calls: Sequence[Call]) -> pa.Table:
    rows = [
        (*target_names(target), START_US + at, kind, {"ok": 200, "status": 503}.get(kind, 0), ms * 1000, None, 10, ms)
        for target, at, kind, ms in calls
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(CALLS)
    return pa.table([pa.array(values, each.type) for values, each in zip(columns, CALLS, strict=True)], schema=CALLS)


def target_names(target: Target) -> tuple[str, str, str]:
    return target.model, target.provider, target.credential_id


def told(past: Past, target: Target) -> list[object]:
    moments = (START_US + at for at in (-1, *range(22), LIMITS.ejection_ms * 1000 + 21))
    return [past.health(target, moment) for moment in moments]


@given(SOME, st.randoms())
def test_the_order_of_the_calls_does_not_matter(calls: list[Call], chance: Random) -> None:
    past, mixed = Past(table(calls)), Past(table(chance.sample(calls, len(calls))))
    for target in (MINE, OTHER, THIRD):
        assert told(past, target) == told(mixed, target)


@given(SOME)
def test_a_circuit_opens_with_the_last_of_so_many_failures_in_a_row(calls: list[Call]) -> None:
    past = Past(table(calls))
    mine = sorted((at, kind, ms) for target, at, kind, ms in calls if target is MINE)
    row, opened = 0, set()
    for at, kind, _ in mine:
        row = 0 if kind == "ok" else row + 1
        if row >= LIMITS.consecutive:
            opened.add(at)
    for at in range(22) if mine else ():
        health = past.health(MINE, START_US + at)
        assert health is not None
        assert (health.state == "open") == any(moment <= at for moment in opened)


@given(SOME)
def test_medians_are_those_of_the_answers(calls: list[Call]) -> None:
    past = Past(table(calls))
    for mine in {target for target, *_ in calls}:
        answers = [ms for target, _, kind, ms in calls if target == mine and kind == "ok"]
        health = past.health(mine, START_US)
        assert health is not None
        assert health.p50_ms == (np.median(answers) if answers else None)


def test_calls_by_all_credentials_speak_for_one_without_any() -> None:
    past = Past(table([(MINE, 0, "ok", 10), (OTHER, 0, "ok", 30)]))
    found = [past.health(target, START_US) for target in (MINE, OTHER, THIRD)]
    assert [each and (each.p50_ms, each.samples) for each in found] == [(10.0, 1), (30.0, 1), (20.0, 2)]


def test_the_only_credential_speaks_for_others() -> None:
    past = Past(table([(MINE, 0, "ok", 10)]))
    assert past.code(THIRD) == past.code(MINE) != UNKNOWN


@pytest.mark.parametrize("target", [Target("else", "p", "mine"), Target("m", "else", "mine")])
def test_nothing_is_known_of_what_was_never_called(target: Target) -> None:
    past = Past(table([(MINE, 0, "ok", 10)]))
    assert past.code(target) == UNKNOWN
    assert past.health(target, START_US) is None
