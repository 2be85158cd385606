"""What a Claude model can do, told by its name: the generations differ in thinking, sampling and structured output."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d)(?!\d))?")
_OLD_NAME = re.compile(r"claude-(?:instant|2)")


@dataclass(frozen=True, slots=True)
class Claude:
    """The generation of a model, such as (4, 6)."""

    generation: tuple[int, int]

    @property
    def adaptive_thinking(self) -> bool:
        """Thinks by `effort`; before, by a budget of tokens."""
        return self.generation >= (4, 6)

    @property
    def summarises_on_request(self) -> bool:
        """Hides its thinking unless asked for a summary."""
        return self.generation >= (4, 7)

    @property
    def thinks(self) -> bool:
        return self.generation >= (3, 7)

    @property
    def sampling(self) -> bool:
        """Takes temperature and top_p (later models answer 400)."""
        return self.generation < (4, 7)

    @property
    def one_of_temperature_and_top_p(self) -> bool:
        return self.generation >= (4, 1)

    @property
    def structured_output(self) -> bool:
        """Has `output_config.format`; before, a forced tool does the work."""
        return self.generation >= (4, 5)

    @property
    def default_max_tokens(self) -> int:
        if self.generation < (3, 5):
            return 4096
        return 8192 if self.generation < (3, 7) else 16384


def claude(model: str) -> Claude:
    """The generation in a model's name; a name without one is taken for (4, 5), which takes the most of what
    callers send."""
    if _OLD_NAME.search(model):
        return Claude((2, 0))
    found = _VERSION.search(model)
    return Claude((int(found[1]), int(found[2] or 0)) if found else (4, 5))
