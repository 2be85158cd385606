"""What a store says when it could not do its work: try again, it exists already, or the data itself is wrong."""

from __future__ import annotations

from routing_core.errors import ModeluxError


class Unavailable(Exception):
    """The store cannot be reached, is overloaded or did not answer in time. Whether a write took place is unknown."""


class AlreadyExists(Exception):
    """A unique constraint refused a row. `constraint` is its name."""

    def __init__(self, constraint: str) -> None:
        super().__init__(f"violates {constraint}")
        self.constraint = constraint


class Rejected(Exception):
    """The store will never take this data; the same rows fail again."""


class SchemaError(ModeluxError):
    """The stored schema is not one that this program knows."""
