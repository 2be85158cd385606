"""Verdicts of judges on their way into ClickHouse."""

from __future__ import annotations

import pytest

from modelux.events.v1.judge_pb2 import JudgeVerdict
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.topics import JUDGE_VERDICTS
from modelux_ingest.verdicts import COLUMNS, VerdictsWriter
from modelux_store.analytics import Analytics


def delivery(number: int = 0, **fields: object) -> Delivery:
    verdict = JudgeVerdict(
        judge_run_id="jr_1",
        experiment_id="sim_1",
        organization_id="org_1",
        project_id="proj_1",
        row=number,
        order="baseline_first",
        verdict="worse",
        bucket="mild",
        similarity=0.875,
        reason="The second one is wrong.",
        cost_nano=700_000,
        at_us=1_776_000_000_123_456,
    )
    verdict.MergeFrom(JudgeVerdict(**fields))
    return raw(codec.encode(verdict), number)


def raw(value: bytes, number: int = 0) -> Delivery:
    topic = JUDGE_VERDICTS.name
    message = Message(topic, b"jr_1", value, f"jr_1.{number}", codec.headers(topic))
    return Delivery(message, Partition(topic, 0), number, 0)


@pytest.fixture
async def writer(analytics: Analytics) -> VerdictsWriter:
    return VerdictsWriter(analytics)


async def test_a_verdict_is_one_row_however_often_it_comes(writer: VerdictsWriter, analytics: Analytics) -> None:
    assert await writer.handle([delivery(0), delivery(1, verdict="better")]) == []
    await writer.handle([delivery(0)])
    rows = await analytics.rows("SELECT * FROM judge_verdicts FINAL ORDER BY row")
    assert [(row["row"], row["verdict"], row["presented"]) for row in rows] == [
        (0, "worse", "baseline_first"),
        (1, "better", "baseline_first"),
    ]
    assert set(COLUMNS) == set(rows[0]) - {"written_at"}
    assert (rows[0]["similarity"], rows[0]["cost_nano"], rows[0]["reason"]) == (
        0.875,
        700_000,
        "The second one is wrong.",
    )


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(raw(b"\xff\xff"), id="no message"),
        pytest.param(raw(codec.encode(JudgeVerdict(row=1))), id="of no run"),
        pytest.param(delivery(1, order="sideways"), id="in no order"),
    ],
)
async def test_what_is_no_verdict_is_named(writer: VerdictsWriter, bad: Delivery) -> None:
    with pytest.raises(InvalidMessage) as refused:
        await writer.handle([delivery(0), bad])
    assert refused.value.delivery_index == 1


async def test_a_store_that_is_away_is_waited_for() -> None:
    away = await Analytics.open("http://127.0.0.1:9/modelux")
    with pytest.raises(Overloaded):
        await VerdictsWriter(away).handle([delivery()])
    await away.close()
