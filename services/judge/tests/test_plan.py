"""Which pairs a run draws, what they stand for, and what is made of the verdicts."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from experiment_core.judge.strata import Stratification
from experiment_core.similarity import BUCKETS
from experiment_core.verdicts import VERDICTS
from modelux.events.v1.judge_pb2 import JudgeVerdict
from modelux.judge.v1 import judge_pb2 as pb
from modelux_bus.base import Delivery, Message, Partition
from modelux_contracts import codec
from modelux_contracts.topics import JUDGE_VERDICTS
from modelux_ingest.verdicts import VerdictsWriter
from modelux_judge import labels, plan
from modelux_judge.calls import ORDERS, Asked, Place
from modelux_judge.outcome import Ended, sum_up
from modelux_judge.population import Pair, Population, Shares
from modelux_judge.verdicts import Answer, answers
from modelux_store.judge_verdicts import JudgeVerdicts, VerdictFilter

SECRET = bytes(range(32))


def population(similarity: list[float], weight: list[float] | None = None) -> Population:
    count = len(similarity)
    ids = [f"req_{number}" for number in range(count)]
    ones = np.ones(count)
    return Population(
        "sim_1",
        np.arange(count),
        ids,
        [f"c{each}" for each in ids],
        np.array(similarity),
        np.array(weight) if weight else ones,
        ones * 100,
        frozenset({"gpt-4o"}),
        float(count),
        0.0,
    )


def test_a_larger_draw_holds_every_smaller_one() -> None:
    found = population([0.97, 0.85, 0.3] * 100)
    cuts = Stratification()
    small, large = (found.draw(cuts, taken) for taken in ((10, 10, 10), (40, 20, 30)))
    assert {pair.row for pair in small} <= {pair.row for pair in large}
    assert [pair.place for pair in small] == list(range(30))
    assert {name: sum(pair.bucket == name for pair in small[:15]) for name in BUCKETS} == dict.fromkeys(BUCKETS, 5)


def test_pairs_come_in_proportion_to_their_weight() -> None:
    """Rows that stand for nine others are drawn about nine times as often, so a plain mean is the traffic's."""
    found = population([0.9] * 4_000, [9.0 if number % 2 else 1.0 for number in range(4_000)])
    drawn = found.draw(Stratification(), (0, 400, 0))
    heavy = sum(pair.row % 2 for pair in drawn) / len(drawn)
    assert heavy == pytest.approx(0.9, abs=0.05)


def test_buckets_weigh_what_their_requests_are() -> None:
    shares = population([0.97] * 10 + [0.3] * 10, [9.0] * 10 + [1.0] * 10).shares(Stratification())
    assert (shares.pairs, shares.weights) == ((10, 0, 10), (90.0, 0.0, 10.0))
    assert shares.strata_pairs() == (18, 0, 2)
    assert Shares.from_json(shares.to_json()) == shares


def test_cut_points_move_the_buckets() -> None:
    found = population([0.99, 0.6, 0.2])
    assert found.shares(Stratification(high=0.5, mild=0.1)).pairs == (2, 1, 0)


@pytest.mark.parametrize(("pairs", "each"), [(10, 0), (25, 1), (60, 2), (300, 4), (1_500, 4)])
def test_canaries_are_few_and_spread(pairs: int, each: int) -> None:
    drawn = [Pair(number, number, "pair", "mild", 0.9, "a", "b") for number in range(pairs)]
    found = plan.with_canaries(drawn)
    canaries = [pair for pair in found if pair.kind != "pair"]
    assert len(canaries) == 3 * each
    assert len({pair.row for pair in found}) == len(found)
    assert plan.calls(pairs, "both") == 2 * pairs + 3 * each
    assert all(pair.row < 0 for pair in canaries)


def said(*verdicts: str) -> Answer:
    pair = Pair(1, 0, "pair", "mild", 0.9, "a", "b")
    asked = {
        Place(1, order): Asked(Place(1, order), "req", JudgeVerdict(verdict=verdict, order=order), 5, 5)
        for order, verdict in zip(ORDERS, verdicts, strict=True)
    }
    (found,) = answers(pb.JudgeSpec(orders="both"), SECRET, [pair], asked)
    return found


WORDS = (*VERDICTS, "parse_error", "steered", "failed", "interrupted")


async def test_the_log_merges_the_orders_as_the_statistics_do(analytics: Any) -> None:
    """One row for each combination of what the orders said."""
    combinations = list(itertools.product(WORDS, repeat=2))
    deliveries = []
    for row, pair in enumerate(combinations):
        for order, word in zip(ORDERS, pair, strict=True):
            verdict = JudgeVerdict(
                judge_run_id="jr_1", experiment_id="sim_1", organization_id="org_1", row=row, order=order, verdict=word
            )
            message = Message(JUDGE_VERDICTS.name, b"", codec.encode(verdict), "", codec.headers(JUDGE_VERDICTS.name))
            deliveries.append(Delivery(message, Partition(JUDGE_VERDICTS.name, 0), row, 0))
    await VerdictsWriter(analytics).handle(deliveries)
    wanted = VerdictFilter("org_1", "sim_1", "jr_1", replies=2)
    page = await JudgeVerdicts(analytics, b"key").page(wanted, limit=1_000)
    assert len(page.rows) == len(combinations)
    for row in page.rows:
        merged = said(*combinations[row.row]).judged.merge()
        assert (row.pair_verdict if row.pair_verdict in VERDICTS else None) == merged.verdict, combinations[row.row]
        assert row.consistent == (None if merged.verdict is None else not merged.inconsistent)


def test_a_pair_of_which_one_order_is_open_says_nothing() -> None:
    pair = Pair(1, 0, "pair", "mild", 0.9, "a", "b")
    asked = {Place(1, ORDERS[0]): Asked(Place(1, ORDERS[0]), "req", JudgeVerdict(verdict="worse"), 5, 5)}
    assert list(answers(pb.JudgeSpec(orders="both"), SECRET, [pair], asked)) == []


def test_summaries_are_json_whatever_little_came_in() -> None:
    shares = Shares((0, 0, 0), (0.0, 0.0, 0.0), 0.0, 0.0)
    for found in ([], [said("parse_error", "worse")]):
        told = sum_up(pb.JudgeSpec(orders="both"), shares, found, 10, 0, Ended(early=True), {})
        assert json.loads(json.dumps(told.summary, allow_nan=False))["judged_count"] == 0


def test_disagreement_is_counted_and_shows_in_the_position_bias() -> None:
    found = [said("worse", "better")] * 3 + [said("worse", "worse")]
    shares = Shares((0, 9, 0), (0.0, 9.0, 0.0), 9.0, 0.0)
    summary = sum_up(pb.JudgeSpec(orders="both"), shares, found, 4, 0, Ended(), {})
    orders: Any = summary.summary["orders"]
    assert (orders["inconsistent"], orders["opposite"], orders["consistency"]["value"]) == (3, 3, 0.25)
    assert orders["first_chosen"]["value"] > 0.8
    assert summary.summary["verdict_breakdown"] == {"better": 0.0, "equivalent": 0.75, "worse": 0.25}


def test_tokens_name_pairs_of_one_run_alone() -> None:
    for row in (0, 7, 2**32 - 1):
        assert labels.row_of(SECRET, labels.token(SECRET, row)) == row
        assert labels.row_of(bytes(32), labels.token(SECRET, row)) is None
    for made_up in ("", "é", "AAAA", "A" * 500):
        assert labels.row_of(SECRET, made_up) is None


def test_half_of_the_pairs_are_shown_with_the_candidate_first() -> None:
    first = [labels.candidate_first(SECRET, row) for row in range(2_000)]
    assert sum(first) == pytest.approx(1_000, abs=120)
    assert labels.verdict_of("first", True) == labels.verdict_of("second", False) == "better"
    assert labels.verdict_of("first", False) == labels.verdict_of("second", True) == "worse"


def test_the_queue_is_a_random_part_that_does_not_change() -> None:
    every = list(range(500))
    turns = labels.queue(SECRET, every, {})
    assert len(turns) == labels.WANTED
    assert turns != sorted(turns)
    known = {turns[0]: labels.Label(turns[0], "worse", "ann")}
    assert labels.queue(SECRET, every, known) == turns[1:]
