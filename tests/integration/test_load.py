"""A production-shaped load with a failing provider: every request answered, and in the log exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure_load import Figures, arrivals, data_folder_of_traces, run, running
from stack import Product


@pytest.fixture
def product() -> Iterator[Product]:
    with running() as found:
        yield found


@pytest.mark.parametrize(
    ("count", "rps"),
    [
        pytest.param(1_000, 100.0, id="1000"),
        pytest.param(20_000, 150.0, id="20000", marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ],
)
def test_every_request_is_answered_and_logged_once(product: Product, count: int, rps: float) -> None:
    folder = data_folder_of_traces()
    if folder is None:
        pytest.skip("the arrival traces are not here: put azure_llm/*.csv in the folder that MODELUX_TEST_DATA names")
    figures = run(product, arrivals(folder, count, rps))
    print(figures.line())
    check(figures, count)


def check(figures: Figures, count: int) -> None:
    assert figures.requests == figures.rows == count
    assert (figures.failed, figures.failures) == (0, {}), "a fallback could have served them"
    assert (figures.duplicates, figures.missing, figures.strange) == (0, 0, 0)
    assert figures.tokens_off == 0
    assert figures.failovers >= 5, "the provider did not fail"
    assert set(figures.by_provider) == {"openai", "anthropic"}
    assert figures.by_provider["anthropic"] > count * 0.1
