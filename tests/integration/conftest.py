"""One running product for every test that does not need one of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from stack import Product, data_folder, free_ports, simulator

SCENARIO = {
    "keep_bodies": True,
    "behaviour": {"ttft_ms": 10, "per_token_ms": 1, "output_tokens": 20},
    "rules": [{"match": {"prompt": "slowly"}, "behaviour": {"ttft_ms": 60, "per_token_ms": 40, "output_tokens": 25}}],
}
"""Quick answers; a prompt that says `slowly` gets one that streams for a second."""


@pytest.fixture(scope="session")
def providers() -> Iterator[str]:
    with simulator(SCENARIO) as url:
        yield url


@pytest.fixture(scope="session")
def product(providers: str) -> Iterator[Product]:
    """`modelux up --json`, with an OpenAI and an Anthropic credential that lead to the simulator."""
    with data_folder() as folder:
        running = Product(folder, free_ports(), providers).start()
        try:
            running.provider("simulated openai", "openai", "/openai/v1")
            running.provider("simulated anthropic", "anthropic", "/anthropic/v1")
            yield running
        finally:
            running.stop()
