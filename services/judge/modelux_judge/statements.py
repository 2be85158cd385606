"""The service's SQL."""

from __future__ import annotations

from functools import partial

from modelux_store.statements import statement

sql = partial(statement, "modelux_judge")
"""`sql(noun, name)`: see `statement`."""
