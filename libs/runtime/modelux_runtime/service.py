"""A service: its name, its settings, what it needs of the platform, and how it serves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from modelux_runtime.platform import Platform

S = TypeVar("S")
Need = Literal["bus", "database", "analytics", "config", "replay", "embedding", "judge", "encryption_key"]
Tasks = Sequence[Coroutine[Any, Any, None]]
"""What a service does as long as it lives. Cancelled at shutdown; then the context is left, where a service drains."""


@dataclass(frozen=True, slots=True)
class Service(Generic[S]):
    """One entry of `modelux run`. `serve` is the service's whole wiring."""

    name: str
    settings: type[S]
    needs: frozenset[Need]
    serve: Callable[[S, Platform], AbstractAsyncContextManager[Tasks]]
