"""From the bus to queryable rows on the real engine: once each, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from modelux.events.v1.budget_pb2 import PriceUnknown, RunLooping
from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux.events.v1.request_pb2 import AttemptRecord, Repeats, RequestCompleted
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded, Pace, consume
from modelux_bus.memory import MemoryBus
from modelux_contracts import codec
from modelux_contracts.topics import REQUEST_COMPLETED, partitions
from modelux_ingest.consumer import Writer
from modelux_ingest.metrics import meters
from modelux_ingest.schema import prepare
from modelux_store.analytics import Analytics, Unavailable

EventMaker = Callable[..., RequestCompleted]
TOPIC = REQUEST_COMPLETED.name
NOW_US = 1_770_000_000_000_000


@pytest.fixture
async def ready(analytics: Analytics) -> Analytics:
    await prepare(analytics, retention_days=0)
    return analytics


def message(event: RequestCompleted) -> Message:
    name = f"{event.request_id}.completed"
    return Message(TOPIC, event.project_id.encode(), codec.encode(event), name, codec.headers(TOPIC))


def deliveries(*messages: Message) -> list[Delivery]:
    return [Delivery(each, Partition(TOPIC, 0), offset, NOW_US // 1000) for offset, each in enumerate(messages)]


def writer(analytics: Analytics, slept: list[float] | None = None) -> Writer:
    async def sleep(seconds: float) -> None:
        (slept if slept is not None else []).append(seconds)

    return Writer(analytics, now_us=lambda: NOW_US, sleep=sleep)


async def count(analytics: Analytics, table: str = "requests_once") -> object:
    (row,) = await analytics.rows(f"SELECT count() AS n FROM {table}")  # noqa: S608  # a table of ours
    return row["n"]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_request_is_stored_whole(ready: Analytics, make_event: EventMaker) -> None:
    await writer(ready).handle(deliveries(message(make_event(1))))
    (row,) = await ready.rows(
        "SELECT *, hex(response_body) AS raw, toUnixTimestamp64Micro(started_at) AS us FROM requests"
    )
    expected: Mapping[str, object] = {
        "request_id": "req_000001", "project_id": "proj_1", "config_slug": "production", "config_version": 4,
        "outcome": "ok", "status": 200, "model": "gpt-4o-mini", "tags": {"env": "prod"}, "end_user_id": "user-é",
        "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 2, "reasoning_tokens": 1, "cost_nano": 2_134_000,
        "latency_us": 238_000, "ttft_us": 138_000, "attempts": 2, "trace": '{"policy_type":"fallback"}',
        "raw": b"\xff\x00not text".hex().upper(), "us": NOW_US + 1000, "stream": True, "version": 1,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    attempts = await ready.rows(
        "SELECT number, kind, status, ttft_us, cost_nano, started_us FROM attempts ORDER BY number"
    )
    assert attempts == [
        {"number": 1, "kind": "timeout", "status": 0, "ttft_us": None, "cost_nano": 0, "started_us": 0},
        {"number": 2, "kind": "ok", "status": 200, "ttft_us": 136_000, "cost_nano": 2_134_000, "started_us": 2000},
    ]


async def test_what_comes_again_counts_once(ready: Analytics, make_event: EventMaker) -> None:
    messages = [message(make_event(n)) for n in range(50)]
    for batch in (messages, messages, messages[:30], messages[20:], messages[10:11]):
        # Each a process of its own that died between its insert and its commit.
        await writer(ready).handle(deliveries(*batch))
    assert await count(ready) == 50
    assert await count(ready, "attempts_once") == 100
    (row,) = await ready.rows("SELECT sum(cost_nano) AS nano FROM requests_once")
    assert row["nano"] == 50 * 2_134_000


@pytest.mark.parametrize("order", [["unknown", "ok"], ["ok", "unknown"]])
async def test_what_happened_beats_the_unknown(ready: Analytics, make_event: EventMaker, order: list[str]) -> None:
    for outcome in order:
        attempts = {"attempts": []} if outcome == "unknown" else {}
        await writer(ready).handle(deliveries(message(make_event(1, outcome=outcome, **attempts))))
    assert await ready.rows("SELECT outcome FROM requests_once") == [{"outcome": "ok"}]
    assert await count(ready, "attempts_once") == 2


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(Message(TOPIC, b"k", b"\xff\xff\xff\xff", "x"), "not a modelux", id="not protobuf"),
        pytest.param(Message(TOPIC, b"k", b"", "x"), "empty", id="empty"),
        pytest.param(Message(TOPIC, b"k", b"\x0a\xff\xff\xff\xff\x07x", "x"), "not a modelux", id="length of 1 GiB"),
        pytest.param(Message(TOPIC, b"k", b"\x0a\x01x", "x", (("mlx-schema", b"other.v9"),)), "other.v9", id="schema"),
        pytest.param(Message(TOPIC, b"k", b"\x0a\x01x", "x"), "project_id", id="no project"),
    ],
)
async def test_poison_is_named_by_its_place(
    ready: Analytics, make_event: EventMaker, bad: Message, reason: str
) -> None:
    with pytest.raises(InvalidMessage, match=reason) as invalid:
        await writer(ready).handle(deliveries(message(make_event(1)), bad, message(make_event(2))))
    assert invalid.value.delivery_index == 1


@pytest.mark.parametrize("place", [0, 1, 5, 15, 16])
async def test_a_row_that_clickhouse_refuses_is_found_by_halves(
    ready: Analytics, make_event: EventMaker, place: int
) -> None:
    events = [make_event(n) for n in range(17)]
    events[place].status = 70_000
    with pytest.raises(InvalidMessage, match="ClickHouse") as invalid:
        await writer(ready).handle(deliveries(*map(message, events)))
    assert invalid.value.delivery_index == place


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_stored(ready: Analytics, make_event: EventMaker) -> None:
    bus = MemoryBus()
    await bus.ensure(partitions())
    events = [make_event(n, status=70_000 if n in (3, 11) else 200) for n in range(20)]
    await bus.publish([*map(message, events), Message(TOPIC, b"k", b"\xff", "broken")])
    async with asyncio.TaskGroup() as group:
        running = group.create_task(consume(bus, "ingest", {TOPIC: writer(ready).handle}, max_wait_s=0.05))

        async def done() -> bool:
            return not any((await bus.lag("ingest", [TOPIC])).values())

        await until(done)
        running.cancel()
    assert await count(ready) == 18
    async with bus.subscribe("dead", [TOPIC + ".dlq"]) as dead:
        assert sorted(d.message.id for d in await dead.fetch(10, 0.05)) == [
            "broken", "req_000003.completed", "req_000011.completed",
        ]  # fmt: skip


class Away(Analytics):
    """An analytics client whose server is away for its first inserts, after having written or before."""

    def __init__(self, url: str, failures: int, *, written: bool) -> None:
        super().__init__(url)
        self._failures = failures
        self._written = written

    async def insert(self, table: str, columns: Mapping[str, Sequence[object]], *, token: str = "") -> None:
        if self._failures:
            self._failures -= 1
            if self._written:
                await super().insert(table, columns, token=token)
            raise Unavailable("away")
        await super().insert(table, columns, token=token)


@pytest.mark.parametrize("written", [True, False], ids=["acknowledgement lost", "not written"])
async def test_a_server_that_is_away_is_waited_for(ready: Analytics, make_event: EventMaker, written: bool) -> None:
    away = Away(ready._url.geturl(), 5, written=written)
    with pytest.raises(Overloaded):
        await writer(away).handle(deliveries(message(make_event(0))))
    bus = MemoryBus()
    await bus.ensure(partitions())
    await bus.publish([message(make_event(n)) for n in range(30)])
    async with asyncio.TaskGroup() as group:
        pace = Pace(jitter=lambda: 0.0)
        running = group.create_task(consume(bus, "ingest", {TOPIC: writer(away).handle}, max_wait_s=0.05, pace=pace))

        async def done() -> bool:
            return await count(ready) == 30

        await until(done)
        running.cancel()
    assert await count(ready, "attempts_once") == 60
    await away.close()


async def test_small_batches_wait_for_company_and_full_ones_do_not(ready: Analytics, make_event: EventMaker) -> None:
    slept: list[float] = []
    subject = writer(ready, slept)
    await subject.handle(deliveries(message(make_event(1))))
    assert slept == []
    await subject.handle(deliveries(message(make_event(2))))
    assert slept == [0.5]
    await subject.handle(deliveries(*(message(make_event(n)) for n in range(1000))))
    assert slept == [0.5]


async def test_health_is_answered_while_it_is_news(ready: Analytics, make_event: EventMaker) -> None:
    events = [message(make_event(n * 1000)) for n in range(30)]
    answers = await writer(ready).handle(deliveries(*events))
    news = {each.key: codec.decode(ProviderHealthChanged, each.value, each.headers) for each in answers}
    assert {key: each.state for key, each in news.items()} == {
        b"haiku:anthropic": "down",
        b"gpt-4o-mini:openai": "healthy",
    }
    late = Writer(ready, now_us=lambda: NOW_US + 3600 * 1_000_000)
    assert await late.handle(deliveries(*events)) == []


async def test_health_recovers_while_nobody_calls(ready: Analytics, make_event: EventMaker) -> None:
    clock = [NOW_US]
    subject = Writer(ready, now_us=lambda: clock[0], linger_s=0.0)
    await subject.handle(deliveries(*(message(make_event(n * 1000)) for n in range(30))))
    clock[0] = NOW_US + 60_000_000
    assert await subject.idle() == []
    clock[0] = NOW_US + 95_000_000
    (told,) = await subject.idle()
    news = codec.decode(ProviderHealthChanged, told.value, told.headers)
    assert (told.key, news.state, news.window_end_us) == (b"haiku:anthropic", "healthy", clock[0])
    assert await subject.idle() == []


async def test_a_model_without_a_price_is_news(ready: Analytics, make_event: EventMaker) -> None:
    attempt = AttemptRecord(number=1, model="new", provider="openai", kind="ok", price_unknown=True, cost_nano=9)
    subject = writer(ready)
    (told,) = await subject.handle(deliveries(message(make_event(1, attempts=[attempt], price_unknown=True))))
    news = codec.decode(PriceUnknown, told.value, told.headers)
    assert (told.topic, told.key, news.model, news.charged_nano) == ("price.unknown", b"proj_1", "new", 9)
    assert await subject.handle(deliveries(message(make_event(2, attempts=[attempt], price_unknown=True)))) == []


async def test_a_loop_is_news(ready: Analytics, make_event: EventMaker) -> None:
    found = Repeats(budget_id="bud_1", tag="run_id", value="run_7", calls=20)
    looping = make_event(1, repeats=found)
    (told,) = await writer(ready).handle(deliveries(message(looping), message(make_event(2))))
    news = codec.decode(RunLooping, told.value, told.headers)
    assert (told.topic, told.key, told.id) == ("run.looping", b"proj_1", f"{looping.request_id}.looping")
    assert (news.budget_id, news.tag, news.value, news.calls) == ("bud_1", "run_id", "run_7", 20)
    assert (news.request_id, news.at_us) == (looping.request_id, looping.started_at_us)
    rows = await ready.rows("SELECT repeats FROM requests FINAL ORDER BY request_id")
    assert [row["repeats"] for row in rows] == [20, 0]


async def test_history_is_stored_and_is_no_news(ready: Analytics, make_event: EventMaker) -> None:
    attempt = AttemptRecord(number=1, model="new", provider="openai", kind="timeout", price_unknown=True)
    events = [make_event(n * 100, attempts=[attempt], price_unknown=True, source="litellm") for n in range(20)]
    counted = meters()
    subject = Writer(ready, now_us=lambda: NOW_US + 3_000_000, linger_s=0.0, meters=counted)
    messages = deliveries(*(message(event) for event in events))
    assert await subject.handle_imported(messages) == []
    assert await subject.handle_imported(messages) == []
    assert await subject.idle() == []
    assert (counted.value("rows"), counted.value("lag_ms")) == (40, 0)
    for table in ("requests_once", "attempts_once"):
        rows = await ready.rows(f"SELECT source, count() AS n FROM {table} GROUP BY source")  # noqa: S608  # ours
        assert rows == [{"source": "litellm", "n": 20}]


async def test_what_an_experiment_called_is_stored_and_says_nothing_of_health(
    ready: Analytics, make_event: EventMaker
) -> None:
    found = Repeats(budget_id="bud_1", tag="run_id", value="run_7", calls=20)
    attempt = AttemptRecord(number=1, model="new", provider="openai", kind="timeout", price_unknown=True)
    events = [make_event(n * 100, attempts=[attempt], source="experiment", repeats=found) for n in range(20)]
    subject = writer(ready)
    messages = deliveries(*(message(event) for event in events))
    (told,) = await subject.handle_made(messages)
    assert told.topic == "price.unknown"
    assert await subject.handle_made(messages) == []
    assert await subject.idle() == []
    for table in ("requests_once", "attempts_once"):
        rows = await ready.rows(f"SELECT source, count() AS n FROM {table} GROUP BY source")  # noqa: S608  # ours
        assert rows == [{"source": "experiment", "n": 20}]


@pytest.mark.parametrize("source", ["", "litellm"])
async def test_what_does_not_say_that_a_run_made_it_is_refused(
    ready: Analytics, make_event: EventMaker, source: str
) -> None:
    good, bad = make_event(1, source="judge"), make_event(2, source=source)
    with pytest.raises(InvalidMessage, match="source") as refused:
        await writer(ready).handle_made(deliveries(message(good), message(bad)))
    assert refused.value.delivery_index == 1


async def test_retention_is_set_changed_and_lifted(analytics: Analytics) -> None:
    for days, ttl in ((90, "toIntervalDay(90)"), (90, "toIntervalDay(90)"), (7, "toIntervalDay(7)"), (0, "")):
        await prepare(analytics, days)
        (row,) = await analytics.rows("SHOW CREATE TABLE requests")
        assert (ttl in str(row["statement"])) if ttl else ("TTL" not in str(row["statement"]))
