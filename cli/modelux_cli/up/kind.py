"""Keep the demo and real use apart: a data folder is of one kind for life, and says so in a file."""

from __future__ import annotations

from pathlib import Path

from modelux_cli.up.secrets import write_private
from routing_core.errors import ModeluxError

_REAL, _DEMO = "real", "demo"


def keep_apart(data_dir: Path, *, demo: bool) -> None:
    """Marks a folder that has no mark with the kind it is used for now.

    Raises ModeluxError where it is of the other kind: simulated providers, their prices and their traffic must never
    stand beside real credentials.
    """
    mark, wanted = data_dir / "kind", _DEMO if demo else _REAL
    try:
        found = mark.read_text().strip()
    except FileNotFoundError:
        write_private(mark, wanted + "\n")
        return
    if found != wanted:
        owner, call = ("the demo", "with --demo") if found == _DEMO else ("real use", "without --demo")
        hint = f"Start it {call}, or choose another --data-dir."
        raise ModeluxError("data_dir_of_other_kind", f"{data_dir} belongs to {owner}", hint=hint)
