"""Samples off the bus: kept in the database before they are acknowledged, refused where they can never be called."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sampler_rig import CAP, row, unit

from modelux.events.v1.experiment_pb2 import ExperimentSamples
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_SAMPLES
from modelux_response_sampler.consumer import Consumer
from modelux_response_sampler.units import Units
from modelux_store.database import Database

ENSEMBLE_OF_NOTHING = {"strategy": "ensemble", "aggregation": "voting", "members": []}


def delivery(samples: ExperimentSamples) -> Delivery:
    name = EXPERIMENT_SAMPLES.name
    key = f"{samples.experiment_id}.{samples.unit}"
    return Delivery(
        Message(name, key.encode(), codec.encode(samples), key, codec.headers(name)), Partition(name, 0), 0, 0
    )


async def test_units_are_kept_once_and_whoever_waits_is_woken(database):
    asked = asyncio.Event()
    consumer = Consumer(Units(database), asked)
    assert (
        await consumer.handle([delivery(unit(0, [row(1)])), delivery(unit(1, [row(2)])), delivery(unit(0, [row(1)]))])
        == []
    )
    assert asked.is_set()
    claimed = [await consumer.units.claim() for _ in range(3)]
    assert [each and each.samples.unit for each in claimed] == [0, 1, None]


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        pytest.param(unit(0, [row(1)], cap=replace(CAP, cap_nano=0)), "names no spend cap", id="no cap"),
        pytest.param(unit(0, [row(1)], cap=replace(CAP, id="")), "names no spend cap", id="no budget"),
        pytest.param(unit(0, [row(1)], ENSEMBLE_OF_NOTHING), "is no policy", id="no policy"),
        pytest.param(unit(0, [row(1, "other")]), "has the side 'other'", id="no side"),
        pytest.param(unit(0, []), "has no rows", id="no rows"),
    ],
)
async def test_what_can_never_be_called_goes_to_the_dead_letters(database, samples, why):
    consumer = Consumer(Units(database), asyncio.Event())
    with pytest.raises(InvalidMessage, match=why) as refused:
        await consumer.handle([delivery(unit(7, [row(1)])), delivery(samples)])
    assert refused.value.delivery_index == 1


async def test_a_database_that_is_away_is_waited_for(tmp_path):
    away = await Database.open(f"postgresql://nobody@/none?host={tmp_path}")
    try:
        with pytest.raises(Overloaded, match="the database is away"):
            await Consumer(Units(away), asyncio.Event()).handle([delivery(unit(0, [row(1)]))])
    finally:
        await away.close()
