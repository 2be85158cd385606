"""Logged usage priced again: by today's prices, those of a moment, those of each call's time, and supposed ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from config_harness import Installation
from engines import NewUrl
from hypothesis import given
from hypothesis import strategies as st
from management_harness import Client, client_of

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux.events.v1.request_pb2 import Usage as UsageRecord
from modelux_ingest.rows import attempt_columns
from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.repricing import moments_ms, reprice
from modelux_management.routes.repricing import MOST_ATTEMPTS
from modelux_providers.catalog import Catalog
from modelux_store.analytics import Analytics
from modelux_store.logged_usage import Used
from modelux_store.logs import Logs
from routing_core.pricing import Price, ceiling, cost
from routing_core.types import Usage, UsageExtras

CATALOG = Catalog.load()
START_US = 1_775_779_200_000_000  # 2026-04-10T00:00:00Z
DAY = {"start": "2026-04-10T00:00:00Z", "end": "2026-04-11T00:00:00Z"}
MINI = CATALOG.price("openai", "gpt-4o-mini", START_US // 1000)
HAIKU = CATALOG.price("anthropic", "claude-haiku-4-5", START_US // 1000)
USAGE = Usage(1000, 247, 100, 0)
CACHED = Usage(900, 10, 50, 500, extras=UsageExtras(cache_write_1h=200, web_searches=3))


@dataclass(frozen=True)
class Call:
    """One logged attempt."""

    model: str
    provider: str
    price: Price | None
    usage: Usage = USAGE
    hour: int = 0
    kind: str = "ok"

    @property
    def cost(self) -> int:
        return cost(self.price, self.usage) if self.price else 0


def event(number: int, call: Call, organization_id: str, project_id: str) -> RequestCompleted:
    told = call.usage
    extras = {name: getattr(told.extras, name) for name in UsageExtras.__match_args__} if told.extras else {}
    usage = UsageRecord(
        input=told.input, output=told.output, cache_read=told.cache_read, cache_write=told.cache_write, **extras
    )
    attempt = AttemptRecord(
        number=1, model=call.model, provider=call.provider, kind=call.kind, usage=usage,
        cost_nano=call.cost, price_version=call.price.version if call.price else "",
        price_unknown=call.price is None or not call.price.known,
    )  # fmt: skip
    return RequestCompleted(
        request_id=f"req_{number}",
        organization_id=organization_id,
        project_id=project_id,
        started_at_us=START_US + call.hour * 3_600_000_000,
        attempts=[attempt],
    )


@dataclass
class History:
    """Two tenants over one log."""

    acme: Client
    globex: Client
    analytics: Analytics

    async def logged(self, *calls: Call, client: Client | None = None) -> None:
        """Every row twice, as a consumer that was restarted writes them."""
        owner = client or self.acme
        events = [event(n, call, owner.organization_id, owner.project_id) for n, call in enumerate(calls)]
        for _ in range(2):
            await self.analytics.insert("attempts", attempt_columns(events))

    async def repriced(self, **asked: object) -> Any:
        return await self.acme.post("/prices/reprice", DAY | asked, 200)


@pytest.fixture
async def history(installation: Installation, new_analytics: NewUrl) -> AsyncIterator[History]:
    analytics = await Analytics.open(await new_analytics())
    tenants = [await installation.tenant(name) for name in ("acme", "globex")]
    app = build(Admin(installation.channel), Logs(analytics, b"key"), {"localhost"})
    transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1", timeout=60) as http:
        acme, globex = (client_of(http, tenant) for tenant in tenants)
        yield History(acme, globex, analytics)
    await analytics.close()


def own(**changes: object) -> dict[str, object]:
    body = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "inputUsdPerMillion": "0.3",
        "outputUsdPerMillion": "0.000001",
    }
    return body | changes


OWN = Price(300_000_000, 1000)


async def test_at_the_prices_of_then_nothing_differs_by_a_nano(history: History) -> None:
    calls = [Call("gpt-4o-mini", "openai", MINI)] * 3 + [Call("claude-haiku-4-5", "anthropic", HAIKU, CACHED)]
    await history.logged(*calls)
    await history.logged(Call("gpt-4o-mini", "openai", MINI), client=history.globex)
    found = await history.repriced(asOf="2026-04-10T00:00:00Z", projectId=history.acme.project_id)
    logged = sum(call.cost for call in calls)
    assert found["total"] == {
        "attempts": 4, "logged_usd": logged / 1e9, "logged_unknown_attempts": 0, "repriced_usd": logged / 1e9,
        "difference_usd": 0.0, "unpriced_attempts": 0, "unpriced_logged_usd": 0.0,
    }  # fmt: skip
    haiku, mini = found["models"]
    assert (haiku["provider"], haiku["model"], mini["model"]) == ("anthropic", "claude-haiku-4-5", "gpt-4o-mini")
    charged = [{"price_version": MINI.version, "attempts": 3, "cost_usd": 3 * cost(MINI, USAGE) / 1e9}]
    assert (mini["logged_at"], mini["repriced_at"]) == (charged, charged)
    assert (found["project_id"], found["as_of"]) == (history.acme.project_id, "2026-04-10T00:00:00Z")


async def test_an_operators_price_holds_from_its_date_on(history: History) -> None:
    await history.logged(*[Call("gpt-4o-mini", "openai", MINI, hour=hour) for hour in (1, 11, 12, 13)])
    made = await history.acme.post("/prices", own(effectiveFrom="2026-04-10T12:00:00Z"))
    before, after = cost(MINI, USAGE), cost(OWN, USAGE)
    (now,) = (await history.repriced())["models"]
    assert now["repriced_usd"] == 4 * after / 1e9
    assert now["repriced_at"] == [{"price_version": made["version"], "attempts": 4, "cost_usd": 4 * after / 1e9}]
    (then,) = (await history.repriced(asOf="2026-04-10T11:59:59.999Z"))["models"]
    assert then["difference_usd"] == 0.0
    each = await history.repriced(asOfCall=True)
    assert each["as_of"] is None
    assert each["total"]["repriced_usd"] == 2 * (before + after) / 1e9
    assert {use["price_version"]: use["attempts"] for use in each["models"][0]["repriced_at"]} == {
        MINI.version: 2,
        made["version"]: 2,
    }
    (row,) = (await history.acme.get("/prices"))["data"]
    assert row["version"] == made["version"] == f"override/{made['id']}"


async def test_supposed_prices_replace_all_others_of_their_model(history: History) -> None:
    await history.logged(Call("gpt-4o-mini", "openai", MINI), Call("claude-haiku-4-5", "anthropic", HAIKU))
    await history.acme.post("/prices", own(inputUsdPerMillion=9, effectiveFrom="2026-04-01T00:00:00Z"))
    supposed = [own(cacheReadUsdPerMillion="0.1", webSearchUsdPerThousand=5), own(provider="azure")]
    for when in ({}, {"asOfCall": True}, {"asOf": "2020-01-01T00:00:00Z"}):
        report = await history.repriced(supposed=supposed, **when)
        assert report["unused"] == [{"provider": "azure", "model": "gpt-4o-mini"}]
        found = {each["model"]: each for each in report["models"]}
        wanted = cost(Price(300_000_000, 1000, 100_000_000), USAGE)
        at = [{"price_version": "override/supposed", "attempts": 1, "cost_usd": wanted / 1e9}]
        assert found["gpt-4o-mini"]["repriced_at"] == at
        assert found["claude-haiku-4-5"]["difference_usd"] == 0.0


async def test_what_has_no_price_is_told_apart_and_never_said_to_be_free(history: History) -> None:
    bounded = ceiling(15_000_000_000)
    await history.logged(
        Call("fresh", "openai", bounded), Call("fresh", "openai", None), Call("gpt-4o-mini", "openai", MINI)
    )
    found = await history.repriced()
    fresh = next(each for each in found["models"] if each["model"] == "fresh")
    assert (fresh["repriced_usd"], fresh["difference_usd"], fresh["repriced_at"]) == (None, None, [])
    assert (fresh["attempts"], fresh["logged_unknown_attempts"], fresh["unpriced_attempts"]) == (2, 2, 2)
    assert [each["price_version"] for each in fresh["logged_at"]] == [None, bounded.version]
    charged = cost(bounded, USAGE)
    assert found["total"]["unpriced_logged_usd"] == charged / 1e9
    assert found["total"]["logged_usd"] == (charged + cost(MINI, USAGE)) / 1e9
    assert (found["total"]["repriced_usd"], found["total"]["difference_usd"]) == (cost(MINI, USAGE) / 1e9, 0.0)
    priced = (await history.repriced(supposed=[own(model="fresh")]))["total"]
    assert (priced["unpriced_attempts"], priced["logged_unknown_attempts"]) == (0, 2)
    assert priced["difference_usd"] == (2 * cost(OWN, USAGE) - charged) / 1e9


async def test_attempts_that_never_went_out_cost_no_fee(history: History) -> None:
    await history.logged(Call("gpt-4o-mini", "openai", None, Usage(), kind="connect"))
    found = await history.repriced(supposed=[own(requestUsdPerThousand=10)])
    assert found["models"] == []
    assert (found["total"]["attempts"], found["total"]["repriced_usd"]) == (0, 0.0)


async def test_only_requests_of_the_range_and_project_are_read(history: History) -> None:
    await history.logged(*[Call("gpt-4o-mini", "openai", MINI, hour=hour) for hour in (-1, 0, 23, 24)])
    assert (await history.repriced())["total"]["attempts"] == 2
    assert (await history.repriced(start="2026-04-09T00:00:00Z"))["total"]["attempts"] == 3
    other = await history.acme.post("/projects", {"name": "other"})
    assert (await history.repriced(projectId=other["id"]))["total"]["attempts"] == 0


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"end": "2026-04-10T00:00:00Z"}, "end", "invalid_request"),
        ({"start": "2025-04-09T23:59:59Z"}, "start", "range_too_large"),
        ({"start": "yesterday"}, "start", "invalid_request"),
        ({"asOf": "2026-04-10T00:00:00Z", "asOfCall": True}, "asOf", "invalid_request"),
        ({"supposed": [own(provider="nobody")]}, "supposed[0].provider", "invalid_request"),
        ({"supposed": [own(), own()]}, "supposed[1]", "invalid_request"),
        ({"supposed": [own(inputUsdPerMillion=-1)]}, "supposed[0].inputUsdPerMillion", "invalid_request"),
        ({"supposed": [own(inputUsdPerMillion="2 USD")]}, "supposed[0].inputUsdPerMillion", "invalid_request"),
        ({"supposed": [own(effectiveFrom="2026-04-10T00:00:00Z")]}, "supposed[0].effectiveFrom", "invalid_request"),
        ({"model": "gpt-4o"}, "model", "invalid_request"),
    ],
)
async def test_bad_questions_are_refused(history: History, changes: dict[str, object], field: str, code: str) -> None:
    problem = await history.acme.refused("POST", "/prices/reprice", 422, json=DAY | changes)
    assert (problem["code"], problem["errors"][0]["field"]) == (code, field)


async def test_projects_of_others_do_not_exist(history: History) -> None:
    body = DAY | {"projectId": history.globex.project_id}
    assert (await history.acme.refused("POST", "/prices/reprice", 404, json=body))["code"] == "not_found"
    viewer = await history.acme.with_role("viewer")
    assert (await viewer.post("/prices/reprice", DAY, 200))["total"]["attempts"] == 0


async def test_a_range_with_too_many_attempts_is_refused_before_it_is_read(history: History) -> None:
    sql = """INSERT INTO attempts (request_id, organization_id, project_id, request_started_at, model, input_tokens)
        SELECT toString(number), {organization:String}, 'p', toDateTime64('2026-04-10 12:00:00', 6, 'UTC'), 'm', 1
        FROM numbers({count:UInt64})"""
    values = {"organization": history.acme.organization_id, "count": MOST_ATTEMPTS + 1}
    await history.analytics.command(sql, values)
    problem = await history.acme.refused("POST", "/prices/reprice", 422, json=DAY)
    assert problem["code"] == "range_too_large"
    assert problem["detail"] == "start: holds 1,000,001 attempts, and at most 1,000,000 are priced at once"
    assert (await history.repriced(end="2026-04-10T12:00:00Z"))["total"]["attempts"] == 0


COUNT = st.integers(0, 10**6)
USED = st.builds(
    Used,
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.sampled_from(["", "old", "ceiling/9"]),
    st.booleans(),
    st.integers(0, 3),
    st.builds(Usage, COUNT, COUNT, COUNT),
    st.integers(1, 1000),
    st.integers(0, 10**12),
)


@given(st.lists(USED, max_size=30))
def test_the_total_is_the_sum_of_its_lines_and_of_each_attempt(used: list[Used]) -> None:
    def price_of(each: Used) -> Price | None:
        return None if each.model == "a" and each.at_ms < 2 else Price(7 + each.at_ms, 11, version=f"v{each.at_ms}")

    report = reprice(iter(used), price_of)
    for name in ("attempts", "logged", "unknown", "repriced", "unpriced", "unpriced_logged", "difference"):
        assert getattr(report.total, name) == sum(getattr(line, name) for line in report.lines.values())
    priced = [(each, price) for each in used if (price := price_of(each)) is not None]
    assert report.total.repriced == sum(sum([cost(price, e.usage)] * e.attempts) for e, price in priced)
    assert report.total.difference == report.total.repriced - sum(each.cost_nano for each, _ in priced)
    assert report.total.unpriced == sum(each.attempts for each in used if price_of(each) is None)
    for line in report.lines.values():
        assert sum(use.attempts for use in line.logged_at.values()) == line.attempts
        assert sum(use.cost for use in line.logged_at.values()) == line.logged
        assert sum(use.cost for use in line.repriced_at.values()) == line.repriced


def test_moments_are_those_at_which_prices_change() -> None:
    start_ms = START_US // 1000
    moments = moments_ms(CATALOG, (), start_ms, start_ms + 86_400_000)
    assert moments[0] == start_ms
    assert moments == sorted(set(moments))
    assert all(CATALOG.next_change_ms(one) == two for one, two in pairwise(moments))
    assert CATALOG.next_change_ms(moments[-1]) >= start_ms + 86_400_000
