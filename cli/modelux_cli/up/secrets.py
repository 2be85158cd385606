"""What one installation keeps to itself: made once, kept in a file that only its owner may read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from modelux_contracts.ids import new_key
from routing_core.errors import ModeluxError


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys of this installation. Proxy and management keys are printed at start; the rest never leaves the machine."""

    encryption_key: str
    proxy_key: str
    management_key: str


def load_or_create(path: Path) -> Secrets:
    """Reads the file or writes a new one (mode 0600). Raises ModeluxError where it is not ours."""
    if not path.exists():
        made = Secrets(
            base64.b64encode(secrets.token_bytes(32)).decode(),
            new_key("mlx_sk_"),
            new_key("mlx_mk_"),
        )
        write_private(path, json.dumps(asdict(made)))
        return made
    try:
        found = json.loads(path.read_text())
        return Secrets(**{each.name: str(found[each.name]) for each in fields(Secrets)})
    except (ValueError, KeyError, TypeError) as error:
        raise ModeluxError(
            "secrets_unreadable", f"{path} is not a key file of ours", hint="Restore it, or choose another --data-dir."
        ) from error


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)
