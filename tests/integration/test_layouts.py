"""A service is a folder, a row in the registry, a package line and a block of the chart: say which was forgotten."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

from modelux_cli.services import LAYOUTS, SERVICES, load_service

ROOT = Path(__file__).parents[2]


def test_folders_and_registry_agree() -> None:
    assert {p.name for p in (ROOT / "services").iterdir() if p.is_dir()} == set(SERVICES)


def test_every_layout_runs_each_service_once() -> None:
    for name, processes in LAYOUTS.items():
        running = [service for process in processes for service in process]
        assert sorted(running) == sorted(SERVICES), f"layout {name!r}"


def test_packages_are_built_and_importable_from_the_checkout() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    for service in SERVICES:
        assert f"services/{service}/modelux_{service}" in build["targets"]["wheel"]["packages"]
        assert f"services/{service}" in build["dev-mode-dirs"]


def test_the_chart_has_a_component_for_each_service() -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/modelux/values.yaml").read_text())
    assert set(values["components"]) == set(SERVICES)


def test_each_entry_loads_under_its_own_name() -> None:
    assert {name: load_service(name).name for name in SERVICES} == {name: name for name in SERVICES}
