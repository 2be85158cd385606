"""Waiting for what other tasks do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

Wait = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def until() -> Wait:
    """Waits until a condition holds, at most five seconds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
