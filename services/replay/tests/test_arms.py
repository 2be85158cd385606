"""Arms of a split read from the log: the newest, a sample over all of the time, and how far back to look next."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_arms import SECOND_US
from replay_harness import NOW, Replay, fill, micros, requests

from modelux_replay.rollout import arms as module
from modelux_replay.rollout.arms import (
    LONGEST_US,
    MOST_NEWEST,
    SHORTEST_US,
    Split,
    next_span_us,
    read_newest,
    read_sample,
)
from modelux_replay.rollout.guards import Arm
from modelux_replay.runs import Runs

NOW_US = micros(NOW)


async def served(acme: Replay, runs: Runs, count: int) -> Split:
    """Requests a second apart, of which every fourth one is the candidate's and every eighth one failed."""
    events = requests(acme.tenant, count, config_slug="production", config_version=2)
    for number, event in enumerate(events):
        event.started_at_us, event.outcome = NOW_US + number * SECOND_US, "error" if number % 8 == 0 else "ok"
        arm = "candidate" if number % 4 == 0 else "current"
        event.trace_json = json.dumps({"path": [{"policy_type": "ab_test", "chose": arm}]}).encode()
    await fill(runs.analytics, events)
    return Split(acme.tenant.organization_id, acme.tenant.project_id, "production", 2, NOW_US)


async def test_the_newest_of_each_arm_oldest_first(acme: Replay, runs: Runs) -> None:
    split = await served(acme, runs, 1_200)
    found = await read_newest(runs.analytics, split, NOW_US)
    assert (found.candidate.requests, found.current.requests) == (MOST_NEWEST, MOST_NEWEST)
    assert (found.candidate.errors, found.current.errors) == (MOST_NEWEST // 2, 0)
    assert (
        list(found.candidate.started_us) == [NOW_US + n * SECOND_US for n in range(1_200) if n % 4 == 0][-MOST_NEWEST:]
    )
    late = await read_newest(runs.analytics, split, NOW_US + 1_105 * SECOND_US)
    assert late.candidate.requests == 25, "five seconds more, as clocks differ"


async def test_a_sample_is_drawn_over_all_of_the_time(
    acme: Replay, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = await served(acme, runs, 1_200)
    whole = await read_sample(runs.analytics, split)
    assert (whole.candidate.requests, whole.current.requests) == (300, 900)
    monkeypatch.setattr(module, "MOST", 100)
    drawn = await read_sample(runs.analytics, split)
    assert (drawn.candidate.requests, drawn.current.requests) == (100, 100)
    for arm in (drawn.candidate, drawn.current):
        assert list(arm.started_us) == sorted(arm.started_us)
        assert abs(float(arm.started_us.mean()) - NOW_US - 600 * SECOND_US) < 120 * SECOND_US


@pytest.mark.parametrize(
    ("count", "seconds", "span_us"),
    [
        pytest.param(0, 60, LONGEST_US, id="nobody"),
        pytest.param(MOST_NEWEST - 1, 60, LONGEST_US, id="not enough in the span"),
        pytest.param(MOST_NEWEST, 60, 120 * SECOND_US, id="twice what it took"),
        pytest.param(MOST_NEWEST, 1, SHORTEST_US, id="much traffic"),
        pytest.param(MOST_NEWEST, 500, LONGEST_US, id="little traffic"),
    ],
)
def test_how_far_back_to_look_next(count: int, seconds: int, span_us: int) -> None:
    started = NOW_US - seconds * SECOND_US + np.arange(count) * 1_000
    arm = Arm(started, np.ones(count, np.bool_), started, started)
    assert next_span_us(arm, NOW_US) == span_us
