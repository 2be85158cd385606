"""The application: every route under /manage/v1, its OpenAPI document, and the edge around it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from fastapi import FastAPI

from modelux_bus.base import Bus
from modelux_management.admin import Admin
from modelux_management.authorized import Routes
from modelux_management.edge import App, Edge
from modelux_management.failures import ProblemBody, install
from modelux_management.judges import Judges
from modelux_management.replays import Replays
from modelux_management.routes import (
    audit,
    budget_checks,
    budgets,
    credentials,
    experiment_schedules,
    experiment_scorecard,
    experiment_similar,
    experiments,
    imports,
    judge_runs,
    keys,
    logs,
    management_keys,
    me,
    prices,
    projects,
    repricing,
    rollouts,
    routing_configs,
    versions,
)
from modelux_management.similar import Similar
from modelux_providers.catalog import Catalog
from modelux_store.logs import Logs

PREFIX = "/manage/v1"
_REPORTS = 2
"""Reports over many rows that are made at once; what is left of the threads to the log serves everything else."""
_UPLOADS = 2
"""Uploads that are read at once; each is held whole."""
ROUTES: Sequence[Routes] = (
    me.routes,
    projects.routes,
    credentials.routes,
    keys.routes,
    management_keys.routes,
    routing_configs.routes,
    versions.routes,
    prices.routes,
    repricing.routes,
    budget_checks.routes,
    budgets.routes,
    imports.routes,
    experiment_scorecard.routes,
    experiments.routes,
    judge_runs.routes,
    experiment_similar.routes,
    experiment_schedules.routes,
    rollouts.routes,
    logs.routes,
    audit.routes,
)

_ABOUT = """Manage projects, credentials, keys, budgets and versioned routing configs, and read why every request
went where it went.

Send `Authorization: Bearer mlx_mk_…`. Requests are camelCase, answers `{"data": …}` in snake_case, refusals
`application/problem+json`.
Times are ISO 8601 with an offset. Lists give `next_cursor`. POSTs take an `Idempotency-Key`; routing configs take
`If-Match`.
"""


def build(
    admin: Admin,
    logs: Logs,
    hosts: Collection[str],
    bus: Bus | None = None,
    replays: Replays | None = None,
    similar: Similar | None = None,
    judges: Judges | None = None,
) -> App:
    """The whole ASGI application. `hosts`: the names it answers to; `*` for any. Without a bus imports are refused."""
    app = build_api()
    app.state.admin = admin
    app.state.logs = logs
    app.state.catalog = Catalog.load()
    app.state.repricing = asyncio.Semaphore(_REPORTS)
    app.state.bus = bus
    app.state.replays = replays
    app.state.judges = judges
    app.state.similar = similar
    app.state.importing = asyncio.Semaphore(_UPLOADS)
    return Edge(app, frozenset(hosts))


def build_api() -> FastAPI:
    """The routes alone, for the OpenAPI document."""
    app = FastAPI(
        title="Modelux management API",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    for routes in ROUTES:
        app.include_router(routes, prefix=PREFIX)
    install(app)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Adds what FastAPI does not know: how callers authenticate, and what refusals look like."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        if "ProblemBody" not in schemas:
            problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs") | {"ProblemBody": problem}
            components["securitySchemes"] = {
                "management_key": {"type": "http", "scheme": "bearer", "bearerFormat": "mlx_mk_…"}
            }
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
