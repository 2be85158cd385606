"""Serve answers that were recorded before: one JSON object per line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from modelux_providers.simulator.scenario import InvalidScenario


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the prompt (the last user turn) or its SHA-256 in hex, the model (empty = any), the answer."""

    answer: str
    prompt: str | None = None
    prompt_hash: str | None = None
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0.0
    status: int = 0  # 400 and above: this prompt is refused so, and there is no answer


@dataclass(frozen=True, slots=True)
class Recordings:
    """Recorded answers by model and prompt."""

    by_key: Mapping[tuple[str, str], Recorded] = field(default_factory=dict)

    def find(self, model: str, prompt: str) -> Recorded | None:
        """Return what this model answered to this prompt, else what any model did that the recording left open."""
        if not self.by_key:
            return None
        digest = _digest(prompt)
        return self.by_key.get((model, digest)) or self.by_key.get(("", digest))


def load(paths: Iterable[Path]) -> Recordings:
    """Read JSONL files; a later line replaces an earlier one.

    Raises:
        InvalidScenario: a line is not a recording; the text names file and line.
        OSError: a file cannot be read.
    """
    found: dict[tuple[str, str], Recorded] = {}
    for path in paths:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if line.strip():
                recorded = _parse(line, f"{path}:{number}")
                found[recorded.model, recorded.prompt_hash or _digest(recorded.prompt or "")] = recorded
    return Recordings(found)


def _parse(line: bytes, where: str) -> Recorded:
    try:
        recorded = msgspec.json.decode(line, type=Recorded)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidScenario(f"{where}: {error}") from error
    if recorded.prompt is None and recorded.prompt_hash is None:
        raise InvalidScenario(f"{where}: neither prompt nor prompt_hash")
    return recorded


def _digest(prompt: str) -> str:
    return sha256(prompt.encode("utf-8", "replace")).hexdigest()
