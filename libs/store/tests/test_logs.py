"""The log on the real engine: every filter, pages without gaps or doubles, cursors that cannot be forged."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_store.analytics import Analytics
from modelux_store.log_filter import LogFilter
from modelux_store.logs import InvalidCursor, Logs
from modelux_store.migrate import migrate_clickhouse
from modelux_store.spending import Logged, Spending

NOW_US = 1_770_000_000_000_000
HOUR_US = 3_600_000_000
COUNT = 60
SOURCES = ("", "litellm", "experiment", "judge")


@pytest.fixture(scope="module")
def url(clickhouse: EmbeddedClickHouse) -> str:
    return clickhouse.url.rpartition("/")[0] + "/logs"


@pytest.fixture
async def logs(url: str) -> AsyncIterator[Logs]:
    """Sixty requests over forty days, oldest first, each written twice; three share one microsecond."""
    analytics = await Analytics.open(url)
    if await migrate_clickhouse(analytics):
        for _ in range(2):
            await analytics.insert("requests", requests())
            await analytics.insert("attempts", attempts())
    yield Logs(analytics, b"key", lambda: NOW_US)
    await analytics.close()


def started_us(number: int) -> int:
    return NOW_US - (COUNT - number // 3) * 16 * HOUR_US


def requests() -> dict[str, list[object]]:
    numbers = range(COUNT)
    texts = (
        "key_id",
        "endpoint",
        "policy_type",
        "error_code",
        "credential_id",
        "logging_mode",
        "price_version",
        "response_id",
    )
    counters = (
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "overhead_us",
        "body_shed",
        "usage_estimated",
    )
    return {
        **{name: [f"{name}{n % 2}" for n in numbers] for name in texts},
        **{name: [0 for _ in numbers] for name in counters},
        "request_id": [f"req_{n:03}" for n in numbers],
        "organization_id": ["org_2" if n % 10 == 9 else "org_1" for n in numbers],
        "project_id": [f"proj_{n % 2}" for n in numbers],
        "started_at": [started_us(n) for n in numbers],
        "requested_model": ["@production" if n % 3 else "gpt-4o" for n in numbers],
        "config_slug": ["production" if n % 3 else "" for n in numbers],
        "config_version": [n % 4 for n in numbers],
        "outcome": ["error" if n % 5 == 0 else "ok" for n in numbers],
        "status": [503 if n % 5 == 0 else 200 for n in numbers],
        "model": [f"model-{n % 4}" for n in numbers],
        "provider": ["openai" if n % 2 else "anthropic" for n in numbers],
        "stream": [bool(n % 2) for n in numbers],
        "tags": [{"env": "prod", "run": f"{n % 7}"} if n % 2 else {"it's": "a \\ {tag:String}"} for n in numbers],
        "end_user_id": [f"user-{n % 6}" for n in numbers],
        "input_tokens": list(numbers),
        "output_tokens": [2 * n for n in numbers],
        "cost_nano": [1000 * n for n in numbers],
        "usage_extras": [{"web_searches": n} if n % 2 else {} for n in numbers],
        "price_unknown": [n == 3 for n in numbers],
        "latency_us": [100 * n for n in numbers],
        "ttft_us": [None if n % 2 else n for n in numbers],
        "attempts": [1 for _ in numbers],
        "trace": [json.dumps({"n": n}).encode() for n in numbers],
        "request_body": [b"\xff\x00" for _ in numbers],
        "response_body": [b"" for _ in numbers],
        "version": [1 for _ in numbers],
    }


def attempts() -> dict[str, list[object]]:
    pairs = [(n, number) for n in range(COUNT) for number in (2, 1)]
    texts = ("organization_id", "credential_id", "model", "provider", "error_code")
    counters = (
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost_nano",
    )
    return {
        **{name: [name for _ in pairs] for name in texts},
        **{name: [1 for _ in pairs] for name in (*counters, "started_us", "latency_us", "usage_estimated", "version")},
        "request_id": [f"req_{n:03}" for n, _ in pairs],
        "project_id": [f"proj_{n % 2}" for n, _ in pairs],
        "request_started_at": [started_us(n) for n, _ in pairs],
        "number": [number for _, number in pairs],
        "kind": ["ok" if number == 2 else "timeout" for _, number in pairs],
        "status": [200 if number == 2 else 0 for _, number in pairs],
        "ttft_us": [None for _ in pairs],
        "usage_extras": [{"output_audio": 7} for _ in pairs],
        "price_version": ["override/price_1" for _ in pairs],
        "price_unknown": [n == 3 for n, _ in pairs],
    }


def expected(*numbers: int) -> list[str]:
    return [f"req_{n:03}" for n in sorted(numbers, reverse=True)]


async def all_pages(logs: Logs, wanted: LogFilter, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await logs.page(wanted, limit=limit, cursor=cursor)
        assert len(page.rows) <= limit
        found += [row.request_id for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 7, 54, 1000])
async def test_pages_show_each_request_once_newest_first(logs: Logs, limit: int) -> None:
    assert await all_pages(logs, LogFilter("org_1"), limit) == expected(*(n for n in range(COUNT) if n % 10 != 9))


@pytest.mark.parametrize(
    ("fields", "keep"),
    [
        pytest.param({"project_id": "proj_0"}, lambda n: n % 2 == 0, id="project"),
        pytest.param({"start_us": started_us(30)}, lambda n: n >= 30, id="start is within"),
        pytest.param({"end_us": started_us(30)}, lambda n: n < 30, id="end is without"),
        pytest.param({"start_us": started_us(30), "end_us": started_us(33)}, lambda n: 30 <= n < 33, id="range"),
        pytest.param({"model": "model-2"}, lambda n: n % 4 == 2, id="model"),
        pytest.param({"provider": "openai"}, lambda n: n % 2, id="provider"),
        pytest.param({"requested_model": "gpt-4o"}, lambda n: n % 3 == 0, id="requested model"),
        pytest.param({"config": "production", "config_version": 3}, lambda n: n % 3 and n % 4 == 3, id="config"),
        pytest.param({"end_user_id": "user-4"}, lambda n: n % 6 == 4, id="end user"),
        pytest.param({"key_id": "key_id1"}, lambda n: n % 2, id="key"),
        pytest.param({"endpoint": "endpoint0"}, lambda n: n % 2 == 0, id="endpoint"),
        pytest.param({"tags": {"env": "prod", "run": "3"}}, lambda n: n % 2 and n % 7 == 3, id="tags"),
        pytest.param({"tags": {"it's": "a \\ {tag:String}"}}, lambda n: n % 2 == 0, id="wild tag"),
        pytest.param({"tags": {"none": ""}}, lambda n: False, id="absent tag is not an empty one"),
        pytest.param({"status": 503}, lambda n: n % 5 == 0, id="status"),
        pytest.param({"min_status": 200, "max_status": 299}, lambda n: n % 5, id="status range"),
        pytest.param({"outcome": "error", "error_code": "error_code1"}, lambda n: n % 5 == 0 and n % 2, id="outcome"),
        pytest.param({"min_cost_nano": 20_000, "max_cost_nano": 30_000}, lambda n: 20 <= n <= 30, id="cost"),
        pytest.param({"min_latency_us": 2000, "max_latency_us": 3000}, lambda n: 20 <= n <= 30, id="latency"),
        pytest.param({"model": "' OR 1 = 1 --"}, lambda n: False, id="injection"),
    ],
)
async def test_every_filter_narrows(logs: Logs, fields: dict[str, object], keep) -> None:  # type: ignore[no-untyped-def]
    wanted = LogFilter("org_1", **fields)  # type: ignore[arg-type]  # by name
    assert await all_pages(logs, wanted, 4) == expected(*(n for n in range(COUNT) if n % 10 != 9 and keep(n)))


async def test_a_request_is_read_with_everything(logs: Logs) -> None:
    record = await logs.get("org_1", "req_010")
    assert record is not None
    assert (record.row.request_id, record.row.cost_nano, record.row.ttft_us, record.row.stream) == (
        "req_010",
        10_000,
        10,
        False,
    )
    assert (record.trace, record.request_body, record.response_body) == (b'{"n": 10}', b"\xff\x00", b"")
    assert [(each.number, each.kind, each.ttft_us) for each in record.attempts] == [
        (1, "timeout", None),
        (2, "ok", None),
    ]


async def test_usage_and_price_of_each_attempt_are_read(logs: Logs) -> None:
    record = await logs.get("org_1", "req_003")
    assert record is not None
    assert (record.row.usage_extras, record.row.price_unknown) == ({"web_searches": 3}, True)
    assert {(each.price_version, each.price_unknown) for each in record.attempts} == {("override/price_1", True)}
    assert record.attempts[0].usage_extras == {"output_audio": 7}
    (row,) = (await logs.page(LogFilter("org_1", min_cost_nano=3000, max_cost_nano=3000), limit=1)).rows
    assert (row.request_id, row.price_unknown) == ("req_003", True)


async def test_no_organization_reads_anothers_requests(logs: Logs) -> None:
    assert await logs.get("org_2", "req_010") is None
    assert await logs.get("org_1", "nothing") is None
    assert await all_pages(logs, LogFilter("org_2"), 50) == expected(9, 19, 29, 39, 49, 59)
    assert await all_pages(logs, LogFilter("org_3"), 50) == []


async def test_a_cursor_holds_only_for_its_list(logs: Logs) -> None:
    cursor = (await logs.page(LogFilter("org_1"), limit=2)).next_cursor
    assert cursor is not None
    swapped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for wanted, forged in (
        (LogFilter("org_2"), cursor),
        (LogFilter("org_1", tags={"a": "b"}), cursor),
        (LogFilter("org_1"), cursor[:-4]),
        (LogFilter("org_1"), swapped if len(cursor) % 4 == 0 else cursor[:20] + "AAAA" + cursor[24:]),
        (LogFilter("org_1"), "é"),
        (LogFilter("org_1"), "AAAA"),
        (LogFilter("org_1"), "!" * 5000),
    ):
        with pytest.raises(InvalidCursor):
            await logs.page(wanted, cursor=forged)
    with pytest.raises(InvalidCursor):
        await Logs(logs._analytics, b"another key").page(LogFilter("org_1"), cursor=cursor)


async def test_calls_of_experiments_are_listed_where_asked_for_and_count_as_spent(logs: Logs, url: str) -> None:
    columns = {
        "request_id": [f"req_{source}" for source in SOURCES],
        "organization_id": ["org_3"] * 4,
        "project_id": ["proj_3"] * 4,
        "started_at": [NOW_US - HOUR_US] * 4,
        "source": list(SOURCES),
        "cost_nano": [1, 20, 300, 4_000],
        "version": [1] * 4,
    }
    analytics = await Analytics.open(url)
    await analytics.insert("requests", columns)
    await analytics.close()
    assert await all_pages(logs, LogFilter("org_3"), 9) == ["req_litellm", "req_"]
    for source in SOURCES:
        assert await all_pages(logs, LogFilter("org_3", source=source), 9) == [f"req_{source}"]
    assert await logs.get("org_3", "req_experiment") is not None
    spent = await logs.spent(Spending("org_3", "proj_3", "project", "", 0, 0, {"proj_3": 0}))
    assert spent == {"proj_3": Logged(4_301, 3)}
