"""What an embedded engine says when it cannot start: one line that names the cause and the remedy."""

from __future__ import annotations


class EngineError(Exception):
    """An embedded engine cannot run here. The text is one line for the person at the terminal."""
