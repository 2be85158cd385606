"""Which Modelux the command line talks to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelux_cli import api
from routing_core.errors import ModeluxError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def ready(folder: Path, name: str, at: int) -> None:
    folder.mkdir()
    file = folder / "endpoints.json"
    file.write_text(json.dumps({"manage_url": f"http://{name}", "management_key": "mlx_mk_x"}))
    os.utime(file, (at, at))


def test_the_demo_keeps_to_a_folder_of_its_own(home: Path) -> None:
    assert api.default_data_dir() == home / ".modelux"
    assert api.default_data_dir(demo=True) == home / ".modelux-demo"


@pytest.mark.parametrize(("own", "demo", "found"), [(1, 2, "http://demo"), (2, 1, "http://own")])
def test_the_one_that_started_last_is_found(home: Path, own: int, demo: int, found: str) -> None:
    ready(api.default_data_dir(), "own", own)
    ready(api.default_data_dir(demo=True), "demo", demo)
    assert api.connect("", "", None).url == found


def test_options_win(home: Path) -> None:
    ready(api.default_data_dir(), "own", 1)
    assert api.connect("http://other", "mlx_mk_y", None) == api.Api("http://other", "mlx_mk_y")


def test_where_nothing_ever_ran_it_says_what_to_do(home: Path) -> None:
    with pytest.raises(ModeluxError, match=r"no Modelux is known in .*modelux"):
        api.connect("", "", None)
