"""One running product for every test that does not need one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stack import PROGRAM, Product, data_folder, free_ports, own_environment

SCENARIO = {
    "keep_bodies": True,
    "behaviour": {"ttft_ms": 10, "per_token_ms": 1, "output_tokens": 20},
    "rules": [{"match": {"prompt": "slowly"}, "behaviour": {"ttft_ms": 60, "per_token_ms": 40, "output_tokens": 25}}],
}
"""Quick answers; a prompt that says `slowly` gets one that streams for a second."""


@contextmanager
def simulator(scenario: dict[str, object]) -> Iterator[str]:
    """The simulated providers as the product's own command; their URL."""
    with data_folder() as folder:
        file = folder.with_suffix(".json")
        file.write_text(json.dumps(scenario))
        argv = [*PROGRAM, "simulator", "--scenario", str(file)]
        process = subprocess.Popen(argv, env=own_environment(), stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


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
