"""The tests' own modules by their plain names, and a tiny model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny_model


@pytest.fixture
def tiny(tmp_path: Path) -> tiny_model.TinyModel:
    folder = tmp_path / "tiny"
    folder.mkdir()
    return tiny_model.write(folder)
