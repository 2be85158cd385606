"""The registry of services, and the layouts that say which of them share a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from modelux_runtime.service import Service


@dataclass(frozen=True, slots=True)
class Entry:
    """One service: the module that holds its `SERVICE`, and what it does in one line."""

    module: str
    purpose: str


SERVICES: Mapping[str, Entry] = {
    "proxy": Entry("modelux_proxy.service", "Routes, serves and records every call"),
    "config": Entry("modelux_config.service", "Owns projects, credentials, keys and versioned routing configs"),
    "ingest": Entry("modelux_ingest.service", "Writes request events to ClickHouse and folds provider health"),
    "replay": Entry("modelux_replay.service", "Replays logged traffic under a candidate policy"),
    "response_sampler": Entry(
        "modelux_response_sampler.service",
        "Calls the candidates of experiments with sampled requests, under their caps",
    ),
    "embedding": Entry(
        "modelux_embedding.service", "Turns texts into vectors: how alike answers are, prompts like one, topics"
    ),
    "judge": Entry("modelux_judge.service", "Puts pairs of answers to a model that says which is better"),
    "management": Entry("modelux_management.service", "Serves the REST API under /manage/v1"),
}

LAYOUTS: Mapping[str, Sequence[Sequence[str]]] = {
    "embedded": (("proxy",), ("config", "ingest", "replay", "response_sampler", "embedding", "judge", "management")),
    "cluster": tuple((name,) for name in SERVICES),
}
"""How services are grouped into processes in each form."""


def load_service(name: str) -> Service[Any]:
    """Imports one service; the others stay unloaded, so that a proxy does not carry the management API in memory."""
    service: Service[Any] = import_module(SERVICES[name].module).SERVICE
    return service
