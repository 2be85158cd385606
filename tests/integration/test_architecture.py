"""The tree, the sizes and the bans of the design, held against the code."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
TOP = [
    "README.md",
    "Makefile",
    "buf.yaml",
    "buf.gen.yaml",
    "pyproject.toml",
    "requirements.lock",
    "Dockerfile",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    ".ci/run",
    "docs/architecture.md",
    "docs/decisions",
    "proto/modelux",
    "libs/routing_core/routing_core",
    "libs/experiment_core/experiment_core",
    "libs/contracts",
    "services",
    "cli",
    "deploy/helm",
    "tests/integration",
    "bench",
]


def sources() -> list[Path]:
    found = [p for top in ("libs", "services", "cli") for p in (ROOT / top).rglob("*.py")]
    return [p for p in found if "/tests/" not in str(p) and "/contracts/modelux/" not in str(p)]


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sources():
        yield path.relative_to(ROOT), ast.parse(path.read_text())


@pytest.mark.parametrize("item", TOP)
def test_the_tree_has_every_top_level_item(item: str) -> None:
    assert (ROOT / item).exists()


def test_every_file_says_what_it_is_in_its_first_line() -> None:
    silent = [str(path) for path, tree in trees() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_no_file_passes_the_cap() -> None:
    long = {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text().splitlines())) > LONGEST_FILE}
    assert long == {}


def test_no_function_passes_the_cap() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        f"{path}:{node.name}": size
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, kinds) and (size := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_init_files_are_empty() -> None:
    assert [str(p) for p in sources() if p.name == "__init__.py" and p.read_text().strip()] == []


def test_the_environment_is_read_in_one_file() -> None:
    readers = {
        str(path)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os"
    }
    assert readers <= {"libs/runtime/modelux_runtime/settings.py"}


def test_only_the_embedded_library_and_the_command_line_know_the_word_embedded() -> None:
    knowing = {
        str(p.relative_to(ROOT)).split("/")[1 if str(p.relative_to(ROOT)).startswith("libs") else 0]
        for p in sources()
        if "modelux_embedded" in p.read_text()
    }
    assert knowing <= {"embedded", "cli"}


def test_nothing_is_evaluated_or_unpickled() -> None:
    banned = {"eval", "exec", "__import__"}
    found = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in banned
    ]
    assert found == []
    assert [str(p) for p, t in trees() if "import pickle" in ast.unparse(t)] == []


def test_every_service_has_its_parts() -> None:
    for folder in (p for p in (ROOT / "services").iterdir() if p.is_dir()):
        package = folder / f"modelux_{folder.name}"
        assert (package / "service.py").exists(), f"{folder.name} has no service.py"
        assert len((package / "service.py").read_text().splitlines()) <= 120, f"{folder.name}/service.py is too long"
        assert (folder / "README.md").exists(), f"{folder.name} has no README.md"
        assert any((folder / "tests").glob("test_*.py")), f"{folder.name} has no tests"


def test_nothing_committed_names_an_index_host() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    hosts = [b"pypi" + b".org", b"pythonhosted" + b".org", b"registry.npm" + b"js.org", b"repo1.maven" + b".org"]
    naming = [name for name in listed if name and any(host in (ROOT / name.decode()).read_bytes() for host in hosts)]
    assert naming == []
