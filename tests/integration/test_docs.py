"""What the documentation says is so: its commands, flags, variables, links and examples, and its rendered tables."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import render

from modelux_cli.services import SERVICES, load_service
from modelux_runtime.settings import PlatformSettings
from routing_core.config import parse_policy
from routing_core.rule_language.functions import FUNCTIONS, METHODS
from routing_core.rules import compile_rule

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path for pattern in ("*.md", "docs/**/*.md", "services/*/README.md") for path in ROOT.glob(pattern))
OTHER_VARIABLES = {"MODELUX_DATA_DIR", "MODELUX_MANAGE_URL", "MODELUX_MGMT_KEY", "MODELUX_HYPOTHESIS_PROFILE"}
"""Read by the command line and the tests."""
documented = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code(path: Path) -> Iterator[str]:
    """Lines of fenced blocks, joined where a backslash ends them, and inline code."""
    text = path.read_text()
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def words(line: str) -> list[str]:
    """The words of a command line, without prompt and comment; none where it is no command line."""
    try:
        return shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:
        return []


@pytest.mark.parametrize("path", render.documents(), ids=lambda path: path.name)
def test_rendered_documents_are_fresh(path: Path) -> None:
    assert path.read_text() == render.documents()[path], "run `make docs`"


@documented
def test_commands_and_flags_exist(path: Path) -> None:
    commands = render.commands()
    for line in code(path):
        program, *rest = words(line) or [""]
        if program.rsplit("/", 1)[-1] != "modelux" or not rest:
            continue
        name, *options = rest
        if any(f"{each} ".startswith(f"{' '.join(rest)} ") for each in commands):
            continue
        if name.startswith("-"):
            assert name == "--help", line
            continue
        nested = (f"{name} {' '.join(options[:depth])}" for depth in (2, 1))
        name = next((each for each in nested if each in commands), name)
        assert name in commands, line
        known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
        used = {word.strip("[]").split("=")[0] for word in options if word.strip("[]").startswith("--")}
        assert used <= known, line


@documented
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {parts[1] for line in code(path) if (parts := words(line))[:1] == ["make"] and len(parts) > 1}
    assert used <= targets


@documented
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def variables() -> set[str]:
    kinds = [("MODELUX", PlatformSettings)]
    kinds += [(f"MODELUX_{name}".upper(), load_service(name).settings) for name in SERVICES]
    names = {f"{prefix}_{each.name.upper()}" for prefix, kind in kinds for each in fields(kind)}
    return names | {f"{name}_FILE" for name in names} | OTHER_VARIABLES


@pytest.mark.parametrize(
    "path",
    [*DOCUMENTS, ROOT / "Dockerfile", *sorted((ROOT / "deploy").rglob("*.*"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_variables_exist(path: Path) -> None:
    known = variables()
    for name in set(re.findall(r"MODELUX_[A-Z_]*[A-Z_*]", path.read_text())):
        stem = name.rstrip("*")
        assert stem in known or (stem.endswith("_") and any(each.startswith(stem) for each in known)), name


def test_every_setting_says_what_it_holds() -> None:
    kinds = [PlatformSettings, *(load_service(name).settings for name in SERVICES)]
    settings = [(kind.__name__, each) for kind in kinds for each in fields(kind)]
    assert [f"{name}.{each.name}" for name, each in settings if not each.metadata.get("help")] == []


def test_the_readme_s_policy_is_one() -> None:
    (body,) = re.findall(r"-d '(\{.*?\})'\n", (ROOT / "README.md").read_text(), re.DOTALL)
    parse_policy(json.loads(body)["policy"])


def test_the_rule_language_page_names_every_function_and_its_examples_compile() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    assert {name for name in FUNCTIONS | METHODS if not re.search(rf"\b{name}\b", text)} == set()
    named = set(re.findall(r"\bget[A-Z]\w+", text))
    assert named <= METHODS
    (examples,) = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    for example in examples.splitlines():
        compile_rule(example)


def test_the_check_of_the_renderer_tells_what_is_stale(tmp_path: Path) -> None:
    copy = tmp_path / "docs"
    copy.mkdir()
    (copy / "render.py").write_text((ROOT / "docs" / "render.py").read_text())
    (copy / "rules.md").write_text("old")
    argv = [sys.executable, str(copy / "render.py"), "--check"]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert told.stderr.splitlines() == ["reference.md is stale: run `make docs`", "rules.md is stale: run `make docs`"]
