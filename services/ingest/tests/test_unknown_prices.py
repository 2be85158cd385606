"""A model without a price is told once an hour, whether it was charged a ceiling or refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux_ingest.unknown_prices import QUIET_US, UnknownPrices

EventMaker = Callable[..., RequestCompleted]
START_US = 1_770_000_000_000_000


def called(at_us: int, model: str = "new", project: str = "proj_1", **fields: object) -> RequestCompleted:
    attempt = AttemptRecord(model=model, provider="openai", cost_nano=7, **({"price_unknown": True} | fields))  # type: ignore[arg-type]  # fields by name
    return RequestCompleted(
        request_id=f"req_{at_us}", organization_id="org_1", project_id=project, started_at_us=at_us, attempts=[attempt]
    )


def test_known_prices_are_no_news(make_event: EventMaker) -> None:
    assert UnknownPrices().observe([make_event(1)]) == []


def test_the_news_names_model_project_call_and_charge() -> None:
    (news,) = UnknownPrices().observe([called(START_US)])
    assert (news.organization_id, news.project_id, news.provider, news.model) == ("org_1", "proj_1", "openai", "new")
    assert (news.charged_nano, news.request_id, news.at_us) == (7, f"req_{START_US}", START_US)


@pytest.mark.parametrize(
    ("second", "news"),
    [
        pytest.param(called(START_US + QUIET_US - 1), 1, id="within the hour"),
        pytest.param(called(START_US + QUIET_US), 2, id="after it"),
        pytest.param(called(START_US - 5), 1, id="late"),
        pytest.param(called(START_US, model="other"), 2, id="another model"),
        pytest.param(called(START_US, project="proj_2"), 2, id="another project"),
        pytest.param(called(START_US, model="other", price_unknown=False, error_code="price_unknown"), 2, id="refused"),
        pytest.param(called(START_US, model="other", price_unknown=False, error_code="rate_limited"), 1, id="failed"),
    ],
)
def test_once_an_hour_per_model_and_project(second: RequestCompleted, news: int) -> None:
    assert len(UnknownPrices().observe([called(START_US), second])) == news


@given(st.lists(st.integers(0, 5 * QUIET_US), max_size=50).map(sorted))
def test_never_twice_within_an_hour_nor_silent_for_longer(moments: list[int]) -> None:
    subject = UnknownPrices()
    told = [news.at_us for at in moments for news in subject.observe([called(START_US + at)])]
    assert all(later - earlier >= QUIET_US for earlier, later in pairwise(told))
    assert all(any(0 <= START_US + at - each < QUIET_US for each in told) for at in moments)
