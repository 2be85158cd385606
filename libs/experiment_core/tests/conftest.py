"""Let the tests import the tables that they share, and find recorded data where it is present."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelux_runtime.settings import child_environment

sys.path.insert(0, str(Path(__file__).parent))

Recorded = Callable[[str], Path]


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """Where a recorded file is, by its path in `MODELUX_TEST_DATA` (or in `shared/data` beside the checkout)."""

    def find(name: str) -> Path:
        given = child_environment({}).get("MODELUX_TEST_DATA")
        file = (Path(given) if given else Path(__file__).parents[4] / "shared" / "data") / name
        if not file.exists():
            pytest.skip(f"the recorded data are not here: put {name} into the folder that MODELUX_TEST_DATA names")
        return file

    return find
