"""Wait for an experiment to end, with a bar on the terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from modelux_cli.api import Api
from routing_core.errors import ModeluxError

Row = dict[str, Any]
MOST_S = 31 * 60.0
"""The service ends an experiment after 30 minutes."""
PAUSES_S = (0.1, 1.0)
"""Between two looks, at first and at last."""
_WIDEST = 78
_NARROW = 50
_PATIENCE = 5
"""So many looks in a row may find no server: it may be starting again."""


def wait(api: Api, experiment: Row) -> Row:
    """The experiment once it has ended, however it did. Raises ModeluxError."""
    command = f"modelux experiments show {experiment['id']}"
    return wait_for(api, f"/experiments/{experiment['id']}", experiment, command, lambda one: one)


def wait_for(api: Api, path: str, found: Row, command: str, progress: Callable[[Row], Row]) -> Row:
    """What stands at `path` once it has ended; `found`: as it stands now, which `command` shows. `progress`: what a bar
    shows of it. Raises ModeluxError.
    """
    pause, last, failures = *PAUSES_S, 0
    deadline = time.monotonic() + MOST_S
    bar = Bar(sys.stderr)
    try:
        while found["status"] in ("pending", "running"):
            bar.show(progress(found))
            if time.monotonic() > deadline:
                hint = f"See it with `{command}`."
                raise ModeluxError("timed_out", f"{found['id']} has not ended in half an hour", hint=hint)
            time.sleep(pause)
            pause = min(pause * 1.5, last)
            try:
                found, failures = api.get(path)["data"], 0
            except ModeluxError as error:
                failures += 1
                if error.code != "unreachable" or failures >= _PATIENCE:
                    raise
    finally:
        bar.clear()
    return found


class Bar:
    """One line that is written over. Plain characters, no colours; silent where nobody watches."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0

    def show(self, experiment: Row) -> None:
        if self._stream.isatty():
            self._write(bar(experiment, shutil.get_terminal_size().columns))

    def clear(self) -> None:
        if self._shown:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()
            self._shown = 0

    def _write(self, line: str) -> None:
        self._stream.write(f"\r{line.ljust(self._shown)}")
        self._stream.flush()
        self._shown = len(line)


def bar(experiment: Row, columns: int) -> str:
    """How far it is, in one line that is shorter than the terminal is wide."""
    total, done, share = experiment["rows_total"], experiment["rows_done"], experiment["progress"]
    percent = f"{share * 100:3.0f}%"
    if not total:
        return str(experiment["status"])[: max(columns - 1, 0)]
    if columns < _NARROW:
        return percent[: max(columns - 1, 0)]
    counted = f"{percent}  {done:,} of {total:,} {experiment.get('unit', 'requests')}"
    room = min(columns, _WIDEST) - len(counted) - 4
    filled = min(round(share * room), room)
    return f"[{'#' * filled}{' ' * (room - filled)}] {counted}" if room > 0 else percent
