"""Keep the garbage collector's pauses short in a process that answers within milliseconds."""

from __future__ import annotations

import gc


def settle() -> None:
    """What was loaded so far lives as long as the process: the collector need not look at it again. Call it once."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
