"""The management API as a service: its settings and its wiring."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.judges import Judges
from modelux_management.replays import Replays
from modelux_management.similar import Similar
from modelux_runtime.http import App, listen, serve_app
from modelux_runtime.platform import Platform
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_store.experiment_pairs import ExperimentPairs
from modelux_store.experiments import ExperimentRows
from modelux_store.judge_verdicts import JudgeVerdicts
from modelux_store.logs import Logs
from modelux_store.prompts import Prompts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ManagementSettings:
    """`MODELUX_MANAGEMENT_<FIELD>`."""

    host: str = setting("127.0.0.1", "Address to listen on")
    port: int = setting(8081, "Port of the REST API; 0 lets the system choose")
    hosts: str = setting("localhost,127.0.0.1,::1", "Names it answers to, comma-separated; * for any")


@asynccontextmanager
async def serve(settings: ManagementSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Listens, then serves until cancelled. Neither the config service nor ClickHouse nor the bus needs to be up."""
    hosts = {name.strip().lower() for name in settings.hosts.split(",") if name.strip()}
    # Cursors are signed with what every replica knows and no caller does: the address with its password.
    cursor_key = platform.settings.clickhouse_url.encode()
    logs, rows = Logs(platform.analytics, cursor_key), ExperimentRows(platform.analytics, cursor_key)
    similar = Similar(platform.embedding, Prompts(platform.analytics), ExperimentPairs(platform.analytics))
    judges = Judges(platform.judge, JudgeVerdicts(platform.analytics, cursor_key))
    replays = Replays(platform.replay, rows)
    app = build(Admin(platform.config), logs, hosts, platform.bus, replays, similar, judges)
    sock = listen(settings.host, settings.port)
    log.info("management API on http://%s:%s", *sock.getsockname()[:2])
    try:
        yield [serve_app(cast(App, app), sock)]
    finally:
        sock.close()


SERVICE = Service(
    "management",
    ManagementSettings,
    needs=frozenset({"config", "replay", "embedding", "judge", "analytics", "bus"}),
    serve=serve,
)
