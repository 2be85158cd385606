"""Calls of the REST API with one management key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2
from config_harness import Tenant

from modelux_store.database import Database

SINGLE = {"strategy": "single", "model": "gpt-4o-mini"}


@dataclass
class Client:
    """One key's view of the API."""

    http: httpx2.AsyncClient
    key: str
    organization_id: str
    project_id: str

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> Any:
        """The whole answer of a GET that succeeds."""
        answer = await self.send("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: object = None, status: int = 201) -> Any:
        """`data` of a POST that succeeds."""
        answer = await self.send("POST", path, json=body) if body is not None else await self.send("POST", path)
        assert answer.status_code == status, answer.text
        return answer.json()["data"]

    async def refused(self, method: str, path: str, status: int, **options: Any) -> Any:
        """The problem of a call that fails with this status."""
        answer = await self.send(method, path, **options)
        assert answer.status_code == status, answer.text
        return problem_of(answer)

    async def config(self, slug: str, policy: object = SINGLE) -> Any:
        body = {"projectId": self.project_id, "slug": slug, "policy": policy}
        return await self.post("/routing-configs", body)

    async def with_role(self, role: str) -> Client:
        made = await self.post("/management-keys", {"name": role, "role": role})
        return Client(self.http, made["key"], self.organization_id, self.project_id)


def client_of(http: httpx2.AsyncClient, tenant: Tenant) -> Client:
    return Client(http, tenant.key, tenant.organization_id, tenant.project_id)


def problem_of(answer: httpx2.Response) -> Any:
    """The problem document, checked for what every one must have."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["code"]
    assert body["title"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


async def charge(database: Database, budget_id: str, value: str = "", *, unit: str = "usd", **amounts: int) -> None:
    """Writes an account as spenders leave it behind. `settled` holds all that was charged."""
    row = dict.fromkeys(("settled", "leased", "unknown", "forfeited", "overrun", "exceeded", "aborted"), 0)
    row |= {"cap": 50_000_000, "window_start_us": 0, "window_end_us": 0, "started_us": 1} | amounts
    values = {"budget_id": budget_id, "value": value, "unit": unit, "hard": True, **row}
    values |= {name: bool(values[name]) for name in ("exceeded", "aborted")}
    sql = "INSERT INTO ledger.account SELECT * FROM jsonb_populate_record(NULL::ledger.account, %(row)s::jsonb)"
    async with database.transaction() as tx:
        await tx.execute(sql, {"row": json.dumps(values | {"cap_cut": 0, "alerted_ppm": 0})})
