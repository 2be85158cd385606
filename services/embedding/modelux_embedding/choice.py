"""Choose the embedder that the settings name, or else the best one that is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelux_embedding import weights
from modelux_embedding.embedder import Embedder
from modelux_embedding.endpoint import OPENAI, Endpoint
from modelux_embedding.lexical import Lexical
from modelux_embedding.minilm import MiniLM
from modelux_providers.client import Client
from modelux_providers.egress import Guard
from modelux_runtime.settings import InvalidSetting
from routing_core.errors import ModeluxError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say of the embedder. `kind` "": an endpoint where there is an address or key, else MiniLM
    where its weights are, else the lexical one.
    """

    kind: str = ""
    endpoint: str = ""
    key: str = ""
    model: str = ""
    allow_private: bool = False
    weights: Path | None = None
    threads: int = 1


async def choose(wanted: Wanted) -> Embedder:
    """Raises `InvalidSetting`, and `ModeluxError` where MiniLM is asked for and its weights or libraries are not there.

    Where it is not asked for by name, weights that cannot be used are a warning: the services beside must start.
    """
    if wanted.kind:
        if wanted.kind not in _KINDS:
            message = f"MODELUX_EMBEDDING_EMBEDDER is {wanted.kind!r}, not one of {', '.join(_KINDS)}"
            raise InvalidSetting("setting_invalid", message)
        return await _KINDS[wanted.kind](wanted)
    if wanted.endpoint or wanted.key:
        return await _endpoint(wanted)
    if wanted.weights is not None and weights.present(wanted.weights):
        try:
            return await _minilm(wanted)
        except ModeluxError as error:
            log.warning("MiniLM cannot be used: %s", error)
    return Lexical()


async def _endpoint(wanted: Wanted) -> Embedder:
    url = wanted.endpoint or OPENAI
    try:
        return Endpoint(Client(Guard()), url, wanted.key, wanted.model, allow_private=wanted.allow_private)
    except ValueError as error:
        message = "MODELUX_EMBEDDING_ENDPOINT or _API_KEY cannot be used"
        raise InvalidSetting("setting_invalid", message, hint=f"The address is a base URL such as {OPENAI}.") from error


async def _minilm(wanted: Wanted) -> Embedder:
    if wanted.weights is None:
        raise InvalidSetting("setting_missing", "MODELUX_EMBEDDING_WEIGHTS_DIR is not set")
    return await asyncio.to_thread(MiniLM, wanted.weights, wanted.threads)


async def _lexical(wanted: Wanted) -> Embedder:
    return Lexical()


_KINDS: Mapping[str, Callable[[Wanted], Awaitable[Embedder]]] = {
    "endpoint": _endpoint,
    "minilm": _minilm,
    "lexical": _lexical,
}
