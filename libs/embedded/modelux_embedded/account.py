"""Choose the operating-system account that PostgreSQL runs as, since it refuses to run as root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelux_embedded.errors import EngineError

CANDIDATES = ("modelux", "postgres", "pgserver")
NEW_ACCOUNT = "modelux"
_SET_PARENT_DEATH_SIGNAL = 1  # Linux: prctl(PR_SET_PDEATHSIG)


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a child process runs as; `None` in both fields means as ourselves."""

    uid: int | None = None
    gid: int | None = None

    @property
    def name(self) -> str:
        return pwd.getpwuid(os.geteuid() if self.uid is None else self.uid).pw_name

    def popen(
        self,
        argv: list[str | Path],
        *,
        stdout: int,
        stderr: int = subprocess.STDOUT,
        stdin: int = subprocess.DEVNULL,
        parent_death: signal.Signals | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts `argv` in its own session, so that a Ctrl-C at the terminal reaches only the supervisor.

        `parent_death` is what the kernel, where it can, sends the process once the thread that called this has ended.
        """
        groups: list[str | int] | None = None if self.uid is None else []
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=groups,
            umask=0o077,
            start_new_session=True,
            preexec_fn=_ended_with_parent(parent_death) if parent_death else None,
        )

    def run(self, argv: list[str | Path], *, text: str = "") -> str:
        """Runs `argv` to its end and returns what it printed. Raises `EngineError` with its last line when it fails."""
        with self.popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
            output = process.communicate(text.encode())[0].decode(errors="replace")
        if process.returncode:
            last = output.strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
            raise EngineError(f"{Path(argv[0]).name} failed: {last[0]}")
        return output

    def give(self, path: Path) -> None:
        """Makes the account the owner of `path`."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, folder: Path) -> bool:
        """Whether the account may enter `folder` through all its parents."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        with self.popen(["/bin/sh", "-c", 'cd "$0"', folder], stdout=subprocess.DEVNULL) as process:
            return process.wait() == 0


def choose(owner_of: Path | None = None) -> Account:
    """Ourselves, or as root: the owner of an existing data folder, a known service account, or a new one.

    Raises:
        EngineError: root, no suitable account, and none could be created.
    """
    if os.geteuid() != 0:
        return Account()
    if owner_of is not None and owner_of.exists() and (uid := owner_of.stat().st_uid) != 0:
        return Account(uid, owner_of.stat().st_gid)
    for name in CANDIDATES:
        if (entry := _entry(name)) is not None and entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    return _create()


def _ended_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    """What the child does once it is another user (which would undo it); None where that cannot be had."""
    with contextlib.suppress(OSError, AttributeError):
        prctl = ctypes.CDLL(None).prctl
        return lambda: prctl(_SET_PARENT_DEATH_SIGNAL, int(sign))
    return None


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create() -> Account:
    useradd = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    argv = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NEW_ACCOUNT] if useradd else None
    if argv is None and (adduser := shutil.which("adduser")):
        argv = [adduser, "-S", "-D", "-H", NEW_ACCOUNT]
    if argv is not None:
        subprocess.run(argv, capture_output=True, check=False)
    entry = _entry(NEW_ACCOUNT) or _entry("nobody")
    if entry is None:
        raise EngineError(f"PostgreSQL refuses to run as root and the account {NEW_ACCOUNT!r} could not be created")
    return Account(entry.pw_uid, entry.pw_gid)
